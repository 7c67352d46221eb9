//! Processes by identity, and groups of them.
//!
//! A process id alone says nothing: it is used again. Here a process is its id *and* the moment
//! it started, and no signal is sent to one that does not match.

use std::fs::OpenOptions;
use std::os::unix::fs::OpenOptionsExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::time::Duration;
use std::{fs, io, process, thread};

use rustix::process::{Pid, Signal, kill_process_group, test_kill_process_group};
use sanctum_model::Command;
use serde::{Deserialize, Serialize};

use crate::file;

/// A line of descent is not followed further than this.
const GENERATIONS_MAX: usize = 64;
/// How often the end of a process that is not our child is looked for where the kernel cannot
/// tell it.
const WATCH_INTERVAL: Duration = Duration::from_millis(100);

/// The states of `/proc/PID/stat` of a process that has ended and is not collected.
const ENDED: [&str; 3] = ["Z", "X", "x"];

/// A process, so that another one with the same id is not mistaken for it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    /// Its id, and that of its group.
    pub pid: u32,
    /// When it started, in the words of the system: only to be compared.
    pub started: String,
}

/// A program that cannot be started.
#[derive(Debug, thiserror::Error)]
pub enum SpawnError {
    /// Its log cannot be opened.
    #[error("cannot open the log `{path}`", path = path.display())]
    Log {
        /// The log.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
    /// The system refuses.
    #[error("cannot start `{program}`")]
    Start {
        /// The program.
        program: String,
        /// The cause.
        source: io::Error,
    },
}

/// Starts a program as the leader of a new process group, without input, its output appended to
/// `log`.
///
/// # Errors
///
/// [`SpawnError`].
pub fn spawn(command: &Command, log: &Path) -> Result<Child, SpawnError> {
    let open = || {
        if let Some(directory) = log.parent() {
            file::make_private_directory(directory)?;
        }
        let output = OpenOptions::new().append(true).create(true).mode(0o600).open(log)?;
        Ok((output.try_clone()?, output))
    };
    let (output, errors) =
        open().map_err(|source| SpawnError::Log { path: log.to_owned(), source })?;
    process::Command::new(&command.program)
        .args(&command.arguments)
        .envs(command.environment.iter().map(|(name, value)| (name, value)))
        .stdin(Stdio::null())
        .stdout(output)
        .stderr(errors)
        .process_group(0)
        .spawn()
        .map_err(|source| SpawnError::Start { program: command.program.clone(), source })
}

impl Identity {
    /// The process that has this id now; nothing if none has, or if it has ended and only waits
    /// to be collected.
    pub fn of(pid: u32) -> Option<Self> {
        let started = if Path::new("/proc/self/stat").exists() {
            started_by_proc(pid)?
        } else {
            started_by_ps(pid)?
        };
        Some(Self { pid, started })
    }

    /// Whether this very process is alive.
    pub fn is_alive(&self) -> bool {
        Self::of(self.pid).as_ref() == Some(self)
    }

