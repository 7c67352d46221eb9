//! The list of every process a test started, directly or not, and the end of them all.

use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use sanctum_host::process::{self, Identity};

/// One line of the list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Start {
    /// The component, or `castellan`.
    pub name: String,
    /// The process, leader of its group.
    pub identity: Identity,
}

/// The list, a file in the directory of switches.
#[derive(Clone, Debug)]
pub struct Starts {
    path: PathBuf,
}

impl Starts {
    /// The list in `control`.
    pub fn in_directory(control: &Path) -> Self {
        Self { path: control.join("starts") }
    }

    /// Adds a living process.
    ///
    /// # Errors
    ///
    /// When it is not alive, or the file cannot be written.
    pub fn add(&self, name: &str, pid: u32) -> Result<()> {
        let identity = Identity::of(pid).context("a process that starts is alive")?;
        let mut file = OpenOptions::new().append(true).create(true).open(&self.path)?;
        let line = format!("{name} {pid} {}\n", identity.started);
        file.write_all(line.as_bytes()).context("cannot write the list of starts")
    }

    /// Every start so far, the first one first.
    pub fn list(&self) -> Vec<Start> {
        let text = fs::read_to_string(&self.path).unwrap_or_default();
        let start = |line: &str| {
            let mut words = line.splitn(3, ' ');
            let (name, pid, started) = (words.next()?, words.next()?, words.next()?);
            let identity = Identity { pid: pid.parse().ok()?, started: started.to_owned() };
            Some(Start { name: name.to_owned(), identity })
        };
        text.lines().filter_map(start).collect()
    }

    /// Kills everything on the list that is alive, with its group: who starts others first.
    pub fn end_all(&self) {
        for castellan in [true, false] {
            for start in self.list() {
                if (start.name == "castellan") == castellan && start.identity.is_alive() {
                    process::clear_group(start.identity.pid);
                }
            }
        }
    }
}
