//! Files of lines that only grow, kept below a size: what is old is renamed, compressed and in the
//! end forgotten, and no line is lost or torn on the way.
//!
//! ```text
//! NAME      what is written now, an eighth of the whole at most
//! NAME.1    what was written before, while it is being compressed
//! NAME.1.gz NAME.2.gz …  the older ones, the newest first
//! ```
//!
//! One owner rotates. Others may append too, with [`append`] or with one `write(2)` of their own on
//! a file opened to append. A number only ever grows, so a reader that opens the files from the
//! newest to the oldest misses none, whatever the owner does meanwhile.

mod archive;
mod read;
#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::{FileExt as _, MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, SystemTime};

pub use archive::Archivist;
pub use read::{Follow, Lines, lines, lines_back};

use crate::file;
use archive::{Job, Settling};

/// Older files that are kept, however small.
pub const OLDER_MAX: u32 = 16;
/// The least a file and its older ones may take together: what is smaller is taken as this.
pub const BYTES_MAX_MIN: u64 = 1 << 20;
/// A file is rotated when it is this part of the whole. Three of the eight are kept free: for the
/// present file, for one that is being compressed, and for what it is compressed to.
const SEGMENTS: u64 = 8;
/// Tries to get the lock of a file that others write to.
const LOCK_TRIES: u32 = 50;
/// The wait between two of them. Who does not get it writes all the same: one write to a file
/// opened to append is whole without a lock too.
const LOCK_WAIT: Duration = Duration::from_millis(1);
/// Tries of the owner, who must not be kept waiting.
const OWNER_LOCK_TRIES: u32 = 8;
/// How often a file that is rotated away between opening and locking is opened again.
const REOPEN_MAX: u32 = 8;
/// What ends without a newline is torn once nobody has written for this long.
const TORN_AFTER: Duration = Duration::from_secs(1);
/// How far back the beginning of a torn line is looked for.
const TORN_BYTES_MAX: u64 = 64 << 10;

/// Who appends to a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Writers {
    /// Its owner alone.
    One,
    /// Other programs too, whole lines, each with one write.
    Several,
}

/// Lines that could not be appended.
#[derive(Debug, thiserror::Error)]
#[error("cannot write `{path}`", path = path.display())]
pub struct AppendError {
    /// The file.
    pub path: PathBuf,
    /// The bytes that were appended all the same: whole lines.
    pub kept: usize,
    /// The cause.
    pub source: io::Error,
}

/// The owner's end of a file that rotates. Opened by its first line; takes no descriptor until then
/// and none after [`close`](Self::close).
#[derive(Debug)]
pub struct RotatingFile {
    path: PathBuf,
    bytes_max: u64,
    writers: Writers,
    archivist: Archivist,
    file: Option<File>,
    pending: Option<Arc<Job>>,
    leftovers: Leftovers,
}

/// What a former owner may have left half done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Leftovers {
    Unknown,
    Cleared,
}

