//! What a manifest declares of the user's own.

use std::fmt;
use std::ops::Range;
use std::time::Duration;

use crate::{ByteSize, Command, ComponentName, ExitCodes, Keeper, Life, Memory, Probe, Watch};

/// `[component.NAME]`: something of the user's own that castellan keeps up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Declared {
    /// Who spawns its program.
    pub keeper: Keeper,
    /// The program with its arguments and environment; empty where another keeper knows it.
    pub command: Command,
    /// What kind of life it leads.
    pub life: Life,
    /// How its end is read.
    pub exit_codes: ExitCodes,
    /// What must be ready before it starts.
    pub needs: Vec<ComponentName>,
    /// The loopback port it claims; 0 for none.
    pub port: u16,
    /// How one sees that it works.
    pub look: Look,
    /// How often and how patiently one looks.
    pub watch: Watch,
    /// The time from SIGTERM to SIGKILL.
    pub stop_max: Duration,
    /// What it takes of the machine's memory.
    pub memory: Memory,
    /// What its log may take of the disk, older ones included.
    pub log_max: ByteSize,
}

/// How one sees that a declared component works.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Look {
    /// By one look at one thing.
    Probe(Probe),
    /// By a real unit of work: one token of this model route, through proxyd.
    Capability {
        /// The route's name.
        route: String,
    },
}

/// A program that a declared component names, and where.
///
/// Whether it is there is not for the manifest to say: [`Manifest::parse_with`] asks somebody who
/// can see.
///
/// [`Manifest::parse_with`]: super::Manifest::parse_with
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Program {
    /// Who names it, as it is written.
    pub component: String,
    /// What for.
    pub used: ProgramUse,
    /// A path, or a name that is looked up on `PATH`.
    pub program: String,
    /// `PATH`, if the component's environment sets it; none if castellan's own holds.
    pub path_variable: Option<String>,
    /// Its place in the text, in bytes.
    pub span: Range<usize>,
}

/// What a component names a program for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProgramUse {
    /// It is what is kept running.
    Kept,
    /// It is run to see whether the component works.
    Probe,
}

/// The key it is written under.
impl fmt::Display for ProgramUse {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Kept => "program",
            Self::Probe => "ready.exec",
        })
    }
}
