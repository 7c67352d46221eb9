//! Where things are in the state directory.

use std::path::PathBuf;

/// The state directory.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    pub(crate) home: PathBuf,
}

impl Place {
    pub(crate) fn config(&self) -> PathBuf {
        self.home.join("deadman.conf")
    }

    pub(crate) fn lease(&self) -> PathBuf {
        self.home.join("run/castellan.lease")
    }

    /// Held by the one deadman of this state directory, as long as it lives.
    pub(crate) fn lock(&self) -> PathBuf {
        self.home.join("run/deadman.lock")
    }

    /// A file for each process group that castellan has stopped.
    pub(crate) fn frozen(&self) -> PathBuf {
        self.home.join("run/frozen")
    }

    pub(crate) fn children(&self) -> PathBuf {
        self.home.join("run/children")
    }

    pub(crate) fn castellan_log(&self) -> PathBuf {
        self.home.join("logs/castellan.log")
    }

    pub(crate) fn chitti(&self) -> PathBuf {
        self.home.join("chitti/events.jsonl")
    }

    /// Ours alone: what follows is below it.
    pub(crate) fn own(&self) -> PathBuf {
        self.home.join("deadman")
    }

    pub(crate) fn state(&self) -> PathBuf {
        self.own().join("state")
    }

    /// Pages that nobody has taken yet.
    pub(crate) fn outbox(&self) -> PathBuf {
        self.own().join("outbox")
    }

    /// Pages that somebody has taken.
    pub(crate) fn sent(&self) -> PathBuf {
        self.own().join("sent")
    }
}
