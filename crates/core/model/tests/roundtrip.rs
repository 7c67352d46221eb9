//! Whatever can be declared can be written down and read back; whatever else is written is refused
//! without a panic.

use std::collections::BTreeMap;
use std::time::Duration;

use proptest::collection::{btree_set, vec};
use proptest::option;
use proptest::prelude::*;
use sanctum_model::Watch;
use sanctum_model::manifest::{Declared, Look};
use sanctum_model::{
    ByteSize, Calendar, Command, ComponentName, Eviction, ExitCodes, HttpTarget, Keeper, Life,
    Manifest, Memory, Probe, Scope,
};

const NAMES: [&str; 5] = ["alpha", "beta", "gamma", "delta", "omega"];

/// A text of TOML: quoted, with everything escaped that must be.
fn quoted(text: &str) -> String {
    let escaped = text.chars().map(|c| match c {
        '"' | '\\' => format!("\\{c}"),
        c if c.is_control() => format!("\\u{:04X}", u32::from(c)),
        c => c.to_string(),
    });
    format!("\"{}\"", escaped.collect::<String>())
}

fn list<T>(items: &[T], show: impl Fn(&T) -> String) -> String {
    format!("[{}]", items.iter().map(show).collect::<Vec<_>>().join(", "))
}

fn duration(duration: Duration) -> String {
    quoted(&format!("{}ms", duration.as_millis()))
}

fn size(bytes: u64) -> String {
    quoted(&format!("{} KiB", bytes >> 10))
}

/// The manifest that says this.
fn rendered(name: &str, declared: &Declared) -> String {
    let mut lines = vec![format!("[component.{name}]")];
    let mut line = |key: &str, value: String| lines.push(format!("{key} = {value}"));
    let scope = |scope: &Scope| {
        quoted(match scope {
            Scope::User => "user",
            Scope::System => "system",
        })
    };
    match &declared.keeper {
        Keeper::Own => own(declared, &mut line),
        Keeper::Systemd { unit, scope: whose } => {
            line("keeper", quoted("systemd"));
            line("unit", quoted(unit));
            line("scope", scope(whose));
        }
        Keeper::Launchd { label, plist, scope: whose } => {
            line("keeper", quoted("launchd"));
            line("label", quoted(label));
            line("plist", quoted(plist));
            line("scope", scope(whose));
        }
    }
    let task = match declared.life {
        Life::Always | Life::UntilSuccess | Life::Never => false,
        Life::Once | Life::Every(_) | Life::Calendar(_) => true,
    };
    if !task {
        looks(declared, &mut line);
    }
    line("needs", list(&declared.needs, |need| quoted(need.as_str())));
    line("start_max", duration(declared.watch.start_max));
    line("start_limit", duration(declared.watch.start_limit));
    line("stop_max", duration(declared.stop_max));
    line("memory_peak", size(declared.memory.peak_bytes));
    line("priority", declared.memory.priority.to_string());
    line("evictable", (declared.memory.eviction == Eviction::Allowed).to_string());
    lines.join("\n") + "\n"
}

fn own(declared: &Declared, line: &mut impl FnMut(&str, String)) {
    let Command { program, arguments, environment } = &declared.command;
    line("program", quoted(program));
    line("arguments", list(arguments, |argument| quoted(argument)));
    for (variable, value) in environment {
        line(&format!("environment.{}", quoted(variable)), quoted(value));
    }
    line("success_codes", list(&declared.exit_codes.success, u8::to_string));
    line("fatal_codes", list(&declared.exit_codes.fatal, u8::to_string));
    line("log_max", size(declared.log_max.bytes()));
    match &declared.life {
        Life::Always => line("restart", quoted("always")),
        Life::UntilSuccess => line("restart", quoted("on-failure")),
        Life::Never => line("restart", quoted("never")),
        Life::Once => line("schedule", quoted("once")),
        Life::Every(every) => line("schedule", quoted(&format!("every {}s", every.as_secs()))),
        Life::Calendar(Calendar(fields)) => line("schedule", quoted(fields)),
    }
}

