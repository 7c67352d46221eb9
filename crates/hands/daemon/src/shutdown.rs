//! The end of a daemon: told once, finish; told twice, leave.

use std::io;
use std::time::Duration;

use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// One token that says "finish", and one list of the tasks that must.
#[derive(Clone, Debug, Default)]
pub struct Shutdown {
    token: CancellationToken,
    tasks: TaskTracker,
}

impl Shutdown {
    /// Starts a task that is waited for at the end.
    pub fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        drop(self.tasks.spawn(task));
    }

    /// The token that is cancelled when it is time to finish.
    pub fn token(&self) -> CancellationToken {
        self.token.clone()
    }

    /// Tells every task to finish, as a signal would.
    pub fn begin(&self) {
        self.token.cancel();
    }

    /// Waits for SIGTERM or SIGINT. Cancel safe.
    ///
    /// # Errors
    ///
    /// When the signals cannot be listened to.
    pub async fn signalled() -> io::Result<()> {
        let mut term = signal(SignalKind::terminate())?;
        let mut interrupt = signal(SignalKind::interrupt())?;
        tokio::select! {
            _ = term.recv() => {}
            _ = interrupt.recv() => {}
        }
        Ok(())
    }

    /// Waits for SIGTERM, SIGINT or [`Shutdown::begin`], tells every task to finish, and gives
    /// them `grace`. A signal during the grace ends the wait at once.
    ///
    /// # Errors
    ///
    /// When the signals cannot be listened to.
    pub async fn on_signal(self, grace: Duration) -> io::Result<()> {
        tokio::select! {
            heard = Self::signalled() => heard?,
            () = self.token.cancelled() => {}
        }
        self.drain(grace).await;
        Ok(())
    }

    /// Tells every task to finish and gives them `grace`. A signal ends the wait at once.
    pub async fn drain(self, grace: Duration) {
        self.token.cancel();
        self.tasks.close();
        tokio::select! {
            () = self.tasks.wait() => tracing::info!("all tasks finished"),
            () = tokio::time::sleep(grace) => {
                tracing::warn!(left = self.tasks.len(), "grace period over, leaving tasks behind");
            }
            Ok(()) = Self::signalled() => tracing::warn!("told twice, leaving at once"),
        }
    }
}
