//! The real systemd: a manager of this test's own, in a mount namespace and groups of its own.
//!
//! That needs root and an installed systemd. Without either the test says so and is passed over;
//! with both a manager that does not come up is a failure.
#![cfg(target_os = "linux")]
#![expect(clippy::unwrap_used, reason = "a test panics where it cannot go on")]

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use std::{fs, io, thread};

use rustix::process::{Pid, Signal, getuid, kill_process};
use sanctum_host::process::{Identity, kill_group};
use sanctum_host::service_manager::{self, Active, Job, JobState, Loaded, ManagerError, Tools};
use sanctum_model::Scope;

const SYSTEMD: &str = "/lib/systemd/systemd";
const WITHIN: Duration = Duration::from_secs(20);

/// Where systemd keeps its groups, in each of the ways in which a machine can have them.
const GROUPS: [&str; 3] = ["/sys/fs/cgroup/systemd", "/sys/fs/cgroup/unified", "/sys/fs/cgroup"];

/// Each unit of the manager: its name and the lines of its `[Service]`.
const UNITS: [(&str, &str); 8] = [
    ("long.service", "ExecStart=/bin/sleep 600"),
    ("again.service", "ExecStart=/bin/sleep 600\nRestart=always\nRestartSec=50ms"),
    ("dies.service", "ExecStart=/bin/sh -c 'exit 3'"),
    ("soon.service", "ExecStart=/bin/sh -c 'sleep 0.05; exit 5'"),
    ("loop.service", "ExecStart=/bin/sh -c 'exit 4'\nRestart=always\nRestartSec=10ms"),
    ("absent.service", "ExecStart=/no/such/program"),
    (
        "stubborn.service",
        "ExecStart=/bin/sh -c 'trap : TERM; while :; do sleep 0.05; done'\nRestart=always\n\
         TimeoutStopSec=600",
    ),
    ("slow.service", "Type=notify\nExecStart=/bin/sleep 600"),
];

/// A private `systemd --user`, and a process that holds its mounts in place.
struct Manager {
    systemd: Child,
    holder: Child,
    tools: Tools,
    groups: Vec<PathBuf>,
    _home: tempfile::TempDir,
}

impl Manager {
    /// A manager with all of [`UNITS`]; nothing where there can be none.
    fn start() -> Option<Self> {
        if !getuid().is_root() || !Path::new(SYSTEMD).exists() {
            let line = "PASSED OVER: this test needs root and an installed systemd\n";
            io::stderr().write_all(line.as_bytes()).unwrap();
            return None;
        }
        let home = tempfile::tempdir().unwrap();
        let units = home.path().join("units");
        fs::create_dir(&units).unwrap();
        let unit = |body: &str| format!("[Unit]\nDefaultDependencies=no\n{body}");
        fs::write(units.join("default.target"), unit("")).unwrap();
        for (name, service) in UNITS {
            fs::write(units.join(name), unit(&format!("[Service]\n{service}\n"))).unwrap();
        }
        let groups = groups_of_its_own(home.path());
        let script = format!(
            "mount --make-rprivate / && mount -t tmpfs tmpfs /run &&\n\
             mkdir -p /run/systemd/system /run/own && export XDG_RUNTIME_DIR=/run/own &&\n\
             export SYSTEMD_UNIT_PATH={} SYSTEMD_LOG_TARGET=null && exec {SYSTEMD} --user\n",
            units.display()
        );
        // It enters its groups first, so that they are the whole tree that the manager sees: two
        // managers in one tree would stop each other's units.
        let enter = r#"for group; do echo $$ >"$group/cgroup.procs" || exit 1; done
            exec unshare -m sh -c "$0""#;
        let systemd = quiet("sh").args(["-c", enter, &script]).args(&groups).spawn().unwrap();
        let until = Instant::now() + WITHIN;
        while fs::read_to_string(format!("/proc/{}/comm", systemd.id())).unwrap_or_default()
            != "systemd\n"
        {
            assert!(Instant::now() < until, "systemd does not start");
            thread::sleep(Duration::from_millis(10));
        }
        let target = systemd.id().to_string();
        let holder = quiet("nsenter").args(["-t", &target, "-m", "sleep", "600"]).spawn().unwrap();
        while mounts_of(holder.id()) != mounts_of(systemd.id()) {
            assert!(Instant::now() < until, "nobody enters its mounts");
            thread::sleep(Duration::from_millis(10));
        }
        let holder_id = holder.id().to_string();
        let words =
            ["nsenter", "-t", &holder_id, "-m", "env", "XDG_RUNTIME_DIR=/run/own", "systemctl"];
        let systemctl = words.map(str::to_owned).to_vec();
        let tools = Tools { systemctl, ..Tools::default() };
        let manager = Self { systemd, holder, tools, groups, _home: home };
        while let Err(error) = manager.try_state("long.service") {
            assert!(Instant::now() < until, "systemd does not answer: {error}");
            thread::sleep(Duration::from_millis(20));
        }
        Some(manager)
    }