fn looks(declared: &Declared, line: &mut impl FnMut(&str, String)) {
    if declared.port != 0 {
        line("port", declared.port.to_string());
    }
    line("ready.timeout", duration(declared.watch.timeout));
    let alive = match &declared.look {
        Look::Capability { route } => {
            line("ready.capability", quoted(route));
            false
        }
        Look::Probe(Probe::Alive) => true,
        Look::Probe(Probe::Tcp { banner, .. }) => {
            if !banner.is_empty() {
                line("ready.banner", quoted(banner));
            }
            false
        }
        Look::Probe(Probe::Http { path, status, body, .. }) => {
            line("ready.http", quoted(path));
            line("ready.status", status.to_string());
            line("ready.body", quoted(body));
            false
        }
        Look::Probe(Probe::Exec(Command { program, arguments, .. })) => {
            let words: Vec<&String> = [program].into_iter().chain(arguments).collect();
            line("ready.exec", list(&words, |word| quoted(word)));
            false
        }
        Look::Probe(Probe::Notify { watchdog }) => {
            line("ready.notify", "true".to_owned());
            line("ready.watchdog", duration(*watchdog));
            false
        }
    };
    if !alive {
        line("live.every", duration(declared.watch.interval_ready));
        line("live.misses", declared.watch.misses_max.to_string());
        line("live.of", declared.watch.misses_of.to_string());
        line("live.recover", duration(declared.watch.unhealthy_max));
    }
}

fn milliseconds(from: u64, to: u64) -> impl Strategy<Value = Duration> {
    (from..=to).prop_map(Duration::from_millis)
}

/// A text without NUL, as arguments and values are.
fn text() -> impl Strategy<Value = String> {
    "[^\\x00]{0,12}"
}

fn calendar() -> impl Strategy<Value = Calendar> {
    let field = |min: u8, max: u8| {
        prop_oneof![
            Just("*".to_owned()),
            (min..=max).prop_map(|number| number.to_string()),
            (min..=max, min..=max, 1..=max).prop_map(|(one, other, step)| format!(
                "{}-{}/{step}",
                one.min(other),
                one.max(other)
            )),
            vec(min..=max, 1..4).prop_map(|all| all
                .iter()
                .map(u8::to_string)
                .collect::<Vec<_>>()
                .join(",")),
        ]
    };
    (field(0, 59), field(0, 23), field(1, 28), field(1, 12), field(0, 6)).prop_map(
        |(minute, hour, day, month, weekday)| {
            Calendar(format!("{minute} {hour} {day} {month} {weekday}"))
        },
    )
}

fn life() -> impl Strategy<Value = Life> {
    prop_oneof![
        Just(Life::Always),
        Just(Life::UntilSuccess),
        Just(Life::Never),
        Just(Life::Once),
        (1u64..31_536_000).prop_map(|seconds| Life::Every(Duration::from_secs(seconds))),
        calendar().prop_map(Life::Calendar),
    ]
}

fn keeper() -> impl Strategy<Value = Keeper> {
    let scope = || prop_oneof![Just(Scope::User), Just(Scope::System)];
    prop_oneof![
        3 => Just(Keeper::Own),
        1 => ("[a-z][a-z0-9:_.@-]{0,9}[a-z0-9]", scope())
            .prop_map(|(stem, scope)| Keeper::Systemd { unit: format!("{stem}.service"), scope }),
        1 => ("[a-z][a-zA-Z0-9._-]{0,20}", "/[a-zA-Z \"\\\\.]{0,9}", scope())
            .prop_map(|(label, plist, scope)| Keeper::Launchd { label, plist, scope }),
    ]
}

