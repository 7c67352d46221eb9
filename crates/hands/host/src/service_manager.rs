//! Another keeper's programs: start, stop, restart and state through `systemctl` and `launchctl`.
//!
//! A service manager's word is not a proof. What is started counts once a living process has been
//! read back and has stayed, what is stopped once none is left, and a manager that does not answer
//! says nothing about what it keeps: unknown is not down. Whether the program *works* is the
//! business of a probe.
//!
//! Nothing is rendered, enabled or installed here, and no secret is passed on. Everything blocks
//! its thread, for `within` at most.
pub mod launchd;
pub mod systemd;
mod tool;

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use std::{io, thread};

use sanctum_model::{Keeper, Scope};

use crate::process::Identity;

/// A program that is alive this long after it was first seen has started; one that ends sooner
/// has not.
pub const SETTLE: Duration = Duration::from_millis(300);
/// How often a manager is asked again while something is to change.
const POLL_INTERVAL: Duration = Duration::from_millis(100);

/// How the managers' tools are called.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tools {
    /// The words before the arguments of `systemctl`, itself among them.
    pub systemctl: Vec<String>,
    /// The words before the arguments of `launchctl`, itself among them.
    pub launchctl: Vec<String>,
    /// Where tools are looked for, as in `PATH`; nothing for the path of this process.
    pub path: Option<String>,
}

impl Default for Tools {
    fn default() -> Self {
        Self {
            systemctl: vec!["systemctl".to_owned()],
            launchctl: vec!["launchctl".to_owned()],
            path: None,
        }
    }
}

/// What another keeper keeps for us.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Job<'a> {
    /// A unit of systemd's.
    Systemd {
        /// Its name, as `nginx.service`.
        unit: &'a str,
        /// Whose manager.
        scope: Scope,
    },
    /// A job of launchd's.
    Launchd {
        /// Its label.
        label: &'a str,
        /// The property list by which it is loaded when it is not.
        plist: &'a Path,
        /// Whose domain.
        scope: Scope,
    },
}

impl<'a> Job<'a> {
    /// What this keeper keeps; nothing if we keep it ourselves.
    pub fn of(keeper: &'a Keeper) -> Option<Self> {
        match keeper {
            Keeper::Own => None,
            Keeper::Systemd { unit, scope } => Some(Self::Systemd { unit, scope: *scope }),
            Keeper::Launchd { label, plist, scope } => {
                Some(Self::Launchd { label, plist: Path::new(plist), scope: *scope })
            }
        }
    }

    /// Its name, as its manager has it.
    pub fn name(&self) -> &'a str {
        match self {
            Self::Systemd { unit, .. } => unit,
            Self::Launchd { label, .. } => label,
        }
    }
}

/// Whether the manager has a definition of a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Loaded {
    /// It has.
    Yes,
    /// It has none: systemd finds no unit file, launchd has not been given the property list.
    No,
    /// It has one that it will not start: masked, or with a mistake in it.
    Barred,
}

/// What a manager says a job is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Active {
    /// It is on its way up.
    Starting,
    /// It runs. Only [`JobState::pid`] is a proof of that.
    Running,
    /// It is on its way down.
    Stopping,
    /// It has ended, and the manager will start it again by itself.
    Waiting,
    /// It does not run, and nobody minds.
    Ended,
    /// It does not run, and the manager calls that a failure.
    Failed,
    /// The manager uses a word that is not known here.
    Unclear,
}

/// What a manager says about a job, and what the system says about its process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JobState {
    /// Whether the manager has a definition of it.
    pub loaded: Loaded,
    /// What it is doing.
    pub active: Active,
    /// Its process, if it is alive.
    pub pid: Option<Identity>,
    /// How it last ended, in the manager's terms: `exit code 3`, `signal Killed: 9`.
    pub last_exit: Option<String>,
    /// How often the manager has started it again by itself, where it tells.
    pub restarts: Option<u32>,
    /// The manager's own words for it, for a reader: `active (running)`.
    pub word: String,
}

impl JobState {
    /// Whether no process of it is left, and none is about to be.
    pub fn is_at_rest(&self) -> bool {
        self.pid.is_none() && matches!(self.active, Active::Ended | Active::Failed)
    }
}

