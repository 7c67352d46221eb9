//! Children that their starter waits for, in a program that collects whatever ends in one place.
//!
//! A supervisor collects everything that is left to it, and so would take the end of a child from
//! under a thread that waits for it. What is started here is kept for that thread.

use std::collections::BTreeMap;
use std::io;
use std::os::unix::process::ExitStatusExt as _;
use std::process::{Child, ChildStderr, ChildStdout, Command, ExitStatus};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use rustix::process::{Pid, WaitOptions, WaitStatus, wait};

use crate::process;

/// How often the end of one that was killed is looked for.
const END_INTERVAL: Duration = Duration::from_millis(5);

/// The children that are attended to, and how they ended, if they were collected.
static ATTENDED: Mutex<BTreeMap<u32, Option<WaitStatus>>> = Mutex::new(BTreeMap::new());

/// A child that its starter waits for. It is killed, with its group, when it is no longer wanted.
#[derive(Debug)]
pub struct Attended(Child);

impl Attended {
    /// Starts it.
    ///
    /// # Errors
    ///
    /// As the system gives them.
    pub fn spawn(command: &mut Command) -> io::Result<Self> {
        // Nothing is collected between its start and its being known.
        let mut attended = lock();
        let child = command.spawn()?;
        attended.insert(child.id(), None);
        Ok(Self(child))
    }

    /// What it writes, once each.
    pub fn take_streams(&mut self) -> (Option<ChildStdout>, Option<ChildStderr>) {
        (self.0.stdout.take(), self.0.stderr.take())
    }

    /// How it ended, if it has.
    ///
    /// # Errors
    ///
    /// As the system gives them.
    pub fn try_wait(&mut self) -> io::Result<Option<ExitStatus>> {
        let attended = lock();
        match attended.get(&self.0.id()).copied().flatten() {
            Some(status) => Ok(Some(ExitStatus::from_raw(status.as_raw()))),
            None => self.0.try_wait(),
        }
    }
}

impl Drop for Attended {
    fn drop(&mut self) {
        while self.try_wait().is_ok_and(|status| status.is_none()) {
            process::kill_group(self.0.id());
            thread::sleep(END_INTERVAL);
        }
        lock().remove(&self.0.id());
    }
}

/// Collects a child that has ended; nothing if none has. The ends of those that are attended to are
/// kept for who waits for them.
pub fn collect() -> Option<(Pid, WaitStatus)> {
    let mut attended = lock();
    loop {
        let (pid, status) = wait(WaitOptions::NOHANG).ok().flatten()?;
        match attended.get_mut(&pid.as_raw_nonzero().get().unsigned_abs()) {
            Some(kept) => *kept = Some(status),
            None => return Some((pid, status)),
        }
    }
}

fn lock() -> MutexGuard<'static, BTreeMap<u32, Option<WaitStatus>>> {
    ATTENDED.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::os::unix::process::CommandExt as _;
    use std::time::Instant;

    use super::*;

    /// Alone in its process, as nextest runs it: it collects every child there is.
    #[test]
    fn an_end_is_kept_for_who_waits_and_all_others_are_collected() {
        let mut attended =
            Attended::spawn(Command::new("sh").args(["-c", "exit 7"]).process_group(0)).unwrap();
        let mut other = Command::new("sh").args(["-c", "exit 8"]).spawn().unwrap();
        let until = Instant::now() + Duration::from_secs(20);
        let (pid, status) = loop {
            match collect() {
                Some(ended) => break ended,
                None => assert!(Instant::now() < until, "one ends"),
            }
            thread::sleep(END_INTERVAL);
        };
        assert_eq!(pid.as_raw_nonzero().get().unsigned_abs(), other.id());
        assert_eq!(status.exit_status(), Some(8));
        other.wait().unwrap_err(); // it was collected
        let ended = loop {
            assert_eq!(collect().map(|(pid, _)| pid), None);
            match attended.try_wait().unwrap() {
                Some(ended) => break ended,
                None => assert!(Instant::now() < until, "the other ends, too"),
            }
        };
        assert_eq!(ended.code(), Some(7));
    }

    #[test]
    fn one_that_is_no_longer_wanted_ends_with_its_group() {
        let attended = Attended::spawn(
            Command::new("sh").args(["-c", "sleep 600 & sleep 600"]).process_group(0),
        )
        .unwrap();
        let group = attended.0.id();
        drop(attended);
        let until = Instant::now() + Duration::from_secs(20);
        while !process::is_group_empty(group) {
            assert!(Instant::now() < until, "something of it is left");
        }
    }
}
