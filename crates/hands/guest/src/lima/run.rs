//! The guest under Lima while it runs: a foreground program that castellan keeps.
//!
//! ```text
//! start ─▶ watch ─┬─ told to stop → stop ─┬─ in time → done
//!                 │                       └─ not, or told twice → stop by force
//!                 └─ seen down twice with no sign of life between → an error
//! ```
//!
//! The machine is not our child but Lima's: it lives on when we are killed, and the next run finds
//! it running and goes on from there.

use std::path::Path;
use std::time::Duration;

use tokio::time::sleep;

use super::super::run::Signals;
use super::super::{GuestError, GuestPaths};
use super::{LimaState, fault, force_stop, start, state, stop};

/// The time between two looks.
const LOOK_INTERVAL: Duration = Duration::from_secs(5);
/// Looks that must show the guest down until it is.
const DOWN_LOOKS: u32 = 2;

/// Runs the prepared guest until SIGTERM or SIGINT, and then shuts it down. A second signal ends
/// it at once.
///
/// Not cancel safe: a dropped future leaves the guest as it is.
///
/// # Errors
///
/// [`GuestError::Lima`] when it cannot be started, goes down by itself, or cannot be stopped.
pub async fn run(limactl: &str, paths: &GuestPaths) -> Result<(), GuestError> {
    let mut signals = Signals::new()?;
    live(limactl, &paths.lima_yaml(), async || signals.next().await).await
}

/// The whole of it, whoever tells it to stop.
pub(super) async fn live(
    limactl: &str,
    yaml: &Path,
    mut told: impl AsyncFnMut(),
) -> Result<(), GuestError> {
    tokio::select! {
        biased;
        () = told() => {}
        ended = keep(limactl, yaml) => return Err(ended),
    }
    tracing::info!("shutting the guest down");
    tokio::select! {
        biased;
        () = told() => {
            tracing::warn!("told twice, not waiting for the guest");
            force_stop(limactl).await
        }
        stopped = stop(limactl) => stopped,
    }
}

/// Starts the guest and watches it; comes back only with what is wrong.
async fn keep(limactl: &str, yaml: &Path) -> GuestError {
    match start(limactl, yaml).await {
        Ok(ssh_port) => {
            tracing::info!(ssh_port, "the guest runs under Lima");
            watch(limactl, LOOK_INTERVAL).await
        }
        Err(error) => error,
    }
}

/// Watches a guest that runs until it is down. What cannot be known is neither: it counts for
/// nothing, and a list that is wrong for a while stops nobody.
pub(super) async fn watch(limactl: &str, interval: Duration) -> GuestError {
    let (mut downs, mut last) = (0, None);
    loop {
        sleep(interval).await;
        let seen = state(limactl).await;
        match &seen {
            LimaState::Running { .. } => downs = 0,
            LimaState::Unknown { why } if last.as_ref() != Some(&seen) => {
                tracing::warn!(why, "cannot tell whether the guest runs");
            }
            LimaState::Unknown { .. } => {}
            LimaState::Stopped | LimaState::Broken { .. } => downs += 1,
        }
        if downs == DOWN_LOOKS {
            return fault("keep up", &seen, None);
        }
        last = Some(seen);
    }
}
