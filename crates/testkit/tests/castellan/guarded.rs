//! Castellan and its dead-man's switch: each brings the other back, and `sanctum down` ends both.

use std::fs;
use std::process::{Command, Stdio};

use sanctum_testkit::{Castle, place, program};
use sanctum_wire::{PhaseName, Snapshot};

use crate::trouble::{declared, marked, until};

const DEADMAN: &str = "castellan-deadman";

#[test]
fn a_castellan_that_is_killed_is_brought_back_and_nothing_else_starts_anew() {
    let mut castle = guarded(&declared("radio", "wait", ""));
    let (before, castellan) = (castle.pids(), castle.snapshot().castellan_pid);
    castle.kill_castellan();
    let back = castle.wait_until("another castellan keeps all", |snapshot| {
        snapshot.castellan_pid != castellan && is_settled(snapshot)
    });
    castle.starts().add("castellan", back.castellan_pid).expect("it is alive");
    assert_eq!(castle.pids(), before, "{}", castle.story());
    until(&castle, "it is written down", || {
        castle.events().iter().any(|it| it.component == DEADMAN && it.what == "brought-back")
    });
    end(&castle);
}

#[test]
fn a_deadman_that_is_killed_is_started_again() {
    let castle = guarded("");
    let deadman = castle.pid(DEADMAN);
    castle.signal_process(deadman, rustix::process::Signal::KILL);
    let now = castle.wait_for_another(DEADMAN, deadman);
    castle.starts().add(DEADMAN, now).expect("it is alive");
    end(&castle);
}

#[test]
fn what_a_dead_castellan_left_is_stopped_in_order() {
    let mut castle = Castle::up(&declared("radio", "wait", ""));
    castle.kill_castellan();
    assert!(!marked(&castle, "radio").is_empty(), "it lives on");
    let (is_success, said) = sanctum(&castle, "status");
    assert!(!is_success && said.contains("it has died, and what it kept lives on"), "{said}");
    let said = down(&castle);
    assert!(said.contains("castellan has died"), "{said}");
    assert_eq!(castle.left_running(), [], "{}", castle.story());
    assert!(lease(&castle).contains("state ended"));
    let said = down(&castle);
    assert!(said.contains("nothing to stop"), "{said}");
}

#[test]
fn where_nobody_can_take_over_what_is_left_down_says_why() {
    let mut castle = Castle::up("");
    castle.kill_castellan();
    fs::write(castle.path("home/sanctum.toml"), "no = manifest").expect("written");
    fs::remove_file(castle.path("home/sanctum.last-good.toml")).expect("there is one");
    let (is_success, said) = sanctum(&castle, "down");
    assert!(!is_success, "{said}");
    for word in ["the castellan that was to stop what is left", "sanctum.toml", "hint:"] {
        assert!(said.contains(word), "{word}: {said}");
    }
}

/// A castle with its dead-man's switch, all ready.
fn guarded(more: &str) -> Castle {
    let mut castle = Castle::new(&format!("[castellan]\nsweep = \"never\"\n{more}"));
    let deadman = program(DEADMAN, DEADMAN).expect("it is built");
    place(&deadman, &castle.path("bin").join(DEADMAN)).expect("it is put in its place");
    // Long enough for a busy machine; one that is dead is seen at once.
    fs::write(castle.path("home/deadman.conf"), "stale_after = 1m\n").expect("written");
    castle.start();
    castle.wait_until_all_ready();
    castle.starts().add(DEADMAN, castle.pid(DEADMAN)).expect("it is alive");
    castle
}

fn is_settled(snapshot: &Snapshot) -> bool {
    snapshot.components.iter().all(|state| state.phase == PhaseName::Ready)
}

/// Ended by its own command: the deadman leaves it at that.
fn end(castle: &Castle) {
    down(castle);
    assert_eq!(castle.left_running(), [], "{}", castle.story());
    assert!(lease(castle).contains("state ended"));
}

fn lease(castle: &Castle) -> String {
    fs::read_to_string(castle.path("home/run/castellan.lease")).expect("there is a lease")
}

/// `sanctum down`, which succeeds; what it said.
fn down(castle: &Castle) -> String {
    let (is_success, said) = sanctum(castle, "down");
    assert!(is_success, "{said}\n{}", castle.story());
    said
}

/// Whether a command succeeded, and what it said.
fn sanctum(castle: &Castle, command: &str) -> (bool, String) {
    // In the castle, so that what it starts knows its programs by the same names.
    let cli = castle.path("bin/cli");
    if !cli.exists() {
        let sanctum = program("sanctum", "sanctum").expect("it is built");
        place(&sanctum, &cli).expect("it is put in its place");
    }
    let ended = Command::new(cli)
        .arg(command)
        .env("SANCTUM_HOME", castle.path("home"))
        .env("SANCTUM_CACHE", castle.path("cache"))
        .env("PATH", castle.search_path())
        .env("FAKE_CONTROL", castle.path("control"))
        .stdin(Stdio::null())
        .output()
        .expect("it starts");
    (ended.status.success(), String::from_utf8_lossy(&ended.stderr).into_owned())
}
