//! From text to a manifest: which keys there are and what they mean.

use std::collections::BTreeMap;

use toml::de::DeTable;

use super::check::{self, Claim, Places};
use super::problem::Problem;
use super::reader::{Placed, Problems, Reader};
use super::{
    AcceleratorChoice, Castellan, DEADMAN, Deadman, Driver, Guest, Manifest, MemoryPool, OpenClaw,
    Provider, Proxyd, RESERVED_NAMES, SWEEP, Seat, ToolProfile, component, graph, schedule,
};
use crate::{ByteSize, ComponentName, ProviderName, SeatName};

/// The longest text of a manifest.
const TEXT_BYTES_MAX: usize = 1 << 20;
/// What the guest is given unless told otherwise.
const GUEST_MEMORY_DEFAULT: ByteSize = ByteSize::gibibytes(3);
/// Below this OpenClaw does not fit beside its system.
const GUEST_MEMORY_MIN: ByteSize = ByteSize::gibibytes(2);
/// The model of the seat that an empty manifest has.
const MODEL_DEFAULT: &str = "smollm2-135m-instruct";
/// What keeps that model from saying the same for ever, in thousandths.
const FREQUENCY_PENALTY_OF_DEFAULT: u32 = 800;

/// Reads what can be read, and lists everything that is wrong.
pub(super) fn read(text: &str) -> (Option<Manifest>, Vec<Problem>) {
    let problems = Problems::default();
    if text.len() > TEXT_BYTES_MAX {
        let most = ByteSize::from_bytes(TEXT_BYTES_MAX as u64);
        problems.add(0..0, format!("a manifest has at most {most}, and this one {} B", text.len()));
        return (None, problems.take());
    }
    let (table, errors) = DeTable::parse_recoverable(text);
    for error in &errors {
        problems.add(error.span().unwrap_or(0..0), error.message());
    }
    if !errors.is_empty() {
        return (None, problems.take());
    }
    let mut root = Reader::root(&table, problems.clone());
    let mut places = Places::default();
    let castellan = castellan(root.table("castellan"));
    let memory = memory(root.table("memory"));
    let guest = guest(root.table("guest"), &mut places);
    let (openclaw, model) = openclaw(root.table("openclaw"), &mut places);
    let proxyd = proxyd(root.table("proxyd"), &mut places);
    let mut seats = seats(&mut root, &mut places);
    let (providers, provider_names) = providers(&mut root, &mut places);
    let route = root.table("route");
    if seats.is_empty() && providers.is_empty() {
        let frequency_penalty_milli = FREQUENCY_PENALTY_OF_DEFAULT;
        let model = MODEL_DEFAULT.to_owned();
        // So small a model says what fits only when it says what it finds likeliest.
        let seat = Seat { model, temperature_milli: 0, frequency_penalty_milli, ..seat_default() };
        seats.insert(check::name("general"), seat);
        places.claims.push(Claim::new(1337, "seat.general", 0..0));
    }
    let routes = check::routes(route, &seats, &providers, &openclaw.model);
    let components = component::components(&mut root, &mut places);
    root.finish();
    check::names(&seats, &provider_names, &problems);
    check::model(&model, &routes, &problems);
    check::ports(&places, &problems);
    check::addresses(&places, &proxyd, &problems);
    check::capabilities(&places, &routes, &problems);
    graph::needs(&components, &ours(castellan, &seats), &places, &problems);
    let programs = places.programs;
    let manifest = Manifest {
        castellan,
        memory,
        guest,
        openclaw,
        proxyd,
        seats,
        providers,
        routes,
        components,
        programs,
    };
    (Some(manifest), problems.take())
}

/// The names of the system's own components.
fn ours(castellan: Castellan, seats: &BTreeMap<SeatName, Seat>) -> Vec<ComponentName> {
    let seats = seats.keys().map(Manifest::seat_component);
    let others = RESERVED_NAMES.into_iter().filter(|name| match *name {
        // Not there all the time, or not by this name.
        SWEEP | "sanctum-mlx" => false,
        DEADMAN => castellan.deadman == Deadman::Kept,
        _ => true,
    });
    seats.chain(others.map(check::name)).collect()
}

fn castellan(mut reader: Reader<'_, '_>) -> Castellan {
    let deadman = if reader.flag("deadman", true) { Deadman::Kept } else { Deadman::Absent };
    let castellan = Castellan { deadman, sweep: schedule::sweep(&mut reader) };
    reader.finish();
    castellan
}

fn memory(mut reader: Reader<'_, '_>) -> MemoryPool {
    let some = |text: &str| check::size(text).map(Some);
    let memory = MemoryPool {
        reserved: reader.parsed("reserved", None, some),
        safety: reader.parsed("safety", None, some),
    };
    reader.finish();
    memory
}

