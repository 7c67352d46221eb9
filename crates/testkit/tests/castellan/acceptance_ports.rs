//! Ports: whose they are, and who must not have them.

use rustix::process::Signal;
use sanctum_testkit::Castle;
use sanctum_wire::{PhaseName, Verb};

use crate::trouble::{Stranger, begun, declared, finding, log, marked, starts_of, until};

/// So few starts are no storm.
const STARTS_MAX: usize = 8;

#[test]
fn a_stranger_that_holds_the_port_is_named_and_not_looped_against() {
    let more = "port = {port}\nready = { http = \"/health\", body = \"ok\" }";
    let mut castle = Castle::new(&declared("radio", "listen {port} wait", more));
    let port = castle.ports().declared.to_string();
    let stranger = Stranger::doing(&format!("listen {port} wait"));
    until(&castle, "the stranger listens", || {
        std::net::TcpStream::connect(("127.0.0.1", castle.ports().declared)).is_ok()
    });
    castle.start();
    let found = finding(&castle, "radio", "port-taken");
    let pid = stranger.pid().to_string();
    drop(stranger);
    assert!(found.what.contains(&pid), "{found:?}");
    assert!(found.what.contains("troublemaker"), "{found:?}");
    assert!(found.what.contains(&port), "{found:?}");
    castle.wait_until_all_ready();
    assert!(starts_of(&castle, "radio") <= STARTS_MAX, "{}", castle.story());
    assert!(castle.snapshot().findings.is_empty(), "what is over is not said any more");
}

#[test]
fn however_often_it_is_restarted_one_instance_alone_ever_binds() {
    let more = "port = {port}\nready = { http = \"/health\", body = \"ok\" }";
    let castle = Castle::up(&declared("radio", "listen {port} wait", more));
    for verb in [Verb::Restart, Verb::Stop, Verb::Start, Verb::Restart, Verb::Restart].repeat(4) {
        castle.call(|client| async move { client.order("radio", verb).await }).expect("an order");
    }
    castle.wait_for("radio", PhaseName::Ready);
    castle.signal("radio", Signal::KILL);
    castle.call(|client| async move { client.order("radio", Verb::Restart).await }).expect("one");
    castle.wait_for("radio", PhaseName::Ready);
    castle.wait_until_all_ready();
    assert_eq!(marked(&castle, "radio"), [castle.pid("radio")]);
    assert_eq!(log(&castle, "radio"), "", "none found the port taken");
}

#[test]
fn a_detached_child_that_keeps_the_port_is_found_by_its_mark_and_ended() {
    let castle =
        Castle::up(&declared("radio", "orphan { listen {port} wait } wait", "port = {port}"));
    let first = marked(&castle, "radio");
    assert_eq!(first.len(), 2, "the one that is kept, and the one that it let go");
    let pid = castle.signal("radio", Signal::KILL);
    castle.wait_for_another("radio", pid);
    until(&castle, "one pair is left", || marked(&castle, "radio").len() == 2);
    let second = marked(&castle, "radio");
    assert!(second.iter().all(|pid| !first.contains(pid)), "{first:?} {second:?}");
    assert_eq!(log(&castle, "radio"), "", "none found the port taken");
}

#[test]
fn a_child_let_go_by_one_that_died_with_castellan_is_ended_before_the_next_start() {
    let mut castle =
        begun(&declared("radio", "orphan { listen {port} wait } wait", "port = {port}"));
    castle.wait_until_all_ready();
    let first = marked(&castle, "radio");
    let pid = castle.pid("radio");
    castle.kill_castellan();
    castle.signal_process(pid, Signal::KILL);
    castle.start();
    castle.wait_until_all_ready();
    let second = marked(&castle, "radio");
    assert_eq!(second.len(), 2, "{second:?}");
    assert!(second.iter().all(|pid| !first.contains(pid)), "{first:?} {second:?}");
}
