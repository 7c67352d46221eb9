//! What `ps` tells of processes, where the system has no `/proc` to look through: on macOS.
//!
//! `ps -E` shows a process's environment after its arguments, to its owner and to root, and not
//! for programs that the system protects. So what is found is ours, and what is not found may
//! still be there.

#[cfg(not(target_os = "linux"))]
use std::process::Command;

/// The arguments of `ps` whose answer [`marked`] reads: every process, as wide as it is, with its
/// environment, and no heading.
pub const MARKED_ARGUMENTS: [&str; 3] = ["-axEww", "-o", "pid=,ppid=,pgid=,state=,command="];
/// The columns that [`state`] reads.
pub const STATE_COLUMNS: &str = "state=,pgid=,time=,lstart=";

/// A process that has a mark in its environment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Marked {
    /// Its id.
    pub pid: u32,
    /// The id of its parent.
    pub ppid: u32,
    /// The id of its process group.
    pub group: u32,
}

/// A process that has not ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct State {
    /// The id of its process group.
    pub group: u32,
    /// The processor time it has used, in hundredths of a second.
    pub ticks: u64,
    /// The moment of its start, to the second.
    pub started: String,
}

/// The living processes in what `ps` says whose environment, or arguments, hold `mark`, as
/// `SANCTUM_COMPONENT=guest`, as a word of its own.
///
/// `ps` does not say where a value ends: a mark whose value holds a space is found, and so is one
/// that only begins like another value with a space in it.
pub fn marked(ps_text: &str, mark: &str) -> Vec<Marked> {
    ps_text.lines().filter_map(|line| parse_line(line, mark)).collect()
}

fn parse_line(line: &str, mark: &str) -> Option<Marked> {
    let (pid, rest) = next_word(line)?;
    let (parent, rest) = next_word(rest)?;
    let (group, rest) = next_word(rest)?;
    let (state, command) = next_word(rest)?;
    if state.starts_with('Z') || !holds(command, mark) {
        return None;
    }
    Some(Marked { pid: pid.parse().ok()?, ppid: parent.parse().ok()?, group: group.parse().ok()? })
}

fn next_word(text: &str) -> Option<(&str, &str)> {
    let text = text.trim_start();
    let end = text.find(char::is_whitespace).unwrap_or(text.len());
    (end > 0).then(|| text.split_at(end))
}

/// Whether `mark` stands in `text` between spaces, or between a space and its end.
fn holds(text: &str, mark: &str) -> bool {
    if mark.is_empty() {
        return false;
    }
    text.match_indices(mark).any(|(begin, _)| {
        let after = text[begin + mark.len()..].chars().next();
        text[..begin].ends_with(' ') && after.is_none_or(char::is_whitespace)
    })
}

/// The value of a variable in what `ps -E` says of one process: up to the next space.
pub fn variable(ps_text: &str, name: &str) -> Option<String> {
    let mark = format!("{name}=");
    let mut words = ps_text.split_whitespace();
    words.find_map(|word| word.strip_prefix(&mark)).map(str::to_owned)
}

/// What `ps` says of one process in [`STATE_COLUMNS`]; nothing if it has ended.
pub fn state(ps_text: &str) -> Option<State> {
    let (state, rest) = next_word(ps_text)?;
    if state.starts_with('Z') {
        return None;
    }
    let (group, rest) = next_word(rest)?;
    let (time, started) = next_word(rest)?;
    Some(State {
        group: group.parse().ok()?,
        ticks: ticks(time)?,
        started: started.trim().to_owned(),
    })
}

/// `2:05.13`, or `1:02:05.13`: hundredths of a second.
fn ticks(time: &str) -> Option<u64> {
    let (whole, hundredths) = time.split_once('.').unwrap_or((time, "0"));
    let mut seconds = 0_u64;
    for part in whole.split(':') {
        seconds = seconds.checked_mul(60)?.checked_add(part.parse().ok()?)?;
    }
    seconds.checked_mul(100)?.checked_add(hundredths.parse().ok()?)
}

/// Asks for the living processes with `mark` in their environment, the asker left out. What cannot
/// be asked has not been found.
#[cfg(not(target_os = "linux"))]
pub(crate) fn find(mark: &str) -> Vec<Marked> {
    let own = std::process::id();
    let mut found = ask(&MARKED_ARGUMENTS).map_or_else(Vec::new, |text| marked(&text, mark));
    // `ps` has inherited our environment, and the mark if we have one; it is our child and gone.
    found.retain(|process| process.pid != own && process.ppid != own);
    found
}

