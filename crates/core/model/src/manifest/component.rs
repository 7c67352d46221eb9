//! `[component.NAME]`: who keeps it, what it runs, what it needs, and what its end means.

use std::collections::BTreeMap;
use std::time::Duration;

use super::Declared;
use super::check::{self, Claim, Places};
use super::declared::{Look, Program, ProgramUse};
use super::reader::{Placed, Reader};
use super::{ready, schedule};
use crate::{
    ByteSize, Command, ComponentName, Eviction, ExitCodes, Keeper, Life, Memory, Probe, Scope,
};

/// The time from SIGTERM to SIGKILL unless told otherwise.
const STOP_MAX: Duration = Duration::from_secs(10);
/// What a log may take of the disk unless told otherwise.
const LOG_MAX: ByteSize = ByteSize::mebibytes(32);
/// A log that may take less holds nothing worth reading.
const LOG_MAX_MIN: ByteSize = ByteSize::mebibytes(1);
/// The longest name of a unit, which is systemd's own limit, and of a label.
const UNIT_LENGTH_MAX: usize = 255;
/// What castellan itself says to each of its children.
const VARIABLES_OF_CASTELLAN: [&str; 5] =
    ["SANCTUM_KEPT_BY", "SANCTUM_COMPONENT", "NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID"];

/// What is castellan's to know of what it spawns itself, and another keeper's of what that spawns.
const OWN_KEYS: [&str; 8] = [
    "program",
    "arguments",
    "environment",
    "restart",
    "schedule",
    "success_codes",
    "fatal_codes",
    "log_max",
];

/// Every component that is declared.
pub(super) fn components(
    root: &mut Reader<'_, '_>,
    places: &mut Places,
) -> BTreeMap<ComponentName, Declared> {
    let mut components = BTreeMap::new();
    for (name, mut reader) in root.tables("component") {
        places.names.insert(name.value.clone());
        let declared = declared(&mut reader, &name, places);
        if let Some(parsed) = check::component_name(&reader, &name) {
            components.insert(parsed, declared);
        }
        reader.finish();
    }
    components
}

fn declared(reader: &mut Reader<'_, '_>, name: &Placed<String>, places: &mut Places) -> Declared {
    let keeper = keeper(reader);
    let spawned = spawned(reader, keeper.as_ref(), name, places);
    let kind = match spawned.life {
        Life::Always | Life::UntilSuccess | Life::Never => ready::Kind::Stays,
        Life::Once | Life::Every(_) | Life::Calendar(_) => ready::Kind::Task,
    };
    let port = match kind {
        ready::Kind::Stays => port(reader, name, places),
        ready::Kind::Task => {
            let why = "a task is not looked at: how it ends is all there is to see";
            reader.refuse(&["port", "ready", "live"], why, "leave it out, or leave out `schedule`");
            0
        }
    };
    let (look, timeout) = match kind {
        ready::Kind::Stays => ready::look(reader.table("ready"), port, &name.value, places),
        ready::Kind::Task => (Look::Probe(Probe::Alive), ready::TIMEOUT),
    };
    hears_notifications(reader, keeper.as_ref(), &look);
    let watch = ready::watch(reader, kind, &look, timeout);
    Declared {
        keeper: keeper.unwrap_or(Keeper::Own),
        command: spawned.command,
        life: spawned.life,
        exit_codes: spawned.exit_codes,
        needs: needs(reader, name, &look, places),
        port,
        look,
        watch,
        stop_max: reader.parsed("stop_max", STOP_MAX, ready::wait),
        memory: memory(reader),
        log_max: spawned.log_max,
    }
}

/// Who spawns it, and by what name that knows it. None if it is nobody that there is, so that what
/// belongs beside it cannot be judged.
fn keeper(reader: &mut Reader<'_, '_>) -> Option<Keeper> {
    let words = [("own", Who::Own), ("systemd", Who::Systemd), ("launchd", Who::Launchd)];
    let default = if reader.has("keeper") { Who::Unclear } else { Who::Own };
    let who = reader.choice("keeper", default, &words);
    let (scope, unit, launchd) = (&["scope"], &["unit"], &["label", "plist"]);
    let mut refuse = |keys: &[&'static str], wanted: &str| {
        let help = format!("write keeper = {wanted} beside it, or leave it out");
        reader.refuse(keys, "it is for another keeper", &help);
    };
    match who {
        Who::Unclear => {
            reader.pass(&["scope", "unit", "label", "plist"]);
            None
        }
        Who::Own => {
            refuse(scope, "\"systemd\" or \"launchd\"");
            refuse(unit, "\"systemd\"");
            refuse(launchd, "\"launchd\"");
            Some(Keeper::Own)
        }
        Who::Systemd => {
            refuse(launchd, "\"launchd\"");
            let help = "the name systemd knows it by, as \"nginx.service\"";
            let unit = required(reader, "unit", help, self::unit);
            Some(Keeper::Systemd { unit, scope: self::scope(reader) })
        }
        Who::Launchd => {
            refuse(unit, "\"systemd\"");
            let help = "the name launchd knows it by, as \"com.example.radio\"";
            let label = required(reader, "label", help, self::label);
            let help = "the path of its property list, by which it is loaded when it is not";
            let plist = required(reader, "plist", help, self::plist);
            Some(Keeper::Launchd { label, plist, scope: self::scope(reader) })
        }
    }
}

