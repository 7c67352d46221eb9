//! launchd as it is documented and reported, its lies among them: a stand-in plays it.
#![cfg(target_os = "linux")]
#![expect(clippy::unwrap_used, reason = "a test panics where it cannot go on")]

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};
use std::{env, fs, thread};

use rustix::process::getuid;
use sanctum_host::process::{Identity, kill_group};
use sanctum_host::service_manager::{self, Active, Job, JobState, Loaded, ManagerError, Tools};
use sanctum_model::Scope;

const LABEL: &str = "com.example.job";
const WITHIN: Duration = Duration::from_secs(20);
const LONG: &str = "exec sleep 600";

/// One stand-in, with one property list.
struct Mac {
    folder: tempfile::TempDir,
    plist: PathBuf,
    tools: Tools,
}

impl Mac {
    fn new(program: &str, keys: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let plist = folder.path().join("job.plist");
        let text = format!(
            "<?xml version=\"1.0\"?>\n<key>Label</key><string>{LABEL}</string>\n{keys}\n\
             <!--program: {program}-->\n"
        );
        fs::write(&plist, text).unwrap();
        fs::set_permissions(&plist, fs::Permissions::from_mode(0o644)).unwrap();
        let script =
            Path::new(&std::env::var_os("CARGO_MANIFEST_DIR").expect("cargo says where it is"))
                .join("tests/launchctl.sh");
        let words = ["sh", script.to_str().unwrap(), folder.path().to_str().unwrap()];
        let launchctl = words.map(str::to_owned).to_vec();
        Self { folder, plist, tools: Tools { launchctl, ..Tools::default() } }
    }

    fn knob(&self, name: &str, value: &str) {
        fs::write(self.folder.path().join(name), value).unwrap();
    }

    fn calls(&self) -> String {
        fs::read_to_string(self.folder.path().join("calls")).unwrap_or_default()
    }

    fn job(&self) -> Job<'_> {
        Job::Launchd { label: LABEL, plist: &self.plist, scope: Scope::User }
    }

    fn start(&self) -> Result<Identity, ManagerError> {
        service_manager::start(&self.tools, &self.job(), WITHIN)
    }

    fn restart(&self) -> Result<Identity, ManagerError> {
        service_manager::restart(&self.tools, &self.job(), WITHIN)
    }

    fn stop(&self) -> Result<(), ManagerError> {
        service_manager::stop(&self.tools, &self.job(), WITHIN)
    }

    fn state(&self) -> JobState {
        service_manager::state(&self.tools, &self.job(), WITHIN).unwrap()
    }
}

impl Drop for Mac {
    fn drop(&mut self) {
        let pid = fs::read_to_string(self.folder.path().join(format!("{LABEL}.pid")));
        if let Some(pid) = pid.ok().and_then(|pid| pid.trim().parse().ok()) {
            kill_group(pid);
        }
    }
}

#[test]
fn a_job_that_is_not_loaded_is_loaded_and_seen_alive() {
    let mac = Mac::new(LONG, "<key>RunAtLoad</key><true/>");
    assert_eq!((mac.state().loaded, mac.state().active), (Loaded::No, Active::Ended));
    let process = mac.start().unwrap();
    assert!(process.is_alive());
    let state = mac.state();
    assert_eq!((state.loaded, state.active), (Loaded::Yes, Active::Running));
    assert_eq!(state.pid.as_ref(), Some(&process));
    assert_eq!(mac.start().unwrap(), process, "one that runs is left as it is");
    assert!(!mac.calls().contains("kickstart"), "it started by itself");
}

#[test]
fn a_job_that_does_not_start_when_it_is_loaded_is_kicked() {
    let mac = Mac::new(LONG, "");
    assert!(mac.start().unwrap().is_alive());
    assert!(mac.calls().contains(&format!("kickstart gui/{}/{LABEL}", getuid().as_raw())));
}

