//! What happened: a line of chitti each, kept for those who ask, told to those who listen.

use std::collections::VecDeque;
use std::path::PathBuf;
use std::time::{SystemTime, UNIX_EPOCH};

use sanctum_host::rotating::{Archivist, RotatingFile, Writers};
use sanctum_model::ErrorChain;
use sanctum_wire::Event;
use tokio::sync::broadcast;

/// Events that are kept for a listener that comes late.
const KEPT_MAX: usize = 1024;
/// Events a slow listener may be behind before it is cut off.
const BEHIND_MAX: usize = 256;
/// What the journal takes of the disk, older files included.
const FILE_BYTES_MAX: u64 = 64 * 1024 * 1024;

/// The events of this castellan.
#[derive(Debug)]
pub(crate) struct Journal {
    file: RotatingFile,
    sequence: u64,
    kept: VecDeque<Event>,
    listeners: broadcast::Sender<Event>,
}

/// What a listener gets: what it missed, and what comes.
#[derive(Debug)]
pub(crate) struct Subscription {
    pub(crate) missed: Vec<Event>,
    pub(crate) coming: broadcast::Receiver<Event>,
}

impl Journal {
    pub(crate) fn at(path: impl Into<PathBuf>, archivist: Archivist) -> Self {
        let (listeners, _) = broadcast::channel(BEHIND_MAX);
        let file = RotatingFile::new(path.into(), FILE_BYTES_MAX, Writers::Several, archivist);
        Self { file, sequence: 0, kept: VecDeque::new(), listeners }
    }

    /// Writes an event down and tells it. A full disk must not stop supervision: a line that
    /// cannot be written is said in the log.
    pub(crate) fn add(&mut self, component: &str, what: &str, detail: impl Into<String>) {
        self.sequence += 1;
        let event = Event {
            sequence: self.sequence,
            at_ms: now_ms(),
            component: component.to_owned(),
            what: what.to_owned(),
            detail: detail.into(),
        };
        let mut line = serde_json::to_string(&event).expect("an event has only texts and numbers");
        line.push('\n');
        if let Err(error) = self.file.append(line.as_bytes()) {
            tracing::error!(error = %ErrorChain(&error), "cannot write the journal");
        }
        if self.kept.len() == KEPT_MAX {
            self.kept.pop_front();
        }
        self.kept.push_back(event.clone());
        self.listeners.send(event).ok();
    }

    /// The events after `since`, those that are still kept, and those to come.
    pub(crate) fn subscribe(&self, since: u64) -> Subscription {
        let missed = self.kept.iter().filter(|event| event.sequence > since).cloned().collect();
        Subscription { missed, coming: self.listeners.subscribe() }
    }
}

/// Milliseconds since 1970.
pub(crate) fn now_ms() -> u64 {
    ms_since_1970(SystemTime::now())
}

/// A moment of the wall's clock in milliseconds since 1970.
pub(crate) fn ms_since_1970(at: SystemTime) -> u64 {
    let since = at.duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}
