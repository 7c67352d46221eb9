//! One file per secret, readable by its owner alone.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::{fmt, str};

use crate::Secret;

/// No key is longer than this; a larger file is a mistake.
const SECRET_BYTES_MAX: u64 = 64 * 1024;
/// Random bytes in a minted secret, before they are written as twice as many hexadecimal digits.
const MINTED_BYTES: usize = 32;

/// The name of a secret, and of its file: 1 to 64 of `a-z`, `0-9`, `-` and `_`, a letter or digit
/// first, so that it cannot leave the directory.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SecretName(Box<str>);

/// A name that cannot be a secret's.
#[derive(Debug, thiserror::Error)]
#[error(
    "`{0}` is not a name for a secret: use 1 to 64 of a-z, 0-9, `-` and `_`, a letter or digit first"
)]
pub struct SecretNameError(String);

impl FromStr for SecretName {
    type Err = SecretNameError;

    fn from_str(text: &str) -> Result<Self, SecretNameError> {
        let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
        let named = text.len() <= 64
            && text.starts_with(plain)
            && text.chars().all(|c| plain(c) || c == '-' || c == '_');
        if named { Ok(Self(text.into())) } else { Err(SecretNameError(text.to_owned())) }
    }
}

impl fmt::Display for SecretName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

/// A directory of secrets: mode 700, one file of mode 600 each, the value and at most one newline.
#[derive(Clone, Debug)]
pub struct Secrets {
    directory: PathBuf,
}

/// Why a secret cannot be had or kept.
#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    /// There is no such file.
    #[error("there is no secret `{name}`: write it to `{path}`, mode 600", path = path.display())]
    Absent {
        /// What was asked for.
        name: SecretName,
        /// Where it would be.
        path: PathBuf,
    },
    /// Others than the owner may read or write the file, or it belongs to somebody else.
    #[error("the secret `{path}` is open to others (mode {mode:o}, owner {owner}): `chmod 600` it and own it", path = path.display())]
    Open {
        /// The file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
        /// Its owner's user id.
        owner: u32,
    },
    /// The file does not hold a secret.
    #[error("the secret `{path}` is {what}", path = path.display())]
    Unusable {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        what: &'static str,
    },
    /// The file cannot be read.
    #[error("cannot read the secret `{path}`", path = path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
    /// The file cannot be written.
    #[error("cannot write the secret `{path}`", path = path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
}

impl Secrets {
    /// The secrets in `directory`, which need not exist yet.
    pub fn at(directory: impl Into<PathBuf>) -> Self {
        Self { directory: directory.into() }
    }

    /// Where the secret of that name is kept.
    pub fn path(&self, name: &SecretName) -> PathBuf {
        self.directory.join(&*name.0)
    }

    /// Reads a secret.
    ///
    /// # Errors
    ///
    /// When it is absent, readable by others, empty, more than one line, or not text.
    pub fn read(&self, name: &SecretName) -> Result<Secret<String>, SecretError> {
        let path = self.path(name);
        let file = match File::open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Err(SecretError::Absent { name: name.clone(), path });
            }
            Err(source) => return Err(SecretError::Read { path, source }),
        };
        read_private(file, path)
    }

    /// Reads a secret, or makes one of 64 random hexadecimal digits and keeps it.
    ///
    /// # Errors
    ///
    /// As [`Secrets::read`] and [`Secrets::write`].
    pub fn read_or_mint(&self, name: &SecretName) -> Result<Secret<String>, SecretError> {
        match self.read(name) {
            Err(SecretError::Absent { .. }) => {
                let path = self.path(name);
                let minted = mint().map_err(|source| SecretError::Write { path, source })?;
                self.write(name, &minted)?;
                self.read(name)
            }
            other => other,
        }
    }

    /// Keeps a secret: written beside, flushed, renamed into place, so that no torn one is seen.
    ///
    /// # Errors
    ///
    /// [`SecretError::Write`] when the file cannot be written.
    pub fn write(&self, name: &SecretName, value: &Secret<String>) -> Result<(), SecretError> {
        let path = self.path(name);
        self.write_at(&path, value).map_err(|source| SecretError::Write { path, source })
    }

    fn write_at(&self, path: &Path, value: &Secret<String>) -> io::Result<()> {
        fs::DirBuilder::new().recursive(true).mode(0o700).create(&self.directory)?;
        let beside = path.with_extension("new");
        drop(fs::remove_file(&beside));
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&beside)?;
        file.write_all(value.expose().as_bytes())?;
        file.write_all(b"\n")?;
        file.sync_all()?;
        fs::rename(&beside, path)
    }
}

