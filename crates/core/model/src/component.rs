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
    /// `GET path` gives the wanted status and a body that holds `body`.
    Http {
        /// Where to connect.
        target: HttpTarget,
        /// The `Host` header: what the server behind the target calls itself.
        host: String,
        /// The path asked for.
        path: String,
        /// The status it must have.
        status: u16,
        /// What the body must hold; a part of it.
        body: String,
    },
    /// A program exits with 0.
    Exec(Command),
    /// The program says so itself, in systemd's notify protocol: `READY=1`.
    Notify {
        /// It must say `WATCHDOG=1` at least this often; zero if it need not.
        watchdog: Duration,
    },
}

/// How one sees that a component is ready, and stays so.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Readiness {
    /// The look itself.
    pub probe: Probe,
    /// The time from one look to the next, until it is ready.
    pub interval_starting: Duration,
    /// How often and how patiently it is looked at.
    pub watch: Watch,
}

/// How often and how patiently a component is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Watch {
    /// The time one look may take; never zero.
    pub timeout: Duration,
    /// The time from one look to the next, once it is ready.
    pub interval_ready: Duration,
    /// The time from start to readiness in which nothing moves: no line in its log, no processor
    /// time. Past it the start counts as a crash.
    pub start_max: Duration,
    /// The time from start to readiness at most, however much it moves; of a task, its whole run.
    pub start_limit: Duration,
    /// A ready component is called unhealthy when this many of its last looks failed …
    pub misses_max: u32,
    /// … of this many; 32 at most.
    pub misses_of: u32,
    /// The time an unhealthy component is left alone to recover before it is restarted.
    pub unhealthy_max: Duration,
}

/// Who spawns a component's program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Keeper {
    /// Castellan itself.
    Own,
    /// systemd; castellan orders, probes and restarts through `systemctl`.
    Systemd {
        /// The unit, as `nginx.service`.
        unit: String,
        /// Whose manager.
        scope: Scope,
    },
    /// launchd; castellan orders, probes and restarts through `launchctl`.
    Launchd {
        /// The job's label.
        label: String,
        /// Its property list, by which it is loaded when it is not.
        plist: String,
        /// Whose domain.
        scope: Scope,
    },
}

/// Whose service manager.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// The user's.
    User,
    /// The machine's.
    System,
}

/// What kind of life a component leads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Life {
    /// It runs for ever, and is started again however it ends.
    Always,
    /// It runs until it ends well, and is started again when it ends badly.
    UntilSuccess,
    /// It is started once, and stays ended however it ends.
    Never,
    /// A task: it runs to its end once, and what needs it waits for that.
    Once,
    /// A task that is run each time this has passed since its last run began.
    Every(Duration),
    /// A task that is run at points of the calendar, in local time.
    Calendar(Calendar),
}

/// Points of the calendar, as five fields of cron: minute, hour, day, month, weekday.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Calendar(pub String);

/// How an end is read by its exit code. 0 is always success.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExitCodes {
    /// Codes that are success too.
    pub success: Vec<u8>,
    /// Codes that say that another start is of no use.
    pub fatal: Vec<u8>,
}

impl Default for ExitCodes {
    /// 78 is `EX_CONFIG` of `sysexits.h`: what is wrong does not mend itself.
    fn default() -> Self {
        Self { success: Vec::new(), fatal: vec![78] }
    }
}

/// What a component takes of the machine's memory, and what it is worth.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Memory {
    /// What it takes at most, in bytes; 0 if not declared.
    pub peak_bytes: u64,
    /// Its worth from 0 to 100; the least is shed first.
    pub priority: u8,
    /// Whether it may be stopped when memory runs short.
    pub eviction: Eviction,
}

/// Whether a component may be stopped when memory runs short.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Eviction {
    /// It may not.
    Spared,
    /// It may.
    Allowed,
}

impl Default for Memory {
    fn default() -> Self {
        Self { peak_bytes: 0, priority: 50, eviction: Eviction::Spared }
    }
}

/// How often and how soon a component is started again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
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
    /// Who spawns its program.
    pub keeper: Keeper,
    /// The program that is kept running; empty where another keeper knows it.
    pub command: Command,
    /// What kind of life it leads.
    pub life: Life,
    /// How its end is read.
    pub exit_codes: ExitCodes,
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
    /// What it takes of the machine's memory.
    pub memory: Memory,
    /// What its log may take of the disk, older ones included, in bytes.
    pub log_bytes_max: u64,
    /// Files written before it starts.
    pub files: Vec<RenderedFile>,
}
