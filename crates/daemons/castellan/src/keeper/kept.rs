//! What the shell knows of a component beside its phase.

use std::time::{Duration, SystemTime};

use sanctum_host::process::Identity;
use sanctum_model::{Component, Moment, Probe};
use sanctum_plan::supervise::{Exit, Phase};
use sanctum_wire::PhaseName;
use tokio_util::sync::CancellationToken;

use super::room::{Confined, GaveWay};
use crate::findings::Obstacle;
use crate::output::Output;
use crate::record;

/// One component and what runs of it.
#[derive(Debug)]
pub(super) struct Kept {
    pub(super) component: Component,
    pub(super) definition: String,
    pub(super) child: Option<Running>,
    /// Counts its children, so that news of one that is gone is not taken for another's.
    pub(super) run: u64,
    pub(super) shown: PhaseName,
    pub(super) phase_since: Moment,
    /// What keeps it from being started; nothing once it was.
    pub(super) obstacle: Option<Obstacle>,
    /// Why it is as it is, beside what looks and ends say.
    pub(super) note: String,
    pub(super) last_look: String,
    pub(super) last_exit: String,
    pub(super) author: String,
    pub(super) output: Option<Output>,
    /// What it had written and computed when it was last judged.
    pub(super) judged: (u64, u64, String),
    pub(super) said: Spoken,
    /// Ends what listens to it.
    pub(super) listening: CancellationToken,
    pub(super) is_program_newer: bool,
    pub(super) last_run: Option<SystemTime>,
    /// Whether its port has been seen to be its own.
    pub(super) port_seen: bool,
    pub(super) confined: Option<Confined>,
    pub(super) gave_way: Option<GaveWay>,
}

/// A child that is alive, or of which something is left.
#[derive(Clone, Debug)]
pub(super) struct Running {
    pub(super) identity: Identity,
    pub(super) origin: Origin,
    pub(super) started: SystemTime,
    /// How its program ended, if it has; what it started still runs.
    pub(super) ended: Option<(Exit, String)>,
}

/// Whose child it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Origin {
    /// Ours, collected by the reaper.
    Spawned,
    /// That of a castellan before this one.
    Adopted,
    /// Another keeper's.
    Foreign,
}

/// What a component said of itself.
#[derive(Clone, Debug, Default)]
pub(super) struct Spoken {
    pub(super) is_ready: bool,
    pub(super) at: Option<Moment>,
    pub(super) status: String,
}

impl Kept {
    pub(super) fn new(component: Component) -> Self {
        let definition = record::definition(&component);
        Self {
            component,
            definition,
            child: None,
            run: 0,
            shown: PhaseName::Stopped,
            phase_since: Moment::default(),
            obstacle: None,
            note: String::new(),
            last_look: String::new(),
            last_exit: String::new(),
            author: String::new(),
            output: None,
            judged: (0, 0, String::new()),
            said: Spoken::default(),
            listening: CancellationToken::new(),
            is_program_newer: false,
            last_run: None,
            port_seen: false,
            confined: None,
            gave_way: None,
        }
    }

    /// How often it must say that it works; nothing if it need not.
    pub(super) fn watchdog(&self) -> Option<Duration> {
        match self.component.readiness.probe {
            Probe::Notify { watchdog } if !watchdog.is_zero() => Some(watchdog),
            Probe::Notify { .. }
            | Probe::Alive
            | Probe::Tcp { .. }
            | Probe::Http { .. }
            | Probe::Exec(_) => None,
        }
    }

    pub(super) fn name(&self) -> &str {
        self.component.name.as_str()
    }
}

pub(super) const fn phase_name(phase: Phase) -> PhaseName {
    match phase {
        Phase::Stopped => PhaseName::Stopped,
        Phase::Waiting { .. } => PhaseName::Waiting,
        Phase::Refused { .. } => PhaseName::Refused,
        Phase::Starting { .. } => PhaseName::Starting,
        Phase::Ready { .. } => PhaseName::Ready,
        Phase::Unhealthy { .. } => PhaseName::Unhealthy,
        Phase::Stopping { .. } => PhaseName::Stopping,
        Phase::BackingOff { .. } => PhaseName::BackingOff,
        Phase::GivenUp { .. } => PhaseName::GivenUp,
        Phase::Done => PhaseName::Done,
        Phase::Scheduled { .. } => PhaseName::Scheduled,
    }
}
