//! A state directory with a castellan that only renews its lease, and a deadman that guards it.

use std::fs;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

/// What a condition may take to come true.
const WAIT_MAX: Duration = Duration::from_secs(30);

/// Times short enough for a test and long enough for a busy machine.
pub(crate) const QUICK: &str =
    "stale_after = 1500ms\nrestart_limit = 3s\nretry_after = 1h\nsettled_after = 500ms\n";

/// All of it; what was started is killed at the end.
pub(crate) struct Stand {
    directory: tempfile::TempDir,
    children: Vec<Child>,
}

impl Stand {
    pub(crate) fn new(configuration: &str) -> Self {
        let stand = Self { directory: tempfile::tempdir().unwrap(), children: Vec::new() };
        fs::create_dir(stand.home().join("run")).unwrap();
        stand.write("deadman.conf", configuration);
        stand.write("mode", "work\n");
        stand
    }

    pub(crate) fn home(&self) -> &Path {
        self.directory.path()
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.home().join(name)
    }

    pub(crate) fn write(&self, name: &str, text: &str) {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    pub(crate) fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap_or_default()
    }

    /// A program of its own group, without a deadman's or a castellan's knowledge.
    pub(crate) fn stranger(&mut self) -> u32 {
        self.keep(Command::new("sleep").arg("600").process_group(0))
    }

    /// Starts a castellan as a person would, and waits for its lease.
    pub(crate) fn castellan(&mut self) -> u32 {
        let mut castellan = Command::new(fake());
        castellan.env("SANCTUM_HOME", self.home()).env("SANCTUM_CACHE", "/cache");
        let pid = self.keep(castellan.process_group(0).stdout(Stdio::null()));
        self.until("castellan renews its lease", || self.holder() == Some(pid));
        pid
    }

    pub(crate) fn deadman(&mut self) -> u32 {
        let mut deadman = self.deadman_command();
        self.keep(&mut deadman)
    }

    /// The deadman as castellan starts it.
    pub(crate) fn deadman_command(&self) -> Command {
        let mut deadman = Command::new(
            std::env::var_os("CARGO_BIN_EXE_castellan-deadman").expect("cargo says where it is"),
        );
        deadman
            .arg("--home")
            .arg(self.home())
            .env("SANCTUM_KEPT_BY", self.home())
            .env("SANCTUM_COMPONENT", "deadman")
            .env_remove("NOTIFY_SOCKET")
            .process_group(0)
            .stderr(Stdio::null());
        deadman
    }

    pub(crate) fn keep(&mut self, command: &mut Command) -> u32 {
        let child = command.spawn().unwrap();
        let pid = child.id();
        self.children.push(child);
        pid
    }

    /// Kills a child with a signal that cannot be refused, and collects it.
    pub(crate) fn kill(&mut self, pid: u32) {
        let child = self.children.iter_mut().find(|child| child.id() == pid).unwrap();
        child.kill().unwrap();
        child.wait().unwrap();
    }

    /// Who wrote the lease.
    pub(crate) fn holder(&self) -> Option<u32> {
        let lease = self.read("run/castellan.lease");
        lease.lines().find_map(|line| line.strip_prefix("pid ")?.parse().ok())
    }

    /// The castellans that were started, the first first.
    pub(crate) fn starts(&self) -> Vec<u32> {
        let starts = self.read("starts");
        starts.lines().filter_map(|line| line.split(' ').next()?.parse().ok()).collect()
    }

    /// What the deadman wrote into chitti.
    pub(crate) fn words(&self) -> Vec<String> {
        let chitti = self.read("chitti/events.jsonl");
        let word =
            |line: &str| Some(line.split("\"what\":\"").nth(1)?.split('"').next()?.to_owned());
        chitti.lines().filter_map(word).collect()
    }

    pub(crate) fn has(&self, word: &str) -> bool {
        self.words().iter().any(|it| it == word)
    }

    pub(crate) fn count(&self, word: &str) -> usize {
        self.words().iter().filter(|it| *it == word).count()
    }

    pub(crate) fn until(&self, what: &str, is_so: impl Fn() -> bool) {
        let deadline = Instant::now() + WAIT_MAX;
        while !is_so() {
            let chitti = || self.read("chitti/events.jsonl");
            assert!(Instant::now() < deadline, "not within {WAIT_MAX:?}: {what}\n{}", chitti());
            thread::sleep(Duration::from_millis(10));
        }
    }
}

impl Drop for Stand {
    fn drop(&mut self) {
        for child in self.children.iter_mut().rev() {
            child.kill().ok();
            child.wait().ok();
        }
        let mark = format!("SANCTUM_HOME={}", self.home().display());
        for pid in self.starts() {
            let environment = fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
            if environment.split(|byte| *byte == 0).any(|it| it == mark.as_bytes()) {
                send("KILL", &pid.to_string());
            }
        }
    }
}

/// Sends a signal.
pub(crate) fn send(signal: &str, target: &str) {
    let script = r#"kill -s "$1" -- "$2""#;
    Command::new("/bin/sh").args(["-c", script, "sh", signal, target]).status().unwrap();
}

/// The letter of a process's state; nothing if there is none.
pub(crate) fn state(pid: u32) -> Option<char> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    stat.rsplit_once(") ")?.1.chars().next()
}

/// The moment a process was started, as a lease has it.
pub(crate) fn started(pid: u32) -> String {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    stat.rsplit_once(") ").unwrap().1.split(' ').nth(19).unwrap().to_owned()
}

pub(crate) fn boot() -> String {
    fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap().trim().to_owned()
}

/// A lease that nobody renews.
pub(crate) fn lease(stand: &Stand, pid: u32, started: &str, boot: &str) -> String {
    let (home, program) = (stand.home().display(), fake());
    format!(
        "version 1\nstate keeping\npid {pid}\nstarted {started}\nboot {boot}\nbeat 7\nat_ms 1\n\
         children 5\nwanted 5\nloop_age_ms 3\nhome {home}\ncache /cache\nprogram {}\n",
        program.display()
    )
}

fn fake() -> PathBuf {
    Path::new(&std::env::var_os("CARGO_MANIFEST_DIR").expect("cargo says where it is"))
        .join("tests/deadman/fake-castellan")
}