    /// Waits until this process, somebody else's child, is gone. Blocks its thread.
    pub fn wait_for_end(&self) {
        #[cfg(target_os = "linux")]
        if let Some(pid) = raw(self.pid)
            && let Ok(handle) =
                rustix::process::pidfd_open(pid, rustix::process::PidfdFlags::empty())
            && self.is_alive()
        {
            let mut ends = [rustix::event::PollFd::new(&handle, rustix::event::PollFlags::IN)];
            while rustix::event::poll(&mut ends, None)
                .is_err_and(|error| error == rustix::io::Errno::INTR)
            {}
            return;
        }
        while self.is_alive() {
            thread::sleep(WATCH_INTERVAL);
        }
    }
}

/// Sends SIGTERM to every process of a group. A group that is gone has got what it was told.
pub fn terminate_group(group: u32) {
    signal_group(group, Signal::TERM);
}

/// Sends SIGKILL to every process of a group.
pub fn kill_group(group: u32) {
    signal_group(group, Signal::KILL);
}

/// Whether no process of the group is left. One that has ended and waits to be collected is not
/// left: its parent may be somebody who never collects, as the first process of a container.
pub fn is_group_empty(group: u32) -> bool {
    let Some(id) = raw(group) else { return true };
    match test_kill_process_group(id) {
        Err(error) if error == rustix::io::Errno::SRCH => true,
        Ok(()) | Err(_) => !has_living_member(group),
    }
}

/// Asked only of a group of which something is left, if only to be collected. Where the system
/// lists no processes, that is all that can be known: it lives.
fn has_living_member(group: u32) -> bool {
    if !Path::new("/proc/self/stat").exists() {
        return true;
    }
    pids().any(|pid| stat_after_name(pid).as_deref().and_then(group_of_stat) == Some(group))
}

/// Kills what is left of a group until nothing is. Blocks its thread.
pub fn clear_group(group: u32) {
    while !is_group_empty(group) {
        kill_group(group);
        thread::sleep(Duration::from_millis(5));
    }
}

/// The groups, other than our own and those of `spared` processes and all they started, in which a
/// living process has the variable `name` set to `value`, as it had it when it was started. Empty
/// where the system does not tell.
pub fn marked_groups(name: &str, value: &str, spared: &[u32]) -> Vec<u32> {
    let mark = format!("{name}={value}");
    let own = stat_after_name(process::id()).as_deref().and_then(group_of_stat);
    let marked = |pid: u32| {
        let variables = fs::read(format!("/proc/{pid}/environ")).ok()?;
        variables.split(|byte| *byte == 0).find(|variable| *variable == mark.as_bytes())?;
        let group = group_of_stat(&stat_after_name(pid)?)?;
        (!spared.contains(&group) && !descends_from(pid, spared)).then_some(group)
    };
    let mut groups: Vec<u32> = pids().filter_map(marked).collect();
    groups.retain(|group| Some(*group) != own);
    groups.sort_unstable();
    groups.dedup();
    groups
}

fn pids() -> impl Iterator<Item = u32> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok())
}

/// Whether a process is one of `ancestors` or was started by one of them, however indirectly.
fn descends_from(pid: u32, ancestors: &[u32]) -> bool {
    let parent = |pid: &u32| stat_after_name(*pid)?.split(' ').nth(1)?.parse().ok();
    let mut line = std::iter::successors(Some(pid), parent).take(GENERATIONS_MAX);
    line.any(|pid| ancestors.contains(&pid))
}

/// The group of a process that has not ended.
fn group_of_stat(stat: &str) -> Option<u32> {
    let mut fields = stat.split(' ');
    let state = fields.next()?;
    if ENDED.contains(&state) { None } else { fields.nth(1)?.parse().ok() }
}

fn signal_group(group: u32, signal: Signal) {
    if let Some(group) = raw(group) {
        // The one failure that matters, that nobody is left, is what the signal was for.
        kill_process_group(group, signal).ok();
    }
}

/// No group is 0 (that would be our own) or 1 (everybody's).
fn raw(pid: u32) -> Option<Pid> {
    i32::try_from(pid).ok().filter(|pid| *pid > 1).and_then(Pid::from_raw)
}

/// The fields of `/proc/PID/stat` from the third one, the state, on. The name in the second field
/// may hold anything, a closing parenthesis too, so fields are counted after the last one.
fn stat_after_name(pid: u32) -> Option<String> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    Some(stat.rsplit_once(") ")?.1.to_owned())
}

/// The 22nd field of `/proc/PID/stat`, in clock ticks since boot.
fn started_by_proc(pid: u32) -> Option<String> {
    let stat = stat_after_name(pid)?;
    let mut fields = stat.split(' ');
    if ENDED.contains(&fields.next()?) {
        return None;
    }
    fields.nth(18).map(str::to_owned)
}

