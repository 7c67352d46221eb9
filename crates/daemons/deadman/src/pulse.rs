//! Signs of life: that the thread that looks and the thread that carries pages both move. Nobody
//! outside is told that we are there on the word of one thread alone.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crate::clock::millis;

/// Between two signs of life of one thread. The longest a thread is held is by evidence and a kill
/// of two castellans, or by a target that does not answer.
const SILENT_MAX: Duration = Duration::from_mins(2);

/// What the threads show of themselves.
#[derive(Debug)]
pub(crate) struct Pulse {
    started: Instant,
    looked_ms: AtomicU64,
    carried_ms: AtomicU64,
    is_stuck: AtomicBool,
}

impl Pulse {
    pub(crate) fn start() -> Self {
        Self {
            started: Instant::now(),
            looked_ms: AtomicU64::new(0),
            carried_ms: AtomicU64::new(0),
            is_stuck: AtomicBool::new(false),
        }
    }

    /// The thread that looks at castellan has looked.
    pub(crate) fn looked(&self) {
        self.looked_ms.store(self.now_ms(), Ordering::Relaxed);
    }

    /// The thread that carries pages is at work, or has nothing to do.
    pub(crate) fn carried(&self) {
        self.carried_ms.store(self.now_ms(), Ordering::Relaxed);
    }

    /// Notes whether a page waits that nobody takes, and says whether one did before.
    pub(crate) fn set_stuck(&self, is_stuck: bool) -> bool {
        self.is_stuck.swap(is_stuck, Ordering::Relaxed)
    }

    /// Whether a page waits that nobody takes.
    pub(crate) fn is_stuck(&self) -> bool {
        self.is_stuck.load(Ordering::Relaxed)
    }

    /// Whether both threads move.
    pub(crate) fn is_alive(&self) -> bool {
        let now_ms = self.now_ms();
        let is_fresh = |beat: &AtomicU64| {
            now_ms.saturating_sub(beat.load(Ordering::Relaxed)) < millis(SILENT_MAX)
        };
        is_fresh(&self.looked_ms) && is_fresh(&self.carried_ms)
    }

    fn now_ms(&self) -> u64 {
        millis(self.started.elapsed())
    }
}
