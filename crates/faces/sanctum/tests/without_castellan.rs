//! The program itself, where castellan is absent, silent, or says no.

#![expect(clippy::unwrap_used, reason = "a test panics where it cannot go on")]

use std::fs;
use std::io::{Read as _, Write as _};
use std::os::unix::net::UnixListener;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use tempfile::TempDir;

const MANIFEST: &str = "[component.radio]\nprogram = \"sh\"\n";

struct Home {
    directory: TempDir,
}

impl Home {
    fn new() -> Self {
        let home = Self { directory: tempfile::tempdir().unwrap() };
        fs::create_dir_all(home.path("run")).unwrap();
        fs::create_dir_all(home.path("chitti")).unwrap();
        fs::write(home.path("sanctum.toml"), MANIFEST).unwrap();
        home
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn says(&self, arguments: &[&str]) -> Output {
        Command::new(std::env::var_os("CARGO_BIN_EXE_sanctum").expect("cargo says where it is"))
            .args(arguments)
            .env("SANCTUM_HOME", self.directory.path())
            .env("SANCTUM_CACHE", self.path("cache"))
            .stdin(Stdio::null())
            .output()
            .unwrap()
    }

    /// One who listens where castellan does and answers every request in the same words.
    fn answer_always(&self, status: &str, body: &str) {
        let length = body.len();
        let answer = format!(
            "HTTP/1.1 {status}\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{body}"
        );
        let listener = UnixListener::bind(self.path("run/castellan.sock")).unwrap();
        thread::spawn(move || {
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                let mut request = [0; 4096];
                assert_ne!(stream.read(&mut request).unwrap(), 0, "nobody asks");
                stream.write_all(answer.as_bytes()).unwrap();
            }
        });
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

fn assert_says(output: &Output, code: i32, words: &[&str]) {
    let said = format!("{}{}", text(&output.stdout), text(&output.stderr));
    assert_eq!(output.status.code(), Some(code), "{said}");
    for word in words {
        assert!(said.contains(word), "`{word}` is not said:\n{said}");
    }
}

#[test]
fn a_castellan_that_does_not_answer_is_unknown_and_not_absent() {
    let home = Home::new();
    let _listener = UnixListener::bind(home.path("run/castellan.sock")).unwrap();
    let began = Instant::now();
    let status = home.says(&["status"]);
    assert_says(&status, 70, &["unknown: castellan does not answer within 2 s"]);
    assert!(began.elapsed() < Duration::from_secs(4), "{:?}", began.elapsed());
    assert_says(&home.says(&["sweep"]), 5, &["castellan silent"]);
}

#[test]
fn what_castellan_finds_wrong_in_a_manifest_is_shown_at_its_place() {
    let home = Home::new();
    home.answer_always(
        "422 Unprocessable Entity",
        r#"{"error":"no","problems":[{"start":27,"end":31,"message":"no such program here","help":"install it"}]}"#,
    );
    let said = home.says(&["apply"]);
    assert_says(
        &said,
        78,
        &["1 problem", "no such program here", "program = \"sh\"", "install it"],
    );
    assert_eq!(fs::read_to_string(home.path("sanctum.toml")).unwrap(), MANIFEST);
}

#[test]
fn without_castellan_a_good_manifest_is_put_in_its_place_and_a_bad_one_is_not() {
    let home = Home::new();
    let new = home.path("new.toml");
    fs::write(&new, "[component.radio]\nprogram = \"./here\"\n").unwrap();
    let new = new.to_str().unwrap();
    assert_says(&home.says(&["apply", new]), 78, &["1 problem", "does not begin with `/`"]);
    assert_eq!(fs::read_to_string(home.path("sanctum.toml")).unwrap(), MANIFEST);
    fs::write(new, "[component.other]\nprogram = \"sh\"\n").unwrap();
    assert_says(&home.says(&["apply", "--dry-run", new]), 0, &["is a good manifest"]);
    assert_eq!(fs::read_to_string(home.path("sanctum.toml")).unwrap(), MANIFEST);
    assert_says(&home.says(&["apply", new]), 69, &["castellan is not running", "sanctum up"]);
    assert!(fs::read_to_string(home.path("sanctum.toml")).unwrap().contains("other"));
}

#[test]
fn chitti_is_read_without_castellan_and_torn_lines_are_counted() {
    let home = Home::new();
    let line = |sequence: u32, component: &str| {
        format!(
            "{{\"sequence\":{sequence},\"at_ms\":1000,\"component\":\"{component}\",\
             \"what\":\"spawned\",\"detail\":\"pid {sequence}\"}}\n"
        )
    };
    let journal = [line(1, "radio"), "{\"sequ\n".to_owned(), line(2, "guest")].concat();
    fs::write(home.path("chitti/events.jsonl"), journal).unwrap();
    fs::write(home.path("chitti/events.jsonl.1"), line(0, "radio")).unwrap();
    let all = home.says(&["chitti"]);
    assert_says(&all, 0, &["pid 0", "pid 1", "pid 2", "1 line of the journal is no event"]);
    let some = home.says(&["chitti", "--component", "radio", "-n", "1", "--json"]);
    assert_eq!(text(&some.stdout), line(1, "radio"));
    assert_says(&home.says(&["chitti", "--since", "soon"]), 2, &["`soon` is no moment", "10m"]);
    assert_says(&home.says(&["explain", "radio"]), 69, &["not running", "pid 1"]);
}

#[test]
fn a_follower_ends_with_its_reader() {
    let home = Home::new();
    let log = home.path("logs");
    fs::create_dir_all(&log).unwrap();
    fs::write(log.join("radio.log"), "one\n").unwrap();
    let mut child =
        Command::new(std::env::var_os("CARGO_BIN_EXE_sanctum").expect("cargo says where it is"))
            .args(["logs", "-f", "radio"])
            .env("SANCTUM_HOME", home.directory.path())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
    let mut first = [0; 4];
    child.stdout.take().unwrap().read_exact(&mut first).unwrap();
    assert_eq!(&first, b"one\n");
    fs::write(log.join("radio.log"), "one\ntwo\n").unwrap();
    let until = Instant::now() + Duration::from_secs(10);
    while child.try_wait().unwrap().is_none() {
        assert!(Instant::now() < until, "it goes on writing to nobody");
        thread::sleep(Duration::from_millis(50));
    }
}
