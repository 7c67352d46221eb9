//! The one place that collects what has ended.
//!
//! Everything castellan starts, and everything that is left to it, is collected here and nowhere
//! else; what is [`attended`] to by a thread is kept for that thread.

use std::{io, iter};

use rustix::process::{Pid, WaitStatus};
use sanctum_host::attended;
use sanctum_plan::supervise::Exit;
use tokio::signal::unix::{Signal, SignalKind, signal};

/// A process that has ended and is collected.
#[derive(Clone, Debug)]
pub(crate) struct Ended {
    pub(crate) pid: u32,
    pub(crate) exit: Exit,
    /// How it ended, for a reader.
    pub(crate) how: String,
}

/// Waits for the ends of children.
#[derive(Debug)]
pub(crate) struct Reaper {
    signals: Signal,
}

impl Reaper {
    pub(crate) fn new() -> io::Result<Self> {
        Ok(Self { signals: signal(SignalKind::child())? })
    }

    /// Returns when a child may have ended. Cancel safe.
    pub(crate) async fn wake(&mut self) {
        self.signals.recv().await;
    }
}

/// Collects all that have ended by now.
pub(crate) fn collect() -> Vec<Ended> {
    iter::from_fn(attended::collect).map(|(pid, status)| read(pid, status)).collect()
}

fn read(pid: Pid, status: WaitStatus) -> Ended {
    let pid = pid.as_raw_nonzero().get().unsigned_abs();
    let (exit, how) = match (status.exit_status(), status.terminating_signal()) {
        (Some(code), _) => {
            let code = u8::try_from(code & 0xff).unwrap_or(u8::MAX);
            (Exit::Code(code), format!("exit code {code}"))
        }
        (None, Some(number)) => (Exit::Signal, format!("signal {number}{}", named(number))),
        (None, None) => (Exit::Unknown, "for a reason the system does not tell".to_owned()),
    };
    Ended { pid, exit, how }
}

fn named(signal: i32) -> &'static str {
    match signal {
        2 => " (SIGINT)",
        6 => " (SIGABRT)",
        9 => " (SIGKILL)",
        11 => " (SIGSEGV)",
        13 => " (SIGPIPE)",
        15 => " (SIGTERM)",
        _ => "",
    }
}
