//! What can be declared of one's own, and what is said of each way to get it wrong.

use std::fmt::Write as _;
use std::time::Duration;

use sanctum_model::manifest::{Deadman, Declared, Look, ProgramUse};
use sanctum_model::{
    ByteSize, Calendar, Eviction, HttpTarget, Keeper, Life, Manifest, Probe, Scope,
};

fn declared(text: &str) -> Declared {
    let text = format!("[component.x]\n{text}");
    let manifest = Manifest::parse(&text).expect(&text);
    manifest.components().values().next().expect("there is one").clone()
}

/// Every problem with its place, its text there, and its help.
fn shown(text: &str) -> String {
    let Err(error) = Manifest::parse(text) else { return "no problem at all\n".to_owned() };
    let mut shown = String::new();
    for problem in error.problems() {
        let (before, at) = (&text[..problem.span.start], &text[problem.span.clone()]);
        let line = before.matches('\n').count() + 1;
        let column = before.len() - before.rfind('\n').map_or(0, |index| index + 1) + 1;
        let _ = writeln!(shown, "{line}:{column} {at}\n    {}", problem.message);
        if !problem.help.is_empty() {
            let _ = writeln!(shown, "    help: {}", problem.help);
        }
    }
    shown
}

fn said(text: &str) -> Vec<String> {
    let error = Manifest::parse(&format!("[component.x]\n{text}")).expect_err(text);
    error.problems().iter().map(|problem| problem.message.clone()).collect()
}

#[test]
fn what_is_not_written_has_a_default() {
    let found = declared("program = \"radio\"\n");
    insta::assert_debug_snapshot!(found);
}

#[test]
fn everything_can_be_written() {
    let found = declared(
        r#"
        program = "/usr/bin/radio"
        arguments = ["--quiet"]
        environment = { LANG = "C" }
        needs = ["proxyd"]
        port = 9000
        restart = "on-failure"
        success_codes = [3, 2, 3]
        fatal_codes = [64]
        memory_peak = "1GiB"
        priority = 10
        evictable = true
        log_max = "1MiB"
        start_max = "10s"
        start_limit = "20s"
        stop_max = "0s"
        ready = { http = "/health", body = "ok", status = 204, timeout = "1s" }
        live = { every = "1m", misses = 2, of = 5, recover = "0s" }
        "#,
    );
    insta::assert_debug_snapshot!(found);
}

#[test]
fn each_probe_has_its_form() {
    let look = |text: &str| match declared(&format!("program = \"x\"\n{text}")).look {
        Look::Probe(probe) => probe,
        Look::Capability { route } => panic!("{route}"),
    };
    let address = "127.0.0.1:9".parse().unwrap();
    assert_eq!(look(""), Probe::Alive);
    assert_eq!(look("port = 9\n"), Probe::Tcp { address, banner: String::new() });
    let slow = "port = 9\nready = { timeout = \"9s\" }\n";
    assert_eq!(look(slow), Probe::Tcp { address, banner: String::new() });
    assert_eq!(
        look("port = 9\nready.banner = \"SSH-\"\n"),
        Probe::Tcp { address, banner: "SSH-".to_owned() }
    );
    let (target, host) = (HttpTarget::Tcp(address), "127.0.0.1:9".to_owned());
    let (path, body) = ("/a?b=%20".to_owned(), String::new());
    assert_eq!(
        look("port = 9\nready.http = \"/a?b=%20\"\n"),
        Probe::Http { target, host, path, status: 200, body }
    );
    assert_eq!(look("ready.notify = true\n"), Probe::Notify { watchdog: Duration::ZERO });
    assert_eq!(
        look("ready = { notify = true, watchdog = \"30s\" }\n"),
        Probe::Notify { watchdog: Duration::from_secs(30) }
    );
    assert!(matches!(look("ready.exec = [\"true\"]\n"), Probe::Exec(command)
        if command.program == "true" && command.arguments.is_empty()));
}