#[test]
fn a_restart_replaces_the_process_in_place() {
    let mac = Mac::new(LONG, "<key>KeepAlive</key><true/>");
    let first = mac.start().unwrap();
    let second = mac.restart().unwrap();
    assert_ne!(first, second);
    assert!(!first.is_alive() && second.is_alive());
    assert!(!mac.calls().contains("bootout"), "it was never unloaded");
}

#[test]
fn a_restart_of_a_job_that_is_not_loaded_loads_it() {
    let mac = Mac::new(LONG, "<key>RunAtLoad</key><true/>");
    assert!(mac.restart().unwrap().is_alive());
}

#[test]
fn a_stop_lasts_until_the_label_and_the_process_are_gone() {
    for knob in [None, Some("in-progress")] {
        let mac = Mac::new(LONG, "<key>KeepAlive</key><true/>");
        mac.knob("linger-ms", "700");
        if let Some(knob) = knob {
            mac.knob(knob, "");
        }
        let process = mac.start().unwrap();
        let begun = Instant::now();
        mac.stop().unwrap();
        assert!(begun.elapsed() >= Duration::from_millis(700), "the label lingers");
        assert!(!process.is_alive());
        assert_eq!(mac.state().loaded, Loaded::No);
        mac.stop().unwrap();
    }
}

#[test]
fn the_error_that_follows_an_unloading_is_ridden_out() {
    let mac = Mac::new(LONG, "<key>RunAtLoad</key><true/>");
    mac.knob("eio-ms", "1500");
    let first = mac.start().unwrap();
    mac.stop().unwrap();
    let second = mac.start().unwrap();
    assert_ne!(first, second);
    assert!(second.is_alive());
    assert!(mac.calls().matches("bootstrap").count() > 2, "it was tried again");
}

#[test]
fn an_error_that_does_not_pass_is_given_in_the_words_of_the_tool() {
    let mac = Mac::new(LONG, "<key>RunAtLoad</key><true/>");
    mac.knob(&format!("{LABEL}.eio"), "9999999999999");
    let within = Duration::from_millis(1500);
    let error = service_manager::start(&mac.tools, &mac.job(), within).unwrap_err();
    assert!(error.to_string().contains("Input/output error"), "{error}");
    assert!(matches!(error, ManagerError::Refused { .. }), "{error}");
}

#[test]
fn an_order_that_was_taken_and_started_nothing_is_no_start() {
    let mac = Mac::new(LONG, "<key>RunAtLoad</key><true/>");
    mac.knob("lie", "");
    let error = mac.start().unwrap_err();
    assert!(matches!(error, ManagerError::NotAlive { .. }), "{error}");
}

#[test]
fn a_program_that_ends_at_once_is_not_started() {
    let mac = Mac::new("(exit 7)", "<key>RunAtLoad</key><true/>");
    let error = mac.start().unwrap_err();
    let ManagerError::NotAlive { state, .. } = error else { panic!("{error}") };
    assert_eq!(state.last_exit.as_deref(), Some("exit code 7"));
}

#[test]
fn a_job_that_is_kept_alive_comes_back_from_a_kill_and_not_from_a_stop() {
    let mac = Mac::new(LONG, "<key>KeepAlive</key><true/><key>RunAtLoad</key><true/>");
    let first = mac.start().unwrap();
    kill_group(first.pid);
    first.wait_for_end();
    let until = Instant::now() + WITHIN;
    let state = loop {
        let state = mac.state();
        if state.pid.is_some() || Instant::now() > until {
            break state;
        }
        thread::sleep(Duration::from_millis(20));
    };
    let second = state.pid.unwrap();
    assert_ne!(first, second);
    assert_eq!(state.restarts, Some(1), "launchd has started it again");
    mac.stop().unwrap();
    assert!(!second.is_alive());
    assert_eq!(mac.state().loaded, Loaded::No);
}

