//! The life of one component: where it may be, and what may happen to it.
//!
//! ```text
//!  Stopped ──Start──▶ Waiting ──needs ready──▶ Starting ──seen good──▶ Ready ◀──▶ Unhealthy
//!     ▲                 ▲  ▲  │                   │ ▲                    │            │
//!     │                 │  │  └─no room─▶ Refused │ │ time               │            │ too long
//!     │                 │  └──a need was lost─────┤ │                    ▼            ▼
//!     └──── Stopping ◀──┴─Stop────────── BackingOff ◀──crashed───────────┴────────────┘
//!                                            │
//!                                            └──too many crashes──▶ GivenUp ──slowly──▶ Waiting
//!
//!  A task: Scheduled ──due──▶ Waiting ──▶ Starting ──ended well──▶ Done, or Scheduled again
//! ```
//!
//! A component whose need is not ready is a casualty: it waits, and its end is not held against it.

use core::time::Duration;

use sanctum_model::Moment;

/// Where a component is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// It is not wanted, and nothing of it runs.
    Stopped,
    /// It is wanted and waits for what it needs.
    Waiting {
        /// Crashes in a row so far.
        crashes: u32,
    },
    /// There was no room for it.
    Refused {
        /// When it is tried again, if nothing makes room before.
        retry_at: Moment,
        /// Crashes in a row so far.
        crashes: u32,
    },
    /// It runs and has not been seen ready; a task that runs.
    Starting {
        /// When it was started.
        since: Moment,
        /// When it is looked at next; nothing while a look is under way, or if it is not looked at.
        look_at: Option<Moment>,
        /// When it is asked whether anything moves.
        judge_at: Moment,
        /// Crashes in a row so far.
        crashes: u32,
    },
    /// It runs and works.
    Ready {
        /// When it became ready.
        since: Moment,
        /// When it is looked at next; nothing while a look is under way, or if it is not looked at.
        look_at: Option<Moment>,
        /// How its last looks were.
        recent: Recent,
        /// Crashes in a row so far.
        crashes: u32,
    },
    /// It runs, worked once, and does not work now.
    Unhealthy {
        /// When it was first missed too often.
        since: Moment,
        /// When it is looked at next; nothing while a look is under way.
        look_at: Option<Moment>,
        /// When it is restarted; moved on while a need is lost.
        restart_at: Moment,
        /// Crashes in a row so far.
        crashes: u32,
    },
    /// It is ending, told to or not.
    Stopping {
        /// When it is killed, and killed again.
        kill_at: Moment,
        /// How far it may move that itself.
        limit_at: Moment,
        /// What comes after.
        then: Then,
    },
    /// It crashed and is started again in a while.
    BackingOff {
        /// When.
        retry_at: Moment,
        /// Crashes in a row so far.
        crashes: u32,
    },
    /// It crashed too often, and is retried slowly; or another start is of no use.
    GivenUp {
        /// When it is tried again; nothing if it takes somebody who changes something.
        retry_at: Option<Moment>,
        /// Crashes in a row so far.
        crashes: u32,
    },
    /// It has run to its end, as it should.
    Done,
    /// A task that waits for its next run.
    Scheduled {
        /// When that is; nothing until it has been found out.
        run_at: Option<Moment>,
        /// Runs in a row that failed.
        crashes: u32,
    },
}

/// What comes after a stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Then {
    /// Nothing.
    Stay,
    /// An operator wants it back: started anew with a clean record.
    StartAnew,
    /// Its start or its recovery took too long: that is a crash.
    CountCrash {
        /// Crashes in a row before this one.
        crashes: u32,
    },
    /// It ended or said it would; what its exit code says.
    AsItEnded {
        /// Crashes in a row before this one.
        crashes: u32,
    },
}

/// How the last looks at a component were: a bit each, the latest lowest, set for a bad one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Recent(u32);

impl Recent {
    pub(super) fn with(self, seen: Seen) -> Self {
        match seen {
            Seen::Good => Self(self.0 << 1),
            Seen::Bad => Self(self.0 << 1 | 1),
            Seen::Unknown => self,
        }
    }

    /// How many of the last `of` were bad.
    pub(super) fn misses(self, of: u32) -> u32 {
        let mask = if of >= u32::BITS { u32::MAX } else { (1 << of) - 1 };
        (self.0 & mask).count_ones()
    }
}

