//! A systemd of a test's own: the real one, in a mount namespace and control groups of its own.

#![expect(clippy::missing_panics_doc, reason = "what a test wants and does not get is a panic")]

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use std::{fs, io, thread};

use rustix::process::{Pid, Signal, getuid, kill_process};

const SYSTEMD: &str = "/lib/systemd/systemd";
/// What it takes to come up, at most.
const WITHIN: Duration = Duration::from_secs(20);

/// Where systemd keeps its groups, in each of the ways in which a machine can have them.
const GROUPS: [&str; 3] = ["/sys/fs/cgroup/systemd", "/sys/fs/cgroup/unified", "/sys/fs/cgroup"];

/// A private `systemd --user`, and a process that holds its mounts in place. With it all that it
/// started ends.
#[derive(Debug)]
pub struct PrivateSystemd {
    systemd: Child,
    holder: Child,
    groups: Vec<PathBuf>,
    units: Vec<String>,
    _home: tempfile::TempDir,
}

impl PrivateSystemd {
    /// One with these units, each a name and the lines of its `[Service]`; none is started.
    /// Nothing where there can be none: that takes root and an installed systemd, and is said.
    pub fn start(units: &[(&str, &str)]) -> Option<Self> {
        if !getuid().is_root() || !Path::new(SYSTEMD).exists() {
            let line = "PASSED OVER: this test needs root and an installed systemd\n";
            io::stderr().write_all(line.as_bytes()).expect("a test may speak");
            return None;
        }
        let home = tempfile::tempdir().expect("a directory");
        let place = home.path().join("units");
        fs::create_dir(&place).expect("a fresh directory takes others");
        let unit = |body: &str| format!("[Unit]\nDefaultDependencies=no\n{body}");
        fs::write(place.join("default.target"), unit("")).expect("written");
        for (name, service) in units {
            let text = unit(&format!("[Service]\n{service}\n"));
            fs::write(place.join(name), text).expect("written");
        }
        let groups = groups_of_its_own(home.path());
        let script = format!(
            "mount --make-rprivate / && mount -t tmpfs tmpfs /run &&\n\
             mkdir -p /run/systemd/system /run/own && export XDG_RUNTIME_DIR=/run/own &&\n\
             export SYSTEMD_UNIT_PATH={} SYSTEMD_LOG_TARGET=null && exec {SYSTEMD} --user\n",
            place.display()
        );
        // It enters its groups first, so that they are the whole tree that the manager sees: two
        // managers in one tree would stop each other's units.
        let enter = r#"for group; do echo $$ >"$group/cgroup.procs" || exit 1; done
            exec unshare -m sh -c "$0""#;
        let mut systemd = quiet("sh");
        let systemd = systemd.args(["-c", enter, &script]).args(&groups).spawn();
        let systemd = systemd.expect("systemd starts");
        let until = Instant::now() + WITHIN;
        while fs::read_to_string(format!("/proc/{}/comm", systemd.id())).unwrap_or_default()
            != "systemd\n"
        {
            assert!(Instant::now() < until, "systemd does not start");
            thread::sleep(Duration::from_millis(10));
        }
        let target = systemd.id().to_string();
        let mut holder = quiet("nsenter");
        let holder = holder.args(["-t", &target, "-m", "sleep", "600"]).spawn();
        let holder = holder.expect("its mounts are held");
        while mounts_of(holder.id()) != mounts_of(systemd.id()) {
            assert!(Instant::now() < until, "nobody enters its mounts");
            thread::sleep(Duration::from_millis(10));
        }
        let units = units.iter().map(|(name, _)| (*name).to_owned()).collect();
        let manager = Self { systemd, holder, groups, units, _home: home };
        while !manager.answers() {
            assert!(Instant::now() < until, "systemd does not answer");
            thread::sleep(Duration::from_millis(20));
        }
        Some(manager)
    }

    /// The words before the arguments of its `systemctl`.
    pub fn systemctl(&self) -> Vec<String> {
        let holder = self.holder.id().to_string();
        ["nsenter", "-t", &holder, "-m", "env", "XDG_RUNTIME_DIR=/run/own", "/usr/bin/systemctl"]
            .map(str::to_owned)
            .to_vec()
    }

    /// Runs its `systemctl --user`, quietly; whether it succeeded.
    pub fn ctl(&self, arguments: &[&str]) -> bool {
        let words = self.systemctl();
        let mut command = quiet(&words[0]);
        let status = command.args(&words[1..]).arg("--user").args(arguments).status();
        status.is_ok_and(|status| status.success())
    }

    fn answers(&self) -> bool {
        self.ctl(&["show", "--property=Version"])
    }

    /// Signals systemd itself.
    pub fn signal(&self, signal: Signal) {
        let pid = i32::try_from(self.systemd.id()).ok().and_then(Pid::from_raw);
        kill_process(pid.expect("a process id"), signal).expect("systemd is there");
    }

    /// Kills systemd itself. What it has started lives on, and is its test's to end.
    pub fn kill(&mut self) {
        self.systemd.kill().expect("systemd is there");
        self.systemd.wait().expect("a child can be waited for");
    }
}

impl Drop for PrivateSystemd {
    fn drop(&mut self) {
        if self.systemd.try_wait().is_ok_and(|ended| ended.is_none()) {
            for unit in &self.units {
                self.ctl(&["kill", "--signal=KILL", unit]);
                self.ctl(&["stop", "--no-block", unit]);
            }
        }
        self.systemd.kill().ok();
        self.systemd.wait().ok();
        self.holder.kill().ok();
        self.holder.wait().ok();
        self.groups.iter().for_each(|group| remove_groups(group));
    }
}

/// Makes a group for one manager in each tree of groups that this machine has.
fn groups_of_its_own(home: &Path) -> Vec<PathBuf> {
    let name = format!("sanctum-{}", home.file_name().unwrap_or_default().display());
    let is_tree = |root: &&str| Path::new(root).join("cgroup.procs").exists();
    let make = |root: &str| {
        let group = Path::new(root).join(&name);
        fs::create_dir(&group).expect("a group of its own");
        group
    };
    GROUPS.into_iter().filter(is_tree).map(make).collect()
}

/// Removes a group and all below it, in which nobody is left or soon will not be.
fn remove_groups(group: &Path) {
    for entry in fs::read_dir(group).into_iter().flatten().flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            remove_groups(&entry.path());
        }
    }
    let until = Instant::now() + Duration::from_secs(2);
    while fs::remove_dir(group).is_err() && Instant::now() < until {
        thread::sleep(Duration::from_millis(20));
    }
}

fn quiet(program: &str) -> Command {
    let mut command = Command::new(program);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command
}

fn mounts_of(pid: u32) -> Option<PathBuf> {
    fs::read_link(format!("/proc/{pid}/ns/mnt")).ok()
}
