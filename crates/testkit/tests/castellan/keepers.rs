//! Components that systemd keeps: the real one, with a castellan that goes through it.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use rustix::process::Signal;
use sanctum_host::process::Identity;
use sanctum_testkit::{Castle, PrivateSystemd};
use sanctum_wire::{PhaseName, Verb};

use crate::trouble::{declared, finding};

const UNITS: [(&str, &str); 2] = [
    ("seer.service", "ExecStart=/bin/sleep 600\nRestart=always\nRestartSec=50ms"),
    ("dies.service", "ExecStart=/bin/sh -c 'exit 3'"),
];

#[test]
fn what_systemd_keeps_is_started_stopped_and_adopted_through_it() {
    let Some(systemd) = PrivateSystemd::start(&UNITS) else { return };
    let more = kept_by_systemd("seer") + &declared("reader", "wait", "needs = [\"seer\"]");
    let mut castle = castle_over(&systemd, &more);
    castle.start();
    castle.wait_until_all_ready();
    let seer = castle.component("seer");
    assert_eq!(seer.keeper, "systemd");
    let process = Identity::of(castle.pid("seer")).expect("a living process");

    castle.kill_castellan();
    castle.start();
    castle.wait_until_all_ready();
    assert_eq!(castle.pid("seer"), process.pid, "it was adopted\n{}", castle.story());

    castle.call(|client| async move { client.order("seer", Verb::Stop).await }).expect("an order");
    castle.wait_for("seer", PhaseName::Stopped);
    assert!(!process.is_alive() && !systemd.ctl(&["is-active", "seer.service"]));
    assert_eq!(castle.component("reader").root_cause.as_deref(), Some("seer"));

    castle.call(|client| async move { client.order("reader", Verb::Start).await }).expect("it is");
    castle.wait_until_all_ready();
    castle.terminate_castellan();
    assert!(castle.wait_for_end().success());
    assert!(!systemd.ctl(&["is-active", "seer.service"]), "down is down");
}

#[test]
fn a_unit_that_systemd_itself_starts_again_is_followed_and_one_that_dies_is_a_finding() {
    let Some(systemd) = PrivateSystemd::start(&UNITS) else { return };
    let more = kept_by_systemd("seer") + &kept_by_systemd("dies");
    let mut castle = castle_over(&systemd, &more);
    castle.start();
    castle.wait_for("seer", PhaseName::Ready);
    let before = castle.pid("seer");
    assert!(systemd.ctl(&["kill", "--signal=KILL", "seer.service"]));
    castle.wait_until("the next one is followed", |snapshot| {
        let seer = snapshot.components.iter().find(|state| state.name == "seer");
        seer.is_some_and(|seer| {
            seer.phase == PhaseName::Ready && seer.pid.is_some_and(|pid| pid != before)
        })
    });
    let crashed = finding(&castle, "dies", "crashed");
    assert!(crashed.what.contains("exit code 3"), "{crashed:?}");
}

#[test]
fn a_systemd_that_hangs_is_not_a_component_that_is_down() {
    let Some(systemd) = PrivateSystemd::start(&UNITS) else { return };
    let mut castle = castle_over(&systemd, &kept_by_systemd("seer"));
    castle.start();
    castle.wait_for("seer", PhaseName::Ready);
    let pid = castle.pid("seer");
    systemd.signal(Signal::STOP);
    castle.call(|client| async move { client.order("seer", Verb::Restart).await }).expect("taken");
    castle.wait_until("its keeper is in trouble", |snapshot| {
        let seer = snapshot.components.iter().find(|state| state.name == "seer");
        seer.is_some_and(|seer| {
            seer.phase == PhaseName::Stopping && seer.note.contains("systemctl")
        })
    });
    assert_eq!(castle.pid("seer"), pid, "nobody said that it is gone");
    systemd.signal(Signal::CONT);
    castle.wait_until("another one runs", |snapshot| {
        let seer = snapshot.components.iter().find(|state| state.name == "seer");
        seer.is_some_and(|seer| {
            seer.phase == PhaseName::Ready && seer.pid.is_some_and(|now| now != pid)
        })
    });
}

fn kept_by_systemd(name: &str) -> String {
    format!(
        "[component.{name}]\nkeeper = \"systemd\"\nunit = \"{name}.service\"\nstop_max = \"2s\"\n"
    )
}

/// A castle whose `systemctl` speaks to this systemd.
fn castle_over(systemd: &PrivateSystemd, more: &str) -> Castle {
    let castle = Castle::new(more);
    let tool = castle.path("path/systemctl");
    let script = format!("#!/bin/sh\nexec {} \"$@\"\n", systemd.systemctl().join(" "));
    fs::write(&tool, script).expect("written");
    fs::set_permissions(&tool, fs::Permissions::from_mode(0o755)).expect("it is ours");
    castle
}
