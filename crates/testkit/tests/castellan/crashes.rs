//! Deaths: who comes back, who is blamed, and who is left alone.

use std::fs;

use rustix::process::Signal;
use sanctum_testkit::Castle;
use sanctum_wire::{PhaseName, Snapshot};

use crate::story::{FIVE, place, spawned};

const RADIO: &str = "[component.radio]\nprogram = \"{programs}/radio\"\n";

#[test]
fn each_killed_component_is_back_and_it_alone_is_blamed() {
    let castle = Castle::up("");
    for (deaths, name) in FIVE.into_iter().enumerate() {
        let from = castle.events().len();
        let before = castle.signal(name, Signal::KILL);
        castle.wait_for_another(name, before);
        let snapshot = castle.snapshot();
        let needs = &component(&snapshot, name).needs;
        for need in needs {
            let (ready, started) =
                (place(&castle, 0, need, "ready"), place(&castle, from, name, "spawned"));
            assert!(ready < started);
        }
        for (place, other) in FIVE.into_iter().enumerate() {
            let crashes = component(&snapshot, other).crashes;
            assert_eq!(crashes, u32::from(place <= deaths), "{other}\n{}", castle.story());
        }
    }
}

#[test]
fn what_falls_with_the_guest_comes_back_after_it_in_order() {
    let castle = Castle::up("");
    let from = castle.events().len();
    let umbilical = castle.pid("umbilical");
    castle.signal("guest", Signal::KILL);
    castle.wait_for_another("umbilical", umbilical);
    let ready = place(&castle, place(&castle, from, "guest", "spawned"), "guest", "ready");
    let started = place(&castle, from, "umbilical", "spawned");
    assert!(ready < started, "{}", castle.story());
}

#[test]
fn while_the_guest_is_down_its_casualties_wait_and_name_it() {
    let castle = Castle::up("");
    let openclaw = castle.pid("openclaw");
    castle.fault("guest.unhealthy");
    castle.signal("guest", Signal::KILL);
    let snapshot = castle.wait_until("the agent is seen to be cut off", |snapshot| {
        component(snapshot, "openclaw").phase == PhaseName::Unhealthy
    });
    let umbilical = component(&snapshot, "umbilical");
    assert_eq!(umbilical.phase, PhaseName::Waiting, "{}", castle.story());
    for casualty in ["umbilical", "openclaw"] {
        let state = component(&snapshot, casualty);
        assert_eq!(state.root_cause.as_deref(), Some("guest"), "{casualty}");
    }
    assert_eq!(component(&snapshot, "guest").root_cause, None, "it is its own reason");
    castle.mend("guest.unhealthy");
    let snapshot = castle.wait_until_all_ready();
    assert_eq!(component(&snapshot, "openclaw").pid, Some(openclaw), "it had no reason to restart");
    let crashes = FIVE.map(|name| component(&snapshot, name).crashes);
    assert_eq!(crashes, [0, 0, 1, 0, 0], "{}", castle.story());
}

#[test]
fn a_component_that_keeps_crashing_backs_off_and_the_others_stay() {
    let mut castle = Castle::new(RADIO);
    castle.fault("radio.crash");
    castle.start();
    castle.wait_until("the radio has crashed four times", |snapshot| {
        component(snapshot, "radio").crashes >= 4
    });
    castle.wait_until("the others are ready", |snapshot| {
        FIVE.iter().all(|name| component(snapshot, name).phase == PhaseName::Ready)
    });
    let tries: Vec<u64> = castle
        .events()
        .into_iter()
        .filter(|event| event.component == "radio" && event.what == "spawned")
        .map(|event| event.at_ms)
        .collect();
    let waits: Vec<u64> = tries.windows(2).map(|pair| pair[1] - pair[0]).collect();
    assert!(waits[1] >= 450 && waits[2] >= 950, "the waits do not grow: {waits:?}");
    let mut others = spawned(&castle, 0);
    others.retain(|name| name != "radio");
    assert_eq!(others.len(), FIVE.len(), "another was restarted\n{}", castle.story());
    castle.mend("radio.crash");
    castle.wait_until_all_ready();
}

#[test]
fn a_program_that_is_not_there_is_said_and_tried_again() {
    let castle = Castle::up(RADIO);
    let (there, away) = (castle.path("bin/radio"), castle.path("bin/radio.away"));
    fs::rename(&there, &away).expect("a running program can be moved");
    castle.signal("radio", Signal::KILL);
    let snapshot = castle.wait_until("the start failed", |snapshot| {
        component(snapshot, "radio").note.contains("cannot start")
    });
    assert!(component(&snapshot, "radio").note.contains("No such file"), "{snapshot:#?}");
    fs::rename(&away, &there).expect("it can be moved back");
    castle.wait_until_all_ready();
}

fn component<'a>(snapshot: &'a Snapshot, name: &str) -> &'a sanctum_wire::ComponentState {
    let mut components = snapshot.components.iter();
    components.find(|state| state.name == name).expect("there is such a component")
}
