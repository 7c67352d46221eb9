//! The guest's console: kept in two bounded files, shown on demand.

use std::fs::{self, File};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use super::{GuestError, GuestPaths};

/// Bytes of the console that are kept, twice: a guest that floods it must not fill the disk.
const CONSOLE_BYTES_MAX: u64 = 1024 * 1024;
/// The time between two looks at a console that is followed.
const LOOK_INTERVAL: Duration = Duration::from_millis(250);

/// Whether to stay for what the console prints next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Follow {
    /// Show what there is.
    No,
    /// Stay, until the reader goes.
    Yes,
}

/// Writes what the guest's console printed since its start.
///
/// # Errors
///
/// [`GuestError::Absent`] when no guest was ever started here.
pub fn console(paths: &GuestPaths, follow: Follow, out: &mut dyn Write) -> Result<(), GuestError> {
    let path = paths.console_log();
    if !path.exists() {
        return Err(GuestError::Absent { directory: paths.directory().to_owned() });
    }
    let mut shown = 0;
    loop {
        let mut file = File::open(&path).map_err(GuestError::file("read", &path))?;
        let length = file.metadata().map_err(GuestError::file("read", &path))?.len();
        if length < shown {
            shown = 0; // It was begun anew.
        }
        file.seek(SeekFrom::Start(shown)).map_err(GuestError::file("read", &path))?;
        let copied = io::copy(&mut file.take(CONSOLE_BYTES_MAX), out).and_then(|copied| {
            out.flush()?;
            Ok(copied)
        });
        match copied {
            Ok(copied) => shown += copied,
            Err(_) => return Ok(()), // The reader went.
        }
        match follow {
            Follow::No => return Ok(()),
            Follow::Yes => thread::sleep(LOOK_INTERVAL),
        }
    }
}

/// Where the running guest's console goes.
pub(super) struct ConsoleLog {
    path: PathBuf,
    file: File,
    written: u64,
}

impl ConsoleLog {
    /// Begins a new log, and keeps the one before beside it.
    pub(super) fn begin(path: &Path) -> Result<Self, GuestError> {
        if path.exists() {
            fs::rename(path, older(path)).map_err(GuestError::file("rename", path))?;
        }
        let file = open(path).map_err(GuestError::file("write", path))?;
        Ok(Self { path: path.to_owned(), file, written: 0 })
    }

    /// Adds to the log. What cannot be written is lost: the guest runs on.
    pub(super) fn write(&mut self, bytes: &[u8]) {
        if self.written + bytes.len() as u64 > CONSOLE_BYTES_MAX
            && fs::rename(&self.path, older(&self.path)).is_ok()
            && let Ok(file) = open(&self.path)
        {
            self.file = file;
            self.written = 0;
        }
        if self.file.write_all(bytes).is_ok() {
            self.written += bytes.len() as u64;
        }
    }
}

/// The last lines of a console.
pub(super) fn tail(path: &Path, lines_max: usize) -> String {
    let bytes = fs::read(path).unwrap_or_default();
    let text = String::from_utf8_lossy(&bytes);
    let lines: Vec<&str> = text.lines().filter(|line| !line.trim().is_empty()).collect();
    lines[lines.len().saturating_sub(lines_max)..].join("\n")
}

fn open(path: &Path) -> io::Result<File> {
    use std::os::unix::fs::OpenOptionsExt as _;
    File::options().create(true).truncate(true).write(true).mode(0o600).open(path)
}

fn older(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".1");
    PathBuf::from(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_on_the_console_stays_within_two_files() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("console.log");
        let mut log = ConsoleLog::begin(&path).unwrap();
        for _ in 0..5 * 16 {
            log.write(&vec![b'x'; 64 * 1024]);
        }
        let sizes = [path.clone(), older(&path)].map(|path| fs::metadata(path).unwrap().len());
        assert!(sizes.iter().all(|size| *size <= CONSOLE_BYTES_MAX), "{sizes:?}");
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 2);
    }

    #[test]
    fn what_was_printed_is_shown() {
        let home = tempfile::tempdir().unwrap();
        let paths = GuestPaths::new(home.path());
        let mut out = Vec::new();
        assert!(matches!(console(&paths, Follow::No, &mut out), Err(GuestError::Absent { .. })));
        fs::create_dir_all(paths.directory()).unwrap();
        ConsoleLog::begin(&paths.console_log()).unwrap().write(b"one\ntwo\n\nthree\n");
        console(&paths, Follow::No, &mut out).unwrap();
        assert_eq!(out, b"one\ntwo\n\nthree\n");
        assert_eq!(tail(&paths.console_log(), 2), "two\nthree");
    }
}
