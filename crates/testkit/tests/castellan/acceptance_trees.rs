//! Stopping: it is over when nothing of the component is left, and not when its leader is.

use std::time::{Duration, Instant};

use rustix::process::Signal;
use sanctum_testkit::Castle;
use sanctum_wire::{PhaseName, Verb};

use crate::trouble::{declared, marked, until};

/// What a busy machine may add to a deadline.
const LATE_MAX: Duration = Duration::from_secs(3);

fn stop(castle: &Castle, name: &'static str) -> Duration {
    let began = Instant::now();
    castle.call(|client| async move { client.order(name, Verb::Stop).await }).expect("an order");
    castle.wait_for(name, PhaseName::Stopped);
    began.elapsed()
}

#[test]
fn a_stop_leaves_no_grandchild_whatever_session_it_is_in() {
    let steps = "child { child { wait } wait } session { child { wait } wait } \
                 orphan { wait } wait";
    let castle = Castle::up(&declared("radio", steps, ""));
    until(&castle, "all are there", || marked(&castle, "radio").len() == 6);
    stop(&castle, "radio");
    assert_eq!(marked(&castle, "radio"), [0; 0], "{}", castle.story());
}

#[test]
fn what_ignores_sigterm_is_killed_at_the_deadline_wherever_it_stands() {
    for (name, steps) in [
        ("the leader", "ignore-term wait"),
        ("one of the group", "child { ignore-term wait } wait"),
        ("one in a session", "session { ignore-term wait } wait"),
        ("one let go", "orphan { ignore-term wait } wait"),
    ] {
        let castle = Castle::up(&declared("radio", steps, "stop_max = \"1s\""));
        let count = if name == "the leader" { 1 } else { 2 };
        until(&castle, "all are there", || marked(&castle, "radio").len() == count);
        let took = stop(&castle, "radio");
        assert_eq!(marked(&castle, "radio"), [0; 0], "{name}\n{}", castle.story());
        assert!(took < Duration::from_secs(1) + LATE_MAX, "{name}: {took:?}");
    }
}

#[test]
fn what_heeds_sigterm_is_not_waited_for_until_the_deadline() {
    let castle = Castle::up(&declared("radio", "session { wait } wait", "stop_max = \"30s\""));
    assert!(stop(&castle, "radio") < LATE_MAX);
}

#[test]
fn a_crash_leaves_nothing_of_the_tree_when_the_next_one_starts() {
    let castle = Castle::up(&declared("radio", "child { wait } session { wait } wait", ""));
    until(&castle, "all are there", || marked(&castle, "radio").len() == 3);
    let before = marked(&castle, "radio");
    let pid = castle.signal("radio", Signal::KILL);
    castle.wait_for_another("radio", pid);
    until(&castle, "all are there again", || marked(&castle, "radio").len() == 3);
    let after = marked(&castle, "radio");
    assert!(after.iter().all(|pid| !before.contains(pid)), "{before:?} {after:?}");
}

#[test]
fn one_that_is_frozen_can_be_stopped() {
    let castle = Castle::up(&declared("radio", "child { wait } wait", "stop_max = \"1s\""));
    castle.signal("radio", Signal::STOP);
    stop(&castle, "radio");
    assert_eq!(marked(&castle, "radio"), [0; 0]);
}

#[test]
fn a_stop_has_an_author() {
    let castle = Castle::up(&declared("radio", "wait", ""));
    stop(&castle, "radio");
    let state = castle.component("radio");
    assert!(!state.last_author.is_empty());
    let told = castle.events();
    let told = told.iter().any(|event| event.component == "radio" && event.what == "ordered");
    assert!(told, "{}", castle.story());
}