impl RotatingFile {
    /// A file that takes `bytes_max` of the disk at most, its older ones included. Touches nothing.
    pub fn new(path: PathBuf, bytes_max: u64, writers: Writers, archivist: Archivist) -> Self {
        let bytes_max = bytes_max.max(BYTES_MAX_MIN);
        let (file, pending, leftovers) = (None, None, Leftovers::Unknown);
        Self { path, bytes_max, writers, archivist, file, pending, leftovers }
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Appends whole lines with one write, and rotates first if they would not fit.
    ///
    /// # Errors
    ///
    /// [`AppendError`]: what it says was kept is there, the rest is not; no line is torn.
    pub fn append(&mut self, lines: &[u8]) -> Result<(), AppendError> {
        let writers = self.writers;
        let mut append = || {
            self.make_room(lines.len() as u64).map_err(nothing_kept)?;
            let file = self.opened().map_err(nothing_kept)?;
            match writers {
                Writers::One => append_to(file, lines, Cut::Allowed),
                Writers::Several => append_locked(file, lines),
            }
        };
        let done: Result<(), (usize, io::Error)> = append();
        done.map_err(|(kept, source)| AppendError { path: self.path.clone(), kept, source })
    }

    /// Gives back the descriptor. The next line opens the file again.
    pub fn close(&mut self) {
        self.file = None;
    }

    /// What the present file may take.
    fn segment_bytes(&self) -> u64 {
        self.bytes_max / SEGMENTS
    }

    /// Opens the file, if it is not open or if somebody has deleted it.
    fn opened(&mut self) -> io::Result<&mut File> {
        let gone = |file: &File| file.metadata().is_ok_and(|about| about.nlink() == 0);
        if self.file.as_ref().is_some_and(gone) {
            self.file = None;
        }
        if self.leftovers == Leftovers::Unknown {
            self.clear_leftovers();
            self.leftovers = Leftovers::Cleared;
        }
        let file = if let Some(file) = self.file.take() {
            file
        } else {
            let file = open(&self.path)?;
            mend_end(&file, self.writers)?;
            file
        };
        Ok(self.file.insert(file))
    }

    /// Finishes or undoes what a former owner was at when it ended.
    fn clear_leftovers(&mut self) {
        fs::remove_file(archive::beside(&self.path)).ok();
        let (plain, packed) = (numbered(&self.path, 1), packed(&self.path, 1));
        let Ok(about) = fs::metadata(&plain) else { return };
        if read::holds_the_same(&packed, &about) {
            fs::remove_file(&plain).ok();
        } else if !packed.exists() {
            self.pending = Some(self.archivist.push(&self.path, self.settling()));
        }
    }

    /// How long a renamed file may still be written to by others that had opened it before.
    fn settling(&self) -> Settling {
        match self.writers {
            Writers::One => Settling::Settled,
            Writers::Several => Settling::MayGrow,
        }
    }

    fn make_room(&mut self, wanted: u64) -> io::Result<()> {
        let segment = self.segment_bytes();
        let length = self.opened()?.metadata()?.len();
        if length == 0 || length + wanted <= segment {
            return Ok(());
        }
        let is_locked = match self.writers {
            Writers::One => false,
            Writers::Several => self.opened()?.try_lock().is_ok(),
        };
        // Somebody writes just now: next time. At twice the size nobody is waited for.
        let is_in_use = match self.writers {
            // The rest of its last line belongs into the same file.
            Writers::One => !ends_whole(self.opened()?)?,
            Writers::Several => !is_locked,
        };
        if is_in_use && length < 2 * segment {
            return Ok(());
        }
        let rotated = self.rotate(length);
        if rotated.is_err() && is_locked {
            self.opened()?.unlock()?;
        }
        rotated
    }

    /// Renames the present file away and hands it to the archivist.
    fn rotate(&mut self, length: u64) -> io::Result<()> {
        if let Some(job) = self.pending.take() {
            job.cancel();
        }
        self.shift()?;
        self.trim(length);
        fs::rename(&self.path, numbered(&self.path, 1))?;
        // Closing it gives up its lock: who waited for that finds another file at its path.
        self.file = None;
        self.pending = Some(self.archivist.push(&self.path, self.settling()));
        Ok(())
    }

    /// Gives each older file the next number, up to the first number that is free.
    fn shift(&self) -> io::Result<()> {
        let is_free = |number: &u32| {
            !numbered(&self.path, *number).exists() && !packed(&self.path, *number).exists()
        };
        let free = (1..=OLDER_MAX).find(is_free).unwrap_or_else(|| {
            fs::remove_file(numbered(&self.path, OLDER_MAX)).ok();
            fs::remove_file(packed(&self.path, OLDER_MAX)).ok();
            OLDER_MAX
        });
        for number in (1..free).rev() {
            rename_if_there(&packed(&self.path, number), &packed(&self.path, number + 1))?;
            rename_if_there(&numbered(&self.path, number), &numbered(&self.path, number + 1))?;
        }
        Ok(())
    }

    /// Forgets the oldest until all fits beside a file of `length` that is being compressed.
    fn trim(&self, length: u64) {
        // What does not shrink grows by less than a sixteenth when it is compressed, and a file
        // that ends in the middle of a line grows past its part.
        let kept_free = self.segment_bytes() * 3 / 2 + 2 * length + length / 16;
        let mut room = self.bytes_max.saturating_sub(kept_free);
        for number in 2..=OLDER_MAX {
            for path in [numbered(&self.path, number), packed(&self.path, number)] {
                let Ok(about) = fs::metadata(&path) else { continue };
                if let Some(left) = room.checked_sub(about.len()) {
                    room = left;
                } else {
                    // All that is older goes too: a journal has an end, and no hole.
                    room = 0;
                    fs::remove_file(&path).ok();
                }
            }
        }
    }
}

/// Appends one line, without its newline, to a file that has its owner elsewhere. Blocks its thread
/// for 50 ms at most when somebody holds the file.
///
/// # Errors
///
/// [`AppendError`]: the line is then not there.
pub fn append(path: &Path, line: &str) -> Result<(), AppendError> {
    let line = format!("{line}\n");
    append_as_guest(path, line.as_bytes()).map_err(|(kept, source)| AppendError {
        path: path.to_owned(),
        kept,
        source,
    })
}

fn append_as_guest(path: &Path, line: &[u8]) -> Result<(), (usize, io::Error)> {
    for _ in 0..REOPEN_MAX {
        let mut file = open(path).map_err(nothing_kept)?;
        let is_locked = lock_soon(&file);
        if is_at(&file, path) {
            return append_beside_others(&mut file, line, is_locked);
        }
    }
    Err(nothing_kept(io::Error::other("it is rotated again and again")))
}

fn append_locked(file: &mut File, lines: &[u8]) -> Result<(), (usize, io::Error)> {
    let is_locked = (0..OWNER_LOCK_TRIES).any(|_| {
        let is_locked = file.try_lock().is_ok();
        if !is_locked {
            thread::yield_now();
        }
        is_locked
    });
    let done = append_beside_others(file, lines, is_locked);
    if is_locked {
        file.unlock().map_err(nothing_kept)?;
    }
    done
}

/// Without the lock, what looks torn may be somebody else's line on its way.
fn append_beside_others(
    file: &mut File,
    lines: &[u8],
    is_locked: bool,
) -> Result<(), (usize, io::Error)> {
    if is_locked {
        let lines = after_torn(file, lines);
        append_to(file, &lines, Cut::Allowed)
    } else {
        append_to(file, lines, Cut::Forbidden)
    }
}

fn nothing_kept(source: io::Error) -> (usize, io::Error) {
    (0, source)
}

/// The lines, on a new line if another writer died in the middle of its own. One that does not use
/// the lock may just be writing: what is torn does not grow.
fn after_torn<'a>(file: &File, lines: &'a [u8]) -> Cow<'a, [u8]> {
    let torn_length = || match ends_whole(file) {
        Ok(true) | Err(_) => None,
        Ok(false) => file.metadata().ok().map(|about| about.len()),
    };
    if let Some(length) = torn_length() {
        thread::sleep(LOCK_WAIT);
        if torn_length() == Some(length) {
            return [b"\n", lines].concat().into();
        }
    }
    lines.into()
}

