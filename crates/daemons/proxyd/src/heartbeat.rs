//! Proof that the timers still turn: `/health` tells how long ago the last beat was.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use tokio_util::sync::CancellationToken;

use crate::gateway::Gateway;

const INTERVAL: Duration = Duration::from_secs(1);
/// A heart that has not beaten for this long is called stalled.
pub(crate) const AGE_MAX: Duration = Duration::from_secs(10);

/// The time of the last beat.
#[derive(Debug)]
pub(crate) struct Heartbeat {
    started: Instant,
    /// Milliseconds from the start to the last beat.
    last: AtomicU64,
}

impl Heartbeat {
    pub(crate) fn new() -> Self {
        Self { started: Instant::now(), last: AtomicU64::new(0) }
    }

    fn beat(&self) {
        let elapsed = u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.last.store(elapsed, Ordering::Relaxed);
    }

    /// The time since the last beat.
    pub(crate) fn age(&self) -> Duration {
        let last = Duration::from_millis(self.last.load(Ordering::Relaxed));
        self.started.elapsed().saturating_sub(last)
    }
}

/// Beats until told to stop.
pub(crate) async fn beat(gateway: Arc<Gateway>, stop: CancellationToken) {
    let mut interval = tokio::time::interval(INTERVAL);
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            _ = interval.tick() => gateway.heartbeat.beat(),
        }
    }
}