/// Asks for a process that has not ended.
#[cfg(not(target_os = "linux"))]
pub(crate) fn state_of(pid: u32) -> Option<State> {
    state(&ask(&["-o", STATE_COLUMNS, "-p", &pid.to_string()])?)
}

/// Asks for a variable of a process.
#[cfg(not(target_os = "linux"))]
pub(crate) fn variable_of(pid: u32, name: &str) -> Option<String> {
    variable(&ask(&["-Eww", "-o", "command=", "-p", &pid.to_string()])?, name)
}

/// In the words of no language and the time of no place: moments are compared.
#[cfg(not(target_os = "linux"))]
fn ask(arguments: &[&str]) -> Option<String> {
    let mut ps = Command::new("/bin/ps");
    let output = ps.args(arguments).envs([("LC_ALL", "C"), ("TZ", "UTC0")]).output().ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// In the form of macOS: right-aligned numbers, then the state with its flags, then arguments
    /// and environment with nothing between them.
    const PS: &str = "\
    1     0     1 Ss   /sbin/launchd
  501   312   501 S    /opt/bin/server --port 4040 HOME=/Users/a SANCTUM_KEPT_BY=/Users/a/.sanctum SANCTUM_COMPONENT=guest
  777     1   777 Ss   sh -c sleep 600 SANCTUM_COMPONENT=guest PATH=/usr/bin
  778   777   777 Z    (sleep)
  779   777   777 Z+   sleep SANCTUM_COMPONENT=guest
  780     1   780 S    sleep 600 SANCTUM_COMPONENT=guest-two
  781     1   781 S    sleep 600 MY_SANCTUM_COMPONENT=guest
 1400   312  1400 R+   (server) SANCTUM_COMPONENT=guest
  902   312   902 S    node /Users/a b/x.js SANCTUM_KEPT_BY=/Users/a b/.sanctum Z=1
not a line of ps
";

    #[test]
    fn a_process_is_found_by_its_mark_wherever_its_parent_is() {
        let guest = marked(PS, "SANCTUM_COMPONENT=guest");
        assert_eq!(
            guest,
            [
                Marked { pid: 501, ppid: 312, group: 501 },
                Marked { pid: 777, ppid: 1, group: 777 },
                Marked { pid: 1400, ppid: 312, group: 1400 },
            ]
        );
    }

    #[test]
    fn neither_a_longer_value_nor_a_longer_name_is_the_mark() {
        let two = marked(PS, "SANCTUM_COMPONENT=guest-two");
        assert_eq!(two, [Marked { pid: 780, ppid: 1, group: 780 }]);
        assert_eq!(marked(PS, "COMPONENT=guest"), []);
        assert_eq!(marked(PS, "SANCTUM_COMPONENT=gues"), []);
    }

    #[test]
    fn a_mark_with_a_space_in_it_is_found() {
        let found = marked(PS, "SANCTUM_KEPT_BY=/Users/a b/.sanctum");
        assert_eq!(found, [Marked { pid: 902, ppid: 312, group: 902 }]);
    }

    #[test]
    fn no_mark_marks_nobody() {
        assert_eq!(marked(PS, ""), []);
        assert_eq!(marked("", "SANCTUM_COMPONENT=guest"), []);
    }

    #[test]
    fn a_variable_is_a_word_of_its_own() {
        let said = "sh -c x SANCTUM_COMPONENT=guest MY_PATH=/a PATH=/usr/bin\n";
        assert_eq!(variable(said, "SANCTUM_COMPONENT").as_deref(), Some("guest"));
        assert_eq!(variable(said, "PATH").as_deref(), Some("/usr/bin"));
        assert_eq!(variable(said, "COMPONENT"), None);
    }

    #[test]
    fn a_process_has_a_group_a_time_and_a_start() {
        let said = "Ss     312   1:02:05.13 Wed Nov 25 09:00:00 2026    \n";
        let started = "Wed Nov 25 09:00:00 2026".to_owned();
        assert_eq!(state(said), Some(State { group: 312, ticks: 372_513, started }));
        assert_eq!(state("Z      312   0:00.00 Wed Nov 25 09:00:00 2026\n"), None);
        assert_eq!((state(""), ticks("x")), (None, None));
    }
}
