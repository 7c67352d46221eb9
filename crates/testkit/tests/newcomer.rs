//! What somebody meets who is new here and makes every mistake there is: each is told what is
//! wrong, where, and what to do, with the documented exit code, and nothing is left half-made.

#![expect(clippy::unwrap_used, reason = "a test panics where it cannot go on")]

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal};
use sanctum_testkit::program;
use tempfile::TempDir;

/// A newcomer's home, empty.
struct Newcomer {
    directory: TempDir,
}

/// What a command said and how it ended.
#[derive(Debug)]
struct Said {
    code: Option<i32>,
    out: String,
    err: String,
}

impl Newcomer {
    fn new() -> Self {
        Self { directory: tempfile::tempdir().unwrap() }
    }

    fn home(&self) -> PathBuf {
        self.directory.path().join("home")
    }

    fn with_manifest(text: &str) -> Self {
        let newcomer = Self::new();
        fs::create_dir_all(newcomer.home()).unwrap();
        fs::write(newcomer.home().join("sanctum.toml"), text).unwrap();
        newcomer
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(program("sanctum", "sanctum").unwrap());
        command
            .args(arguments)
            .env("SANCTUM_HOME", self.home())
            .env("SANCTUM_CACHE", self.directory.path().join("cache"))
            .env_remove("NO_COLOR")
            .stdin(Stdio::null());
        command
    }

    fn says(&self, arguments: &[&str]) -> Said {
        said(self.command(arguments).output().unwrap())
    }

    /// Nothing was started, and no castellan waits for anything.
    fn assert_nothing_runs(&self) {
        assert!(!self.home().join("run/castellan.sock").exists());
        assert!(!self.home().join("run/castellan.json").exists());
    }
}

fn said(output: Output) -> Said {
    let text = |bytes| String::from_utf8(bytes).unwrap();
    Said { code: output.status.code(), out: text(output.stdout), err: text(output.stderr) }
}

fn assert_tells(said: &Said, code: i32, words: &[&str]) {
    assert_eq!(said.code, Some(code), "{said:#?}");
    for word in words {
        assert!(said.err.contains(word), "`{word}` is not said:\n{}", said.err);
    }
    assert!(!said.err.contains('\u{1b}'), "colours without a terminal: {:?}", said.err);
}

/// A directory of links to every program of this machine but the named ones.
fn path_without(directory: &Path, missing: &[&str]) -> PathBuf {
    let path = directory.join("path");
    fs::create_dir_all(&path).unwrap();
    for place in ["/usr/sbin", "/sbin", "/usr/bin", "/bin", "/usr/local/bin"] {
        for entry in fs::read_dir(place).into_iter().flatten().flatten() {
            if !missing.iter().any(|name| *name == entry.file_name()) {
                std::os::unix::fs::symlink(entry.path(), path.join(entry.file_name())).ok();
            }
        }
    }
    path
}

#[test]
fn without_a_manifest_one_is_told_how_to_get_one() {
    let newcomer = Newcomer::new();
    for command in ["plan", "ask"] {
        let said = newcomer.says(&[command, "x"][..if command == "ask" { 2 } else { 1 }]);
        assert_tells(&said, 78, &["there is no manifest", "hint:", "sanctum init"]);
    }
    assert!(!newcomer.home().exists(), "a look made something");
}

#[test]
fn a_broken_manifest_is_told_line_by_line() {
    for (text, words) in [
        ("[guest\n", vec!["1 problem"]),
        (
            "[guest]\nmemmory = \"2GiB\"\n",
            vec!["unknown key `memmory`", "did you mean `memory`?", "sanctum.toml:2:1"],
        ),
        ("[guest]\nmemory = 2\n", vec!["must be a text, not integer", "sanctum.toml:2:10"]),
        (
            "[proxyd]\nport = 1977\n",
            vec!["port 1977 is claimed twice", "openclaw.port", "proxyd.port"],
        ),
        (
            "[openclaw]\ntools = \"most\"\n[seat.general]\nport = 70000\n[route]\nbrain = [\"general\"]\n[component.guest]\nprogram = \"x\"\n",
            vec![
                "problems",
                "no [route] has that name",
                "\"minimal\", \"full\"",
                "from 1 to 65535, not 70000",
                "`seat.general.model` is missing",
                "`guest` is a component of the system itself",
            ],
        ),
    ] {
        let newcomer = Newcomer::with_manifest(text);
        for command in ["plan", "up"] {
            let said = newcomer.says(&[command]);
            assert_tells(&said, 78, &["cannot use", "sanctum.toml"]);
            assert_tells(&said, 78, &words);
        }
        newcomer.assert_nothing_runs();
    }
}

#[test]
fn a_taken_port_is_told_with_its_holder_and_nothing_is_started() {
    let holder = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = holder.local_addr().unwrap().port();
    let newcomer = Newcomer::with_manifest(&format!("[openclaw]\nport = {port}\n"));
    let said = newcomer.says(&["up"]);
    let pid = std::process::id().to_string();
    assert_tells(
        &said,
        1,
        &[&format!("port.{port}"), "umbilical wants it", &format!("pid {pid}"), "hint:"],
    );
    newcomer.assert_nothing_runs();
}

