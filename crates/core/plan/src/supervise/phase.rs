//! The life of one component.
//!
//! ```text
//!  Stopped ──Start──▶ Waiting ──needs ready──▶ Starting ──seen good──▶ Ready ◀──▶ Unhealthy
//!     ▲                 ▲  ▲                      │ ▲                    │            │
//!     │                 │  └──a need was lost─────┤ │ time               │            │ too long
//!     │                 │                         ▼ │                    ▼            ▼
//!     └──── Stopping ◀──┴─Stop────────── BackingOff ◀──crashed───────────┴────────────┘
//!                                            │
//!                                            └──too many crashes──▶ GivenUp ──slowly──▶ Waiting
//! ```
//!
//! A component whose need is not ready is a casualty: it waits, and its end is not held against it.

use core::time::Duration;

use sanctum_model::{Component, Moment};

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
    /// It runs and has not been seen ready.
    Starting {
        /// When it was started.
        since: Moment,
        /// When it is looked at next; nothing while a look is under way.
        look_at: Option<Moment>,
        /// When the start counts as failed.
        give_up_at: Moment,
        /// Crashes in a row so far.
        crashes: u32,
    },
    /// It runs and works.
    Ready {
        /// When it became ready.
        since: Moment,
        /// When it is looked at next; nothing while a look is under way.
        look_at: Option<Moment>,
        /// Looks in a row that failed.
        misses: u32,
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
    /// It was told to end and has not.
    Stopping {
        /// When it is killed, and killed again.
        kill_at: Moment,
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
    /// It crashed too often. It is retried slowly, and said to be given up.
    GivenUp {
        /// When it is tried again.
        retry_at: Moment,
        /// Crashes in a row so far.
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
    /// Its program has ended. What it had started may still run, and is being cleared away.
    Ending,
    /// Its program is gone, with everything it had started.
    Gone,
    /// A look at it came back.
    Looked(Seen),
    /// Time has passed, or what it needs has changed.
    Tick,
}

/// What a look showed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Seen {
    /// It works.
    Good,
    /// It does not work.
    Bad,
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
    /// Start its program in a process group of its own.
    Spawn,
    /// Send SIGTERM to its group.
    Terminate,
    /// Send SIGKILL to its group.
    Kill,
    /// Look whether it works.
    Look,
}

/// How long a component is waited for, and how often it is started again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Patience {
    /// See [`sanctum_model::Readiness::interval_starting`].
    pub interval_starting: Duration,
    /// See [`sanctum_model::Readiness::interval_ready`].
    pub interval_ready: Duration,
    /// See [`sanctum_model::Readiness::start_max`].
    pub start_max: Duration,
    /// See [`sanctum_model::Readiness::misses_max`].
    pub misses_max: u32,
    /// See [`sanctum_model::Readiness::unhealthy_max`].
    pub unhealthy_max: Duration,
    /// See [`sanctum_model::Component::stop_max`].
    pub stop_max: Duration,
    /// See [`sanctum_model::Restart::delay_min`].
    pub delay_min: Duration,
    /// See [`sanctum_model::Restart::delay_max`].
    pub delay_max: Duration,
    /// See [`sanctum_model::Restart::crashes_max`].
    pub crashes_max: u32,
    /// See [`sanctum_model::Restart::retry_slow`].
    pub retry_slow: Duration,
    /// See [`sanctum_model::Restart::run_long`].
    pub run_long: Duration,
}

impl From<&Component> for Patience {
    fn from(component: &Component) -> Self {
        let (readiness, restart) = (&component.readiness, &component.restart);
        Self {
            interval_starting: readiness.interval_starting,
            interval_ready: readiness.interval_ready,
            start_max: readiness.start_max,
            misses_max: readiness.misses_max,
            unhealthy_max: readiness.unhealthy_max,
            stop_max: component.stop_max,
            delay_min: restart.delay_min,
            delay_max: restart.delay_max,
            crashes_max: restart.crashes_max,
            retry_slow: restart.retry_slow,
            run_long: restart.run_long,
        }
    }
}