fn look(port: u16) -> BoxedStrategy<Look> {
    let address = std::net::SocketAddr::from(([127, 0, 0, 1], port));
    let exec = ("[a-z/]{1,9}", vec(text(), 0..3));
    let anywhere = prop_oneof![
        Just(Look::Capability { route: "council-brain".to_owned() }),
        exec.prop_map(|(program, words)| Probe::Exec(Command::new(program).arguments(words)))
            .prop_map(Look::Probe),
        milliseconds(0, 3_600_000).prop_map(|watchdog| Look::Probe(Probe::Notify { watchdog })),
    ];
    if port == 0 {
        return prop_oneof![Just(Look::Probe(Probe::Alive)), anywhere].boxed();
    }
    prop_oneof![
        text().prop_map(move |banner| Look::Probe(Probe::Tcp { address, banner })),
        ("/[a-z?=&%/-]{0,9}", 100u16..=599, text()).prop_map(move |(path, status, body)| {
            let (target, host) = (HttpTarget::Tcp(address), address.to_string());
            Look::Probe(Probe::Http { target, host, path, status, body })
        }),
        anywhere,
    ]
    .boxed()
}

fn watch() -> impl Strategy<Value = Watch> {
    let (start, limit) = (milliseconds(1, 3_600_000), 0u64..=601_200_000);
    let looks = (1u32..=32).prop_flat_map(|of| (1..=of, Just(of)));
    let short = (milliseconds(1, 3_600_000), milliseconds(100, 3_600_000));
    (short, start, limit, looks, milliseconds(0, 3_600_000)).prop_map(
        |((timeout, interval_ready), start_max, more, (misses_max, misses_of), unhealthy_max)| {
            let start_limit = start_max + Duration::from_millis(more);
            Watch {
                timeout,
                interval_ready,
                start_max,
                start_limit,
                misses_max,
                misses_of,
                unhealthy_max,
            }
        },
    )
}

fn command() -> impl Strategy<Value = Command> {
    let variables = proptest::collection::btree_map("[A-Z][A-Z ü]{0,7}", text(), 0..3);
    ("[^\\x00]{1,9}", vec(text(), 0..3), variables).prop_map(|(program, arguments, environment)| {
        Command { program, arguments, environment: environment.into_iter().collect() }
    })
}

fn exit_codes() -> impl Strategy<Value = ExitCodes> {
    (btree_set(any::<u8>(), 0..4), btree_set(1u8.., 0..4)).prop_map(|(success, fatal)| {
        let fatal = fatal.difference(&success).copied().collect();
        ExitCodes { success: success.into_iter().collect(), fatal }
    })
}

fn memory() -> impl Strategy<Value = Memory> {
    (0u64..1 << 32, 0u8..=100, any::<bool>()).prop_map(|(kibibytes, priority, evictable)| {
        let eviction = if evictable { Eviction::Allowed } else { Eviction::Spared };
        Memory { peak_bytes: kibibytes << 10, priority, eviction }
    })
}

/// Any declaration, with the given needs and perhaps the given port.
fn declared(needs: Vec<ComponentName>, port: u16) -> impl Strategy<Value = Declared> {
    let port = option::of(Just(port)).prop_map(Option::unwrap_or_default);
    let looks = port.prop_flat_map(|port| (Just(port), look(port)));
    let ends = (life(), exit_codes(), command(), 1024u64..1 << 30);
    (keeper(), ends, looks, watch(), memory(), milliseconds(0, 3_600_000)).prop_map(
        move |(keeper, (life, exit_codes, command, log), (port, look), watch, memory, stop_max)| {
            let log_max = ByteSize::from_bytes(log << 10);
            let (needs, found) = (
                needs.clone(),
                Declared {
                    keeper,
                    command,
                    life,
                    exit_codes,
                    needs: Vec::new(),
                    port,
                    look,
                    watch,
                    stop_max,
                    memory,
                    log_max,
                },
            );
            settled(Declared { needs, ..found })
        },
    )
}

