//! What crosses the control socket.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Everything castellan knows, at one moment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Snapshot {
    /// Counts every change; an answer with a higher one is newer.
    pub generation: u64,
    /// Castellan's process id.
    pub castellan_pid: u32,
    /// Castellan's version.
    pub version: String,
    /// When castellan started, in milliseconds since 1970.
    pub started_at_ms: u64,
    /// The manifest that is in force.
    pub manifest_path: String,
    /// SHA-256 of what is in force, to be compared with the file on disk.
    pub manifest_sha256: String,
    /// What is wrong, the worst first; each root once, with all that it keeps down.
    pub findings: Vec<Finding>,
    /// What the machine's memory is given to.
    pub memory: MemoryLedger,
    /// Every component, in start order.
    pub components: Vec<ComponentState>,
}

/// One component, at one moment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ComponentState {
    /// Its name.
    pub name: String,
    /// What it is for.
    pub purpose: String,
    /// Where it lives.
    pub plane: PlaneName,
    /// Where it is in its life.
    pub phase: PhaseName,
    /// Whether it is wanted.
    pub wanted: bool,
    /// How long it has been in this phase, in milliseconds.
    pub phase_age_ms: u64,
    /// Its process id; absent when nothing runs.
    pub pid: Option<u32>,
    /// How often it ended without being told to, and not for want of what it needs.
    pub crashes: u32,
    /// Crashes in a row that still count.
    pub crashes_in_row: u32,
    /// The component that keeps it from being ready; absent when it is its own reason.
    pub root_cause: Option<String>,
    /// From it to the root, when a need keeps it from being ready: the needs in between.
    pub chain: Vec<String>,
    /// The time until it is tried or run again, in milliseconds; absent when none is set.
    pub next_try_ms: Option<u64>,
    /// How it last ended; empty if it has not.
    pub last_exit: String,
    /// What its last look found; empty if it was good or none was taken.
    pub last_look: String,
    /// Who ordered its last stop or restart, and why; empty if nobody has.
    pub last_author: String,
    /// Who spawns it: `own`, `systemd` or `launchd`.
    pub keeper: String,
    /// What it takes of the memory now, in bytes; 0 when not known.
    pub memory_bytes: u64,
    /// What it was declared to take at most, in bytes; 0 if not declared.
    pub memory_peak_bytes: u64,
    /// The last thing worth saying about it: how it ended, or what a look found.
    pub note: String,
    /// What it needs.
    pub needs: Vec<String>,
    /// The ports it claims.
    pub ports: Vec<PortState>,
    /// Its log file.
    pub log: String,
}

/// Something that is wrong, with a stable code.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// A stable word: `given-up`, `unhealthy`, `crashed`, `refused`, `fatal-exit`, `port-taken`,
    /// `program-newer`, `manifest-differs`, `task-failed`, `memory-pressure`, …
    pub code: String,
    /// The component it is about; `castellan` for the supervisor itself.
    pub component: String,
    /// What is wrong, for a reader.
    pub what: String,
    /// What would mend it, for a reader; empty if nothing is known.
    pub mend: String,
    /// Every component that is kept down by it.
    pub casualties: Vec<String>,
    /// How bad it is.
    pub severity: Severity,
}

/// What the machine's memory is given to, in bytes. Recomputed from what lives; nothing is stored.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct MemoryLedger {
    /// What the machine has.
    pub physical_bytes: u64,
    /// What components may take together: what the machine has, less what is kept for it.
    pub pool_bytes: u64,
    /// What they take, each at its declared peak or what it takes now, whichever is more.
    pub given_bytes: u64,
    /// Why the kernel does not hold components to their declared peaks; empty if it does.
    #[serde(default)]
    pub not_held: String,
}

/// A port that a component claims.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PortState {
    /// Address and port.
    pub address: String,
    /// Why it exists.
    pub why: String,
}

/// Where a component lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PlaneName {
    /// The machine itself.
    Host,
    /// The virtual machine.
    Guest,
}

