//! Castellan's own death at the worst moments, and what it costs: nothing.

use std::collections::BTreeSet;
use std::fs;

use rustix::process::Signal;
use sanctum_testkit::Castle;

use crate::trouble::{Stranger, begun, declared, log, marked, starts_of, until};

/// How often castellan is killed where it is killed again and again.
const DEATHS: usize = 8;

#[test]
fn killed_again_and_again_while_it_starts_them_it_never_starts_one_twice() {
    let names: Vec<String> = (0..20).map(|index| format!("radio{index}")).collect();
    let more: String = names.iter().map(|name| declared(name, "wait", "")).collect();
    let mut castle = begun(&more);
    for _ in 0..DEATHS {
        let from = castle.events().len();
        until(&castle, "something happens", || castle.events().len() > from + 3);
        castle.kill_castellan();
        castle.start();
    }
    castle.wait_until_all_ready();
    for name in &names {
        assert_eq!(marked(&castle, name), [castle.pid(name)], "{name}\n{}", castle.story());
    }
    castle.terminate_castellan();
    assert!(castle.wait_for_end().success());
    assert_eq!(castle.left_running(), []);
}

#[test]
fn no_line_is_lost_that_was_printed_while_there_was_no_castellan() {
    let mut castle = Castle::up(&declared("radio", "lines 20 600000", ""));
    let number_of = |line: &str| line.rsplit(' ').next().and_then(|word| word.parse::<u64>().ok());
    let last = |castle: &Castle| log(castle, "radio").lines().filter_map(number_of).next_back();
    until(&castle, "it prints", || last(&castle).is_some_and(|number| number > 10));
    castle.kill_castellan();
    castle.start();
    castle.wait_until_all_ready();
    let resumed = last(&castle).unwrap_or_default();
    until(&castle, "it prints on", || last(&castle).is_some_and(|number| number > resumed + 20));
    let numbers: Vec<u64> = log(&castle, "radio").lines().filter_map(number_of).collect();
    let expected: Vec<u64> = (0..numbers.len() as u64).collect();
    assert_eq!(numbers, expected);
    assert_eq!(starts_of(&castle, "radio"), 1, "it was adopted");
}

#[test]
fn a_record_that_is_torn_costs_one_component_and_not_castellan() {
    let more = declared("radio", "wait", "") + &declared("other", "wait", "");
    let mut castle = Castle::up(&more);
    let other = castle.pid("other");
    castle.kill_castellan();
    fs::write(castle.path("home/run/children/radio.json"), "{\"pid\":1").expect("written");
    castle.start();
    castle.wait_until_all_ready();
    assert_eq!(castle.pid("other"), other, "it was adopted");
    assert_eq!(marked(&castle, "radio"), [castle.pid("radio")], "one alone, adopted or new");
}

#[test]
fn a_record_whose_pid_is_a_strangers_now_hurts_no_stranger() {
    let mut castle = Castle::up(&declared("radio", "wait", ""));
    let pid = castle.pid("radio");
    let path = castle.path("home/run/children/radio.json");
    let record = fs::read_to_string(&path).expect("there is a record");
    castle.terminate_castellan();
    assert!(castle.wait_for_end().success());
    // As after a boot: the same record, and its number is another program's.
    let mut stranger = Stranger::doing("wait");
    let stale = record.replace(&pid.to_string(), &stranger.pid().to_string());
    fs::write(&path, stale).expect("written");
    castle.start();
    castle.wait_until_all_ready();
    assert_ne!(castle.pid("radio"), stranger.pid());
    assert!(stranger.is_alive(), "a stranger was signalled");
}

#[test]
fn what_dies_with_castellan_is_started_once() {
    let mut castle = Castle::up(&declared("radio", "session { wait } wait", ""));
    let before: BTreeSet<u32> = marked(&castle, "radio").into_iter().collect();
    let pid = castle.pid("radio");
    castle.kill_castellan();
    castle.signal_process(pid, Signal::KILL);
    castle.start();
    castle.wait_until_all_ready();
    until(&castle, "the pair is there", || marked(&castle, "radio").len() == 2);
    let after: BTreeSet<u32> = marked(&castle, "radio").into_iter().collect();
    assert!(before.is_disjoint(&after), "{before:?} {after:?}");
}
