//! Files that are whole or absent.

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
    write_beside(path, bytes, mode, Flush::ToDisk)
        .map_err(|source| WriteError { path: path.to_owned(), source })
}

/// The same without a promise for a power cut: for what is worth nothing after one.
///
/// # Errors
///
/// As the system gives them; the old file is then as it was.
pub fn replace(path: &Path, bytes: &[u8], mode: u32) -> io::Result<()> {
    write_beside(path, bytes, mode, Flush::No)
}

/// Whether what is written is waited for until the disk has it.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Flush {
    ToDisk,
    No,
}

fn write_beside(path: &Path, bytes: &[u8], mode: u32, flush: Flush) -> io::Result<()> {
    let directory = path.parent().unwrap_or(Path::new("/"));
    make_private_directory(directory)?;
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(format!(".{}.new", std::process::id()));
    let beside = directory.join(name);
    drop(fs::remove_file(&beside));
    let mut file = OpenOptions::new().write(true).create_new(true).mode(mode).open(&beside)?;
    file.write_all(bytes)?;
    if flush == Flush::ToDisk {
        file.sync_all()?;
    }
    fs::rename(&beside, path)?;
    if flush == Flush::ToDisk {
        File::open(directory)?.sync_all()?;
    }
    Ok(())
}

/// Makes a directory, and those above it, for their owner alone. What exists stays as it is.
///
/// # Errors
///
/// As the system gives them.
pub fn make_private_directory(path: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(path)
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
}
