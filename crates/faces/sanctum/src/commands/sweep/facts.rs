//! What a sweep sees.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::time::Duration;

use sanctum_wire::PhaseName;

/// Everything that was seen, at one moment.
#[derive(Clone, Debug)]
pub(super) struct Facts {
    pub(super) castellan: Answer,
    pub(super) lease: Lease,
    /// What the disk of the state directory has left, in bytes; nothing where it cannot be told.
    pub(super) disk_bytes: Option<u64>,
    pub(super) components: Vec<Component>,
}

/// How castellan's socket behaves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    Answers,
    /// It listens and says nothing that helps, and why.
    Unknown(String),
    Absent,
}

/// What castellan's lease says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Lease {
    /// Renewed not long ago by a process that lives.
    Fresh,
    /// And why it proves nothing.
    Stale(String),
    /// Castellan was told to end.
    Ended,
    Absent,
}

/// One component, from outside.
#[derive(Clone, Debug)]
pub(super) struct Component {
    pub(super) name: String,
    pub(super) needs: Vec<String>,
    /// What castellan says of it; nothing if it says nothing.
    pub(super) said: Option<Said>,
    pub(super) seen: Seen,
    pub(super) ports: Vec<Port>,
}

/// What castellan says of a component.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Said {
    pub(super) phase: PhaseName,
    pub(super) wanted: bool,
}

/// What a look from outside showed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Seen {
    Good,
    /// And why.
    Bad(String),
    /// There was no time, and for what.
    Unknown(String),
    /// There is nothing to look at: a task between two runs.
    Nothing,
}

/// A port that a component claims.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Port {
    pub(super) number: u16,
    pub(super) addresses: BTreeSet<IpAddr>,
    pub(super) owner: Owner,
}

/// Whose process listens on a port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Owner {
    /// Nobody's.
    Nobody,
    /// The component's own.
    Own,
    /// Somebody else's: its name and id.
    Stranger(String),
    /// It cannot be told.
    Unknown,
}

/// How old a lease may be.
const LEASE_MAX: Duration = Duration::from_secs(20);
/// How long the oldest loop of castellan may have been stuck.
const LOOP_AGE_MAX: Duration = Duration::from_secs(30);

/// What a sweep knows of the machine when it reads the lease.
#[derive(Clone, Debug)]
pub(super) struct Now {
    pub(super) boot: String,
    /// Milliseconds on the lease's clock; nothing where there is none to read.
    pub(super) uptime_ms: Option<u64>,
    /// How long ago the lease's file was written, by the wall clock.
    pub(super) file_age: Duration,
}

/// Reads a lease. `is_alive` tells whether a process lives that began at that moment.
pub(super) fn lease(text: &str, now: &Now, is_alive: impl Fn(u32, &str) -> bool) -> Lease {
    let field = |name: &str| {
        text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' ')).unwrap_or_default()
    };
    let number = |name: &str| field(name).parse::<u64>().ok();
    let stale = |why: String| Lease::Stale(why);
    if field("version") != "1" {
        return stale("it cannot be understood".to_owned());
    }
    if field("state") == "ended" {
        return Lease::Ended;
    }
    if field("boot") != now.boot {
        return stale("it is from before the machine was started".to_owned());
    }
    let Some(pid) = number("pid").and_then(|pid| u32::try_from(pid).ok()) else {
        return stale("it names no process".to_owned());
    };
    if !is_alive(pid, field("started")) {
        return stale(format!("its process {pid} has ended"));
    }
    let age = match (now.uptime_ms, number("at_ms")) {
        (Some(now), Some(at)) => Duration::from_millis(now.saturating_sub(at)),
        (Some(_) | None, Some(_) | None) => now.file_age,
    };
    if age > LEASE_MAX {
        return stale(format!("it was not renewed for {} s", age.as_secs()));
    }
    let loop_age = Duration::from_millis(number("loop_age_ms").unwrap_or(0));
    if loop_age > LOOP_AGE_MAX {
        return stale(format!("a part of castellan is stuck for {} s", loop_age.as_secs()));
    }
    Lease::Fresh
}

#[cfg(test)]
mod tests {
    use super::*;

    const LEASE: &str = "version 1\nstate keeping\npid 12\nstarted 34\nboot b\nbeat 3\n\
                         at_ms 100000\nchildren 2\nwanted 2\nloop_age_ms 10\nhome /h\n";

    fn judged(text: &str, uptime_ms: Option<u64>) -> Lease {
        let now = Now { boot: "b".to_owned(), uptime_ms, file_age: Duration::from_mins(1) };
        lease(text, &now, |pid, started| pid == 12 && started == "34")
    }

    #[test]
    fn a_lease_is_fresh_while_its_process_lives_and_renews_it() {
        assert_eq!(judged(LEASE, Some(104_000)), Lease::Fresh);
        assert_eq!(judged(LEASE, Some(99_000)), Lease::Fresh);
    }

    #[test]
    fn what_proves_nothing_is_said_with_the_reason() {
        for (text, uptime_ms, why) in [
            (LEASE.to_owned(), Some(130_000), "not renewed for 30 s"),
            (LEASE.to_owned(), None, "not renewed for 60 s"),
            (LEASE.replace("pid 12", "pid 13"), Some(104_000), "process 13 has ended"),
            (LEASE.replace("started 34", "started 35"), Some(104_000), "has ended"),
            (LEASE.replace("boot b", "boot c"), Some(104_000), "before the machine"),
            (LEASE.replace("loop_age_ms 10", "loop_age_ms 31000"), Some(104_000), "stuck"),
            (LEASE.replace("version 1", "version 2"), Some(104_000), "understood"),
            (String::new(), Some(104_000), "understood"),
        ] {
            let judged = judged(&text, uptime_ms);
            let Lease::Stale(said) = &judged else { panic!("{judged:?} for {why}") };
            assert!(said.contains(why), "{said}");
        }
        assert_eq!(judged(&LEASE.replace("keeping", "ended"), Some(500_000)), Lease::Ended);
    }
}