#[test]
fn a_missing_emulator_is_told_with_its_package() {
    let newcomer = Newcomer::with_manifest("");
    let emulator = format!("qemu-system-{}", std::env::consts::ARCH);
    let path = path_without(newcomer.directory.path(), &[&emulator]);
    let said = said(newcomer.command(&["up"]).env("PATH", path).output().unwrap());
    assert_tells(&said, 1, &["machine.qemu", &emulator, "apt-get install qemu-system"]);
    newcomer.assert_nothing_runs();
}

#[test]
fn a_full_disk_is_told_before_anything_is_begun() {
    let newcomer = Newcomer::with_manifest("");
    let small = newcomer.directory.path().join("small");
    fs::create_dir(&small).unwrap();
    let script = "mount -t tmpfs -o size=32m none \"$1\" && mkdir \"$1/home\" && : > \"$1/home/sanctum.toml\" && \
                  SANCTUM_HOME=\"$1/home\" SANCTUM_CACHE=\"$1/cache\" \"$2\" up";
    let output = Command::new("unshare")
        .args(["--user", "--map-root-user", "--mount", "sh", "-c", script, "sh"])
        .arg(&small)
        .arg(program("sanctum", "sanctum").unwrap())
        .output()
        .unwrap();
    let said = said(output);
    assert_tells(&said, 1, &["disk.state", "disk.cache", "free at", "needed", "make room"]);
}

#[test]
fn a_key_that_others_can_read_is_refused_and_one_that_is_absent_is_named() {
    let manifest = "[provider.far]\nbase_url = \"https://far.invalid/v1\"\nkey = \"far\"\n\
                    [route]\ncouncil-brain = [\"far/model\"]\n";
    let newcomer = Newcomer::with_manifest(manifest);
    assert_tells(
        &newcomer.says(&["up"]),
        1,
        &["secret.far", "there is no secret `far`", "mode 600"],
    );
    let secrets = newcomer.home().join("secrets");
    fs::create_dir_all(&secrets).unwrap();
    fs::write(secrets.join("far"), "sk-canary-value\n").unwrap();
    fs::set_permissions(secrets.join("far"), fs::Permissions::from_mode(0o644)).unwrap();
    let said = newcomer.says(&["up"]);
    assert_tells(&said, 1, &["secrets.private", "chmod 600"]);
    assert!(!said.err.contains("sk-canary-value"), "{}", said.err);
    newcomer.assert_nothing_runs();
}

#[test]
fn without_a_network_the_build_says_which_step_and_that_it_can_be_gone_on_with() {
    let newcomer = Newcomer::with_manifest("");
    let output = Command::new("unshare")
        .args(["--user", "--map-root-user", "--net", "--"])
        .arg(program("sanctum", "sanctum").unwrap())
        .args(["guest", "build"])
        .env("SANCTUM_HOME", newcomer.home())
        .env("SANCTUM_CACHE", newcomer.directory.path().join("cache"))
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let said = said(output);
    assert_tells(&said, 1, &["base system", "hint:"]);
    assert_eq!(images(&newcomer.directory.path().join("cache")), 0, "half an image is left");
}

/// A terminal's interrupt goes to the whole group, while the base system is being installed.
#[test]
fn an_interrupted_build_leaves_nothing_half_made_and_is_gone_on_with() {
    let newcomer = Newcomer::with_manifest("");
    let cache = newcomer.directory.path().join("cache");
    for _ in 0..2 {
        let mut child = newcomer
            .command(&["guest", "build"])
            .process_group(0)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let log = cache.join("images/build.log");
        let begun = || fs::metadata(&log).is_ok_and(|about| about.len() > 0);
        assert!(within(Duration::from_mins(1), begun), "the build did not begin");
        let group = Pid::from_child(&child);
        rustix::process::kill_process_group(group, Signal::INT).unwrap();
        assert!(!child.wait().unwrap().success(), "an interrupted build counts as done");
        let ended = || running_in(&cache).is_empty();
        assert!(within(Duration::from_mins(1), ended), "left running: {:?}", running_in(&cache));
        let mounts = fs::read_to_string("/proc/self/mounts").unwrap();
        assert!(!mounts.contains(cache.to_str().unwrap()), "left mounted:\n{mounts}");
        assert_eq!(images(&cache), 0, "half an image is left");
    }
}

fn within(limit: Duration, mut condition: impl FnMut() -> bool) -> bool {
    let until = Instant::now() + limit;
    while Instant::now() < until {
        if condition() {
            return true;
        }
        thread::sleep(Duration::from_millis(50));
    }
    false
}

/// The command lines of every process that speaks of `directory`.
fn running_in(directory: &Path) -> Vec<String> {
    let directory = directory.to_str().unwrap();
    fs::read_dir("/proc")
        .unwrap()
        .flatten()
        .filter_map(|entry| fs::read(entry.path().join("cmdline")).ok())
        .map(|line| String::from_utf8_lossy(&line).replace('\0', " "))
        .filter(|line| line.contains(directory))
        .collect()
}

