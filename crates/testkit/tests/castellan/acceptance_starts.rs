//! Starts: slow is not dead, open is not well, and what is silent is not waited for for ever.

use sanctum_testkit::Castle;
use sanctum_wire::PhaseName;

use crate::trouble::{begun, declared, starts_of, wait_until};

const HTTP: &str = "port = {port}\nready = { http = \"/health\", body = \"ok\" }\n";

#[test]
fn a_slow_start_that_says_something_is_left_alone() {
    let more = format!("{HTTP}start_max = \"3s\"");
    let castle = Castle::up(&declared("radio", "lines 200 9000 listen {port} wait", &more));
    assert_eq!(castle.component("radio").crashes, 0, "{}", castle.story());
}

#[test]
fn a_slow_start_that_works_is_left_alone() {
    let more = format!("{HTTP}start_max = \"3s\"");
    let castle = Castle::up(&declared("radio", "busy 9000 listen {port} wait", &more));
    assert_eq!(castle.component("radio").crashes, 0, "{}", castle.story());
}

#[test]
fn a_start_in_which_nothing_moves_is_a_crash_when_its_time_is_over() {
    let more = format!("{HTTP}start_max = \"1s\"");
    let castle = begun(&declared("radio", "sleep 600000", &more));
    let state = wait_until(&castle, "radio", "is started anew", |state| state.crashes >= 1);
    assert_ne!(state.phase, PhaseName::Ready);
}

#[test]
fn one_that_holds_its_port_says_nothing_and_ignores_sigterm_is_killed_and_started_anew() {
    let more = format!("{HTTP}start_max = \"1s\"\nstop_max = \"1s\"");
    let castle = begun(&declared("radio", "ignore-term hang {port} wait", &more));
    wait_until(&castle, "radio", "is started anew", |state| state.crashes >= 2);
    assert!(starts_of(&castle, "radio") >= 2);
    let text = castle.component("radio");
    assert!(!text.last_look.is_empty() || !text.note.is_empty(), "{text:?}");
}

#[test]
fn one_that_says_ready_is_ready_and_not_before() {
    let more = "ready = { notify = true }";
    let castle = begun(&declared("radio", "sleep 700 notify READY=1 wait", more));
    castle.wait_for("radio", PhaseName::Starting);
    assert_eq!(castle.wait_for("radio", PhaseName::Ready).crashes, 0);
}

#[test]
fn one_whose_watchdog_falls_silent_is_restarted() {
    let more = "ready = { notify = true, watchdog = \"1s\" }\nstop_max = \"1s\"";
    let castle = begun(&declared("radio", "notify READY=1 ping 200 2000 wait", more));
    let pid = castle.wait_for("radio", PhaseName::Ready).pid;
    let state =
        wait_until(&castle, "radio", "runs anew", |state| state.pid.is_some() && state.pid != pid);
    assert!(state.crashes >= 1, "{}", castle.story());
}

#[test]
fn one_that_asks_for_more_time_gets_it() {
    let more = "ready = { notify = true }\nstart_max = \"1s\"";
    let steps = "notify EXTEND_TIMEOUT_USEC=20000000 sleep 3500 notify READY=1 wait";
    let castle = Castle::up(&declared("radio", steps, more));
    assert_eq!(castle.component("radio").crashes, 0, "{}", castle.story());
}

#[test]
fn what_needs_one_that_is_not_ready_yet_waits_and_names_it() {
    let more = "ready = { notify = true }";
    let slow = declared("slow", "sleep 1500 notify READY=1 wait", more);
    let castle = begun(&(slow + &declared("radio", "wait", "needs = [\"slow\"]")));
    let state = castle.wait_for("radio", PhaseName::Waiting);
    assert_eq!(state.root_cause.as_deref(), Some("slow"));
    castle.wait_until_all_ready();
}
