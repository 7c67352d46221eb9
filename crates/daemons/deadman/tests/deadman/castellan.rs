//! What becomes of castellan, with real processes and real signals.

use std::fs;
use std::io::{ErrorKind, Write as _};
use std::os::unix::net::UnixDatagram;
use std::process::Stdio;
use std::time::Duration;

use crate::stand::{QUICK, Stand, boot, lease, send, started, state};

#[test]
fn a_castellan_that_is_stopped_is_replaced_and_what_it_had_stopped_is_woken() {
    let mut stand = Stand::new(QUICK);
    let first = stand.castellan();
    let deadman = stand.deadman();
    stand.until("it is watched", || stand.has("watching"));
    let component = stand.stranger();
    send("STOP", &format!("-{component}"));
    stand.write("run/frozen/guest", &format!("{component} {}\n", started(component)));
    send("STOP", &first.to_string());
    stand.until("another castellan proves itself", || stand.has("brought-back"));

    let words = stand.words();
    let order = ["silent", "evidence", "thawed", "killed", "started", "brought-back"];
    let places: Vec<_> = order.map(|it| words.iter().position(|word| word == it).unwrap()).into();
    assert!(places.is_sorted(), "{words:?}");
    assert_eq!(stand.starts().len(), 2);
    assert_ne!(stand.holder(), Some(first));
    assert!(matches!(state(first), None | Some('Z')), "the old one is dead");
    stand.until("the component runs", || state(component) == Some('S'));
    assert!(!stand.path("run/frozen/guest").exists());
    assert!(!stand.has("page"), "nobody is woken for what was mended");

    let evidence = stand.path("deadman").read_dir().unwrap().flatten().map(|it| it.path());
    let evidence =
        evidence.filter(|path| path.display().to_string().contains("evidence-")).max().unwrap();
    let status = fs::read_to_string(evidence.join("process-status")).unwrap();
    assert!(status.contains("T (stopped)"), "{status}");
    assert!(fs::read_to_string(evidence.join("lease")).unwrap().contains("state keeping"));

    let start = stand.read("starts").lines().last().unwrap().to_owned();
    assert!(start.ends_with("--own-session --only-declared"), "{start}");
    let environment = stand.read("environment");
    assert!(environment.contains(&format!("SANCTUM_HOME={}", stand.home().display())));
    assert!(environment.contains("SANCTUM_CACHE=/cache"));
    for ours in ["SANCTUM_KEPT_BY", "SANCTUM_COMPONENT", "NOTIFY_SOCKET", "WATCHDOG_USEC"] {
        assert!(!environment.contains(ours), "{ours} in\n{environment}");
    }
    assert!(stand.read("logs/castellan.log").contains("the last words of castellan"));
    let second = stand.holder().unwrap();
    let parent = fs::read_to_string(format!("/proc/{second}/stat")).unwrap();
    let parent = parent.rsplit_once(") ").unwrap().1.split(' ').nth(1).unwrap().to_owned();
    assert_ne!(parent, deadman.to_string(), "castellan is no child of the deadman");
}

#[test]
fn a_castellan_that_was_killed_is_started_again_and_again() {
    let mut stand = Stand::new(QUICK);
    let first = stand.castellan();
    stand.deadman();
    stand.until("it is watched", || stand.has("watching"));
    stand.kill(first);
    stand.until("a second one works", || stand.count("brought-back") == 1);
    let second = stand.holder().unwrap();
    send("KILL", &second.to_string());
    stand.until("a third one works", || stand.count("brought-back") == 2);
    assert_eq!(stand.starts().len(), 3);
    assert!(!stand.has("killed"), "nobody was signalled");
}

#[test]
fn a_castellan_that_was_told_to_stop_is_left_in_peace() {
    let mut stand = Stand::new(QUICK);
    let first = stand.castellan();
    let (socket, mut deadman) = notified(&stand);
    stand.keep(&mut deadman);
    stand.until("it is watched", || stand.has("watching"));
    let component = stand.stranger();
    send("STOP", &component.to_string());
    stand.write("run/frozen/guest", &format!("{component} {}\n", started(component)));
    send("TERM", &first.to_string());
    stand.until("its end is seen", || stand.has("ended"));
    for _ in 0..20 {
        received(&socket);
    }
    assert_eq!(stand.starts(), [first]);
    stand.until("what it had stopped is woken", || state(component) == Some('S'));
}

#[test]
fn a_number_that_is_anothers_now_is_never_signalled() {
    let mut stand = Stand::new(QUICK);
    let stranger = stand.stranger();
    stand.write("run/castellan.lease", &lease(&stand, stranger, "1", &boot()));
    stand.deadman();
    stand.until("a castellan is started", || stand.has("brought-back"));
    assert_eq!(state(stranger), Some('S'));
    assert!(!stand.has("killed"));
}

#[test]
fn after_a_start_of_the_machine_castellan_is_started_and_the_old_number_left_alone() {
    let mut stand = Stand::new(QUICK);
    let stranger = stand.stranger();
    let before = lease(&stand, stranger, &started(stranger), "another boot");
    stand.write("run/castellan.lease", &before);
    stand.deadman();
    stand.until("castellan is started", || stand.has("brought-back"));
    assert!(stand.has("not-started") && !stand.has("killed"));
    assert_eq!(state(stranger), Some('S'));
}

