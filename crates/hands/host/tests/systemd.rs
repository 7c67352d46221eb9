//! The real systemd: a manager of this test's own, in a mount namespace and groups of its own.
#![cfg(target_os = "linux")]
#![expect(clippy::unwrap_used, reason = "a test panics where it cannot go on")]

use std::thread;
use std::time::{Duration, Instant};

use rustix::process::Signal;
use sanctum_host::process::{Identity, kill_group};
use sanctum_host::service_manager::{self, Active, Job, JobState, Loaded, ManagerError, Tools};
use sanctum_model::Scope;
use sanctum_testkit::PrivateSystemd;

const WITHIN: Duration = Duration::from_secs(20);

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

/// A private systemd, asked as castellan asks one.
struct Manager {
    systemd: PrivateSystemd,
    tools: Tools,
}

impl Manager {
    /// A manager with all of [`UNITS`]; nothing where there can be none.
    fn start() -> Option<Self> {
        let systemd = PrivateSystemd::start(&UNITS)?;
        let tools = Tools { systemctl: systemd.systemctl(), ..Tools::default() };
        Some(Self { systemd, tools })
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
    manager.systemd.signal(Signal::STOP);
    let within = Duration::from_millis(500);
    let begun = Instant::now();
    let error = service_manager::state(&manager.tools, &job("long.service"), within).unwrap_err();
    assert!(matches!(error, ManagerError::TimedOut { .. }), "{error}");
    assert!(begun.elapsed() < Duration::from_secs(5));
    manager.systemd.signal(Signal::CONT);

    manager.systemd.kill();
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
