//! The record of living children, for the castellan after this one.

use std::path::{Path, PathBuf};
use std::{fs, io};

use sanctum_host::file::{self, WriteError};
use sanctum_host::process::Identity;
use sanctum_model::Component;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

/// The form of the file.
const VERSION: u32 = 1;

/// A child as it is written down.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Child {
    /// The component's name.
    pub(crate) component: String,
    /// The process.
    pub(crate) identity: Identity,
    /// What it was started as; another definition makes it a stranger.
    pub(crate) definition: String,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    version: u32,
    children: Vec<Child>,
}

/// Where children are written down.
#[derive(Clone, Debug)]
pub(crate) struct Record {
    path: PathBuf,
}

impl Record {
    pub(crate) fn at(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into() }
    }

    /// What the last castellan wrote down. A record that cannot be understood is set aside under
    /// another name and said so: it protects nothing, and it is not worth not starting for.
    pub(crate) fn read(&self) -> Vec<Child> {
        let bytes = match fs::read(&self.path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Vec::new(),
            Err(error) => {
                tracing::warn!(path = %self.path.display(), %error, "cannot read the record of children");
                return Vec::new();
            }
        };
        match serde_json::from_slice::<File>(&bytes) {
            Ok(file) if file.version == VERSION => file.children,
            Ok(_) | Err(_) => {
                let aside = self.path.with_extension("torn");
                let moved = fs::rename(&self.path, &aside);
                tracing::warn!(path = %aside.display(), ?moved, "the record of children is torn, set aside");
                Vec::new()
            }
        }
    }

    pub(crate) fn write(&self, children: Vec<Child>) -> Result<(), WriteError> {
        let file = File { version: VERSION, children };
        let bytes = serde_json::to_vec(&file).expect("a record has only texts and numbers");
        file::write_atomic(Path::new(&self.path), &bytes, 0o600)
    }
}

/// What makes a running child the one the manifest means: its program, arguments, environment,
/// and the files it was given.
pub(crate) fn definition(component: &Component) -> String {
    let mut hash = Sha256::new();
    hash.update(format!("{:?}{:?}", component.command, component.files));
    format!("{:x}", hash.finalize())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_torn_record_is_set_aside_and_not_fatal() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("castellan.json");
        fs::write(&path, "{\"version\":1,\"chil").unwrap();
        assert_eq!(Record::at(&path).read(), []);
        assert!(!path.exists() && home.path().join("castellan.torn").exists());
    }

    #[test]
    fn what_is_written_is_read_back() {
        let home = tempfile::tempdir().unwrap();
        let record = Record::at(home.path().join("run/castellan.json"));
        assert_eq!(record.read(), []);
        let child = Child {
            component: "guest".to_owned(),
            identity: Identity { pid: 7, started: "12".to_owned() },
            definition: "d".to_owned(),
        };
        record.write(vec![child.clone()]).unwrap();
        assert_eq!(record.read(), [child]);
    }
}
