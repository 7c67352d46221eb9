//! Processes by identity: an id is used again, an id with the moment of its start is not.

use std::path::Path;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};
use std::{fs, io};

use crate::tool;

/// How long `ps` may take.
const PS_MAX: Duration = Duration::from_secs(5);
/// How often the end of a process is looked for.
const POLL: Duration = Duration::from_millis(10);

/// A process, so that another one with the same id is not mistaken for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Identity {
    pub(crate) pid: u32,
    /// In the words of the system; only to be compared.
    pub(crate) started: String,
}

/// Whether a process is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Presence {
    Alive,
    /// It is gone, or has ended and only waits to be collected.
    Gone,
    /// The system does not tell.
    Unknown,
}

/// What the system says of an id.
enum Holder {
    Nobody,
    Unclear,
    Started(Vec<String>),
}

impl Identity {
    /// The process that has this id now, if one has.
    pub(crate) fn of(pid: u32) -> Option<Self> {
        match holder(pid) {
            Holder::Started(words) => Some(Self { pid, started: words.into_iter().next()? }),
            Holder::Nobody | Holder::Unclear => None,
        }
    }

    /// Parses `PID START`. The numbers 0 and 1 would mean our own group, and everybody.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let (pid, started) = text.trim().split_once(' ')?;
        let pid = pid.parse().ok().filter(|pid| *pid > 1)?;
        Some(Self { pid, started: started.trim().to_owned() })
    }

    /// Looks for this very process.
    pub(crate) fn presence(&self) -> Presence {
        match holder(self.pid) {
            Holder::Unclear => Presence::Unknown,
            Holder::Started(words) if words.contains(&self.started) => Presence::Alive,
            // `ps` writes a moment in the words of a language and a time zone.
            Holder::Started(_) if !has_proc() => Presence::Unknown,
            Holder::Nobody | Holder::Started(_) => Presence::Gone,
        }
    }

    /// Sends a signal to this very process.
    ///
    /// # Errors
    ///
    /// When it is not there, or cannot be told from another.
    pub(crate) fn signal(&self, name: &str) -> io::Result<()> {
        self.must_be_alive()?;
        tool::signal(name, &self.pid.to_string())
    }

    /// Sends a signal to every process of the group that this process leads.
    ///
    /// # Errors
    ///
    /// As [`Identity::signal`].
    pub(crate) fn signal_group(&self, name: &str) -> io::Result<()> {
        self.must_be_alive()?;
        tool::signal(name, &format!("-{}", self.pid))
    }

    /// Waits until it is gone, and says whether it is.
    pub(crate) fn is_gone_within(&self, limit: Duration) -> bool {
        let deadline = Instant::now() + limit;
        while self.presence() != Presence::Gone {
            if Instant::now() >= deadline {
                return false;
            }
            thread::sleep(POLL);
        }
        true
    }

    fn must_be_alive(&self) -> io::Result<()> {
        match self.presence() {
            Presence::Alive => Ok(()),
            Presence::Gone => Err(io::Error::other("it is not there any more")),
            Presence::Unknown => Err(io::Error::other("it cannot be told from another")),
        }
    }
}

/// Whether a process of the group `group` carries `mark` in its environment. A group's number is
/// not given to a new process while anybody is in it.
pub(crate) fn has_marked_member(group: u32, mark: &str) -> bool {
    let Ok(entries) = fs::read_dir("/proc") else { return false };
    let pids = entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    pids.into_iter().any(|pid: u32| {
        let is_member = fields(pid)
            .ok()
            .and_then(|fields| fields.get(2)?.parse::<u32>().ok())
            .is_some_and(|found| found == group);
        is_member
            && fs::read(format!("/proc/{pid}/environ"))
                .is_ok_and(|bytes| bytes.split(|byte| *byte == 0).any(|it| it == mark.as_bytes()))
    })
}

