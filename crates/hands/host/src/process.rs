//! Processes by identity, and groups of them.
//!
//! A process id alone says nothing: it is used again. Here a process is its id *and* the moment
//! it started, and no signal is sent to one that does not match.

use std::os::fd::OwnedFd;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, Stdio};
use std::time::Duration;
use std::{fs, io, process, thread};

use rustix::process::{Pid, Signal, kill_process_group, test_kill_process_group};
use sanctum_model::Command;
use serde::{Deserialize, Serialize};

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
#[error("cannot start `{program}`")]
pub struct SpawnError {
    program: String,
    source: io::Error,
}

/// Starts a program as the leader of a new process group, without input, both its outputs into
/// `output`.
///
/// # Errors
///
/// [`SpawnError`].
pub fn spawn(command: &Command, output: OwnedFd) -> Result<Child, SpawnError> {
    let start = || {
        process::Command::new(&command.program)
            .args(&command.arguments)
            .envs(command.environment.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null())
            .stderr(output.try_clone()?)
            .stdout(output)
            .process_group(0)
            .spawn()
    };
    start().map_err(|source| SpawnError { program: command.program.clone(), source })
}

impl Identity {
    /// The process that has this id now; nothing if none has, or if it has ended and only waits
    /// to be collected.
    pub fn of(pid: u32) -> Option<Self> {
        Some(Self { pid, started: look::started(pid)? })
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

/// Whether the system gives us what our children leave behind, once it is asked to.
pub const ORPHANS_ARE_OURS: bool = cfg!(target_os = "linux");

/// Makes what our children start and leave behind ours to collect, and so ours to find, where the
/// system has a word for it.
pub fn collect_orphans() {
    #[cfg(target_os = "linux")]
    rustix::process::set_child_subreaper(Some(rustix::process::getpid())).ok();
}

/// Our children that are not `known`: what those we started have started and left behind. Empty
/// where the system gives them to somebody else.
pub fn orphans(known: impl Fn(u32) -> bool) -> Vec<u32> {
    if ORPHANS_ARE_OURS {
        let children =
            listed_children().unwrap_or_else(|| pids().filter(|pid| is_child(*pid)).collect());
        children.into_iter().filter(|pid| !known(*pid)).collect()
    } else {
        Vec::new()
    }
}

/// As the kernel lists them, if it was built to.
fn listed_children() -> Option<Vec<u32>> {
    let mut children = Vec::new();
    for task in fs::read_dir("/proc/self/task").ok()?.flatten() {
        let list = fs::read_to_string(task.path().join("children")).ok()?;
        children.extend(list.split_ascii_whitespace().filter_map(|pid| pid.parse::<u32>().ok()));
    }
    Some(children)
}

/// Asks for the end of a process without waiting for it or taking it: refused for a stranger's.
#[cfg(target_os = "linux")]
fn is_child(pid: u32) -> bool {
    use rustix::process::{WaitId, WaitIdOptions, waitid};
    let look = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
    raw(pid).is_some_and(|pid| waitid(WaitId::Pid(pid), look).is_ok())
}

#[cfg(not(target_os = "linux"))]
fn is_child(_: u32) -> bool {
    false
}

/// A variable of a process, as it had it when it was started; nothing if it has none of that name,
/// or where the system does not tell.
pub fn variable_of(pid: u32, name: &str) -> Option<String> {
    look::variable(pid, name)
}

/// Every living process that has the variable `name` set to `value`, as it had it when it was
/// started. Empty where the system does not tell.
pub fn marked(name: &str, value: &str) -> Vec<u32> {
    look::marked(name, value)
}

/// The group of a process that has not ended.
pub fn group_of(pid: u32) -> Option<u32> {
    look::group(pid)
}

/// The processor time that a process and those it has collected have used, in hundredths of a
/// second.
pub fn processor_ticks(pid: u32) -> u64 {
    look::ticks(pid)
}

/// Sends SIGTERM to one process, known to be the one that is meant.
pub fn terminate(pid: u32) {
    signal_process(pid, Signal::TERM);
}

/// Sends SIGKILL to one process, known to be the one that is meant.
pub fn kill(pid: u32) {
    signal_process(pid, Signal::KILL);
}

fn signal_process(pid: u32, signal: Signal) {
    if let Some(pid) = raw(pid) {
        rustix::process::kill_process(pid, signal).ok();
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

fn pids() -> impl Iterator<Item = u32> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok())
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

/// What one process is like, by `/proc`.
#[cfg(target_os = "linux")]
mod look {
    use std::fs;

    use super::{ENDED, group_of_stat, pids, stat_after_name};

    /// The 22nd field of `/proc/PID/stat`, in clock ticks since boot.
    pub(super) fn started(pid: u32) -> Option<String> {
        let stat = stat_after_name(pid)?;
        let mut fields = stat.split(' ');
        if ENDED.contains(&fields.next()?) {
            return None;
        }
        fields.nth(18).map(str::to_owned)
    }

    pub(super) fn variable(pid: u32, name: &str) -> Option<String> {
        let variables = fs::read(format!("/proc/{pid}/environ")).ok()?;
        let prefix = format!("{name}=");
        let value =
            variables.split(|byte| *byte == 0).find_map(|it| it.strip_prefix(prefix.as_bytes()));
        String::from_utf8(value?.to_vec()).ok()
    }

    pub(super) fn marked(name: &str, value: &str) -> Vec<u32> {
        let is_marked =
            |pid: &u32| variable(*pid, name).as_deref() == Some(value) && group(*pid).is_some();
        pids().filter(is_marked).collect()
    }

    pub(super) fn group(pid: u32) -> Option<u32> {
        group_of_stat(&stat_after_name(pid)?)
    }

    pub(super) fn ticks(pid: u32) -> u64 {
        let ticks = |stat: String| {
            let used = stat.split(' ').skip(11).take(4);
            used.map(|field| field.parse::<u64>().unwrap_or(0)).sum()
        };
        stat_after_name(pid).map_or(0, ticks)
    }
}

/// What one process is like, by `ps`.
#[cfg(not(target_os = "linux"))]
mod look {
    use crate::ps;

    pub(super) fn started(pid: u32) -> Option<String> {
        ps::state_of(pid).map(|state| state.started)
    }

    pub(super) use ps::variable_of as variable;

    pub(super) fn marked(name: &str, value: &str) -> Vec<u32> {
        ps::find(&format!("{name}={value}")).into_iter().map(|process| process.pid).collect()
    }

    pub(super) fn group(pid: u32) -> Option<u32> {
        ps::state_of(pid).map(|state| state.group)
    }

    pub(super) fn ticks(pid: u32) -> u64 {
        ps::state_of(pid).map_or(0, |state| state.ticks)
    }
}

/// The fields of `/proc/PID/stat` from the third one, the state, on. The name in the second field
/// may hold anything, a closing parenthesis too, so fields are counted after the last one.
fn stat_after_name(pid: u32) -> Option<String> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    Some(stat.rsplit_once(") ")?.1.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sleep_for_long() -> Child {
        spawn(&Command::new("sleep").argument("600"), nowhere()).unwrap()
    }

    fn nowhere() -> OwnedFd {
        fs::File::create("/dev/null").unwrap().into()
    }

    #[test]
    fn a_process_is_known_by_its_start_and_not_by_its_number() {
        let mut child = sleep_for_long();
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
        let script = "sleep 600 & exit 3";
        let mut child = spawn(&Command::new("sh").arguments(["-c", script]), nowhere()).unwrap();
        assert_eq!(child.wait().unwrap().code(), Some(3));
        assert!(!is_group_empty(child.id()));
        clear_group(child.id());
        assert!(is_group_empty(child.id()));
    }

    #[test]
    fn one_that_only_waits_to_be_collected_is_not_left_in_its_group() {
        let mut child = sleep_for_long();
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
        let mut child = spawn(&command, nowhere()).unwrap();
        child.wait().unwrap();
        let groups = |mark| -> Vec<u32> {
            marked("SANCTUM_TEST_MARK", mark).into_iter().filter_map(group_of).collect()
        };
        assert_eq!(groups(mark), [child.id()]);
        assert_eq!(groups("another"), [0; 0]);
        clear_group(child.id());
        assert_eq!(groups(mark), [0; 0]);
    }

    #[test]
    fn both_outputs_go_where_they_were_told() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("x");
        let command = Command::new("sh")
            .arguments(["-c", "echo out; echo $WORD >&2"])
            .variable("WORD", "err");
        spawn(&command, fs::File::create(&path).unwrap().into()).unwrap().wait().unwrap();
        assert_eq!(fs::read_to_string(path).unwrap(), "out\nerr\n");
    }

    #[test]
    fn a_program_that_does_not_exist_is_named() {
        let error = spawn(&Command::new("no-such-program"), nowhere()).unwrap_err();
        assert_eq!(error.to_string(), "cannot start `no-such-program`");
    }

    #[test]
    fn nobodys_group_and_everybodys_group_are_never_signalled() {
        assert!(raw(0).is_none() && raw(1).is_none());
        assert!(is_group_empty(0));
    }
}
