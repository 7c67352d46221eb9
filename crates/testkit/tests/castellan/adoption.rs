//! Castellan's own death, and the one after it.

use std::fs;

use rustix::process::Signal;
use sanctum_host::process;
use sanctum_testkit::Castle;
use sanctum_wire::PhaseName;

use crate::story::{FIVE, find, spawned};

#[test]
fn the_children_of_a_killed_castellan_are_adopted_and_not_restarted() {
    let mut castle = Castle::up("");
    let before = castle.pids();
    castle.kill_castellan();
    let from = castle.events().len();
    castle.start();
    let snapshot = castle.wait_until_all_ready();
    assert_eq!(castle.pids(), before);
    assert_eq!(spawned(&castle, from), [""; 0]);
    assert!(snapshot.components.iter().all(|state| state.crashes == 0));
    for name in FIVE {
        assert!(find(&castle.events(), from, name, "adopted").is_some(), "{name}");
    }
    for name in FIVE {
        let pid = castle.signal(name, Signal::KILL);
        castle.wait_for_another(name, pid);
        assert_eq!(castle.component(name).crashes, 1, "{name}\n{}", castle.story());
    }
    castle.terminate_castellan();
    assert!(castle.wait_for_end().success());
    assert_eq!(castle.left_running(), []);
}

#[test]
fn adopted_children_are_stopped_in_order_as_if_they_were_its_own() {
    let mut castle = Castle::up("");
    castle.kill_castellan();
    castle.start();
    castle.wait_until_all_ready();
    castle.terminate_castellan();
    assert!(castle.wait_for_end().success());
    assert_eq!(castle.left_running(), []);
}

#[test]
fn what_dies_while_there_is_no_castellan_is_cleared_away_and_started_anew() {
    let mut castle = Castle::new("");
    castle.fault("proxyd.grandchild");
    castle.start();
    castle.wait_until_all_ready();
    let (proxyd, guest) = (castle.pid("proxyd"), castle.pid("guest"));
    castle.kill_castellan();
    for start in castle.starts().list() {
        if start.name == "proxyd" || start.name == "guest" {
            castle.signal_process(start.identity.pid, Signal::KILL);
            start.identity.wait_for_end();
        }
    }
    castle.start();
    castle.wait_until_all_ready();
    assert_ne!(castle.pid("proxyd"), proxyd);
    assert_ne!(castle.pid("guest"), guest);
    for group in [proxyd, guest] {
        assert!(process::is_group_empty(group), "what the dead had started is left");
    }
}

#[test]
fn a_torn_record_is_not_fatal() {
    let mut castle = Castle::up("");
    castle.terminate_castellan();
    castle.wait_for_end();
    fs::write(castle.path("home/run/children/proxyd.json"), "{\"version\":2,\"comp")
        .expect("written");
    castle.start();
    castle.wait_until_all_ready();
    assert!(castle.path("home/run/children/proxyd.torn").exists());
}

#[test]
fn after_a_handover_only_what_the_manifest_changed_is_restarted() {
    let mut castle = Castle::up("");
    let before = castle.pids();
    castle.call(|client| async move { client.handover().await }).expect("the order is answered");
    assert!(castle.wait_for_end().success());
    castle.write_manifest("[route]\ncouncil-brain = [\"general\"]\nother = [\"general\"]\n");
    let from = castle.events().len();
    castle.start();
    let snapshot = castle.wait_until_all_ready();
    assert_eq!(spawned(&castle, from), ["proxyd"], "{}", castle.story());
    for ((name, old), state) in before.iter().zip(&snapshot.components) {
        assert_eq!(*old == state.pid, name != "proxyd", "{name}");
    }
    let config = fs::read_to_string(castle.path("home/config/proxyd.toml")).expect("rendered");
    assert!(config.contains("\"other\""), "{config}");
}

#[test]
fn a_component_that_left_the_manifest_is_stopped() {
    let mut castle = Castle::up("[component.radio]\nprogram = \"{programs}/radio\"\n");
    let radio = castle.pid("radio");
    castle.kill_castellan();
    castle.write_manifest("");
    castle.start();
    castle.wait_until_all_ready();
    assert!(process::is_group_empty(radio));
}

#[test]
fn a_second_castellan_is_refused_and_disturbs_nothing() {
    let castle = Castle::up("");
    let before = castle.snapshot();
    let status = castle.command().status().expect("it runs");
    assert_eq!(status.code(), Some(69));
    let log = fs::read_to_string(castle.path("castellan.log")).expect("castellan's log");
    assert!(log.contains("another castellan keeps"), "{log}");
    let after = castle.snapshot();
    assert_eq!(after.castellan_pid, before.castellan_pid);
    assert!(after.components.iter().all(|state| state.phase == PhaseName::Ready));
    assert_eq!(spawned(&castle, 0).len(), FIVE.len());
}
