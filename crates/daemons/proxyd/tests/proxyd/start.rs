//! What must be right before anything is served, and how it ends.

use std::io::{Read as _, Write as _};
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use crate::support::*;

fn refused(home: &Path) -> (Option<i32>, String) {
    let output = command(home).output().unwrap();
    (output.status.code(), String::from_utf8(output.stderr).unwrap())
}

const CALLER: &str =
    "listen = \"127.0.0.1:0\"\n[[caller]]\nname = \"guest\"\nsecret = \"caller\"\n";

#[test]
fn a_configuration_with_five_faults_lists_five() {
    let home = home(
        "listen = \"192.168.1.1:4040\"\nlog = true\n[[caller]]\nname = \"guest\"\n\
         [[seat]]\nname = \"general\"\nbase_url = \"gopher://x\"\n",
    );
    let (code, log) = refused(home.path());
    assert_eq!(code, Some(78), "{log}");
    let lines: Vec<_> = log.lines().filter(|line| line.contains("fault=")).collect();
    assert_eq!(lines.len(), 5, "{log}");
    for (line, text) in lines.iter().zip(["line=1 ", "line=2 ", "line=3 ", "line=5 ", "line=7 "]) {
        assert!(line.contains(text), "{log}");
    }
}

#[test]
fn every_key_that_cannot_be_had_is_named_and_nothing_is_served() {
    let seats = seat("general", 1).replace("\"seat\"", "\"absent\"");
    let home = home(&format!("{CALLER}[[caller]]\nname = \"open\"\nsecret = \"open\"\n{seats}"));
    secret(home.path(), "open", "k", 0o644);
    let (code, log) = refused(home.path());
    assert_eq!(code, Some(78), "{log}");
    for text in ["there is no secret `absent`", "open to others (mode 644"] {
        assert!(log.contains(text), "{log}");
    }
    assert!(!log.contains("listening"), "{log}");
}

#[test]
fn two_callers_with_one_key_are_refused() {
    let home = home(&format!(
        "{CALLER}[[caller]]\nname = \"twin\"\nsecret = \"twin\"\n{}",
        seat("general", 1)
    ));
    secret(home.path(), "twin", KEY, 0o600);
    let (code, log) = refused(home.path());
    assert_eq!(code, Some(78), "{log}");
    assert!(log.contains("cannot be told apart") && !log.contains(KEY), "{log}");
}

#[test]
fn wrong_arguments_are_told_from_a_wrong_configuration() {
    let proxyd =
        || Command::new(std::env::var_os("CARGO_BIN_EXE_proxyd").expect("cargo says where it is"));
    let output = proxyd().arg("--bogus").output().unwrap();
    assert_eq!(output.status.code(), Some(64));
    let output = proxyd().args(["--config", "/nonexistent", "--secrets", "/"]).output().unwrap();
    assert_eq!(output.status.code(), Some(78));
    let output = proxyd().arg("--version").output().unwrap();
    assert_eq!(output.status.code(), Some(0));
    assert!(output.stdout.starts_with(b"proxyd "));
}

#[test]
fn a_running_stream_is_finished_before_the_end() {
    let upstream = Upstream::start(|_| {
        let rest = [chunk(&content("b")), chunk(FINISH), chunk(DONE), chunks_end()];
        let mut steps =
            vec![stream_head(), chunk(&content("a")), Step::Pause(Duration::from_millis(600))];
        steps.extend(rest);
        steps
    });
    let mut proxyd = Proxyd::start(&seat("general", upstream.port));
    let mut stream = proxyd.send(&proxyd.chat(ASK_STREAM));
    upstream.wait_for_request();
    let mut first = [0; 1];
    stream.read_exact(&mut first).unwrap();
    let terminated = Command::new("kill").arg(proxyd.child.id().to_string()).status().unwrap();
    assert!(terminated.success());
    proxyd.wait_for_log("request id=");
    let mut rest = String::new();
    stream.read_to_string(&mut rest).unwrap();
    assert!(rest.ends_with("0\r\n\r\n") && rest.contains("[DONE]"), "{rest}");
    assert_eq!(proxyd.child.wait().unwrap().code(), Some(0));
}

#[test]
fn an_idle_connection_does_not_hold_up_the_end() {
    let mut proxyd = Proxyd::start(&seat("general", 1));
    let mut idle = proxyd.connect();
    let request = format!("GET /health HTTP/1.1\r\nhost: 127.0.0.1:{}\r\n\r\n", proxyd.port);
    idle.write_all(request.as_bytes()).unwrap();
    let mut first = [0; 1];
    idle.read_exact(&mut first).unwrap();
    let started = Instant::now();
    assert!(Command::new("kill").arg(proxyd.child.id().to_string()).status().unwrap().success());
    assert_eq!(proxyd.child.wait().unwrap().code(), Some(0));
    assert!(started.elapsed() < Duration::from_secs(5));
}
