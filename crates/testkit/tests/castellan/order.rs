//! What starts after what, what ends before what, and that nothing is left.

use std::time::Duration;

use rustix::process::Signal;
use sanctum_host::process;
use sanctum_testkit::Castle;
use sanctum_wire::{PhaseName, Verb};

use crate::story::{FIVE, place, spawned};

#[test]
fn components_start_in_order_each_after_its_needs_are_ready() {
    let castle = Castle::up("");
    let snapshot = castle.snapshot();
    let names: Vec<_> = snapshot.components.iter().map(|state| state.name.as_str()).collect();
    assert_eq!(names, FIVE);
    for component in &snapshot.components {
        let started = place(&castle, 0, &component.name, "spawned");
        for need in &component.needs {
            let ready = place(&castle, 0, need, "ready");
            assert!(ready < started, "{} before {need}\n{}", component.name, castle.story());
        }
        assert_eq!((component.crashes, component.root_cause.as_ref()), (0, None));
        assert_eq!(component.note, "", "{} is ready", component.name);
    }
    let mut started = spawned(&castle, 0);
    started.sort_unstable();
    let mut five = FIVE;
    five.sort_unstable();
    assert_eq!(started, five, "each is started once");
}

#[test]
fn told_by_a_signal_all_stop_in_the_reverse_order() {
    let mut castle = Castle::up("");
    let from = castle.events().len();
    castle.terminate_castellan();
    assert_ended_in_reverse_order(&mut castle, from);
}

#[test]
fn told_over_the_socket_all_stop_in_the_reverse_order() {
    let mut castle = Castle::up("");
    let from = castle.events().len();
    castle.call(|client| async move { client.shutdown().await }).expect("the order is taken");
    assert_ended_in_reverse_order(&mut castle, from);
}

fn assert_ended_in_reverse_order(castle: &mut Castle, from: usize) {
    let needs: Vec<_> = [
        ("openclaw", "umbilical"),
        ("umbilical", "guest"),
        ("umbilical", "proxyd"),
        ("proxyd", "sanctum-mlx"),
    ]
    .into();
    assert!(castle.wait_for_end().success());
    for (component, need) in needs {
        let (ended, told) =
            (place(castle, from, component, "exited"), place(castle, from, need, "stopping"));
        assert!(ended < told, "{need} ends before {component}\n{}", castle.story());
    }
    assert_eq!(castle.left_running(), []);
    assert_eq!(spawned(castle, from), [""; 0]);
    assert_eq!(castle.events().last().expect("an event").what, "ended");
}

#[test]
fn a_stopped_component_takes_what_needs_it_along_and_a_start_brings_its_needs() {
    let castle = Castle::up("");
    let from = castle.events().len();
    order(&castle, "proxyd", Verb::Stop);
    castle.wait_for("proxyd", PhaseName::Stopped);
    for gone in ["umbilical", "openclaw"] {
        assert_eq!(castle.component(gone).phase, PhaseName::Stopped, "{gone}");
        assert!(place(&castle, from, gone, "exited") < place(&castle, from, "proxyd", "exited"));
    }
    for kept in ["sanctum-mlx", "guest"] {
        assert_eq!(castle.component(kept).phase, PhaseName::Ready, "{kept}");
    }
    order(&castle, "openclaw", Verb::Start);
    let snapshot = castle.wait_until_all_ready();
    assert!(snapshot.components.iter().all(|state| state.crashes == 0), "{}", castle.story());
}

#[test]
fn a_restart_by_an_operator_is_no_crash() {
    let castle = Castle::up("");
    let pid = castle.pid("openclaw");
    order(&castle, "openclaw", Verb::Restart);
    castle.wait_for_another("openclaw", pid);
    assert_eq!(castle.component("openclaw").crashes, 0);
}

#[test]
fn a_component_that_ignores_sigterm_is_killed_after_its_grace() {
    let castle =
        Castle::up("[component.radio]\nprogram = \"{programs}/radio\"\nstop_max = \"1s\"\n");
    castle.fault("radio.ignore-term");
    let pid = castle.pid("radio");
    let from = castle.events().len();
    order(&castle, "radio", Verb::Stop);
    castle.wait_for("radio", PhaseName::Stopped);
    let events = castle.events();
    let told = &events[place(&castle, from, "radio", "stopping")];
    let ended = &events[place(&castle, from, "radio", "exited")];
    let took = Duration::from_millis(ended.at_ms - told.at_ms);
    assert!(took >= Duration::from_millis(950), "killed after {took:?}, before its grace was over");
    assert!(ended.detail.contains("signal 9"), "{}", ended.detail);
    assert!(process::is_group_empty(pid));
}

#[test]
fn nothing_of_a_component_is_left_after_a_stop_or_a_crash() {
    let castle = Castle::new("");
    castle.fault("proxyd.grandchild");
    let mut castle = castle;
    castle.start();
    castle.wait_until_all_ready();
    let first = castle.signal("proxyd", Signal::KILL);
    let second = castle.wait_for_another("proxyd", first);
    assert!(process::is_group_empty(first), "the grandchild outlives the crash");
    order(&castle, "proxyd", Verb::Stop);
    castle.wait_for("proxyd", PhaseName::Stopped);
    assert!(process::is_group_empty(second), "the grandchild outlives the stop");
}

fn order(castle: &Castle, component: &str, verb: Verb) {
    let taken = castle.call(|client| async move { client.order(component, verb).await });
    taken.expect("the order is taken");
}

#[test]
fn a_castellan_that_is_told_twice_leaves_what_is_left_to_the_next_one() {
    let mut castle =
        Castle::up("[component.radio]\nprogram = \"{programs}/radio\"\nstop_max = \"1m\"\n");
    castle.fault("radio.ignore-term");
    let pid = castle.pid("radio");
    castle.terminate_castellan();
    castle.wait_until("the radio is being stopped", |snapshot| {
        snapshot.components.iter().any(|state| state.phase == PhaseName::Stopping)
    });
    castle.terminate_castellan();
    assert!(castle.wait_for_end().success());
    assert!(!process::is_group_empty(pid), "castellan waited for it all the same");
}
