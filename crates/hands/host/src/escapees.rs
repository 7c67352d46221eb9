//! Children that have left their group for a session of their own, found by the mark in their
//! environment, where the system has no `/proc` to look through: on macOS, by `ps`.
//!
//! `ps -E` shows a process's environment after its arguments, to its owner and to root, and not
//! for programs that the system protects. So what is found is ours, and what is not found may
//! still be there.

/// The arguments of `ps` whose answer [`marked`] reads: every process, as wide as it is, with its
/// environment, and no heading.
pub const PS_ARGUMENTS: [&str; 3] = ["-axEww", "-o", "pid=,ppid=,pgid=,state=,command="];

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

/// Asks `ps` for the living processes with `mark` in their environment, the asker left out.
///
/// # Errors
///
/// `ps` cannot be run, or says no.
#[cfg(not(target_os = "linux"))]
pub fn find(mark: &str) -> std::io::Result<Vec<Marked>> {
    let output = std::process::Command::new("ps").args(PS_ARGUMENTS).output()?;
    if !output.status.success() {
        let words = String::from_utf8_lossy(&output.stderr).trim().to_owned();
        return Err(std::io::Error::other(format!("`ps`: {words}")));
    }
    let own = std::process::id();
    let mut found = marked(&String::from_utf8_lossy(&output.stdout), mark);
    // `ps` has inherited our environment, and the mark if we have one; it is our child and gone.
    found.retain(|process| process.pid != own && process.ppid != own);
    Ok(found)
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
}
