//! Alive is not well: what castellan sees of components that run and do not work.

use std::fs;

use rustix::process::Signal;
use sanctum_testkit::Castle;
use sanctum_wire::PhaseName;

use crate::story::{place, spawned};

#[test]
fn one_that_recovers_by_itself_is_not_restarted() {
    let castle = Castle::up("");
    let pid = castle.pid("proxyd");
    castle.fault("proxyd.unhealthy");
    let state = castle.wait_for("proxyd", PhaseName::Unhealthy);
    assert!(state.note.contains("503"), "{}", state.note);
    castle.mend("proxyd.unhealthy");
    castle.wait_until_all_ready();
    let state = castle.component("proxyd");
    assert_eq!((state.pid, state.crashes), (Some(pid), 0));
    assert_eq!(state.note, "", "what is over is not said any more");
}

#[test]
fn one_that_stays_unwell_too_long_is_restarted() {
    let castle = Castle::up("");
    let pid = castle.pid("umbilical");
    let from = castle.events().len();
    castle.fault("umbilical.unhealthy");
    castle.wait_for("umbilical", PhaseName::Unhealthy);
    castle.wait_until("the umbilical is started anew", |snapshot| {
        let mut components = snapshot.components.iter();
        components.any(|state| state.name == "umbilical" && state.pid.is_some_and(|now| now != pid))
    });
    castle.mend("umbilical.unhealthy");
    let snapshot = castle.wait_until_all_ready();
    let unhealthy = place(&castle, from, "umbilical", "unhealthy");
    assert!(unhealthy < place(&castle, from, "umbilical", "stopping"));
    let restarted = spawned(&castle, from);
    assert!(restarted.iter().all(|name| name == "umbilical"), "{restarted:?}");
    let blamed: Vec<_> = snapshot.components.iter().filter(|state| state.crashes > 0).collect();
    assert_eq!(blamed.len(), 1, "{}", castle.story());
}

#[test]
fn one_that_hangs_is_seen_although_its_port_is_open() {
    let castle = Castle::up("");
    let pid = castle.signal("proxyd", Signal::STOP);
    let state = castle.wait_for("proxyd", PhaseName::Unhealthy);
    assert!(state.note.contains("accepts and does not answer"), "{}", state.note);
    castle.signal("proxyd", Signal::CONT);
    castle.wait_until_all_ready();
    assert_eq!(castle.pid("proxyd"), pid);
}

#[test]
fn one_that_hangs_can_be_stopped() {
    let mut castle =
        Castle::up("[component.radio]\nprogram = \"{programs}/radio\"\nstop_max = \"1s\"\n");
    castle.signal("radio", Signal::STOP);
    castle.terminate_castellan();
    assert!(castle.wait_for_end().success());
    assert_eq!(castle.left_running(), []);
}

#[test]
fn a_declared_component_is_as_well_as_its_probing_program_says() {
    let castle = Castle::new(
        "[component.radio]\nprogram = \"{programs}/radio\"\nneeds = [\"proxyd\"]\n\
         ready = { exec = [\"test\", \"-e\", \"{control}/radio.tuned\"] }\n",
    );
    let mut castle = castle;
    castle.start();
    let state = castle.wait_for("radio", PhaseName::Starting);
    let pid = state.pid;
    castle.wait_until("a look was taken", |snapshot| {
        snapshot.components.iter().any(|state| state.note.contains("`test` ended with"))
    });
    castle.fault("radio.tuned");
    castle.wait_until_all_ready();
    castle.mend("radio.tuned");
    castle.wait_for("radio", PhaseName::Unhealthy);
    castle.fault("radio.tuned");
    castle.wait_until_all_ready();
    assert_eq!(castle.component("radio").pid, pid);
}

#[test]
fn a_declared_component_may_have_a_port_and_a_body_of_its_own() {
    let castle = Castle::up(
        "[component.radio]\nprogram = \"{programs}/radio\"\nport = {port}\n\
         arguments = [\"--port\", \"{port}\"]\nready = { http = \"/health\", body = \"ok\" }\n",
    );
    let claimed = &castle.component("radio").ports[0].address;
    assert_eq!(*claimed, format!("127.0.0.1:{}", castle.ports().declared));
    let log = fs::metadata(castle.component("radio").log).expect("its log is there");
    assert_eq!(log.len(), 0, "it had nothing to complain of");
}