impl Patience {
    /// The crashes that still count after a run of this length.
    fn remembered(&self, crashes: u32, ran: Duration) -> u32 {
        if ran >= self.run_long { 0 } else { crashes }
    }

    /// The wait after so many crashes in a row: none after the first, then doubling to the cap.
    fn delay(&self, crashes: u32) -> Duration {
        match crashes {
            0 | 1 => Duration::ZERO,
            many => {
                let factor = 1u32.checked_shl(many - 2).unwrap_or(u32::MAX);
                self.delay_min.saturating_mul(factor).min(self.delay_max)
            }
        }
    }
}

impl Phase {
    /// Whether a process of the component may be alive.
    pub fn has_child(self) -> bool {
        match self {
            Self::Starting { .. }
            | Self::Ready { .. }
            | Self::Unhealthy { .. }
            | Self::Stopping { .. } => true,
            Self::Stopped
            | Self::Waiting { .. }
            | Self::BackingOff { .. }
            | Self::GivenUp { .. } => false,
        }
    }

    /// Whether what needs the component can rely on it.
    pub fn is_ready(self) -> bool {
        matches!(self, Self::Ready { .. })
    }

    /// Whether an operator or the manifest wants it up.
    pub fn is_wanted(self) -> bool {
        !matches!(self, Self::Stopped | Self::Stopping { then: Then::Stay, .. })
    }

    /// When [`Event::Tick`] is next of use; nothing if only an event can change the phase.
    pub fn deadline(self) -> Option<Moment> {
        match self {
            Self::Stopped | Self::Waiting { .. } => None,
            Self::Starting { look_at, give_up_at: end, .. }
            | Self::Unhealthy { look_at, restart_at: end, .. } => {
                Some(look_at.map_or(end, |look_at| look_at.min(end)))
            }
            Self::Ready { look_at, .. } => look_at,
            Self::Stopping { kill_at, .. } => Some(kill_at),
            Self::BackingOff { retry_at, .. } | Self::GivenUp { retry_at, .. } => Some(retry_at),
        }
    }

    /// The next phase, and what the shell is to do to get there.
    ///
    /// Total: every event in every phase has an answer, and asking twice for what is already so
    /// does nothing.
    #[must_use]
    pub fn on(
        self,
        event: Event,
        needs: Needs,
        patience: &Patience,
        now: Moment,
    ) -> (Self, Option<Effect>) {
        match event {
            Event::Start => self.start(needs, patience, now),
            Event::Stop => self.stop(patience, now),
            Event::Restart => self.restart(needs, patience, now),
            Event::Adopted => self.adopted(patience, now),
            Event::Ending => (self.ending(patience, now), None),
            Event::SpawnFailed | Event::Gone => self.gone(needs, patience, now),
            Event::Looked(seen) => (self.looked(seen, patience, now), None),
            Event::Tick => self.tick(needs, patience, now),
        }
    }

    fn start(self, needs: Needs, patience: &Patience, now: Moment) -> (Self, Option<Effect>) {
        match self {
            Self::Stopped | Self::BackingOff { .. } | Self::GivenUp { .. } => {
                Self::Waiting { crashes: 0 }.tick(needs, patience, now)
            }
            Self::Stopping { kill_at, then: Then::Stay } => {
                (Self::Stopping { kill_at, then: Then::StartAnew }, None)
            }
            Self::Waiting { .. }
            | Self::Starting { .. }
            | Self::Ready { .. }
            | Self::Unhealthy { .. }
            | Self::Stopping { then: Then::StartAnew | Then::CountCrash { .. }, .. } => {
                (self, None)
            }
        }
    }

    fn stop(self, patience: &Patience, now: Moment) -> (Self, Option<Effect>) {
        match self {
            Self::Stopped
            | Self::Waiting { .. }
            | Self::BackingOff { .. }
            | Self::GivenUp { .. } => (Self::Stopped, None),
            Self::Starting { .. } | Self::Ready { .. } | Self::Unhealthy { .. } => {
                Self::stopping(Then::Stay, patience, now)
            }
            Self::Stopping { kill_at, .. } => (Self::Stopping { kill_at, then: Then::Stay }, None),
        }
    }

