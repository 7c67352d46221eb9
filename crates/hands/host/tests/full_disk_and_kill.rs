//! Logs on a disk that is full, and writers that are killed in the middle of a word.

use std::collections::BTreeSet;
use std::fs;
use std::io::Write as _;
use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

use sanctum_host::log_writer::{LogWriter, UNWRITTEN_RETRY};
use sanctum_host::rotating::{Archivist, BYTES_MAX_MIN, RotatingFile, Writers, append, lines};

/// Where a process that this test starts from its own program finds the file to write to.
const TARGET: &str = "SANCTUM_TEST_ROTATING_TARGET";
/// Room for all that is written, so that nothing is forgotten; rotated at an eighth of it.
const BYTES_MAX: u64 = 128 << 20;
/// How often both are killed.
const ROUNDS: u64 = 12;
const ROLE: &str = "SANCTUM_TEST_ROTATING_ROLE";

#[test]
fn a_full_disk_stops_nobody_and_is_said_when_there_is_room_again() {
    let home = tempfile::tempdir().unwrap();
    let mount = Command::new("mount")
        .args(["-t", "tmpfs", "-o", "size=256k", "tmpfs"])
        .arg(home.path())
        .stderr(Stdio::null())
        .status();
    if !mount.is_ok_and(|status| status.success()) {
        return say("skipped: nothing can be mounted here");
    }
    let _unmounted = Mounted(home.path());
    let ballast = home.path().join("ballast");
    fs::write(&ballast, vec![0; 128 << 10]).unwrap();
    let mut writer = LogWriter::new(home.path().join("x.log"), BYTES_MAX_MIN, Archivist::default());
    let mut now = Duration::ZERO;
    for number in 0..5_000 {
        writer.write(format!("{number:0>99}\n").as_bytes(), now);
    }
    let lost = writer.unwritten().lines;
    assert!(lost > 3_000, "{lost}");
    assert!(writer.trouble().unwrap().contains("No space left"), "{:?}", writer.trouble());
    now += UNWRITTEN_RETRY;
    writer.flush(now);
    assert!(writer.trouble().is_some(), "it is still full");
    fs::remove_file(&ballast).unwrap();
    now += UNWRITTEN_RETRY;
    writer.flush(now);
    writer.write(b"last\n", now);
    let all = lines(writer.path()).unwrap().map(|line| String::from_utf8(line.unwrap()).unwrap());
    let text = all.fold(String::new(), |text, line| text + &line + "\n");
    let kept: Vec<&str> = text.lines().filter(|line| line.len() == 99).collect();
    assert_eq!(kept.len() as u64 + lost, 5_000, "each is there or counted");
    let notice = format!("castellan: lost {lost} lines (");
    assert_eq!(text.lines().filter(|line| line.starts_with(&notice)).count(), 1, "{lost}");
    assert!(text.ends_with("last\n"));
    assert_eq!(text.lines().count(), kept.len() + 2, "nothing is torn");
}

#[test]
fn an_owner_and_a_guest_that_are_killed_at_any_moment_lose_and_tear_no_line() {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("chitti/events.jsonl");
    let mut wanted = BTreeSet::new();
    for round in 0..ROUNDS {
        let mut owner = start("owner", &path, round);
        let mut guest = start("guest", &path, round);
        thread::sleep(Duration::from_millis(100 + round * 17));
        for (role, child) in [("owner", &mut owner), ("guest", &mut guest)] {
            child.kill().unwrap();
            let output = child.wait().unwrap();
            assert_eq!(output.signal(), Some(9), "{role} ended by itself");
            // It says of each line that it is appended only after it is.
            let said = fs::read_to_string(home.path().join(format!("{role}-{round}"))).unwrap();
            for number in said.lines().filter_map(|line| line.strip_suffix(';')) {
                wanted.insert(format!("{role} {round} {number}"));
            }
        }
    }
    let mut file =
        RotatingFile::new(path.clone(), BYTES_MAX, Writers::Several, Archivist::default());
    file.append(b"{\"n\":\"the end\"}\n").unwrap();
    let (mut found, mut torn) = (BTreeSet::new(), 0);
    for line in lines(&path).unwrap() {
        let line = String::from_utf8(line.unwrap()).unwrap();
        let inner = line.strip_prefix("{\"n\":\"").and_then(|line| line.strip_suffix("\"}"));
        let Some(inner) = inner else {
            // The beginning of what a killed one was writing, on a line of its own.
            assert!(line.starts_with("{\"n\":\"") && !line.ends_with('}'), "torn: {line:.80}");
            torn += 1;
            continue;
        };
        let name = inner.split('|').next().unwrap_or_default();
        assert!(found.insert(name.to_owned()), "twice: {name}");
    }
    let missing: Vec<&String> = wanted.difference(&found).collect();
    let missing = missing.len();
    assert!(wanted.len() > 1_000 && missing == 0, "{missing} of {} are missing", wanted.len());
    assert!(torn <= 2 * ROUNDS, "{torn} torn by {ROUNDS} rounds");
    let is_rotated = |ending: &str| path.with_extension(ending).exists();
    assert!(is_rotated("jsonl.1") || is_rotated("jsonl.1.gz"));
}

/// The other end of the test above: does nothing when it is run by itself.
#[test]
fn a_writer_that_is_told_to_writes_until_it_is_killed() {
    let (Some(path), Ok(role)) = (std::env::var_os(TARGET), std::env::var(ROLE)) else { return };
    let path = Path::new(&path);
    let home = path.parent().unwrap().parent().unwrap();
    let (who, round) = role.split_once('-').unwrap();
    let mut said = fs::File::create(home.join(&role)).unwrap();
    let archivist = Archivist::default();
    let mut owner = RotatingFile::new(path.to_owned(), BYTES_MAX, Writers::Several, archivist);
    for number in 0_u64.. {
        let line = format!("{{\"n\":\"{who} {round} {number}|{:->6000}\"}}", "");
        match who {
            "owner" => owner.append(format!("{line}\n").as_bytes()).unwrap(),
            _ => append(path, &line).unwrap(),
        }
        said.write_all(format!("{number};\n").as_bytes()).unwrap();
        thread::sleep(Duration::from_micros(300));
    }
}

fn start(role: &str, path: &Path, round: u64) -> Child {
    let program = std::env::current_exe().expect("a test knows its own program");
    Command::new(program)
        .args(["--exact", "a_writer_that_is_told_to_writes_until_it_is_killed"])
        .env(TARGET, path)
        .env(ROLE, format!("{role}-{round}"))
        .stdout(Stdio::null())
        .spawn()
        .expect("the test's own program starts")
}

struct Mounted<'a>(&'a Path);

impl Drop for Mounted<'_> {
    fn drop(&mut self) {
        Command::new("umount").arg("-l").arg(self.0).status().ok();
    }
}

fn say(text: &str) {
    writeln!(std::io::stderr().lock(), "{text}").expect("standard error takes a line");
}