fn holder(pid: u32) -> Holder {
    if !has_proc() {
        return holder_by_ps(pid);
    }
    match fields(pid) {
        Ok(fields) => match (fields.first().map(String::as_str), fields.get(19)) {
            (Some("Z" | "X" | "x"), _) => Holder::Nobody,
            (Some(_), Some(started)) => Holder::Started(vec![started.clone()]),
            (_, _) => Holder::Unclear,
        },
        // The second: it has ended between the opening and the reading.
        Err(error) if error.kind() == io::ErrorKind::NotFound || is_no_process(&error) => {
            Holder::Nobody
        }
        Err(_) => Holder::Unclear,
    }
}

/// ESRCH, on every system that has it.
fn is_no_process(error: &io::Error) -> bool {
    const ESRCH: i32 = 3;
    error.raw_os_error() == Some(ESRCH)
}

fn has_proc() -> bool {
    Path::new("/proc/self/stat").exists()
}

/// The fields of `/proc/PID/stat` after the name, which may hold anything.
fn fields(pid: u32) -> io::Result<Vec<String>> {
    let bytes = fs::read(format!("/proc/{pid}/stat"))?;
    let text = String::from_utf8_lossy(&bytes);
    let after = text.rsplit_once(") ").map_or("", |(_, after)| after);
    Ok(after.split_whitespace().map(str::to_owned).collect())
}

/// The moment of a start as the lease's writer may have seen it: in our own words, or in those of
/// no language and no time zone.
fn holder_by_ps(pid: u32) -> Holder {
    let ask = |plain: bool| {
        let mut ps = Command::new("/bin/ps");
        ps.args(["-o", "state=,lstart=", "-p", &pid.to_string()]);
        if plain {
            ps.envs([("LC_ALL", "C"), ("TZ", "UTC0")]);
        }
        tool::run(&mut ps, "", PS_MAX)
    };
    let mut words = Vec::new();
    for plain in [false, true] {
        let Ok(finished) = ask(plain) else { return Holder::Unclear };
        // It exits with 1, and says nothing, when there is no such process.
        match finished.output.trim().split_once(' ') {
            Some((state, _)) if state.starts_with('Z') => return Holder::Nobody,
            Some((_, started)) => words.push(started.trim().to_owned()),
            None if finished.output.trim().is_empty() && finished.errors.trim().is_empty() => {
                return Holder::Nobody;
            }
            None => return Holder::Unclear,
        }
    }
    Holder::Started(words)
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use std::process::Child;

    pub(crate) fn identity(child: &Child) -> Identity {
        Identity::of(child.id()).unwrap()
    }

    #[test]
    fn an_identity_names_one_process_and_never_everybody() {
        assert!(Identity::parse("77 123\n").is_some());
        for bad in ["", "77", "0 1", "1 1", "-1 5", "x 1"] {
            assert!(Identity::parse(bad).is_none(), "{bad}");
        }
    }

    #[test]
    fn a_process_is_known_by_its_start_and_never_by_its_number_alone() {
        let mut child = Command::new("sleep").arg("60").spawn().unwrap();
        let own = identity(&child);
        assert_eq!(own.presence(), Presence::Alive);
        let stranger = Identity { pid: own.pid, started: "1".to_owned() };
        assert_eq!(stranger.presence(), Presence::Gone);
        assert!(stranger.signal("KILL").is_err());
        assert!(stranger.signal_group("KILL").is_err());
        assert_eq!(own.presence(), Presence::Alive, "a stranger was not signalled");
        own.signal("KILL").unwrap();
        // It is dead, and not collected.
        assert!(own.is_gone_within(Duration::from_secs(10)));
        child.wait().unwrap();
        assert_eq!(own.presence(), Presence::Gone);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_member_of_a_group_is_found_by_its_mark() {
        use std::os::unix::process::CommandExt as _;
        let mut command = Command::new("sleep");
        let mut child = command.arg("60").env("A_MARK", "x y").process_group(0).spawn().unwrap();
        assert!(has_marked_member(child.id(), "A_MARK=x y"));
        assert!(!has_marked_member(child.id(), "A_MARK=x"));
        assert!(!has_marked_member(child.id() + 1, "A_MARK=x y"));
        child.kill().unwrap();
        child.wait().unwrap();
    }
}
