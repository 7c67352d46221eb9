//! Castellan's lease, as it stands on disk: `key value`, one a line.
//!
//! Nothing here is taken on trust: what is cut short, or lacks a line, is *torn*, and what is whole
//! but not meant for us is *foreign*. Neither says anything about castellan.

use std::fs::{self, File};
use std::io::{self, Read as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::time::Duration;

use crate::process::Identity;
use crate::tool;

/// A lease is a few hundred bytes; what is longer than this is none.
const BYTES_MAX: u64 = 16 * 1024;
/// The mode bits of writers other than the owner.
const WRITABLE_BY_OTHERS: u32 = 0o022;
/// The version that is understood.
const VERSION: &str = "1";

/// What one look at the lease's file gave.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Reading {
    /// There is none.
    Absent,
    /// It cannot be read, or is not whole.
    Torn(String),
    /// It is whole, and of another version or of another state directory.
    Foreign(String),
    /// It is whole.
    Lease(Box<Lease>),
}

/// What castellan says it is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    /// It keeps its components.
    Keeping,
    /// It leaves them to the next castellan, which is about to start.
    HandingOver,
    /// It was told to stop.
    Ended,
}

/// A whole lease.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Lease {
    pub(crate) state: State,
    pub(crate) identity: Identity,
    pub(crate) boot: String,
    /// Counts every renewal.
    pub(crate) beat: u64,
    /// The time since boot when it was written.
    pub(crate) at: Duration,
    pub(crate) children: u64,
    pub(crate) wanted: u64,
    pub(crate) loop_age: Duration,
    pub(crate) home: String,
    pub(crate) cache: String,
    pub(crate) program: String,
    /// What castellan was started with beside `--own-session`.
    pub(crate) arguments: Vec<String>,
}

/// Reads the lease of the state directory `home`.
pub(crate) fn read(path: &Path, home: &Path) -> Reading {
    let text = match read_text(path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Reading::Absent,
        Err(error) => return Reading::Torn(format!("it cannot be read: {error}")),
    };
    match parse(&text) {
        Reading::Lease(lease) if !is_same_place(Path::new(&lease.home), home) => {
            Reading::Foreign(format!("it is of the state directory `{}`", tool::clip(&lease.home)))
        }
        reading
        @ (Reading::Absent | Reading::Torn(_) | Reading::Foreign(_) | Reading::Lease(_)) => reading,
    }
}

/// Parses a lease. One without its last newline is torn: it may be cut anywhere.
pub(crate) fn parse(text: &str) -> Reading {
    if text.ends_with('\n')
        && let Some(version) = value(text, "version")
        && version != VERSION
    {
        return Reading::Foreign(format!("it has version {}, not {VERSION}", tool::clip(version)));
    }
    match whole(text) {
        Ok(lease) => Reading::Lease(Box::new(lease)),
        Err(why) => Reading::Torn(why),
    }
}

fn whole(text: &str) -> Result<Lease, String> {
    if !text.ends_with('\n') {
        return Err("it has no end".to_owned());
    }
    let word = |key: &str| match value(text, key) {
        Some(word) if !word.is_empty() => Ok(word.to_owned()),
        Some(_) | None => Err(format!("it has no `{key}`")),
    };
    let number =
        |key: &str| word(key)?.parse::<u64>().map_err(|_| format!("its `{key}` is no number"));
    word("version")?;
    let pid = u32::try_from(number("pid")?).ok().filter(|pid| *pid > 1);
    Ok(Lease {
        state: match word("state")?.as_str() {
            "keeping" => State::Keeping,
            "handing-over" => State::HandingOver,
            "ended" => State::Ended,
            other => return Err(format!("its state is `{}`", tool::clip(other))),
        },
        identity: Identity {
            pid: pid.ok_or("its `pid` cannot be castellan's")?,
            started: word("started")?,
        },
        boot: word("boot")?,
        beat: number("beat")?,
        at: Duration::from_millis(number("at_ms")?),
        children: number("children")?,
        wanted: number("wanted")?,
        loop_age: Duration::from_millis(number("loop_age_ms")?),
        home: word("home")?,
        cache: word("cache")?,
        program: word("program")?,
        arguments: values(text, "argument").map(str::to_owned).collect(),
    })
}

