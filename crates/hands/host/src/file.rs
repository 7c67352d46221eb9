//! Files that are whole or absent, and lines that are whole or absent.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

/// A file that cannot be written.
#[derive(Debug, thiserror::Error)]
#[error("cannot write `{path}`", path = path.display())]
pub struct WriteError {
    path: PathBuf,
    source: io::Error,
}

/// Writes a file of that mode so that a reader sees the old one or the new one and a power cut
/// leaves one of the two: beside it first, flushed, renamed, the directory flushed.
///
/// # Errors
///
/// [`WriteError`]; the old file is then as it was.
pub fn write_atomic(path: &Path, bytes: &[u8], mode: u32) -> Result<(), WriteError> {
    write_beside(path, bytes, mode).map_err(|source| WriteError { path: path.to_owned(), source })
}

fn write_beside(path: &Path, bytes: &[u8], mode: u32) -> io::Result<()> {
    let directory = path.parent().unwrap_or(Path::new("/"));
    make_private_directory(directory)?;
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(format!(".{}.new", std::process::id()));
    let beside = directory.join(name);
    drop(fs::remove_file(&beside));
    let mut file = OpenOptions::new().write(true).create_new(true).mode(mode).open(&beside)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(&beside, path)?;
    File::open(directory)?.sync_all()
}

/// Writes a file of that mode so that a reader sees the old one or the new one. Of a power cut
/// nothing is promised: for what is worth nothing after one.
///
/// # Errors
///
/// As the system gives them; the old file is then as it was.
pub fn replace(path: &Path, bytes: &[u8], mode: u32) -> io::Result<()> {
    let directory = path.parent().unwrap_or(Path::new("/"));
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".new");
    let beside = directory.join(name);
    let open =
        || OpenOptions::new().write(true).create(true).truncate(true).mode(mode).open(&beside);
    let mut file = match open() {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            make_private_directory(directory)?;
            open()?
        }
        opened => opened?,
    };
    file.write_all(bytes)?;
    fs::rename(&beside, path)
}

/// Makes a directory, and those above it, for their owner alone. What exists stays as it is.
///
/// # Errors
///
/// As the system gives them.
pub fn make_private_directory(path: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(path)
}

/// Appends a line with one write, so that two writers do not mix and a crash does not tear it.
///
/// # Errors
///
/// [`WriteError`].
pub fn append_line(path: &Path, line: &str) -> Result<(), WriteError> {
    let append = || {
        if let Some(directory) = path.parent() {
            make_private_directory(directory)?;
        }
        let mut file = OpenOptions::new().append(true).create(true).mode(0o600).open(path)?;
        file.write_all(format!("{line}\n").as_bytes())
    };
    append().map_err(|source| WriteError { path: path.to_owned(), source })
}

/// Keeps a log that others append to below a size: past `bytes_max` its text becomes `PATH.1`,
/// the one before that is forgotten, and the log starts anew under the same handle.
///
/// # Errors
///
/// As the system gives them. A log that does not exist is short enough.
pub fn rotate_log(path: &Path, bytes_max: u64) -> io::Result<()> {
    match fs::metadata(path) {
        Ok(about) if about.len() > bytes_max => {
            let mut older = path.as_os_str().to_owned();
            older.push(".1");
            fs::copy(path, older)?;
            OpenOptions::new().write(true).open(path)?.set_len(0)
        }
        Ok(_) => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn a_written_file_is_whole_and_has_its_mode() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("a/b.json");
        write_atomic(&path, b"one", 0o600).unwrap();
        write_atomic(&path, b"two", 0o600).unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"two");
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(
            fs::read_dir(path.parent().unwrap()).unwrap().count(),
            1,
            "nothing is left beside"
        );
    }

    #[test]
    fn a_write_that_fails_leaves_the_old_file() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("directory");
        fs::create_dir(&path).unwrap();
        fs::write(path.join("in-it"), "kept").unwrap();
        assert!(write_atomic(&path, b"text", 0o600).is_err());
        assert_eq!(fs::read(path.join("in-it")).unwrap(), b"kept");
    }

    #[test]
    fn a_log_past_its_size_starts_anew_under_the_same_handle() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("x.log");
        let mut writer = OpenOptions::new().append(true).create(true).open(&path).unwrap();
        writer.write_all(b"0123456789").unwrap();
        rotate_log(&path, 10).unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"0123456789");
        rotate_log(&path, 9).unwrap();
        writer.write_all(b"next").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"next");
        assert_eq!(fs::read(home.path().join("x.log.1")).unwrap(), b"0123456789");
    }
}
