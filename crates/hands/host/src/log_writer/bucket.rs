//! How much may be written: a steady rate, and a burst now and then.

use std::time::Duration;

/// What a component may write for long.
pub const SUSTAINED_BYTES_PER_SECOND: u64 = 1 << 20;
/// What it may write at once after it has been quiet.
pub const BURST_BYTES: u64 = 8 << 20;
/// Once it was too much, nothing is let through until this much may be: else each second line would
/// be a notice of what was dropped.
const REOPEN_BYTES: u64 = 1 << 20;

/// A bucket of bytes that fills with time.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bucket {
    bytes: u64,
    at: Duration,
    gate: Gate,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Gate {
    Open,
    Shut,
}

impl Default for Bucket {
    fn default() -> Self {
        Self { bytes: BURST_BYTES, at: Duration::ZERO, gate: Gate::Open }
    }
}

impl Bucket {
    pub(super) fn refill(&mut self, now: Duration) {
        let elapsed = now.saturating_sub(self.at);
        let micros = u64::try_from(elapsed.as_micros()).unwrap_or(u64::MAX);
        let gained = micros.saturating_mul(SUSTAINED_BYTES_PER_SECOND) / 1_000_000;
        if gained > 0 {
            self.bytes = self.bytes.saturating_add(gained).min(BURST_BYTES);
            self.at = now;
        }
        if self.bytes >= REOPEN_BYTES {
            self.gate = Gate::Open;
        }
    }

    /// Whether that much may be written now; it is then taken as written.
    pub(super) fn take(&mut self, bytes: usize) -> bool {
        let left = self.bytes.checked_sub(bytes as u64);
        match (self.gate, left) {
            (Gate::Open, Some(left)) => {
                self.bytes = left;
                true
            }
            (Gate::Open | Gate::Shut, _) => {
                self.gate = Gate::Shut;
                false
            }
        }
    }

    pub(super) fn is_open(self) -> bool {
        self.gate == Gate::Open
    }

    /// When a shut one opens again.
    pub(super) fn open_again_at(self) -> Duration {
        let missing = REOPEN_BYTES.saturating_sub(self.bytes);
        // One more microsecond, since the bucket counts whole bytes.
        self.at + Duration::from_micros(missing * 1_000_000 / SUSTAINED_BYTES_PER_SECOND + 1)
    }
}