    fn try_state(&self, unit: &str) -> Result<JobState, ManagerError> {
        service_manager::state(&self.tools, &job(unit), WITHIN)
    }

    fn state(&self, unit: &str) -> JobState {
        self.try_state(unit).unwrap()
    }

    fn start_unit(&self, unit: &str) -> Result<Identity, ManagerError> {
        service_manager::start(&self.tools, &job(unit), WITHIN)
    }

    fn stop(&self, unit: &str) -> Result<(), ManagerError> {
        service_manager::stop(&self.tools, &job(unit), WITHIN)
    }

    fn signal(&self, signal: Signal) {
        let pid = Pid::from_raw(i32::try_from(self.systemd.id()).unwrap()).unwrap();
        kill_process(pid, signal).unwrap();
    }
}

impl Drop for Manager {
    fn drop(&mut self) {
        // What a killed manager has left is its test's to end.
        for (unit, _) in UNITS {
            let within = Duration::from_secs(2);
            service_manager::kill(&self.tools, &job(unit), within).ok();
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
    let name = format!("sanctum-{}", home.file_name().unwrap().display());
    let is_tree = |root: &&str| Path::new(root).join("cgroup.procs").exists();
    let make = |root: &str| {
        let group = Path::new(root).join(&name);
        fs::create_dir(&group).unwrap();
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

fn job(unit: &str) -> Job<'_> {
    Job::Systemd { unit, scope: Scope::User }
}

fn last_exit(error: ManagerError) -> Option<String> {
    if let ManagerError::NotAlive { state, .. } = error {
        return state.last_exit;
    }
    Some(error.to_string())
}

#[test]
fn a_start_gives_a_living_process_and_a_stop_leaves_none() {
    let Some(manager) = Manager::start() else { return };
    assert_eq!(manager.state("long.service").active, Active::Ended);
    let process = manager.start_unit("long.service").unwrap();
    assert!(process.is_alive());
    let state = manager.state("long.service");
    assert_eq!((state.loaded, state.active), (Loaded::Yes, Active::Running));
    assert_eq!(state.pid.as_ref(), Some(&process));
    assert_eq!(state.word, "active (running)");
    assert_eq!(manager.start_unit("long.service").unwrap(), process, "it is left as it is");
    manager.stop("long.service").unwrap();
    assert!(!process.is_alive());
    assert!(manager.state("long.service").is_at_rest());
    manager.stop("long.service").unwrap();
}

#[test]
fn a_restart_gives_another_process() {
    let Some(manager) = Manager::start() else { return };
    let restart = || service_manager::restart(&manager.tools, &job("long.service"), WITHIN);
    let first = restart().unwrap();
    let second = restart().unwrap();
    assert_ne!(first, second);
    assert!(!first.is_alive() && second.is_alive());
}

#[test]
fn a_program_that_ends_at_once_is_not_started() {
    let Some(manager) = Manager::start() else { return };
    let ends = [
        ("dies.service", "exit code 3"),
        ("soon.service", "exit code 5"),
        ("absent.service", "exit code 203"),
    ];
    for (unit, exit) in ends {
        let error = manager.start_unit(unit).unwrap_err();
        assert_eq!(last_exit(error).as_deref(), Some(exit), "{unit}");
        assert_eq!(manager.state(unit).active, Active::Failed, "{unit}");
    }
}

#[test]
fn a_unit_that_systemd_has_given_up_is_tried_again_when_asked() {
    let Some(manager) = Manager::start() else { return };
    for _ in 0..3 {
        let error = manager.start_unit("loop.service").unwrap_err();
        assert!(matches!(error, ManagerError::NotAlive { .. }), "{error}");
        let until = Instant::now() + WITHIN;
        while manager.state("loop.service").active != Active::Failed {
            assert!(Instant::now() < until, "systemd gives it up");
            thread::sleep(Duration::from_millis(20));
        }
        let state = manager.state("loop.service");
        assert_eq!(state.last_exit.as_deref(), Some("exit code 4"));
        assert!(state.restarts > Some(1), "it was started again and again: {state:?}");
    }
}

#[test]
fn a_unit_that_does_not_exist_is_unknown_and_no_failure() {
    let Some(manager) = Manager::start() else { return };
    assert_eq!(manager.state("nobody.service").loaded, Loaded::No);
    let error = manager.start_unit("nobody.service").unwrap_err();
    assert!(matches!(error, ManagerError::Unknown { .. }), "{error}");
    manager.stop("nobody.service").unwrap();
}

#[test]
fn a_process_that_systemd_itself_has_started_again_is_seen() {
    let Some(manager) = Manager::start() else { return };
    let first = manager.start_unit("again.service").unwrap();
    kill_group(first.pid);
    let until = Instant::now() + WITHIN;
    let second = loop {
        let state = manager.state("again.service");
        if let Some(process) = state.pid.filter(|process| *process != first) {
            assert_eq!(state.restarts, Some(1));
            break process;
        }
        assert!(Instant::now() < until, "systemd starts it again");
        thread::sleep(Duration::from_millis(20));
    };
    assert!(second.is_alive());
    manager.stop("again.service").unwrap();
    assert!(!second.is_alive());
}

#[test]
fn a_program_that_ignores_the_stop_is_killed_when_asked_and_stays_down() {
    let Some(manager) = Manager::start() else { return };
    let process = manager.start_unit("stubborn.service").unwrap();
    let within = Duration::from_secs(1);
    let stubborn = job("stubborn.service");
    let error = service_manager::stop(&manager.tools, &stubborn, within).unwrap_err();
    assert!(matches!(error, ManagerError::TimedOut { .. }), "{error}");
    assert!(process.is_alive());
    assert_eq!(manager.state("stubborn.service").active, Active::Stopping);
    service_manager::kill(&manager.tools, &stubborn, WITHIN).unwrap();
    assert!(!process.is_alive());
    assert!(manager.state("stubborn.service").is_at_rest());
}

#[test]
fn a_unit_that_is_never_ready_is_starting_and_not_started() {
    let Some(manager) = Manager::start() else { return };
    let within = Duration::from_secs(1);
    let error = service_manager::start(&manager.tools, &job("slow.service"), within).unwrap_err();
    assert!(error.is_unknown(), "{error}");
    assert_eq!(manager.state("slow.service").active, Active::Starting);
}

#[test]
fn a_manager_that_hangs_or_is_gone_says_nothing_about_its_units() {
    let Some(mut manager) = Manager::start() else { return };
    let process = manager.start_unit("long.service").unwrap();
    manager.signal(Signal::STOP);
    let within = Duration::from_millis(500);
    let begun = Instant::now();
    let error = service_manager::state(&manager.tools, &job("long.service"), within).unwrap_err();
    assert!(matches!(error, ManagerError::TimedOut { .. }), "{error}");
    assert!(begun.elapsed() < Duration::from_secs(5));
    manager.signal(Signal::CONT);

    manager.signal(Signal::KILL);
    manager.systemd.wait().unwrap();
    let stop = manager.stop("long.service").unwrap_err();
    let start = manager.start_unit("long.service").unwrap_err();
    let state = manager.try_state("long.service").unwrap_err();
    for error in [stop, start, state] {
        assert!(matches!(error, ManagerError::Unreachable { .. }), "{error}");
        assert!(error.is_unknown());
    }
    assert!(process.is_alive(), "nobody may say that it is down");
    kill_group(process.pid);
}