fn guest(mut reader: Reader<'_, '_>, places: &mut Places) -> Guest {
    let drivers = [("auto", Driver::Auto), ("qemu", Driver::Qemu), ("lima", Driver::Lima)];
    let accelerators = [
        ("auto", AcceleratorChoice::Auto),
        ("kvm", AcceleratorChoice::Kvm),
        ("tcg", AcceleratorChoice::Tcg),
    ];
    let ssh_port = reader.port("ssh_port", 1922);
    places.claims.push(Claim::new(ssh_port.value, "guest.ssh_port", ssh_port.span));
    let guest = Guest {
        driver: reader.choice("driver", Driver::Auto, &drivers),
        accelerator: reader.choice("accelerator", AcceleratorChoice::Auto, &accelerators),
        cpus: reader.number("cpus", 2, 1, 64).value,
        memory: reader.parsed("memory", GUEST_MEMORY_DEFAULT, guest_memory),
        ssh_port: ssh_port.value,
    };
    reader.finish();
    guest
}

fn guest_memory(text: &str) -> Result<ByteSize, String> {
    let memory = check::size(text)?;
    if memory < GUEST_MEMORY_MIN {
        return Err(format!("{memory} is too little: OpenClaw needs {GUEST_MEMORY_MIN} at least"));
    }
    Ok(memory)
}

fn openclaw(mut reader: Reader<'_, '_>, places: &mut Places) -> (OpenClaw, Placed<String>) {
    let profiles = [("minimal", ToolProfile::Minimal), ("full", ToolProfile::Full)];
    let port = reader.port("port", 1977);
    places.claims.push(Claim::new(port.value, "openclaw.port", port.span));
    let model = reader
        .text("model")
        .unwrap_or_else(|| Placed { value: "council-brain".to_owned(), span: reader.span() });
    let openclaw = OpenClaw {
        port: port.value,
        model: model.value.clone(),
        tools: reader.choice("tools", ToolProfile::Minimal, &profiles),
        answer_tokens_max: reader.number("answer_tokens_max", 1024, 16, 1 << 20).value,
    };
    reader.finish();
    (openclaw, model)
}

fn proxyd(mut reader: Reader<'_, '_>, places: &mut Places) -> Proxyd {
    let port = reader.port("port", 4040);
    places.claims.push(Claim::new(port.value, "proxyd.port", port.span));
    reader.finish();
    Proxyd { port: port.value }
}

fn seat_default() -> Seat {
    Seat {
        model: String::new(),
        port: 1337,
        context: 8192,
        threads: 0,
        temperature_milli: 700,
        frequency_penalty_milli: 0,
    }
}

fn seats(root: &mut Reader<'_, '_>, places: &mut Places) -> BTreeMap<SeatName, Seat> {
    let mut seats = BTreeMap::new();
    for (name, mut reader) in root.tables("seat") {
        let default = seat_default();
        let port = if name.value == "general" { 1337 } else { 0 };
        let port = reader.port("port", port);
        let written = reader.has("model");
        let model = reader.parsed("model", String::new(), check::seat_model);
        if port.value == 0 {
            reader
                .missing("port", "a seat other than `general` has no port of its own: choose one");
        }
        if !written {
            reader
                .missing("model", "name a model of the store, as `sanctum model list` shows them");
        }
        let seat = Seat {
            model,
            port: port.value,
            context: reader.number("context", default.context, 512, 1 << 20).value,
            threads: reader.number("threads", 0, 0, 512).value,
            temperature_milli: reader.thousandths("temperature", default.temperature_milli, 2000),
            frequency_penalty_milli: reader.thousandths("frequency_penalty", 0, 2000),
        };
        places.claims.push(Claim::new(seat.port, format!("seat.{}.port", name.value), port.span));
        let parsed = reader.parse_name(&name);
        if name.value.len() > check::SEAT_NAME_LENGTH_MAX {
            let message =
                format!("a seat's name has at most {} characters", check::SEAT_NAME_LENGTH_MAX);
            reader.problems().add(name.span, message);
        } else if let Some(parsed) = parsed {
            seats.insert(parsed, seat);
        }
        reader.finish();
    }
    seats
}

type Providers = BTreeMap<ProviderName, Provider>;

fn providers(root: &mut Reader<'_, '_>, places: &mut Places) -> (Providers, Vec<Placed<String>>) {
    let (mut providers, mut names) = (Providers::new(), Vec::new());
    for (name, mut reader) in root.tables("provider") {
        let base_url = reader.parsed("base_url", String::new(), check::base_url);
        places.addresses.push(Placed { value: base_url.clone(), span: reader.span_of("base_url") });
        let key = reader.parsed("key", String::new(), check::secret_name);
        if !reader.has("base_url") {
            reader.missing(
                "base_url",
                "the address up to and with /v1, as \"https://openrouter.ai/api/v1\"",
            );
        }
        if !reader.has("key") {
            reader.missing(
                "key",
                "the name of a file in the secrets directory, never the key itself",
            );
        }
        if let Some(parsed) = reader.parse_name(&name) {
            providers.insert(parsed, Provider { base_url, key });
        }
        names.push(name);
        reader.finish();
    }
    (providers, names)
}