    fn restart(self, needs: Needs, patience: &Patience, now: Moment) -> (Self, Option<Effect>) {
        match self {
            Self::Starting { .. } | Self::Ready { .. } | Self::Unhealthy { .. } => {
                Self::stopping(Then::StartAnew, patience, now)
            }
            Self::Stopping { kill_at, .. } => {
                (Self::Stopping { kill_at, then: Then::StartAnew }, None)
            }
            Self::Stopped
            | Self::Waiting { .. }
            | Self::BackingOff { .. }
            | Self::GivenUp { .. } => self.start(needs, patience, now),
        }
    }

    fn adopted(self, patience: &Patience, now: Moment) -> (Self, Option<Effect>) {
        match self {
            Self::Stopped
            | Self::Waiting { .. }
            | Self::BackingOff { .. }
            | Self::GivenUp { .. } => (Self::started(0, Some(now), patience, now), None),
            Self::Starting { .. }
            | Self::Ready { .. }
            | Self::Unhealthy { .. }
            | Self::Stopping { .. } => (self, None),
        }
    }

    /// From here on nobody can rely on it, and who falls with it is a casualty: this must be known
    /// before its fall is seen by others.
    fn ending(self, patience: &Patience, now: Moment) -> Self {
        let crashes = match self {
            Self::Starting { crashes, .. } | Self::Unhealthy { crashes, .. } => crashes,
            Self::Ready { since, crashes, .. } => patience.remembered(crashes, now - since),
            Self::Stopped
            | Self::Waiting { .. }
            | Self::Stopping { .. }
            | Self::BackingOff { .. }
            | Self::GivenUp { .. } => return self,
        };
        Self::stopping(Then::CountCrash { crashes }, patience, now).0
    }

    fn gone(self, needs: Needs, patience: &Patience, now: Moment) -> (Self, Option<Effect>) {
        match self {
            Self::Stopped
            | Self::Waiting { .. }
            | Self::BackingOff { .. }
            | Self::GivenUp { .. } => (self, None),
            Self::Starting { crashes, .. }
            | Self::Unhealthy { crashes, .. }
            | Self::Stopping { then: Then::CountCrash { crashes }, .. } => {
                (Self::crashed(crashes, needs, patience, now), None)
            }
            Self::Ready { since, crashes, .. } => {
                let crashes = patience.remembered(crashes, now - since);
                (Self::crashed(crashes, needs, patience, now), None)
            }
            Self::Stopping { then: Then::Stay, .. } => (Self::Stopped, None),
            Self::Stopping { then: Then::StartAnew, .. } => {
                Self::Waiting { crashes: 0 }.tick(needs, patience, now)
            }
        }
    }

    fn looked(self, seen: Seen, patience: &Patience, now: Moment) -> Self {
        match (self, seen) {
            (Self::Starting { crashes, .. } | Self::Unhealthy { crashes, .. }, Seen::Good) => {
                let look_at = Some(now + patience.interval_ready);
                Self::Ready { since: now, look_at, misses: 0, crashes }
            }
            (Self::Starting { since, give_up_at, crashes, .. }, Seen::Bad) => {
                let look_at = Some(now + patience.interval_starting);
                Self::Starting { since, look_at, give_up_at, crashes }
            }
            (Self::Ready { since, crashes, .. }, Seen::Good) => {
                let look_at = Some(now + patience.interval_ready);
                Self::Ready { since, look_at, misses: 0, crashes }
            }
            (Self::Ready { since, misses, crashes, .. }, Seen::Bad) => {
                let (misses, look_at) = (misses + 1, Some(now + patience.interval_starting));
                if misses < patience.misses_max {
                    Self::Ready { since, look_at, misses, crashes }
                } else {
                    let restart_at = now + patience.unhealthy_max;
                    Self::Unhealthy { since: now, look_at, restart_at, crashes }
                }
            }
            (Self::Unhealthy { since, restart_at, crashes, .. }, Seen::Bad) => {
                let look_at = Some(now + patience.interval_starting);
                Self::Unhealthy { since, look_at, restart_at, crashes }
            }
            (
                Self::Stopped
                | Self::Waiting { .. }
                | Self::Stopping { .. }
                | Self::BackingOff { .. }
                | Self::GivenUp { .. },
                Seen::Good | Seen::Bad,
            ) => self,
        }
    }

