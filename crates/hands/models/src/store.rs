//! The folder of models: what is there.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::file;
use crate::request::ModelName;

/// The file of the weights.
pub(crate) const WEIGHTS: &str = "model.gguf";
/// The file that says what they are.
pub(crate) const RECORD: &str = "model.toml";
/// The largest record that is read, in bytes.
const RECORD_BYTES_MAX: u64 = 64 * 1024;

/// A model that is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stored {
    /// Its name.
    pub name: ModelName,
    /// The file of its weights.
    pub path: PathBuf,
    /// Where it came from.
    pub source: String,
    /// The size of the weights, in bytes.
    pub size_bytes: u64,
    /// The hash of the weights.
    pub sha256: String,
    /// Its licence, as an SPDX expression; `unknown` where nobody said.
    pub licence: String,
}

/// Why the store cannot be read or written.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// A file or folder cannot be read.
    #[error("cannot read `{path}`", path = path.display())]
    Read {
        /// What.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
    /// A file or folder cannot be written.
    #[error("cannot write `{path}`", path = path.display())]
    Write {
        /// What.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
    /// A record is not one.
    #[error("cannot understand `{path}`: pull the model again", path = path.display())]
    Record {
        /// The file.
        path: PathBuf,
        /// The cause.
        source: Box<toml::de::Error>,
    },
    /// The weights are not those of the record.
    #[error("the model in `{path}` has {found} bytes and should have {recorded}: pull it again", path = path.display())]
    Size {
        /// The file.
        path: PathBuf,
        /// Its size.
        found: u64,
        /// The size in the record.
        recorded: u64,
    },
}

/// The record as it is written.
#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Record {
    version: u32,
    name: String,
    source: String,
    size_bytes: u64,
    sha256: String,
    licence: String,
}

/// The version of [`Record`].
const RECORD_VERSION: u32 = 1;

/// The models in `models`, by name. A folder that is not there holds none; a folder without a
/// record holds a pull that is not finished, and is passed over.
///
/// # Errors
///
/// When a record cannot be read, or its weights are gone.
pub fn list(models: &Path) -> Result<Vec<Stored>, StoreError> {
    let read = |source| StoreError::Read { path: models.to_owned(), source };
    let entries = match fs::read_dir(models) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(read(error)),
    };
    let mut stored = Vec::new();
    for entry in entries {
        let name = entry.map_err(read)?.file_name();
        if let Some(name) = name.to_str().and_then(|name| name.parse::<ModelName>().ok()) {
            stored.extend(find(models, &name)?);
        }
    }
    stored.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(stored)
}

/// The model of that name, if it is there.
///
/// # Errors
///
/// When its record cannot be read, or the weights are gone or of another size.
pub fn find(models: &Path, name: &ModelName) -> Result<Option<Stored>, StoreError> {
    let folder = models.join(name.as_str());
    let path = folder.join(RECORD);
    let read = |path: &Path, source| StoreError::Read { path: path.to_owned(), source };
    let text = match fs::metadata(&path) {
        Ok(about) if about.len() > RECORD_BYTES_MAX => {
            let source = io::Error::new(io::ErrorKind::FileTooLarge, "larger than 64 KiB");
            return Err(read(&path, source));
        }
        Ok(_) => fs::read_to_string(&path).map_err(|source| read(&path, source))?,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(read(&path, error)),
    };
    let record: Record = toml::from_str(&text)
        .map_err(|error| StoreError::Record { path: path.clone(), source: Box::new(error) })?;
    let weights = folder.join(WEIGHTS);
    let found = fs::metadata(&weights).map_err(|source| read(&weights, source))?.len();
    if found != record.size_bytes {
        return Err(StoreError::Size { path: weights, found, recorded: record.size_bytes });
    }
    Ok(Some(Stored {
        name: name.clone(),
        path: weights,
        source: record.source,
        size_bytes: record.size_bytes,
        sha256: record.sha256,
        licence: record.licence,
    }))
}

/// Writes the record of a model whose weights are in place: now it is there.
pub(crate) fn record(stored: &Stored) -> Result<(), StoreError> {
    let path = stored.path.with_file_name(RECORD);
    let record = Record {
        version: RECORD_VERSION,
        name: stored.name.to_string(),
        source: stored.source.clone(),
        size_bytes: stored.size_bytes,
        sha256: stored.sha256.clone(),
        licence: stored.licence.clone(),
    };
    let text = toml::to_string(&record).expect("strings and numbers have a form in TOML");
    file::write(&path, &text).map_err(|source| StoreError::Write { path, source })
}