#[test]
fn a_capability_is_slow_and_needs_proxyd() {
    let found = declared("program = \"x\"\nready.capability = \"council-brain\"\n");
    assert_eq!(found.look, Look::Capability { route: "council-brain".to_owned() });
    assert_eq!(found.watch.timeout, Duration::from_mins(1));
    assert_eq!(found.watch.interval_ready, Duration::from_mins(5));
    assert_eq!(found.needs, ["proxyd".parse().unwrap()]);
    let found = declared(
        "program = \"x\"\nneeds = [\"proxyd\"]\n\
         ready = { capability = \"council-brain\", timeout = \"5s\" }\nlive.every = \"1h\"\n",
    );
    assert_eq!(found.watch.timeout, Duration::from_secs(5));
    assert_eq!(found.watch.interval_ready, Duration::from_hours(1));
    assert_eq!(found.needs, ["proxyd".parse().unwrap()]);
    assert_eq!(
        said("program = \"x\"\nready.capability = \"council-brian\"\n"),
        ["there is no model route `council-brian`"]
    );
}

#[test]
fn a_life_is_a_restart_or_a_schedule() {
    let life = |text: &str| declared(&format!("program = \"x\"\n{text}\n")).life;
    let calendar = |text: &str| Life::Calendar(Calendar::parse(text).unwrap());
    for (text, expected) in [
        ("", Life::Always),
        ("restart = \"always\"", Life::Always),
        ("restart = \"on-failure\"", Life::UntilSuccess),
        ("restart = \"never\"", Life::Never),
        ("schedule = \"once\"", Life::Once),
        ("schedule = \"every 10m\"", Life::Every(Duration::from_mins(10))),
        ("schedule = \"every 8760 h\"", Life::Every(Duration::from_hours(8760))),
        ("schedule = \"daily 03:05\"", calendar("5 3 * * *")),
        ("schedule = \"weekly sun 23:59\"", calendar("59 23 * * sun")),
        ("schedule = \" 0  3 * * mon-fri \"", calendar("0 3 * * mon-fri")),
    ] {
        assert_eq!(life(text), expected, "{text}");
    }
}

#[test]
fn a_task_is_given_longer() {
    let watch = declared("program = \"x\"\nschedule = \"once\"\n").watch;
    assert_eq!(watch.start_max, Duration::from_mins(10));
    assert_eq!(watch.start_limit, Duration::from_mins(50));
}

#[test]
fn the_limit_of_a_start_follows_it() {
    let watch = declared("program = \"x\"\nstart_max = \"7s\"\n").watch;
    assert_eq!(watch.start_limit, Duration::from_secs(35));
}

#[test]
fn misses_and_looks_make_room_for_each_other() {
    let misses = |text: &str| {
        let watch = declared(&format!("program = \"x\"\nport = 9\n{text}\n")).watch;
        (watch.misses_max, watch.misses_of)
    };
    assert_eq!(misses(""), (3, 3));
    assert_eq!(misses("live.misses = 5"), (5, 5));
    assert_eq!(misses("live.misses = 1"), (1, 3));
    assert_eq!(misses("live.of = 2"), (2, 2));
    assert_eq!(misses("live.of = 32"), (3, 32));
}

#[test]
fn other_keepers_are_named() {
    let found = declared(
        "keeper = \"systemd\"\nunit = \"getty@tty1.service\"\nscope = \"system\"\nport = 9\n",
    );
    let unit = "getty@tty1.service".to_owned();
    assert_eq!(found.keeper, Keeper::Systemd { unit, scope: Scope::System });
    assert_eq!(found.command.program, "");
    let found = declared("keeper = \"launchd\"\nlabel = \"a.b\"\nplist = \"/L/a.b.plist\"\n");
    let (label, plist) = ("a.b".to_owned(), "/L/a.b.plist".to_owned());
    assert_eq!(found.keeper, Keeper::Launchd { label, plist, scope: Scope::User });
}