fn read_private(file: File, path: PathBuf) -> Result<Secret<String>, SecretError> {
    let about = match file.metadata() {
        Ok(about) => about,
        Err(source) => return Err(SecretError::Read { path, source }),
    };
    let mode = about.mode() & 0o7777;
    let owner = about.uid();
    if mode & 0o077 != 0 || owner != rustix::process::geteuid().as_raw() {
        return Err(SecretError::Open { path, mode, owner });
    }
    let mut text = String::new();
    if let Err(source) = file.take(SECRET_BYTES_MAX + 1).read_to_string(&mut text) {
        return Err(SecretError::Read { path, source });
    }
    if text.len() as u64 > SECRET_BYTES_MAX {
        return Err(SecretError::Unusable { path, what: "larger than 64 KiB" });
    }
    let value = text.strip_suffix('\n').unwrap_or(&text);
    if value.trim().is_empty() {
        return Err(SecretError::Unusable { path, what: "empty" });
    }
    if value.contains(['\n', '\r', '\0']) {
        return Err(SecretError::Unusable { path, what: "more than one line" });
    }
    Ok(Secret::new(value.to_owned()))
}

fn mint() -> io::Result<Secret<String>> {
    let mut bytes = [0; MINTED_BYTES];
    File::open("/dev/urandom")?.read_exact(&mut bytes)?;
    let digits = |byte: u8| [byte >> 4, byte & 15].map(|half| char::from_digit(half.into(), 16));
    Ok(Secret::new(bytes.into_iter().flat_map(digits).flatten().collect()))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    fn name(text: &str) -> SecretName {
        text.parse().unwrap()
    }

    #[test]
    fn a_name_cannot_leave_the_directory() {
        for bad in ["", "../key", "a/b", ".hidden", "A", "-x", &"a".repeat(65)] {
            assert!(bad.parse::<SecretName>().is_err(), "{bad}");
        }
        assert!("caller-main".parse::<SecretName>().is_ok());
    }

    #[test]
    fn a_minted_secret_is_private_and_stays_the_same() {
        let home = tempfile::tempdir().unwrap();
        let secrets = Secrets::at(home.path().join("secrets"));
        let first = secrets.read_or_mint(&name("caller")).unwrap();
        let again = secrets.read_or_mint(&name("caller")).unwrap();
        assert_eq!(first.expose().len(), 64);
        assert!(first.matches(again.expose().as_bytes()));
        let mode = fs::metadata(secrets.path(&name("caller"))).unwrap().mode();
        assert_eq!(mode & 0o777, 0o600);
    }

    #[test]
    fn a_secret_that_others_can_read_is_refused() {
        let home = tempfile::tempdir().unwrap();
        let secrets = Secrets::at(home.path());
        secrets.write(&name("key"), &Secret::new("value".to_owned())).unwrap();
        fs::set_permissions(secrets.path(&name("key")), fs::Permissions::from_mode(0o644)).unwrap();
        assert!(matches!(secrets.read(&name("key")), Err(SecretError::Open { mode: 0o644, .. })));
    }

    #[test]
    fn an_empty_or_two_line_secret_is_refused() {
        let home = tempfile::tempdir().unwrap();
        let secrets = Secrets::at(home.path());
        for text in ["", "  ", "one\ntwo"] {
            secrets.write(&name("key"), &Secret::new(text.to_owned())).unwrap();
            assert!(
                matches!(secrets.read(&name("key")), Err(SecretError::Unusable { .. })),
                "{text:?}"
            );
        }
    }

    #[test]
    fn an_absent_secret_says_where_it_would_be() {
        let home = tempfile::tempdir().unwrap();
        let error = Secrets::at(home.path()).read(&name("openrouter")).unwrap_err();
        assert!(error.to_string().contains("openrouter"), "{error}");
        assert!(error.to_string().contains("mode 600"), "{error}");
    }
}
