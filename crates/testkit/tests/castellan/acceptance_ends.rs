//! Ends: which of them are crashes, and what follows.

use std::fs;

use rustix::process::Signal;
use sanctum_testkit::Castle;
use sanctum_wire::{PhaseName, Severity};

use crate::trouble::{begun, declared, finding, log_bytes, marked, starts_of, until, wait_until};

/// Crashes in a row after which a loop is recognised as one here; the waits have grown by then.
const LOOP: u32 = 5;
const MIB: u64 = 1 << 20;

#[test]
fn an_end_with_0_is_no_crash_of_one_that_runs_until_it_succeeds() {
    let castle = begun(&declared("radio", "sleep 200 exit 0", "restart = \"on-failure\""));
    let state = castle.wait_for("radio", PhaseName::Done);
    assert_eq!((state.crashes, state.severity()), (0, Severity::Good));
    assert_eq!(starts_of(&castle, "radio"), 1);
}

#[test]
fn a_code_that_is_declared_a_success_is_one() {
    let more = "restart = \"on-failure\"\nsuccess_codes = [3]";
    let castle = begun(&declared("radio", "sleep 200 exit 3", more));
    assert_eq!(castle.wait_for("radio", PhaseName::Done).crashes, 0);
}

#[test]
fn an_end_with_78_is_not_tried_again_and_said_to_need_somebody() {
    let castle = begun(&declared("radio", "exit 78", ""));
    let found = finding(&castle, "radio", "fatal-exit");
    assert_eq!(found.severity, Severity::Bad);
    assert_eq!(castle.component("radio").phase, PhaseName::GivenUp);
    // The five take longer to come up than a second start would.
    castle.wait_until("the five are up", |snapshot| {
        snapshot.components.iter().filter(|state| state.phase == PhaseName::Ready).count() == 5
    });
    assert_eq!(starts_of(&castle, "radio"), 1, "{}", castle.story());
}

#[test]
fn a_fatal_code_may_be_declared() {
    let castle = begun(&declared("radio", "exit 9", "fatal_codes = [9]"));
    finding(&castle, "radio", "fatal-exit");
    assert_eq!(starts_of(&castle, "radio"), 1);
}

#[test]
fn one_that_becomes_ready_and_ends_at_once_for_ever_is_in_a_crash_loop() {
    let more = "port = {port}\nready = { http = \"/health\", body = \"ok\" }";
    let castle = begun(&declared("radio", "listen {port} sleep 700 exit 1", more));
    let state = wait_until(&castle, "radio", "crashes again and again", |state| {
        state.crashes_in_row >= LOOP
    });
    assert_eq!(state.crashes_in_row, state.crashes, "none was forgotten\n{}", castle.story());
    let was_ready = castle.events().iter().any(|event| {
        event.component == "radio" && event.what == "phase" && event.detail.starts_with("ready")
    });
    assert!(was_ready, "{}", castle.story());
}

#[test]
fn a_lock_that_outlives_its_holder_is_outwaited_without_a_storm() {
    let steps = "lock {control}/radio.lock 4000 listen {port} wait";
    let castle = Castle::up(&declared("radio", steps, "port = {port}"));
    let pid = castle.signal("radio", Signal::KILL);
    castle.wait_for_another("radio", pid);
    let crashes = castle.component("radio").crashes;
    assert!((2..=7).contains(&crashes), "{crashes}\n{}", castle.story());
}

#[test]
fn the_waits_between_restarts_grow() {
    let castle = begun(&declared("radio", "exit 1", ""));
    wait_until(&castle, "radio", "has crashed often", |state| state.crashes >= LOOP);
    let at: Vec<u64> = castle
        .events()
        .into_iter()
        .filter(|event| event.component == "radio" && event.what == "spawned")
        .map(|event| event.at_ms)
        .collect();
    let waits: Vec<u64> = at.windows(2).map(|pair| pair[1] - pair[0]).collect();
    assert!(waits[0] < 300, "the first restart is at once: {waits:?}");
    assert!(waits[3] > 2 * waits[1], "{waits:?}");
}

#[test]
fn a_pipe_that_a_grandchild_holds_does_not_keep_the_dead_alive() {
    let castle = begun(&declared("radio", "session { wait } sleep 300 exit 1", ""));
    let state = wait_until(&castle, "radio", "is seen to have ended", |state| state.crashes >= 2);
    assert!(state.last_exit.contains('1'), "{}", state.last_exit);
    let left = marked(&castle, "radio").len();
    assert!(left <= 2, "what the dead had started is ended before the next start: {left}");
}

#[test]
fn a_flood_stays_within_its_cap_and_the_log_says_so() {
    let steps = "flood 400000 listen {port} wait";
    let castle = Castle::up(&declared("radio", steps, "port = {port}\nlog_max = \"1MiB\""));
    let bytes = log_bytes(&castle, "radio");
    assert!(bytes <= MIB + MIB / 4, "{bytes}");
    assert!(bytes > 0);
}

#[test]
fn the_same_line_over_and_over_is_written_once_with_its_count() {
    let steps = "repeat 300000 print done listen {port} wait";
    let castle = Castle::up(&declared("radio", steps, "port = {port}"));
    let text = fs::read_to_string(castle.component("radio").log).expect("its log");
    assert!(text.lines().count() < 1000, "{} lines", text.lines().count());
    assert!(text.contains("cannot reach the server"), "{text}");
    assert!(text.contains("299999") || text.contains("300000"), "the count is said: {text}");
    assert!(text.lines().any(|line| line.ends_with("done")), "{text}");
}

#[test]
fn what_needs_a_task_waits_until_it_is_done() {
    let task = declared("task", "sleep 800 mark {control}/task exit 0", "schedule = \"once\"");
    let castle = begun(&(task + &declared("radio", "wait", "needs = [\"task\"]")));
    assert_eq!(castle.wait_for("radio", PhaseName::Waiting).root_cause.as_deref(), Some("task"));
    castle.wait_for("radio", PhaseName::Ready);
    assert_eq!(castle.component("task").phase, PhaseName::Done);
    let runs = fs::read_to_string(castle.path("control/task")).expect("it ran");
    assert_eq!(runs.lines().count(), 1);
}

#[test]
fn a_task_with_an_interval_runs_again_and_again_and_never_twice_at_once() {
    let steps = "lock {control}/turn 700 mark {control}/task sleep 600 exit 0";
    let castle = begun(&declared("task", steps, "schedule = \"every 1s\""));
    until(&castle, "it has run four times", || {
        let runs = fs::read_to_string(castle.path("control/task")).unwrap_or_default();
        runs.lines().count() >= 4
    });
    let state = castle.component("task");
    assert_eq!((state.crashes, state.severity() <= Severity::Passing), (0, true), "{state:?}");
}