#[derive(Clone, Copy, Debug)]
enum Who {
    Unclear,
    Own,
    Systemd,
    Launchd,
}

fn scope(reader: &mut Reader<'_, '_>) -> Scope {
    reader.choice("scope", Scope::User, &[("user", Scope::User), ("system", Scope::System)])
}

fn required(
    reader: &mut Reader<'_, '_>,
    key: &'static str,
    help: &str,
    parse: fn(&str) -> Result<String, String>,
) -> String {
    if !reader.has(key) {
        reader.missing(key, help);
    }
    reader.parsed(key, String::new(), parse)
}

/// What is said of a program that castellan spawns itself.
struct Spawned {
    command: Command,
    life: Life,
    exit_codes: ExitCodes,
    log_max: ByteSize,
}

fn spawned(
    reader: &mut Reader<'_, '_>,
    keeper: Option<&Keeper>,
    name: &Placed<String>,
    places: &mut Places,
) -> Spawned {
    let other = match keeper {
        Some(Keeper::Own) | None => {
            if keeper.is_some() && !reader.has("program") {
                reader.missing("program", "the path of a program, or its name on PATH");
            }
            return Spawned {
                command: command(reader, name, places),
                life: schedule::life(reader),
                exit_codes: exit_codes(reader),
                log_max: reader.parsed("log_max", LOG_MAX, log_max),
            };
        }
        Some(Keeper::Systemd { .. }) => "systemd",
        Some(Keeper::Launchd { .. }) => "launchd",
    };
    let why = format!("{other} spawns it, and has its own word for that");
    reader.refuse(&OWN_KEYS, &why, "leave it out, or leave out `keeper`");
    Spawned {
        command: Command::new(""),
        life: Life::Always,
        exit_codes: ExitCodes::default(),
        log_max: LOG_MAX,
    }
}

fn command(reader: &mut Reader<'_, '_>, name: &Placed<String>, places: &mut Places) -> Command {
    let program = reader.text("program");
    if let Some(program) =
        program.as_ref().filter(|it| it.value.is_empty() || it.value.contains('\0'))
    {
        let message = format!("`{}` names no program", reader.name("program"));
        reader.problems().add(program.span.clone(), message);
    }
    let arguments = reader.arguments("arguments");
    let environment = environment(reader.table("environment"));
    let path = environment.iter().find(|(variable, _)| variable == "PATH");
    if let Some(Placed { value: program, span }) = &program {
        places.programs.push(Program {
            component: name.value.clone(),
            used: ProgramUse::Kept,
            program: program.clone(),
            path_variable: path.map(|(_, value)| value.clone()),
            span: span.clone(),
        });
    }
    Command {
        program: program.map(|program| program.value).unwrap_or_default(),
        arguments: arguments.into_iter().map(|argument| argument.value).collect(),
        environment,
    }
}

fn environment(reader: Reader<'_, '_>) -> Vec<(String, String)> {
    let problems = reader.problems().clone();
    let mut environment = Vec::new();
    for (variable, value) in reader.pairs() {
        if VARIABLES_OF_CASTELLAN.contains(&variable.value.as_str()) {
            let message = format!("`{}` is what castellan itself says to it", variable.value);
            problems.add_with_help(variable.span, message, "leave it out");
        } else if variable.value.is_empty() || variable.value.contains(['=', '\0']) {
            let message = format!("`{}` cannot be a variable", variable.value.escape_debug());
            problems.add(variable.span, message);
        } else if value.value.contains('\0') {
            problems.add(value.span, format!("`{}` cannot hold a NUL", variable.value));
        } else {
            environment.push((variable.value, value.value));
        }
    }
    environment
}

