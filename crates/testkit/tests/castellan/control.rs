//! The control socket, and what listens beside it.

use std::collections::BTreeSet;
use std::fs;
use std::io::{self, Read as _, Write as _};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::UnixStream;
use std::process::Command;

use rustix::process::Signal;
use sanctum_testkit::{Castle, WAIT_MAX};
use sanctum_wire::{ClientError, Fault, Snapshot, Verb};

#[test]
fn the_socket_is_its_owners_alone() {
    let castle = Castle::up("");
    let mode = |path| fs::metadata(path).expect("it is there").permissions().mode() & 0o777;
    assert_eq!(mode(castle.socket()), 0o600);
    assert_eq!(mode(castle.path("home/run")), 0o700);
    assert_eq!(mode(castle.path("home/run/children/proxyd.json")), 0o600);
    assert_eq!(mode(castle.path("home/chitti/events.jsonl")), 0o600);
    assert_eq!(mode(castle.path("home/config/proxyd.toml")), 0o600);
}

#[test]
fn what_is_not_understood_is_refused_in_json() {
    let castle = Castle::up("");
    for (method, path, status) in [
        ("GET", "/", 404),
        ("GET", "/v1/nothing", 404),
        ("POST", "/v1/components/proxyd/explode", 404),
        ("POST", "/v1/components/nobody/stop", 404),
        ("POST", "/v1/components/..%2f..%2fetc/stop", 404),
        ("GET", "/v1/components/proxyd/stop", 405),
        ("DELETE", "/v1/snapshot", 405),
        ("POST", "/v1/snapshot", 405),
        ("GET", "/v1/shutdown", 405),
        ("GET", "/v1/handover", 405),
        ("GET", "/v1/events?since=yesterday", 400),
        ("GET", "/v1/events?until=3", 400),
    ] {
        let (found, body) = ask(&castle, method, path).expect("castellan answers");
        assert_eq!(found, status, "{method} {path}");
        let fault: Fault = serde_json::from_str(&body).expect("a fault in JSON");
        assert!(!fault.error.is_empty(), "{method} {path}");
    }
    let refused =
        castle.call(|client| async move { client.order("nobody", Verb::Stop).await }).unwrap_err();
    assert!(matches!(refused, ClientError::Refused { status: 404, .. }), "{refused:?}");
    assert!(refused.to_string().contains("there are sanctum-mlx, proxyd"), "{refused}");
    castle.wait_until_all_ready();
}

#[test]
fn garbage_on_the_socket_hurts_nobody() {
    let castle = Castle::up("");
    let mut idle = Vec::new();
    for bytes in [&b"\0\xff\r\n\r\n"[..], b"GET", b"GET /v1/snapshot HTTP/9\r\n\r\n", b""] {
        let mut stream = UnixStream::connect(castle.socket()).expect("castellan listens");
        stream.write_all(bytes).expect("it reads");
        idle.push(stream);
    }
    castle.wait_until_all_ready();
}

#[test]
fn curl_reads_the_snapshot() {
    let castle = Castle::up("");
    let output = Command::new("curl")
        .args(["--silent", "--show-error", "--max-time", "30", "--unix-socket"])
        .arg(castle.socket())
        .arg("http://castellan/v1/snapshot")
        .output();
    let output = match output {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return, // no curl here
        other => other.expect("curl runs"),
    };
    let snapshot: Snapshot = serde_json::from_slice(&output.stdout).expect("a snapshot");
    assert_eq!(snapshot.castellan_pid, castle.snapshot().castellan_pid);
}

#[test]
fn a_listener_is_told_what_was_and_what_comes() {
    let castle = Castle::up("");
    let pid = castle.pid("openclaw");
    let kill = || castle.signal_process(pid, Signal::KILL);
    let told = castle.call(|client| async move {
        let mut events = client.events(1).await?;
        let mut told = Vec::new();
        while let Some(event) = events.next().await? {
            let done = event.component == "openclaw" && event.what == "exited";
            if told.is_empty() {
                kill();
            }
            told.push(event);
            if done {
                break;
            }
        }
        Ok(told)
    });
    let told = told.expect("the stream goes on");
    let sequences: Vec<u64> = told.iter().map(|event| event.sequence).collect();
    let expected: Vec<u64> = (2..2 + sequences.len() as u64).collect();
    assert_eq!(sequences, expected, "none is left out, none comes twice");
}

