//! The record of living children, for the castellan after this one: a small file for each.
//!
//! A power cut ends every child, so that what is written here needs no flush to the disk: it must
//! only be whole when castellan alone has died.

use std::path::{Path, PathBuf};
use std::{fs, io};

use sanctum_host::file;
use sanctum_host::process::Identity;
use sanctum_model::Component;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

/// The form of a file.
const VERSION: u32 = 2;

/// A child as it is written down.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Child {
    version: u32,
    /// The component's name.
    pub(crate) component: String,
    /// The process.
    pub(crate) identity: Identity,
    /// What it was started as; another definition makes it a stranger.
    pub(crate) definition: String,
    /// When it was started, in milliseconds since 1970.
    pub(crate) started_at_ms: u64,
}

impl Child {
    pub(crate) fn new(
        component: &str,
        identity: Identity,
        definition: &str,
        started_at_ms: u64,
    ) -> Self {
        let (component, definition) = (component.to_owned(), definition.to_owned());
        Self { version: VERSION, component, identity, definition, started_at_ms }
    }
}

/// The directory where children are written down.
#[derive(Clone, Debug)]
pub(crate) struct Record {
    directory: PathBuf,
}

impl Record {
    pub(crate) fn at(directory: impl Into<PathBuf>) -> Self {
        Self { directory: directory.into() }
    }

    /// What the last castellan wrote down. What cannot be understood is set aside under another
    /// name and said so: it protects nothing, and it is not worth not starting for.
    pub(crate) fn read(&self) -> Vec<Child> {
        let entries = fs::read_dir(&self.directory).into_iter().flatten().flatten();
        let files = entries.map(|entry| entry.path());
        let files = files.filter(|path| path.extension().is_some_and(|it| it == "json"));
        files.filter_map(|path| read(&path)).collect()
    }

    pub(crate) fn write(&self, child: &Child) -> io::Result<()> {
        let bytes = serde_json::to_vec(child).expect("a child has only texts and numbers");
        file::replace(&self.file(&child.component), &bytes, 0o600)
    }

    pub(crate) fn remove(&self, component: &str) {
        fs::remove_file(self.file(component)).ok();
    }

    fn file(&self, component: &str) -> PathBuf {
        self.directory.join(format!("{component}.json"))
    }
}

fn read(path: &Path) -> Option<Child> {
    let bytes = fs::read(path).ok()?;
    match serde_json::from_slice::<Child>(&bytes) {
        Ok(child) if child.version == VERSION => Some(child),
        Ok(_) | Err(_) => {
            let aside = path.with_extension("torn");
            let moved = fs::rename(path, &aside);
            tracing::warn!(path = %aside.display(), ?moved, "the record of a child is torn, set aside");
            None
        }
    }
}

/// What makes a running child the one the manifest means: its program, arguments, environment,
/// who spawns it, and the files it was given.
pub(crate) fn definition(component: &Component) -> String {
    let mut hash = Sha256::new();
    let Component { command, files, keeper, .. } = component;
    hash.update(format!("{keeper:?}{command:?}{files:?}"));
    format!("{:x}", hash.finalize())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn child() -> Child {
        let identity = Identity { pid: 7, started: "12".to_owned() };
        Child::new("guest", identity, "d", 5)
    }

    #[test]
    fn a_torn_record_is_set_aside_and_not_fatal() {
        let home = tempfile::tempdir().unwrap();
        let record = Record::at(home.path());
        record.write(&child()).unwrap();
        fs::write(home.path().join("proxyd.json"), "{\"version\":2,\"comp").unwrap();
        assert_eq!(record.read(), [child()]);
        assert!(home.path().join("proxyd.torn").exists());
    }

    #[test]
    fn what_is_written_is_read_back_until_it_is_removed() {
        let home = tempfile::tempdir().unwrap();
        let record = Record::at(home.path().join("run/children"));
        assert_eq!(record.read(), []);
        record.write(&child()).unwrap();
        assert_eq!(record.read(), [child()]);
        record.remove("guest");
        assert_eq!(record.read(), []);
    }
}