fn images(cache: &Path) -> usize {
    let entries = fs::read_dir(cache.join("images")).into_iter().flatten().flatten();
    entries.filter(|entry| entry.path().join("base.qcow2").exists()).count()
}

#[test]
fn commands_that_need_castellan_say_that_it_is_not_running() {
    let newcomer = Newcomer::with_manifest("");
    for command in
        [&["status"][..], &["restart", "proxyd"], &["start", "guest"], &["guest", "stop"]]
    {
        assert_tells(&newcomer.says(command), 69, &["castellan is not running", "sanctum up"]);
    }
    let said = newcomer.says(&["down"]);
    assert_eq!(said.code, Some(0), "{said:#?}");
    assert!(said.err.contains("nothing to stop"), "{}", said.err);
}

#[test]
fn a_question_that_cannot_be_asked_names_the_hop() {
    let holder = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = holder.local_addr().unwrap().port();
    drop(holder);
    let newcomer = Newcomer::with_manifest(&format!("[openclaw]\nport = {port}\n"));
    assert_tells(&newcomer.says(&["ask", "anything"]), 78, &["gateway-main", "sanctum up"]);
    let secrets = newcomer.home().join("secrets");
    fs::create_dir_all(&secrets).unwrap();
    fs::write(secrets.join("gateway-main"), "token\n").unwrap();
    fs::set_permissions(secrets.join("gateway-main"), fs::Permissions::from_mode(0o600)).unwrap();
    let said = newcomer.says(&["ask", "anything"]);
    assert_tells(&said, 1, &["nothing answers", "the hop that broke: model", "hint:"]);
}

#[test]
fn init_writes_a_manifest_once_and_never_over_another() {
    let newcomer = Newcomer::new();
    assert_eq!(newcomer.says(&["init", "--yes"]).code, Some(0));
    let written = fs::read_to_string(newcomer.home().join("sanctum.toml")).unwrap();
    assert!(written.contains("[seat.general]"), "{written}");
    assert_tells(&newcomer.says(&["init", "--yes"]), 78, &["there is a manifest already", "hint:"]);
    assert_eq!(fs::read_to_string(newcomer.home().join("sanctum.toml")).unwrap(), written);
    assert_tells(&Newcomer::new().says(&["init"]), 2, &["not a terminal", "init --yes"]);
}

#[test]
fn a_plan_touches_nothing_and_is_data_when_asked() {
    let newcomer = Newcomer::with_manifest("");
    let said = newcomer.says(&["plan", "--json"]);
    let plan: serde_json::Value = serde_json::from_str(&said.out).unwrap();
    let order: Vec<_> = plan["start_order"]
        .as_array()
        .unwrap()
        .iter()
        .map(|start| start["component"].as_str().unwrap())
        .collect();
    let expected =
        ["castellan-deadman", "sanctum-mlx", "proxyd", "guest", "umbilical", "openclaw", "sweep"];
    assert_eq!(order, expected);
    assert!(
        plan["ports"]
            .as_array()
            .unwrap()
            .iter()
            .all(|port| port["address"].as_str().unwrap().starts_with("127.0.0.1:"))
    );
    let left: Vec<_> =
        fs::read_dir(newcomer.home()).unwrap().flatten().map(|entry| entry.file_name()).collect();
    assert_eq!(left, ["sanctum.toml"]);
}

#[test]
fn a_doctor_touches_nothing_and_has_stable_ids() {
    let newcomer = Newcomer::with_manifest("");
    let said = newcomer.says(&["doctor", "--json"]);
    let checks: serde_json::Value = serde_json::from_str(&said.out).unwrap();
    let ids: Vec<_> =
        checks.as_array().unwrap().iter().map(|check| check["id"].as_str().unwrap()).collect();
    for id in [
        "machine.ssh",
        "machine.qemu",
        "disk.state",
        "manifest.valid",
        "guest.image",
        "model.general",
        "castellan.running",
    ] {
        assert!(ids.contains(&id), "{id} is not among {ids:?}");
    }
    let left: Vec<_> =
        fs::read_dir(newcomer.home()).unwrap().flatten().map(|entry| entry.file_name()).collect();
    assert_eq!(left, ["sanctum.toml"]);
}

#[test]
fn every_shell_gets_completions_and_every_command_has_help() {
    let newcomer = Newcomer::new();
    for shell in ["bash", "zsh", "fish"] {
        let said = newcomer.says(&["completions", shell]);
        assert!(said.code == Some(0) && said.out.contains("sanctum"), "{shell}");
    }
    for command in [
        "init", "plan", "up", "down", "status", "ask", "logs", "restart", "guest", "model",
        "doctor",
    ] {
        assert_eq!(newcomer.says(&[command, "--help"]).code, Some(0), "{command}");
    }
    assert_tells(&newcomer.says(&["upp"]), 2, &["unrecognized subcommand", "up"]);
}