#[test]
fn a_listener_sees_the_end() {
    let mut castle = Castle::up("");
    let last = castle.call(|client| async move {
        let mut events = client.events(0).await?;
        client.shutdown().await?;
        let mut last = None;
        while let Some(event) = events.next().await? {
            last = Some(event);
        }
        Ok(last)
    });
    let last = last.expect("the stream ends well").expect("there were events");
    assert_eq!((last.component.as_str(), last.what.as_str()), ("castellan", "ended"));
    assert!(castle.wait_for_end().success());
    let gone = castle.call(|client| async move { client.snapshot().await }).unwrap_err();
    assert!(matches!(gone, ClientError::NotRunning { .. }), "{gone:?}");
}

#[test]
fn a_manifest_that_cannot_be_used_is_said_with_78() {
    let castle = Castle::new("[component.radio]\nprogramm = \"x\"\n");
    let status = castle.command().status().expect("it runs");
    assert_eq!(status.code(), Some(78));
    let log = fs::read_to_string(castle.path("castellan.log")).expect("castellan's log");
    assert!(log.contains("sanctum.toml"), "{log}");
    assert!(!castle.socket().exists());
}

#[test]
fn nothing_listens_on_any_other_address_than_loopback() {
    let castle = Castle::up("");
    let groups: BTreeSet<u32> =
        castle.starts().list().into_iter().map(|start| start.identity.pid).collect();
    let sockets = sockets_of(&groups);
    let mut ports = BTreeSet::new();
    for table in ["tcp", "tcp6", "udp", "udp6"] {
        for (address, port, inode) in listening(table) {
            if sockets.contains(&inode) {
                assert!(address.is_loopback(), "{table} {address}:{port}");
                ports.insert(port);
            }
        }
    }
    let known = castle.ports();
    let known = BTreeSet::from([known.guest, known.openclaw, known.proxyd, known.seat]);
    assert_eq!(ports, known);
}

/// Asks as plainly as can be: the status, and the body.
fn ask(castle: &Castle, method: &str, path: &str) -> io::Result<(u16, String)> {
    let mut stream = UnixStream::connect(castle.socket())?;
    stream.set_read_timeout(Some(WAIT_MAX))?;
    let request =
        format!("{method} {path} HTTP/1.1\r\nhost: castellan\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes())?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or_default();
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok());
    Ok((status.unwrap_or_default(), body.to_owned()))
}

/// The inodes of the sockets of every process in `groups`.
fn sockets_of(groups: &BTreeSet<u32>) -> BTreeSet<u64> {
    let processes = fs::read_dir("/proc").expect("/proc").flatten();
    let ours = processes.filter(|entry| {
        let stat = fs::read_to_string(entry.path().join("stat")).unwrap_or_default();
        let after_name = stat.rsplit_once(") ").unwrap_or_default().1;
        let group = after_name.split(' ').nth(2).and_then(|group| group.parse().ok());
        group.is_some_and(|group| groups.contains(&group))
    });
    ours.filter_map(|entry| fs::read_dir(entry.path().join("fd")).ok())
        .flat_map(Iterator::flatten)
        .filter_map(|handle| fs::read_link(handle.path()).ok())
        .filter_map(|link| {
            let name = link.to_str()?.strip_prefix("socket:[")?.strip_suffix(']')?;
            name.parse().ok()
        })
        .collect()
}

/// The sockets of a table of the kernel that wait for others: address, port, inode.
fn listening(table: &str) -> Vec<(IpAddr, u16, u64)> {
    let text = fs::read_to_string(format!("/proc/net/{table}")).unwrap_or_default();
    let row = |line: &str| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let (address, port) = fields.get(1)?.split_once(':')?;
        let waits = if table.starts_with("tcp") { "0A" } else { "07" };
        let port = u16::from_str_radix(port, 16).ok()?;
        (fields[3] == waits).then_some(())?;
        Some((parse_address(address)?, port, fields.get(9)?.parse().ok()?))
    };
    text.lines().skip(1).filter_map(row).collect()
}

/// An address as the kernel prints it: words of four bytes, each in the machine's order.
fn parse_address(hex: &str) -> Option<IpAddr> {
    let words = (0..hex.len() / 8).map(|word| u32::from_str_radix(&hex[word * 8..][..8], 16).ok());
    let bytes: Vec<u8> =
        words.collect::<Option<Vec<_>>>()?.into_iter().flat_map(u32::to_ne_bytes).collect();
    match bytes.len() {
        4 => Some(Ipv4Addr::from(<[u8; 4]>::try_from(bytes).ok()?).into()),
        _ => Some(Ipv6Addr::from(<[u8; 16]>::try_from(bytes).ok()?).into()),
    }
}