/// What cannot be written beside each other is what it is when it is not written.
fn settled(mut declared: Declared) -> Declared {
    let default = Manifest::parse("[component.x]\nprogram = \"x\"\n").expect("it is well formed");
    let default = default.components().values().next().expect("it is well formed");
    match declared.keeper {
        Keeper::Own => {}
        Keeper::Systemd { .. } | Keeper::Launchd { .. } => {
            declared.command = Command::new("");
            declared.life = Life::Always;
            declared.exit_codes = ExitCodes::default();
            declared.log_max = default.log_max;
            if matches!(declared.look, Look::Probe(Probe::Notify { .. })) {
                declared.look = Look::Capability { route: "council-brain".to_owned() };
            }
        }
    }
    match declared.life {
        Life::Always | Life::UntilSuccess | Life::Never => {}
        Life::Once | Life::Every(_) | Life::Calendar(_) => {
            declared.port = 0;
            declared.look = Look::Probe(Probe::Alive);
            declared.watch.timeout = default.watch.timeout;
        }
    }
    match declared.look {
        Look::Probe(Probe::Alive) => {
            let Watch { start_max, start_limit, timeout, .. } = declared.watch;
            declared.watch = Watch { start_max, start_limit, timeout, ..default.watch };
        }
        Look::Capability { .. } => {
            declared.needs.push("proxyd".parse().expect("it is well formed"));
        }
        Look::Probe(_) => {}
    }
    declared
}

/// Some components, each of which may need those before it that stay.
fn components() -> impl Strategy<Value = BTreeMap<ComponentName, Declared>> {
    let each = |index: usize| {
        declared(Vec::new(), 20_000 + u16::try_from(index).expect("it is well formed"))
    };
    let all: Vec<_> = (0..NAMES.len()).map(each).collect();
    (all, vec(any::<bool>(), NAMES.len() * NAMES.len())).prop_map(|(all, wanted)| {
        let mut components: BTreeMap<ComponentName, Declared> = BTreeMap::new();
        for (index, mut declared) in all.into_iter().enumerate() {
            let before = NAMES.iter().take(index).enumerate();
            let mut needs: Vec<ComponentName> = before
                .filter(|(other, _)| wanted[index * NAMES.len() + other])
                .map(|(_, name)| name.parse().expect("it is well formed"))
                .filter(|name| !matches!(components[name].life, Life::Every(_) | Life::Calendar(_)))
                .collect();
            needs.append(&mut declared.needs);
            declared.needs = needs;
            components.insert(NAMES[index].parse().expect("it is well formed"), declared);
        }
        components
    })
}

proptest! {
    #[test]
    fn what_is_declared_is_read_back_as_it_was(components in components()) {
        let text: String = components
            .iter()
            .map(|(name, declared)| rendered(name.as_str(), declared))
            .collect();
        let found = Manifest::parse(&text);
        let problems = found.as_ref().err().map(|error| error.problems().to_vec());
        prop_assert_eq!(problems, None, "{}", text);
        let found = found.unwrap();
        prop_assert_eq!(found.components(), &components, "{}", text);
    }

    #[test]
    fn whatever_is_written_there_is_no_panic_and_each_place_is_in_the_text(
        components in components(),
        cuts in vec((any::<prop::sample::Index>(), "[^a]{0,3}"), 1..6),
    ) {
        let mut text: String = components
            .iter()
            .map(|(name, declared)| rendered(name.as_str(), declared))
            .collect();
        for (index, put) in cuts {
            let places: Vec<usize> = text.char_indices().map(|(place, _)| place).collect();
            let place = places[index.index(places.len())];
            let end = place + text[place..].chars().next().map_or(0, char::len_utf8);
            text.replace_range(place..end, &put);
        }
        if let Err(error) = Manifest::parse(&text) {
            prop_assert!(!error.problems().is_empty());
            for problem in error.problems() {
                prop_assert!(text.get(problem.span.clone()).is_some(), "{:?}", problem);
                prop_assert!(!problem.message.is_empty());
            }
        }
    }
}