#[test]
fn a_success_that_is_fatal_by_default_is_a_success() {
    let found = declared("program = \"x\"\nsuccess_codes = [78]\n").exit_codes;
    assert_eq!((found.success, found.fatal), (vec![78], vec![]));
}

#[test]
fn castellan_and_memory_have_sections() {
    let manifest = Manifest::default();
    assert_eq!(manifest.castellan().deadman, Deadman::Kept);
    assert_eq!(manifest.castellan().sweep, Some(Duration::from_mins(10)));
    assert_eq!((manifest.memory().reserved, manifest.memory().safety), (None, None));
    let text = "[castellan]\ndeadman = false\nsweep = \"never\"\n[memory]\nreserved = \"2GiB\"\nsafety = \"0MiB\"\n";
    let manifest = Manifest::parse(text).unwrap();
    assert_eq!(manifest.castellan().deadman, Deadman::Absent);
    assert_eq!(manifest.castellan().sweep, None);
    assert_eq!(manifest.memory().reserved, Some(ByteSize::gibibytes(2)));
    assert_eq!(manifest.memory().safety, Some(ByteSize::from_bytes(0)));
}

#[test]
fn what_does_not_exist_cannot_be_needed() {
    let text = "[component.x]\nprogram = \"x\"\nneeds = [\"castellan-deadman\"]\n";
    Manifest::parse(text).unwrap();
    let without = format!("[castellan]\ndeadman = false\n{text}");
    let said = shown(&without);
    assert!(said.contains("`castellan-deadman`, which does not exist"), "{said}");
    let said = shown("[castellan]\nsweep = \"seldom\"\n");
    assert!(said.contains("\"never\" for no sweep at all"), "{said}");
}

#[test]
fn programs_are_listed_with_their_places() {
    let text = r#"
        [component.b]
        program = "/bin/b"
        environment = { PATH = "/opt" }
        [component.a]
        program = "a"
        ready = { exec = ["look", "a"] }
        [component.c]
        keeper = "systemd"
        unit = "c.service"
    "#;
    let manifest = Manifest::parse(text).unwrap();
    let found: Vec<_> = manifest
        .programs()
        .iter()
        .map(|it| {
            let path = it.path_variable.as_deref().unwrap_or_default();
            (it.component.as_str(), it.used, path, &text[it.span.clone()])
        })
        .collect();
    assert_eq!(
        found,
        [
            ("a", ProgramUse::Kept, "", "\"a\""),
            ("a", ProgramUse::Probe, "", "\"look\""),
            ("b", ProgramUse::Kept, "/opt", "\"/bin/b\""),
        ]
    );
}

#[test]
fn evictable_is_yes_or_no() {
    let found = declared("program = \"x\"\nevictable = true\n").memory;
    assert_eq!(found.eviction, Eviction::Allowed);
    assert_eq!(
        said("program = \"x\"\nevictable = \"yes\"\n"),
        ["`component.x.evictable` must be true or false, not string"]
    );
}

#[test]
fn a_circle_is_named_in_full_and_once() {
    let text = r#"
[component.a]
program = "a"
needs = ["b"]
[component.b]
program = "b"
needs = ["c", "e"]
[component.c]
program = "c"
needs = ["a"]
[component.d]
program = "d"
needs = ["a", "d"]
[component.e]
program = "e"
needs = ["b", "b"]
"#;
    insta::assert_snapshot!(shown(text));
}

#[test]
fn a_long_chain_of_needs_is_no_circle_and_no_deep_call() {
    let mut text = String::new();
    for index in 0..3000 {
        let next = index + 1;
        writeln!(text, "[component.c{index}]\nprogram = \"x\"\nneeds = [\"c{next}\"]").unwrap();
    }
    text.push_str("[component.c3000]\nprogram = \"x\"\n");
    Manifest::parse(&text).unwrap();
}

#[test]
fn every_fault_of_a_component_has_its_place() {
    insta::assert_snapshot!(shown(include_str!("faults.toml")));
}