#[test]
fn a_lease_that_is_torn_for_a_moment_costs_nothing() {
    let mut stand = Stand::new(QUICK);
    let first = stand.castellan();
    stand.deadman();
    stand.until("it is watched", || stand.has("watching"));
    // Nobody renews it for the moment, and then somebody does.
    send("STOP", &first.to_string());
    stand.write("run/castellan.lease", "version 1\nstate kee");
    stand.until("it is said", || stand.has("unknown"));
    send("CONT", &first.to_string());
    stand.until("it is watched again", || stand.count("watching") == 2);
    assert_eq!(stand.starts(), [first]);
}

#[test]
fn a_deadman_that_stood_still_does_not_blame_castellan() {
    let mut stand = Stand::new("stale_after = 600ms\n");
    let first = stand.castellan();
    let (socket, mut command) = notified(&stand);
    let deadman = stand.keep(&mut command);
    stand.until("it is watched", || stand.has("watching"));
    send("STOP", &deadman.to_string());
    stand.until("it stands", || state(deadman) == Some('T'));
    let beats = |text: String| text.lines().find_map(|it| it.strip_prefix("beat ")?.parse().ok());
    let beat = || beats(stand.read("run/castellan.lease")).unwrap_or(0_u64);
    let until = beat() + 15;
    stand.until("castellan goes on", || beat() > until);
    send("CONT", &deadman.to_string());
    for _ in 0..10 {
        received(&socket);
    }
    assert_eq!(stand.starts(), [first]);
}

#[test]
fn a_deadman_killed_at_any_moment_leaves_nothing_that_the_next_cannot_finish() {
    let mut stand = Stand::new("stale_after = 300ms\nrestart_limit = 2s\nretry_after = 1s\n");
    stand.castellan();
    for round in 0..12_u64 {
        let deadman = stand.deadman();
        stand.until("it looks", || stand.count("deadman") > usize::try_from(round).unwrap());
        let holder = stand.holder().unwrap();
        send("KILL", &holder.to_string());
        std::thread::sleep(Duration::from_millis(round * 15));
        stand.kill(deadman);
    }
    stand.deadman();
    let works = || stand.holder().is_some_and(|pid| matches!(state(pid), Some('S' | 'R' | 'D')));
    stand.until("castellan works", works);
    let living = stand.starts().into_iter().filter(|pid| state(*pid).is_some_and(|it| it != 'Z'));
    assert_eq!(living.count(), 1, "{:?}", stand.words());
    let chitti = stand.read("chitti/events.jsonl");
    assert!(chitti.lines().all(|line| line.starts_with("{\"seq") && line.ends_with("\"}")));
}

#[test]
fn a_state_directory_that_is_taken_away_is_not_made_again() {
    let mut stand = Stand::new("stale_after = 300ms\n");
    let deadman = stand.deadman();
    stand.until("it looks", || stand.has("no-lease"));
    fs::remove_file(stand.path("run/deadman.lock")).unwrap();
    stand.until("it holds another lock", || stand.path("run/deadman.lock").exists());
    let home = stand.home().to_owned();
    while fs::remove_dir_all(&home).is_err() && home.exists() {}
    stand.until("it ends", || state(deadman).is_none_or(|it| it == 'Z'));
    assert!(!home.exists());
}

#[test]
fn a_full_pipe_that_nobody_reads_holds_nobody() {
    let mut stand = Stand::new(QUICK);
    let first = stand.castellan();
    let (reader, mut writer) = std::io::pipe().unwrap();
    writer.write_all(&vec![b'x'; 65_536]).unwrap();
    let mut deadman = stand.deadman_command();
    stand.keep(deadman.stdout(writer.try_clone().unwrap()).stderr(writer));
    stand.until("it is watched", || stand.has("watching"));
    stand.kill(first);
    stand.until("castellan is back", || stand.has("brought-back"));
    // Nor does one whose reader has died.
    drop((reader, deadman));
    send("KILL", &stand.holder().unwrap().to_string());
    stand.until("castellan is back again", || stand.count("brought-back") == 2);
}

#[test]
fn it_says_that_it_is_ready_and_that_it_looks() {
    let mut stand = Stand::new(QUICK);
    stand.castellan();
    let (socket, mut deadman) = notified(&stand);
    stand.keep(deadman.stdout(Stdio::null()));
    let said = received(&socket);
    assert!(said.starts_with("READY=1\nWATCHDOG=1\nSTATUS=castellan works (pid "), "{said}");
}

/// The next message.
fn received(socket: &UnixDatagram) -> String {
    let mut buffer = [0; 1000];
    loop {
        match socket.recv(&mut buffer) {
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            count => return String::from_utf8_lossy(&buffer[..count.unwrap()]).into_owned(),
        }
    }
}

/// A deadman that reports to a socket of ours, ten times a second.
fn notified(stand: &Stand) -> (UnixDatagram, std::process::Command) {
    let path = stand.path("notify.sock");
    let socket = UnixDatagram::bind(&path).unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    let mut deadman = stand.deadman_command();
    deadman.env("NOTIFY_SOCKET", path).env("WATCHDOG_USEC", "200000");
    (socket, deadman)
}