#[test]
fn a_program_that_ignores_the_stop_is_killed_when_asked() {
    let program = "trap : TERM; while :; do sleep 0.05; done";
    let mac = Mac::new(program, "<key>RunAtLoad</key><true/>");
    let process = mac.start().unwrap();
    let within = Duration::from_millis(1500);
    let error = service_manager::stop(&mac.tools, &mac.job(), within).unwrap_err();
    assert!(matches!(error, ManagerError::TimedOut { .. }), "{error}");
    assert!(process.is_alive());
    assert_eq!(mac.state().active, Active::Stopping);
    service_manager::kill(&mac.tools, &mac.job(), WITHIN).unwrap();
    assert!(!process.is_alive());
    assert_eq!(mac.state().loaded, Loaded::No);
}

#[test]
fn a_disabled_job_is_said_to_be_and_is_not_enabled() {
    let mac = Mac::new(LONG, "<key>RunAtLoad</key><true/>");
    mac.knob(&format!("disabled-{LABEL}"), "");
    let error = mac.start().unwrap_err();
    let ManagerError::Disabled { remedy, .. } = &error else { panic!("{error}") };
    assert_eq!(*remedy, format!("launchctl enable gui/{}/{LABEL}", getuid().as_raw()));
    assert!(!mac.calls().contains("enable "));
}

#[test]
fn without_a_session_at_the_screen_the_users_own_domain_is_used() {
    let mac = Mac::new(LONG, "<key>RunAtLoad</key><true/>");
    mac.knob("no-gui", "");
    assert!(mac.start().unwrap().is_alive());
    assert!(mac.calls().contains(&format!("bootstrap user/{} ", getuid().as_raw())));
    mac.stop().unwrap();
}

#[test]
fn a_user_without_any_domain_is_unreachable_and_not_down() {
    let mac = Mac::new(LONG, "");
    mac.knob("no-gui", "");
    mac.knob("no-user", "");
    let error = service_manager::state(&mac.tools, &mac.job(), WITHIN).unwrap_err();
    assert!(error.is_unknown(), "{error}");
    assert!(matches!(error, ManagerError::Unreachable { .. }), "{error}");
}

#[test]
fn a_job_that_would_not_load_again_is_not_unloaded() {
    let mac = Mac::new(LONG, "<key>RunAtLoad</key><true/>");
    let process = mac.start().unwrap();
    fs::rename(&mac.plist, mac.folder.path().join("gone.plist")).unwrap();
    let kill = service_manager::kill(&mac.tools, &mac.job(), WITHIN);
    for error in [mac.stop().unwrap_err(), kill.unwrap_err()] {
        assert!(matches!(error, ManagerError::NoWayBack { .. }), "{error}");
    }
    assert!(process.is_alive());
    assert!(!mac.calls().contains("bootout"));
}

#[test]
fn a_name_that_would_mean_a_whole_domain_reaches_no_tool() {
    let mac = Mac::new(LONG, "");
    for label in ["", "a/b"] {
        let job = Job::Launchd { label, plist: &mac.plist, scope: Scope::User };
        let error = service_manager::stop(&mac.tools, &job, WITHIN).unwrap_err();
        assert!(matches!(error, ManagerError::Name { .. }), "{error}");
    }
    assert_eq!(mac.calls(), "");
}

#[test]
fn the_tool_is_found_on_the_path_that_is_given() {
    let mac = Mac::new(LONG, "<key>RunAtLoad</key><true/>");
    let bin = mac.folder.path().join("bin");
    fs::create_dir(&bin).unwrap();
    let script = format!("#!/bin/sh\nexec {} \"$@\"\n", mac.tools.launchctl.join(" "));
    let tool = bin.join("launchctl");
    // Written by another process: one that is started meanwhile must not inherit it open.
    let write = r#"printf %s "$1" >"$2" && chmod 755 "$2""#;
    let status = Command::new("sh").args(["-c", write, "sh", &script]).arg(&tool).status();
    assert!(status.unwrap().success());
    let path = format!("{}:{}", bin.display(), env::var("PATH").unwrap());
    let tools = Tools { path: Some(path), ..Tools::default() };
    assert!(service_manager::start(&tools, &mac.job(), WITHIN).unwrap().is_alive());
}