    fn tick(self, needs: Needs, patience: &Patience, now: Moment) -> (Self, Option<Effect>) {
        match self {
            Self::Waiting { crashes } if needs == Needs::Met => {
                let look_at =
                    Some(now + patience.interval_starting.min(Duration::from_millis(100)));
                (Self::started(crashes, look_at, patience, now), Some(Effect::Spawn))
            }
            Self::BackingOff { retry_at, crashes } | Self::GivenUp { retry_at, crashes }
                if retry_at <= now =>
            {
                Self::Waiting { crashes }.tick(needs, patience, now)
            }
            Self::Stopping { kill_at, then } if kill_at <= now => (
                Self::Stopping {
                    kill_at: now + patience.stop_max.max(Duration::from_secs(1)),
                    then,
                },
                Some(Effect::Kill),
            ),
            Self::Starting { give_up_at, since, look_at, crashes } if give_up_at <= now => {
                match needs {
                    Needs::Met => Self::stopping(Then::CountCrash { crashes }, patience, now),
                    Needs::Lost => {
                        let give_up_at = now + patience.start_max;
                        (Self::Starting { since, look_at, give_up_at, crashes }, None)
                    }
                }
            }
            Self::Unhealthy { restart_at, since, look_at, crashes } if restart_at <= now => {
                match needs {
                    Needs::Met => Self::stopping(Then::CountCrash { crashes }, patience, now),
                    Needs::Lost => {
                        let restart_at = now + patience.unhealthy_max.max(Duration::from_secs(1));
                        (Self::Unhealthy { since, look_at, restart_at, crashes }, None)
                    }
                }
            }
            Self::Starting { look_at: Some(at), since, give_up_at, crashes } if at <= now => {
                (Self::Starting { since, look_at: None, give_up_at, crashes }, Some(Effect::Look))
            }
            Self::Ready { look_at: Some(at), since, misses, crashes } if at <= now => {
                (Self::Ready { since, look_at: None, misses, crashes }, Some(Effect::Look))
            }
            Self::Unhealthy { look_at: Some(at), since, restart_at, crashes } if at <= now => {
                (Self::Unhealthy { since, look_at: None, restart_at, crashes }, Some(Effect::Look))
            }
            Self::Stopped
            | Self::Waiting { .. }
            | Self::Starting { .. }
            | Self::Ready { .. }
            | Self::Unhealthy { .. }
            | Self::Stopping { .. }
            | Self::BackingOff { .. }
            | Self::GivenUp { .. } => (self, None),
        }
    }

    fn started(crashes: u32, look_at: Option<Moment>, patience: &Patience, now: Moment) -> Self {
        Self::Starting { since: now, look_at, give_up_at: now + patience.start_max, crashes }
    }

    fn stopping(then: Then, patience: &Patience, now: Moment) -> (Self, Option<Effect>) {
        (Self::Stopping { kill_at: now + patience.stop_max, then }, Some(Effect::Terminate))
    }

    fn crashed(crashes: u32, needs: Needs, patience: &Patience, now: Moment) -> Self {
        match needs {
            Needs::Lost => Self::Waiting { crashes },
            Needs::Met if crashes + 1 > patience.crashes_max => {
                Self::GivenUp { retry_at: now + patience.retry_slow, crashes: crashes + 1 }
            }
            Needs::Met => {
                let crashes = crashes + 1;
                Self::BackingOff { retry_at: now + patience.delay(crashes), crashes }
            }
        }
    }
}