/// Whether what was written in part may be taken back: only while nobody else can have written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Cut {
    Allowed,
    Forbidden,
}

/// Appends all of it, or whole lines of it and says how many bytes these are.
fn append_to(file: &mut File, lines: &[u8], cut: Cut) -> Result<(), (usize, io::Error)> {
    let mut written = 0;
    let source = loop {
        match file.write(&lines[written..]) {
            Ok(0) => break io::ErrorKind::WriteZero.into(),
            Ok(count) => written += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => break error,
        }
        if written == lines.len() {
            return Ok(());
        }
    };
    let kept = lines[..written].iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
    if cut == Cut::Allowed && kept < written {
        // Where our own bytes end: who wrote after them without the lock is left alone.
        let end = file.stream_position().unwrap_or_default();
        if file.metadata().is_ok_and(|about| about.len() == end) {
            file.set_len(end.saturating_sub((written - kept) as u64)).ok();
        }
    }
    Err((kept, source))
}

/// Opens a file to append, for its owner alone.
fn open(path: &Path) -> io::Result<File> {
    let options = || {
        let mut options = OpenOptions::new();
        options.read(true).append(true).create(true).mode(0o600);
        options
    };
    let file = match options().open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            file::make_private_directory(path.parent().unwrap_or(Path::new("/")))?;
            options().open(path)?
        }
        other => other?,
    };
    if file.metadata()?.permissions().mode() & 0o077 != 0 {
        file.set_permissions(fs::Permissions::from_mode(0o600))?;
    }
    Ok(file)
}

fn lock_soon(file: &File) -> bool {
    (0..LOCK_TRIES).any(|_| {
        let is_locked = file.try_lock().is_ok();
        if !is_locked {
            thread::sleep(LOCK_WAIT);
        }
        is_locked
    })
}

/// Whether the path still leads to this file.
fn is_at(file: &File, path: &Path) -> bool {
    match (file.metadata(), fs::metadata(path)) {
        (Ok(one), Ok(other)) => (one.dev(), one.ino()) == (other.dev(), other.ino()),
        (Ok(_) | Err(_), _) => false,
    }
}

fn ends_whole(file: &File) -> io::Result<bool> {
    let length = file.metadata()?.len();
    let mut last = [0];
    Ok(length == 0 || (file.read_at(&mut last, length - 1)? == 1 && last == *b"\n"))
}

/// Deals with a line whose writer died in the middle of it: a component's words end there, an entry
/// of a journal is taken out, since half of it is of no use to a parser.
fn mend_end(file: &File, writers: Writers) -> io::Result<()> {
    if ends_whole(file)? {
        return Ok(());
    }
    let mut file = file;
    match writers {
        Writers::One => file.write_all(b"\n"),
        Writers::Several => {
            let about = file.metadata()?;
            let age = SystemTime::now().duration_since(about.modified()?).unwrap_or_default();
            if age < TORN_AFTER || file.try_lock().is_err() {
                return Ok(());
            }
            let from = about.len().saturating_sub(TORN_BYTES_MAX);
            let mut tail = Vec::new();
            file.seek(SeekFrom::Start(from))?;
            file.take(TORN_BYTES_MAX).read_to_end(&mut tail)?;
            let whole = tail.iter().rposition(|byte| *byte == b'\n').map(|at| at as u64 + 1);
            let length = whole.map_or(if from == 0 { 0 } else { about.len() }, |at| from + at);
            let cut = file.set_len(length);
            file.unlock()?;
            cut
        }
    }
}

/// `NAME.1`
fn numbered(path: &Path, number: u32) -> PathBuf {
    with_ending(path, &format!(".{number}"))
}

/// `NAME.1.gz`
fn packed(path: &Path, number: u32) -> PathBuf {
    with_ending(path, &format!(".{number}.gz"))
}

fn with_ending(path: &Path, ending: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(ending);
    PathBuf::from(name)
}

fn rename_if_there(from: &Path, to: &Path) -> io::Result<()> {
    match fs::rename(from, to) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        Ok(()) | Err(_) => Ok(()),
    }
}