/// The file's text. What is not a plain file is not opened: it could hold us for ever.
fn read_text(path: &Path) -> io::Result<String> {
    let about = fs::metadata(path)?;
    if !about.is_file() {
        return Err(io::Error::other("it is not a file"));
    }
    // It names a program that we start.
    if about.permissions().mode() & WRITABLE_BY_OTHERS != 0 {
        return Err(io::Error::other("others may write it"));
    }
    let mut bytes = Vec::new();
    File::open(path)?.take(BYTES_MAX).read_to_end(&mut bytes)?;
    String::from_utf8(bytes).map_err(io::Error::other)
}

fn value<'a>(text: &'a str, key: &str) -> Option<&'a str> {
    values(text, key).next()
}

fn values<'a>(text: &'a str, key: &str) -> impl Iterator<Item = &'a str> {
    text.lines().filter_map(move |line| {
        let (name, value) = line.split_once(' ')?;
        (name == key).then_some(value.trim())
    })
}

fn is_same_place(one: &Path, other: &Path) -> bool {
    one == other
        || match (fs::canonicalize(one), fs::canonicalize(other)) {
            (Ok(one), Ok(other)) => one == other,
            (Ok(_) | Err(_), _) => false,
        }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) const WHOLE: &str = "version 1\nstate keeping\npid 1234\nstarted 5678\nboot b\n\
        beat 42\nat_ms 123456\nchildren 5\nwanted 6\nloop_age_ms 12\nhome /h\ncache /c\n\
        program /opt/castellan\nargument --only-declared\nsomething new\n";

    #[test]
    fn a_lease_is_read_whatever_the_order_and_whatever_is_new_in_it() {
        let Reading::Lease(lease) = parse(WHOLE) else { panic!("it is whole") };
        assert_eq!(lease.state, State::Keeping);
        assert_eq!(lease.identity, Identity { pid: 1234, started: "5678".to_owned() });
        assert_eq!((lease.beat, lease.children, lease.wanted), (42, 5, 6));
        assert_eq!(lease.at, Duration::from_millis(123_456));
        assert_eq!(lease.arguments, ["--only-declared"]);
        let mut lines: Vec<&str> = WHOLE.lines().collect();
        lines.reverse();
        assert_eq!(parse(&format!("{}\n", lines.join("\n"))), parse(WHOLE));
    }

    #[test]
    fn the_start_of_a_process_may_be_several_words() {
        let mac = WHOLE.replace("started 5678", "started Wed Nov 25 09:00:00 2026");
        let Reading::Lease(lease) = parse(&mac) else { panic!("it is whole") };
        assert_eq!(lease.identity.started, "Wed Nov 25 09:00:00 2026");
    }

    #[test]
    fn a_lease_that_is_cut_anywhere_is_torn() {
        let needed = WHOLE.find("argument").unwrap();
        for end in 0..needed {
            let reading = parse(&WHOLE[..end]);
            assert!(matches!(reading, Reading::Torn(_)), "{end}: {reading:?}");
        }
    }

    #[test]
    fn values_that_cannot_be_are_torn() {
        for (good, bad) in [
            ("pid 1234", "pid 1"),
            ("pid 1234", "pid 0"),
            ("pid 1234", "pid -7"),
            ("beat 42", "beat many"),
            ("state keeping", "state singing"),
        ] {
            assert!(matches!(parse(&WHOLE.replace(good, bad)), Reading::Torn(_)), "{bad}");
        }
    }

    #[test]
    fn another_version_is_foreign_and_not_torn() {
        let text = WHOLE.replace("version 1", "version 2");
        assert!(matches!(parse(&text), Reading::Foreign(_)));
    }

    #[test]
    fn a_lease_of_another_state_directory_is_foreign() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("lease");
        fs::write(&path, WHOLE).unwrap();
        assert!(matches!(read(&path, home.path()), Reading::Foreign(_)));
        let ours = WHOLE.replace("home /h", &format!("home {}/.", home.path().display()));
        fs::write(&path, ours).unwrap();
        assert!(matches!(read(&path, home.path()), Reading::Lease(_)));
        fs::set_permissions(&path, fs::Permissions::from_mode(0o620)).unwrap();
        assert!(matches!(read(&path, home.path()), Reading::Torn(_)), "others may write it");
    }

    #[test]
    fn what_is_no_file_is_not_opened() {
        let home = tempfile::tempdir().unwrap();
        assert!(matches!(read(home.path(), home.path()), Reading::Torn(_)));
        assert_eq!(read(&home.path().join("lease"), home.path()), Reading::Absent);
    }
}