/// Why a manager did not do, or did not say, what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum ManagerError {
    /// The tool is not installed.
    #[error("cannot find `{tool}`")]
    ToolAbsent {
        /// The tool.
        tool: String,
    },
    /// The tool is there and cannot be run.
    #[error("cannot run `{tool}`")]
    Run {
        /// The tool.
        tool: String,
        /// The cause.
        source: io::Error,
    },
    /// The manager cannot be reached. That says nothing about its jobs.
    #[error("cannot reach {manager}: {words}")]
    Unreachable {
        /// The manager.
        manager: &'static str,
        /// What its tool said.
        words: String,
    },
    /// The time is up. What was asked for may still happen.
    #[error("cannot {what} in time")]
    TimedOut {
        /// What was asked for.
        what: String,
    },
    /// The manager has no such job.
    #[error("cannot find `{name}`: {manager} does not know it")]
    Unknown {
        /// The job.
        name: String,
        /// The manager.
        manager: &'static str,
    },
    /// A name that a manager would not read as that of one job.
    #[error("cannot use `{name}` as the name of a job")]
    Name {
        /// The name.
        name: String,
    },
    /// Somebody has forbidden the job to run; that is theirs to undo.
    #[error("cannot start `{name}`: it is disabled; `{remedy}` allows it again")]
    Disabled {
        /// The job.
        name: String,
        /// The command that allows it again.
        remedy: String,
    },
    /// The job would not come back: it must not be unloaded.
    #[error("cannot unload `{name}`: `{plist}` would not load it again: {why}", plist = plist.display())]
    NoWayBack {
        /// The job.
        name: String,
        /// The property list.
        plist: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// The manager said no.
    #[error("cannot {what}: {words}")]
    Refused {
        /// What was asked for.
        what: String,
        /// What its tool said.
        words: String,
    },
    /// The manager has started it, and no process of it has stayed.
    #[error("cannot see `{name}` run: it is {word}{last}", word = state.word, last = last(state))]
    NotAlive {
        /// The job.
        name: String,
        /// What the manager says about it.
        state: Box<JobState>,
    },
}

impl ManagerError {
    /// Whether it leaves open how the job is, so that nobody may conclude that it is down.
    pub fn is_unknown(&self) -> bool {
        match self {
            Self::ToolAbsent { .. }
            | Self::Run { .. }
            | Self::Unreachable { .. }
            | Self::TimedOut { .. } => true,
            Self::Unknown { .. }
            | Self::Name { .. }
            | Self::Disabled { .. }
            | Self::NoWayBack { .. }
            | Self::Refused { .. }
            | Self::NotAlive { .. } => false,
        }
    }
}

fn last(state: &JobState) -> String {
    state.last_exit.as_ref().map(|exit| format!(", last {exit}")).unwrap_or_default()
}

/// What a job is doing now.
///
/// # Errors
///
/// [`ManagerError`]; a job that the manager does not know is none, it is [`Loaded::No`].
pub fn state(tools: &Tools, job: &Job<'_>, within: Duration) -> Result<JobState, ManagerError> {
    let deadline = Deadline::after(within);
    match *job {
        Job::Systemd { unit, scope } => systemd::Manager::new(tools, scope).state(unit, deadline),
        Job::Launchd { label, scope, .. } => {
            launchd::Manager::new(tools, scope).state(label, deadline)
        }
    }
}

/// Starts a job, and returns once a process of it has lived for [`SETTLE`]. One that already runs
/// is left as it is.
///
/// # Errors
///
/// [`ManagerError`].
pub fn start(tools: &Tools, job: &Job<'_>, within: Duration) -> Result<Identity, ManagerError> {
    let deadline = Deadline::after(within);
    match *job {
        Job::Systemd { unit, scope } => systemd::Manager::new(tools, scope).start(unit, deadline),
        Job::Launchd { label, plist, scope } => {
            launchd::Manager::new(tools, scope).start(label, plist, deadline)
        }
    }
}

/// Starts a job anew: what ran before has ended, and a process that is another one has lived for
/// [`SETTLE`].
///
/// # Errors
///
/// [`ManagerError`].
pub fn restart(tools: &Tools, job: &Job<'_>, within: Duration) -> Result<Identity, ManagerError> {
    let deadline = Deadline::after(within);
    match *job {
        Job::Systemd { unit, scope } => systemd::Manager::new(tools, scope).restart(unit, deadline),
        Job::Launchd { label, plist, scope } => {
            launchd::Manager::new(tools, scope).restart(label, plist, deadline)
        }
    }
}