fn started_by_ps(pid: u32) -> Option<String> {
    let output = process::Command::new("ps")
        .args(["-o", "state=,lstart=", "-p", &pid.to_string()])
        .output()
        .ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    let (state, started) = text.trim().split_once(' ')?;
    if state.starts_with('Z') { None } else { Some(started.trim().to_owned()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sleep_for_long() -> (Child, tempfile::TempDir) {
        let home = tempfile::tempdir().unwrap();
        let child =
            spawn(&Command::new("sleep").argument("600"), &home.path().join("x.log")).unwrap();
        (child, home)
    }

    #[test]
    fn a_process_is_known_by_its_start_and_not_by_its_number() {
        let (mut child, _home) = sleep_for_long();
        let identity = Identity::of(child.id()).unwrap();
        assert!(identity.is_alive());
        let namesake = Identity { started: "1".to_owned(), ..identity.clone() };
        assert!(!namesake.is_alive());
        kill_group(child.id());
        identity.wait_for_end();
        assert!(!identity.is_alive(), "a zombie is not alive");
        child.wait().unwrap();
        assert!(is_group_empty(identity.pid));
    }

    #[test]
    fn a_group_is_not_empty_while_a_grandchild_lives() {
        let home = tempfile::tempdir().unwrap();
        let script = "sleep 600 & exit 3";
        let log = home.path().join("x.log");
        let mut child = spawn(&Command::new("sh").arguments(["-c", script]), &log).unwrap();
        assert_eq!(child.wait().unwrap().code(), Some(3));
        assert!(!is_group_empty(child.id()));
        clear_group(child.id());
        assert!(is_group_empty(child.id()));
    }

    #[test]
    fn one_that_only_waits_to_be_collected_is_not_left_in_its_group() {
        let (mut child, _home) = sleep_for_long();
        let identity = Identity::of(child.id()).unwrap();
        kill_group(child.id());
        identity.wait_for_end();
        clear_group(child.id());
        assert!(is_group_empty(child.id()), "nobody has collected it");
        child.wait().unwrap();
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_group_is_found_by_its_mark_also_when_its_leader_is_gone() {
        let home = tempfile::tempdir().unwrap();
        let mark = home.path().to_str().unwrap();
        let command = Command::new("sh")
            .arguments(["-c", "sleep 600 & exit 0"])
            .variable("SANCTUM_TEST_MARK", mark);
        let mut child = spawn(&command, &home.path().join("x.log")).unwrap();
        child.wait().unwrap();
        assert_eq!(marked_groups("SANCTUM_TEST_MARK", mark, &[]), [child.id()]);
        assert_eq!(marked_groups("SANCTUM_TEST_MARK", "another", &[]), [0; 0]);
        clear_group(child.id());
        assert_eq!(marked_groups("SANCTUM_TEST_MARK", mark, &[]), [0; 0]);
    }

    #[test]
    fn output_goes_to_the_log() {
        let home = tempfile::tempdir().unwrap();
        let log = home.path().join("logs/x.log");
        let command = Command::new("sh")
            .arguments(["-c", "echo out; echo $WORD >&2"])
            .variable("WORD", "err");
        spawn(&command, &log).unwrap().wait().unwrap();
        assert_eq!(fs::read_to_string(log).unwrap(), "out\nerr\n");
    }

    #[test]
    fn a_program_that_does_not_exist_is_named() {
        let home = tempfile::tempdir().unwrap();
        let error =
            spawn(&Command::new("no-such-program"), &home.path().join("x.log")).unwrap_err();
        assert_eq!(error.to_string(), "cannot start `no-such-program`");
    }

    #[test]
    fn nobodys_group_and_everybodys_group_are_never_signalled() {
        assert!(raw(0).is_none() && raw(1).is_none());
        assert!(is_group_empty(0));
    }

    #[test]
    fn what_a_spared_process_started_in_a_group_of_its_own_is_spared_too() {
        let home = tempfile::tempdir().unwrap();
        let mark = home.path().to_str().unwrap();
        let script = "setsid sleep 600 & echo started; wait";
        let log = home.path().join("x.log");
        let command =
            Command::new("sh").arguments(["-c", script]).variable("SANCTUM_TEST_MARK", mark);
        let mut child = spawn(&command, &log).unwrap();
        let found = |spared: &[u32]| marked_groups("SANCTUM_TEST_MARK", mark, spared);
        while found(&[]).len() < 2 {
            thread::sleep(Duration::from_millis(10));
        }
        assert_eq!(found(&[child.id()]), [0; 0]);
        for group in found(&[]) {
            clear_group(group);
        }
        child.wait().unwrap();
    }
}