fn exit_codes(reader: &mut Reader<'_, '_>) -> ExitCodes {
    let fatal_written = reader.has("fatal_codes");
    let (success, fatal) = (reader.codes("success_codes"), reader.codes("fatal_codes"));
    for code in &fatal {
        if code.value == 0 {
            let message = "exit code 0 is success, always";
            reader.problems().add_with_help(code.span.clone(), message, "leave it out");
        } else if success.iter().any(|other| other.value == code.value) {
            let message = format!("exit code {} is a success and fatal", code.value);
            reader.problems().add_with_help(code.span.clone(), message, "leave one of them out");
        }
    }
    let success: Vec<u8> = success.into_iter().map(|code| code.value).collect();
    let fatal = if fatal_written {
        fatal.into_iter().map(|code| code.value).collect()
    } else {
        let default = ExitCodes::default().fatal.into_iter();
        default.filter(|code| !success.contains(code)).collect()
    };
    ExitCodes { success, fatal }
}

fn port(reader: &mut Reader<'_, '_>, name: &Placed<String>, places: &mut Places) -> u16 {
    let port = reader.port("port", 0);
    if port.value != 0 {
        let by = format!("component.{}.port", name.value);
        places.claims.push(Claim::new(port.value, by, port.span));
    }
    port.value
}

/// A program that another keeper spawns reports to that one.
fn hears_notifications(reader: &Reader<'_, '_>, keeper: Option<&Keeper>, look: &Look) {
    let other = match keeper {
        Some(Keeper::Own) | None => return,
        Some(Keeper::Systemd { .. }) => "systemd",
        Some(Keeper::Launchd { .. }) => "launchd",
    };
    if let Look::Probe(Probe::Notify { .. }) = look {
        let message = format!("`{}`: {other} hears it, not castellan", reader.name("ready.notify"));
        let help = "leave `ready` out: then it is ready when its keeper says so";
        reader.problems().add_with_help(reader.span_of("ready"), message, help);
    }
}

/// What it needs; what is proven by proxyd needs proxyd, written or not.
fn needs(
    reader: &mut Reader<'_, '_>,
    name: &Placed<String>,
    look: &Look,
    places: &mut Places,
) -> Vec<ComponentName> {
    let mut needs = Vec::new();
    for need in reader.texts("needs") {
        if let Some(parsed) = reader.parse_name::<ComponentName, _>(&need) {
            places.needs.push((name.value.clone(), need));
            needs.push(parsed);
        }
    }
    match look {
        Look::Capability { .. } => {
            let proxyd = check::name("proxyd");
            if !needs.contains(&proxyd) {
                needs.push(proxyd);
            }
        }
        Look::Probe(_) => {}
    }
    needs
}

fn memory(reader: &mut Reader<'_, '_>) -> Memory {
    let default = Memory::default();
    let peak = reader.parsed("memory_peak", ByteSize::from_bytes(0), check::size);
    let priority = reader.number("priority", u32::from(default.priority), 0, 100).value;
    let evictable = reader.flag("evictable", false);
    Memory {
        peak_bytes: peak.bytes(),
        priority: u8::try_from(priority).unwrap_or(default.priority),
        eviction: if evictable { Eviction::Allowed } else { Eviction::Spared },
    }
}

fn log_max(text: &str) -> Result<ByteSize, String> {
    let size = check::size(text)?;
    if size < LOG_MAX_MIN { Err(format!("at least {LOG_MAX_MIN}")) } else { Ok(size) }
}

fn unit(text: &str) -> Result<String, String> {
    let plain = |c: char| c.is_ascii_alphanumeric() || ":_.\\@-".contains(c);
    let stem = text.strip_suffix(".service").unwrap_or_default();
    let named = !stem.is_empty()
        && text.len() <= UNIT_LENGTH_MAX
        && !stem.starts_with(['-', '.', '@'])
        && text.chars().all(plain);
    match named {
        true if stem.ends_with('@') => {
            Err(format!("`{text}` is a template: name one of it, as \"{stem}1.service\""))
        }
        true => Ok(text.to_owned()),
        false => Err(format!("`{text}` is not the name of a service, as \"nginx.service\"")),
    }
}

fn label(text: &str) -> Result<String, String> {
    let plain = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
    let named = text.starts_with(|c: char| c.is_ascii_alphanumeric())
        && text.len() <= UNIT_LENGTH_MAX
        && text.chars().all(plain);
    if named {
        Ok(text.to_owned())
    } else {
        Err(format!("`{text}` is not a label, as \"com.example.radio\""))
    }
}

fn plist(text: &str) -> Result<String, String> {
    let whole = text.starts_with('/') && !text.contains('\0');
    if whole { Ok(text.to_owned()) } else { Err(format!("`{text}` does not begin with `/`")) }
}
