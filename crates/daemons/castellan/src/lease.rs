//! Castellan's lease: what its dead-man's switch demands as evidence that it works.

use std::fmt::Write as _;
use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use sanctum_host::file;
use sanctum_host::process::Identity;
use sanctum_plan::Layout;

use crate::run::Scope;

/// How often the lease is renewed.
pub(crate) const LEASE_INTERVAL: Duration = Duration::from_secs(5);

/// What castellan is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    Keeping,
    HandingOver,
    Ended,
}

/// The evidence of one renewal.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Evidence {
    pub(crate) children: usize,
    pub(crate) wanted: usize,
    pub(crate) loop_age: Duration,
}

/// The lease's file and what never changes in it.
#[derive(Debug)]
pub(crate) struct Lease {
    path: PathBuf,
    fixed: String,
    beat: u64,
}

impl Lease {
    pub(crate) fn new(layout: &Layout, scope: Scope) -> Self {
        let pid = std::process::id();
        let started = Identity::of(pid).map(|identity| identity.started).unwrap_or_default();
        let program = layout.program("castellan");
        let (home, cache, boot) = (&layout.home, &layout.cache, boot());
        let mut fixed = format!(
            "pid {pid}\nstarted {started}\nboot {boot}\nhome {home}\ncache {cache}\nprogram {program}\n"
        );
        for argument in scope.arguments() {
            writeln!(fixed, "argument {argument}").expect("a text takes more text");
        }
        Self { path: PathBuf::from(layout.run("castellan.lease")), fixed, beat: 0 }
    }

    /// Renews the lease. One that cannot be written runs out, which is what it is for.
    pub(crate) fn renew(&mut self, state: State, evidence: Evidence) {
        self.beat += 1;
        let state = match state {
            State::Keeping => "keeping",
            State::HandingOver => "handing-over",
            State::Ended => "ended",
        };
        let Evidence { children, wanted, loop_age } = evidence;
        let mut text = format!("version 1\nstate {state}\n{}", self.fixed);
        let (beat, at_ms, age_ms) = (self.beat, uptime().as_millis(), loop_age.as_millis());
        let rest = write!(
            text,
            "beat {beat}\nat_ms {at_ms}\nchildren {children}\nwanted {wanted}\nloop_age_ms {age_ms}\n"
        );
        rest.expect("a text takes more text");
        if let Err(error) = file::replace(&self.path, text.as_bytes(), 0o600) {
            tracing::warn!(%error, "cannot renew the lease");
        }
    }
}

/// The time since the machine was started, sleep included.
pub(crate) fn uptime() -> Duration {
    #[cfg(target_os = "linux")]
    let clock = rustix::time::ClockId::Boottime;
    // There it goes on while the machine sleeps.
    #[cfg(not(target_os = "linux"))]
    let clock = rustix::time::ClockId::Monotonic;
    let now = rustix::time::clock_gettime(clock);
    Duration::new(u64::try_from(now.tv_sec).unwrap_or(0), u32::try_from(now.tv_nsec).unwrap_or(0))
}

/// What tells this start of the machine from the next.
fn boot() -> String {
    let linux = fs::read_to_string("/proc/sys/kernel/random/boot_id");
    let text = linux.unwrap_or_else(|_| {
        let mac = Command::new("sysctl").args(["-n", "kern.boottime"]).output();
        mac.map(|output| String::from_utf8_lossy(&output.stdout).into_owned()).unwrap_or_default()
    });
    text.trim().replace('\n', " ")
}