/// Where a component is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PhaseName {
    /// Not wanted, nothing runs.
    Stopped,
    /// Waits for what it needs.
    Waiting,
    /// Runs, not ready yet.
    Starting,
    /// Runs and works.
    Ready,
    /// Runs and does not work any more.
    Unhealthy,
    /// Told to end.
    Stopping,
    /// Crashed, started again soon.
    BackingOff,
    /// Crashed too often, retried slowly.
    GivenUp,
    /// There is no room for it in the machine's memory.
    Refused,
    /// It has run to its end, as it should.
    Done,
    /// It waits for its next run.
    Scheduled,
}

/// How bad a state is; the order is that of severity.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Severity {
    /// As wanted.
    Good,
    /// On its way.
    Passing,
    /// A casualty or a crash that is being dealt with.
    Degraded,
    /// A human must look.
    Bad,
}

impl PhaseName {
    /// How bad the phase is for a component that is wanted.
    pub const fn severity(self) -> Severity {
        match self {
            Self::Ready | Self::Done | Self::Scheduled => Severity::Good,
            Self::Starting | Self::Waiting | Self::Stopping => Severity::Passing,
            Self::Unhealthy | Self::BackingOff => Severity::Degraded,
            Self::GivenUp | Self::Refused | Self::Stopped => Severity::Bad,
        }
    }

    /// The phase as it is written on the wire and shown.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Stopped => "stopped",
            Self::Waiting => "waiting",
            Self::Starting => "starting",
            Self::Ready => "ready",
            Self::Unhealthy => "unhealthy",
            Self::Stopping => "stopping",
            Self::BackingOff => "backing-off",
            Self::GivenUp => "given-up",
            Self::Refused => "refused",
            Self::Done => "done",
            Self::Scheduled => "scheduled",
        }
    }
}

impl fmt::Display for PhaseName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(self.as_str())
    }
}

impl ComponentState {
    /// How bad its state is; one that is not wanted and not running is as it should be.
    pub const fn severity(&self) -> Severity {
        match (self.wanted, self.phase) {
            (false, PhaseName::Stopped) => Severity::Good,
            (true | false, phase) => phase.severity(),
        }
    }
}

/// One thing that happened: a line of chitti, the event journal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// Counts events since castellan started.
    pub sequence: u64,
    /// Milliseconds since 1970.
    pub at_ms: u64,
    /// The component it is about; `castellan` for the supervisor itself.
    pub component: String,
    /// A stable word: `spawned`, `phase`, `exited`, `spawn-failed`, `adopted`, `ordered`, …
    pub what: String,
    /// The details, for a reader.
    pub detail: String,
}

/// What an operator may ask of a component.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verb {
    /// Start it, and what it needs.
    Start,
    /// Stop it, and what needs it.
    Stop,
    /// Stop and start it.
    Restart,
}

impl Verb {
    /// The verb as it stands in a path.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Start => "start",
            Self::Stop => "stop",
            Self::Restart => "restart",
        }
    }

    /// The verb that `text` names.
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Start, Self::Stop, Self::Restart].into_iter().find(|verb| verb.as_str() == text)
    }
}

/// What a changed manifest comes to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChangePlan {
    /// The generation it was planned at, or, once it is applied, the one after.
    pub generation: u64,
    /// Every component that is touched; none if the manifest means the same.
    pub changes: Vec<Change>,
}

/// What is done with one component.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Change {
    /// The component.
    pub component: String,
    /// What is done.
    pub kind: ChangeKind,
    /// What differs, in a few words: `arguments, memory`.
    pub what: String,
}

/// What is done with a component when a manifest is applied.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ChangeKind {
    /// It is new, and started.
    Add,
    /// It is no longer meant, and stopped.
    Remove,
    /// It is started otherwise, so it is restarted.
    Restart,
    /// It is looked at or kept otherwise; its program goes on as it is.
    Adjust,
}

/// One thing that is wrong with a manifest.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ManifestProblem {
    /// Where it begins in the text, in bytes.
    pub start: usize,
    /// Where it ends.
    pub end: usize,
    /// What is wrong.
    pub message: String,
    /// What to do; empty if nothing is known.
    pub help: String,
}

/// An order was taken; what follows from it is told by the events.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Accepted {
    /// The generation after the order.
    pub generation: u64,
}

/// Why a request was refused.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fault {
    /// What is wrong, for a reader.
    pub error: String,
    /// Everything that is wrong with the manifest that was sent, if that is it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub problems: Vec<ManifestProblem>,
}
