//! What the dead-man's switch did: a line of chitti each, and a word on standard error for a few.

use std::fmt::Write as _;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{self, SyncSender};
use std::thread;
use std::time::Duration;

use crate::clock;

/// Who speaks.
const COMPONENT: &str = "castellan-deadman";
/// What is kept of the details of one event.
const DETAIL_CHARACTERS_MAX: usize = 2000;
/// How often the lock of the journal is tried for, and how long it is waited for between.
const LOCK_TRIES: u32 = 10;
const LOCK_WAIT: Duration = Duration::from_millis(5);
/// How often a journal that is rotated under our hands is opened again.
const REOPEN_MAX: u32 = 3;
/// Words that may wait for standard error. It may be a pipe that nobody reads.
const WORDS_MAX: usize = 32;

/// Where the lines go. Cheap to clone, and of use to several threads.
#[derive(Clone, Debug)]
pub(crate) struct Journal {
    path: PathBuf,
    words: SyncSender<String>,
}

impl Journal {
    pub(crate) fn at(path: impl Into<PathBuf>) -> Self {
        let (words, heard) = mpsc::sync_channel::<String>(WORDS_MAX);
        thread::spawn(move || {
            for word in heard {
                writeln!(io::stderr(), "{word}").ok();
            }
        });
        Self { path: path.into(), words }
    }

    /// Writes down what happened. What cannot be written is at least said: a full disk must not
    /// stop the switch.
    pub(crate) fn add(&self, what: &str, detail: &str) {
        let detail: String = detail.chars().take(DETAIL_CHARACTERS_MAX).collect();
        let line = line(clock::wall_ms(), what, &detail);
        self.say(format!("{what}: {detail}"));
        if let Err(error) = append(&self.path, &line) {
            self.say(format!("cannot write `{}`: {error}", self.path.display()));
        }
    }

    /// Says a word on standard error, or drops it if nobody listens. Never blocks.
    fn say(&self, word: String) {
        self.words.try_send(word).ok();
    }
}

/// Creates a directory for its owner alone, and not what it is in: a state directory that was taken
/// away is not made again.
///
/// # Errors
///
/// As the system gives them.
pub(crate) fn make_private_directory(path: &Path) -> io::Result<()> {
    match DirBuilder::new().mode(0o700).create(path) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
        Ok(()) | Err(_) => Ok(()),
    }
}

/// Replaces a file as a whole, for its owner alone, so that it is the old one or the new one
/// whenever we die.
///
/// # Errors
///
/// As the system gives them.
pub(crate) fn replace(path: &Path, text: &str) -> io::Result<()> {
    make_private_directory(path.parent().unwrap_or(Path::new("/")))?;
    let beside = path.with_extension("new");
    match fs::remove_file(&beside) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        Ok(()) | Err(_) => {}
    }
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&beside)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    fs::rename(&beside, path)?;
    File::open(path.parent().unwrap_or(Path::new("/")))?.sync_all()
}

fn line(at_ms: u64, what: &str, detail: &str) -> String {
    format!(
        "{{\"sequence\":0,\"at_ms\":{at_ms},\"component\":\"{COMPONENT}\",\"what\":\"{}\",\
         \"detail\":\"{}\"}}\n",
        escape(what),
        escape(detail)
    )
}

/// A text as it stands between the quotes of JSON.
fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '"' => escaped.push_str("\\\""),
            '\\' => escaped.push_str("\\\\"),
            '\n' => escaped.push_str("\\n"),
            '\r' => escaped.push_str("\\r"),
            '\t' => escaped.push_str("\\t"),
            control if control < ' ' => {
                write!(escaped, "\\u{:04x}", u32::from(control)).expect("a text takes more text");
            }
            other => escaped.push(other),
        }
    }
    escaped
}

/// Appends a line with one write. Who rotates the journal does so under its lock, so a file that
/// is not at its place any more when we have the lock is not the journal any more.
fn append(path: &Path, line: &str) -> io::Result<()> {
    for _ in 0..REOPEN_MAX {
        make_private_directory(path.parent().unwrap_or(Path::new("/")))?;
        let mut file = OpenOptions::new().append(true).create(true).mode(0o600).open(path)?;
        lock_soon(&file);
        if is_at(&file, path) {
            return file.write_all(line.as_bytes());
        }
    }
    Err(io::Error::other("it is rotated again and again"))
}

fn lock_soon(file: &File) {
    for _ in 0..LOCK_TRIES {
        if file.try_lock().is_ok() {
            return;
        }
        thread::sleep(LOCK_WAIT);
    }
}

/// Whether the path still leads to this file.
pub(crate) fn is_at(file: &File, path: &Path) -> bool {
    match (file.metadata(), fs::metadata(path)) {
        (Ok(one), Ok(other)) => (one.dev(), one.ino()) == (other.dev(), other.ino()),
        (Ok(_) | Err(_), _) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whatever_is_said_stands_in_one_line_of_json() {
        let said = line(7, "stale", "a \"b\" \\ c\nd\r\te\0\u{1b}\u{7f} é🦀");
        let expected = "{\"sequence\":0,\"at_ms\":7,\"component\":\"castellan-deadman\",\
            \"what\":\"stale\",\"detail\":\"a \\\"b\\\" \\\\ c\\nd\\r\\te\\u0000\\u001b\u{7f} é🦀\"}\n";
        assert_eq!(said, expected);
        let all: String = ('\0'..='\u{7f}').collect();
        let said = line(7, "stale", &all);
        assert!(said.trim_end_matches('\n').chars().all(|c| c >= ' '), "{said:?}");
    }

    #[test]
    fn lines_of_several_threads_do_not_mix() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("chitti/events.jsonl");
        let writers: Vec<_> = (0..4)
            .map(|_| {
                let journal = Journal::at(&path);
                thread::spawn(move || (0..25).for_each(|_| journal.add("what", "x")))
            })
            .collect();
        for writer in writers {
            writer.join().unwrap();
        }
        let text = fs::read_to_string(&path).unwrap();
        assert_eq!(text.lines().count(), 100);
        assert!(text.lines().all(|line| line.starts_with('{') && line.ends_with("\"}")));
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
    }

    #[test]
    fn a_file_is_replaced_as_a_whole_and_for_its_owner_alone() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("deadman/state");
        replace(&path, "one").unwrap();
        fs::write(path.with_extension("new"), "left behind").unwrap();
        replace(&path, "two").unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "two");
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
        assert!(!path.with_extension("new").exists());
    }
}
