//! What we keep up, as data: a program, what it needs, and how one sees that it works.

use std::net::SocketAddr;
use std::time::Duration;

use crate::{Command, ComponentName};

/// Which side of the wall a component lives on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Plane {
    /// The machine itself.
    Host,
    /// The virtual machine that holds the agent.
    Guest,
}

/// A claimed TCP port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PortClaim {
    /// The address it is bound to; loopback, always.
    pub address: SocketAddr,
    /// Why it exists, in a few words.
    pub why: String,
}

/// Where an HTTP probe connects.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HttpTarget {
    /// A TCP address.
    Tcp(SocketAddr),
    /// The path of a unix socket.
    Unix(String),
}

/// One look at one thing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Probe {
    /// The program runs: all that can be asked of one that neither listens nor answers.
    Alive,
    /// Something accepts a connection and, where `banner` is not empty, speaks first in its words.
    Tcp {
        /// Where to connect.
        address: SocketAddr,
        /// What the first bytes must be.
        banner: String,
    },
    /// `GET path` gives status 200 and a body that holds `body`.
    Http {
        /// Where to connect.
        target: HttpTarget,
        /// The `Host` header: what the server behind the target calls itself.
        host: String,
        /// The path asked for.
        path: String,
        /// What the body must hold; a part of it.
        body: String,
    },
    /// A program exits with 0.
    Exec(Command),
}

/// How one sees that a component is ready, and stays so.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Readiness {
    /// The look itself.
    pub probe: Probe,
    /// The time one look may take.
    pub timeout: Duration,
    /// The time from one look to the next, until it is ready.
    pub interval_starting: Duration,
    /// The time from one look to the next, once it is ready.
    pub interval_ready: Duration,
    /// The time from start to readiness; past it the start counts as a crash.
    pub start_max: Duration,
    /// Looks that fail in a row before a ready component is called unhealthy.
    pub misses_max: u32,
    /// The time an unhealthy component is left alone to recover before it is restarted.
    pub unhealthy_max: Duration,
}

/// How often and how soon a component is started again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Restart {
    /// The wait before the second restart; the first is at once, each further one doubles.
    pub delay_min: Duration,
    /// The longest wait between two restarts.
    pub delay_max: Duration,
    /// Crashes in a row after which it is given up and only retried slowly.
    pub crashes_max: u32,
    /// The wait between slow retries.
    pub retry_slow: Duration,
    /// A run this long forgets earlier crashes.
    pub run_long: Duration,
}

impl Default for Restart {
    fn default() -> Self {
        Self {
            delay_min: Duration::from_millis(500),
            delay_max: Duration::from_mins(1),
            crashes_max: 10,
            retry_slow: Duration::from_mins(10),
            run_long: Duration::from_mins(1),
        }
    }
}

/// A file that is written before its component starts. It holds no secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RenderedFile {
    /// Where it goes.
    pub path: String,
    /// The whole text.
    pub text: String,
}

/// Something castellan keeps up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Component {
    /// Its name.
    pub name: ComponentName,
    /// What it is for, in a few words.
    pub purpose: String,
    /// Where it lives.
    pub plane: Plane,
    /// The program that is kept running.
    pub command: Command,
    /// What must be ready before it is started.
    pub needs: Vec<ComponentName>,
    /// The ports it claims.
    pub ports: Vec<PortClaim>,
    /// How one sees that it works.
    pub readiness: Readiness,
    /// How it is started again.
    pub restart: Restart,
    /// The time from SIGTERM to SIGKILL.
    pub stop_max: Duration,
    /// What it is expected to take of the machine's memory at most, in bytes; 0 if not declared.
    pub memory_peak_bytes: u64,
    /// Files written before it starts.
    pub files: Vec<RenderedFile>,
}
