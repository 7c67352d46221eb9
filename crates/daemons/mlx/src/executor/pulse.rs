//! Signs of life of the owner thread, which it gives itself: a hung engine shows.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// The longest one step of an engine may take before it is called stalled. A prompt chunk of a
/// large model on a slow machine takes many seconds.
const STEP_MAX: Duration = Duration::from_mins(2);

/// The last sign of life.
#[derive(Debug)]
pub struct Pulse {
    started: Instant,
    beat_ms: AtomicU64,
    busy: AtomicBool,
}

/// What the pulse says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Health {
    /// It waits for work.
    Idle,
    /// It works. Busy is not dead.
    Busy,
    /// One step takes longer than any should.
    Stalled,
}

impl Default for Pulse {
    fn default() -> Self {
        Self { started: Instant::now(), beat_ms: AtomicU64::new(0), busy: AtomicBool::new(false) }
    }
}

impl Pulse {
    /// Gives a sign of life.
    pub(super) fn beat(&self, busy: bool) {
        let now = u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.beat_ms.store(now, Ordering::Relaxed);
        self.busy.store(busy, Ordering::Relaxed);
    }

    /// The time since the last sign of life.
    pub fn age(&self) -> Duration {
        let beat = Duration::from_millis(self.beat_ms.load(Ordering::Relaxed));
        self.started.elapsed().saturating_sub(beat)
    }

    /// What is to be thought of it.
    pub fn health(&self) -> Health {
        if self.age() > STEP_MAX {
            Health::Stalled
        } else if self.busy.load(Ordering::Relaxed) {
            Health::Busy
        } else {
            Health::Idle
        }
    }
}