/// What happened to a component.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// It is wanted.
    Start,
    /// It is not wanted.
    Stop,
    /// It is wanted anew.
    Restart,
    /// A child of a previous castellan was found alive: it is ours.
    Adopted,
    /// Its program could not be started.
    SpawnFailed,
    /// There is no room for it.
    Refused,
    /// Its program has ended. What it had started still runs.
    Ending,
    /// It said that it is about to end.
    Leaving,
    /// Its program is gone, with everything it had started.
    Gone(Exit),
    /// A look at it came back, or it spoke for itself.
    Looked(Seen),
    /// It asks for more time than it was given to start or to stop.
    Extend(Duration),
    /// Whether anything of it moved since it was last asked.
    Judged(Movement),
    /// When its next run is due.
    Due(Moment),
    /// The machine has slept: what was seen before says nothing.
    Woke,
    /// Time has passed, or what it needs has changed.
    Tick,
}

/// How a program ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// By itself, with a code.
    Code(u8),
    /// By a signal.
    Signal,
    /// Nobody was told: it was not our child.
    Unknown,
    /// It never ran.
    NotStarted,
}

/// What a look showed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Seen {
    /// It works.
    Good,
    /// It does not work.
    Bad,
    /// The look itself could not be taken.
    Unknown,
}

/// Whether anything of a component moved: a line in its log, processor time, what it says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Movement {
    /// Something did.
    Some,
    /// Nothing did.
    None,
}

/// Whether everything a component needs is ready.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Needs {
    /// All of it.
    Met,
    /// Not all of it.
    Lost,
}

/// What the shell is to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Start its program in a process group of its own, if there is room for it.
    Spawn,
    /// Send SIGTERM to everything of it.
    Terminate,
    /// Send SIGKILL to everything of it.
    Kill,
    /// Look whether it works.
    Look,
    /// Find out whether anything of it moved.
    Judge,
    /// Find out when its next run is due.
    Schedule,
}

impl Phase {
    /// Whether a process of the component may be alive.
    pub const fn has_child(self) -> bool {
        match self {
            Self::Starting { .. }
            | Self::Ready { .. }
            | Self::Unhealthy { .. }
            | Self::Stopping { .. } => true,
            Self::Stopped
            | Self::Waiting { .. }
            | Self::Refused { .. }
            | Self::BackingOff { .. }
            | Self::GivenUp { .. }
            | Self::Done
            | Self::Scheduled { .. } => false,
        }
    }

    /// Whether what needs the component can rely on it.
    pub const fn is_ready(self) -> bool {
        matches!(self, Self::Ready { .. } | Self::Done | Self::Scheduled { .. })
    }

    /// Crashes in a row that still count.
    pub const fn crashes(self) -> u32 {
        match self {
            Self::Stopped | Self::Done => 0,
            Self::Waiting { crashes }
            | Self::Refused { crashes, .. }
            | Self::Starting { crashes, .. }
            | Self::Ready { crashes, .. }
            | Self::Unhealthy { crashes, .. }
            | Self::BackingOff { crashes, .. }
            | Self::GivenUp { crashes, .. }
            | Self::Scheduled { crashes, .. } => crashes,
            Self::Stopping { then, .. } => match then {
                Then::Stay | Then::StartAnew => 0,
                Then::CountCrash { crashes } | Then::AsItEnded { crashes } => crashes,
            },
        }
    }

    /// When it is next tried or run; nothing if it runs, or if nobody knows.
    pub const fn next_try(self) -> Option<Moment> {
        match self {
            Self::Refused { retry_at, .. } | Self::BackingOff { retry_at, .. } => Some(retry_at),
            Self::GivenUp { retry_at, .. } => retry_at,
            Self::Scheduled { run_at, .. } => run_at,
            Self::Stopped
            | Self::Waiting { .. }
            | Self::Starting { .. }
            | Self::Ready { .. }
            | Self::Unhealthy { .. }
            | Self::Stopping { .. }
            | Self::Done => None,
        }
    }

    /// When [`Event::Tick`] is next of use; nothing if only an event can change the phase.
    pub fn deadline(self) -> Option<Moment> {
        match self {
            Self::Stopped | Self::Waiting { .. } | Self::Done => None,
            Self::Starting { look_at, judge_at: end, .. }
            | Self::Unhealthy { look_at, restart_at: end, .. } => {
                Some(look_at.map_or(end, |look_at| look_at.min(end)))
            }
            Self::Ready { look_at, .. } => look_at,
            Self::Stopping { kill_at, .. } => Some(kill_at),
            Self::Refused { retry_at, .. } | Self::BackingOff { retry_at, .. } => Some(retry_at),
            Self::GivenUp { retry_at: at, .. } | Self::Scheduled { run_at: at, .. } => at,
        }
    }
}