/// Stops a job, and returns once no process of it is left and the manager will start none.
///
/// # Errors
///
/// [`ManagerError`].
pub fn stop(tools: &Tools, job: &Job<'_>, within: Duration) -> Result<(), ManagerError> {
    let deadline = Deadline::after(within);
    match *job {
        Job::Systemd { unit, scope } => systemd::Manager::new(tools, scope).stop(unit, deadline),
        Job::Launchd { label, plist, scope } => {
            launchd::Manager::new(tools, scope).stop(label, plist, deadline)
        }
    }
}

/// Stops a job with SIGKILL: for one that [`stop`] could not end in time.
///
/// # Errors
///
/// [`ManagerError`].
pub fn kill(tools: &Tools, job: &Job<'_>, within: Duration) -> Result<(), ManagerError> {
    let deadline = Deadline::after(within);
    match *job {
        Job::Systemd { unit, scope } => systemd::Manager::new(tools, scope).kill(unit, deadline),
        Job::Launchd { label, plist, scope } => {
            launchd::Manager::new(tools, scope).kill(label, plist, deadline)
        }
    }
}

/// The moment by which an answer is wanted.
#[derive(Clone, Copy, Debug)]
struct Deadline(Instant);

impl Deadline {
    fn after(time: Duration) -> Self {
        Self(Instant::now() + time)
    }

    fn left(self) -> Duration {
        self.0.saturating_duration_since(Instant::now())
    }

    /// The nearer of this one and `time` from now.
    fn at_most(self, time: Duration) -> Self {
        Self(self.0.min(Instant::now() + time))
    }

    /// Waits before the next look.
    ///
    /// # Errors
    ///
    /// [`ManagerError::TimedOut`] if the time is up.
    fn pause(self, what: impl FnOnce() -> String) -> Result<(), ManagerError> {
        thread::sleep(POLL_INTERVAL.min(self.left()));
        if self.left().is_zero() { Err(ManagerError::TimedOut { what: what() }) } else { Ok(()) }
    }
}

/// Whether a process stays alive for [`SETTLE`].
fn settles(process: &Identity) -> bool {
    let until = Instant::now() + SETTLE;
    while process.is_alive() {
        let left = until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return true;
        }
        thread::sleep(left.min(POLL_INTERVAL));
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_component_of_our_own_is_nobody_elses_job() {
        assert_eq!(Job::of(&Keeper::Own), None);
        let keeper = Keeper::Systemd { unit: "nginx.service".to_owned(), scope: Scope::System };
        let job = Job::of(&keeper).unwrap();
        assert_eq!(job, Job::Systemd { unit: "nginx.service", scope: Scope::System });
        assert_eq!(job.name(), "nginx.service");
    }

    #[test]
    fn a_tool_that_is_not_there_says_nothing_about_the_job() {
        let tools = Tools { path: Some("/nowhere".to_owned()), ..Tools::default() };
        let unit = Job::Systemd { unit: "nginx.service", scope: Scope::User };
        let label =
            Job::Launchd { label: "a.b", plist: Path::new("/a.plist"), scope: Scope::System };
        for (job, tool) in [(unit, "systemctl"), (label, "launchctl")] {
            let error = state(&tools, &job, Duration::from_secs(5)).unwrap_err();
            assert!(error.is_unknown());
            assert_eq!(error.to_string(), format!("cannot find `{tool}`"));
        }
    }

    #[test]
    fn a_job_that_did_not_stay_says_how_it_ended() {
        let state = JobState {
            loaded: Loaded::Yes,
            active: Active::Failed,
            pid: None,
            last_exit: Some("exit code 3".to_owned()),
            restarts: Some(0),
            word: "failed (exit-code)".to_owned(),
        };
        assert!(state.is_at_rest());
        let error = ManagerError::NotAlive { name: "a.service".to_owned(), state: state.into() };
        assert_eq!(
            error.to_string(),
            "cannot see `a.service` run: it is failed (exit-code), last exit code 3"
        );
        assert!(!error.is_unknown());
    }
}
