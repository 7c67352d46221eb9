//! Faults and verdicts in words.

use std::fmt;

use super::{Fault, Quiet, Verdict};

impl Fault {
    /// Its name in the journal.
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::Dead => "dead",
            Self::Silent => "silent",
            Self::Stuck => "stuck",
            Self::Childless => "childless",
            Self::NotStarted => "not-started",
            Self::Unreadable => "unreadable",
            Self::Blind => "blind",
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Dead => "castellan is dead",
            Self::Silent => "castellan's lease is stale",
            Self::Stuck => "a loop of castellan is stuck",
            Self::Childless => "castellan has lost its children",
            Self::NotStarted => "castellan was not started since boot",
            Self::Unreadable => "castellan's lease cannot be understood",
            Self::Blind => "castellan cannot be judged",
        })
    }
}

impl fmt::Display for Quiet {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::NoLease => "there is no lease, so nothing to guard",
            Self::Ended => "castellan was told to stop",
            Self::NotStarted => "castellan was not started since boot, and `start_after_boot = no`",
        })
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Works { pid, beat } => {
                write!(formatter, "castellan works (pid {pid}, beat {beat})")
            }
            Self::Quiet(quiet) => quiet.fmt(formatter),
            Self::Unknown(why) => write!(formatter, "unknown: {why}"),
            Self::Fault(fault, detail) => write!(formatter, "{fault}: {detail}"),
            Self::Proving { attempt: 0 } => formatter.write_str("castellan has to prove itself"),
            Self::Proving { attempt } => {
                write!(
                    formatter,
                    "castellan was restarted (attempt {attempt}) and has to prove itself"
                )
            }
        }
    }
}
