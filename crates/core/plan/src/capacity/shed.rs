//! What is stopped when memory runs short, one at a time, and only while that helps.
//!
//! ```text
//!            pressed twice                 no relief
//!  watching ──────────────▶ verifying ─────────────────▶ given up
//!     ▲   shed the least worth │ relief                     │ calm
//!     ├──────── cooling ◀──────┘                            │
//!     │            │ after COOLDOWN                         │
//!     └────────────┴────────────────────────────────────────┘
//! ```

use alloc::vec::Vec;
use core::cmp::Reverse;
use core::time::Duration;

use sanctum_model::{ComponentName, Eviction, Moment};

use super::Claim;

/// How many looks in a row must find pressure before something is stopped.
pub const CONFIRMATIONS: u8 = 2;
/// Two such looks further apart than this do not confirm each other.
pub const CONFIRM_MAX: Duration = Duration::from_secs(30);
/// The time that what was stopped has to end and the kernel to recover. Longer than the window of
/// the figure that is read: the share of the last 10 s.
pub const VERIFY_AFTER: Duration = Duration::from_secs(20);
/// The time from one relief to the next stop.
pub const COOLDOWN: Duration = Duration::from_mins(1);
/// The time from a stop to the first start after it; doubled with each further stop.
pub const REST_MIN: Duration = Duration::from_mins(5);
/// The longest such time.
pub const REST_MAX: Duration = Duration::from_hours(1);
/// One that kept its place for so long after it came back has a clean record.
const REFORMED_AFTER: Duration = Duration::from_hours(4);
/// The share of time in which some task waited for memory that is called pressure, in hundredths of
/// a percent: 20 %.
const PRESSED_SOME: u32 = 20_00;
/// The same where all tasks waited at once: 5 %.
const PRESSED_FULL: u32 = 5_00;
/// Shares below half of these are calm.
const CALM_PART: u32 = 2;

/// How short memory is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pressure {
    /// There is enough.
    Calm,
    /// Neither: it neither confirms nor relieves.
    Tight,
    /// Programs wait for it.
    Pressed,
    /// It cannot be told.
    Unknown,
}

impl Pressure {
    /// By the shares of the last 10 s in which some, and all, tasks waited for memory, in hundredths
    /// of a percent.
    #[must_use]
    pub const fn of_stalls(some: u32, full: u32) -> Self {
        if some >= PRESSED_SOME || full >= PRESSED_FULL {
            Self::Pressed
        } else if some < PRESSED_SOME / CALM_PART && full < PRESSED_FULL / CALM_PART {
            Self::Calm
        } else {
            Self::Tight
        }
    }

    /// By the level of macOS: 1 normal, 2 warning, 4 critical.
    #[must_use]
    pub const fn of_level(level: u32) -> Self {
        match level {
            1 => Self::Calm,
            2 => Self::Tight,
            4 => Self::Pressed,
            _ => Self::Unknown,
        }
    }
}

/// Where the shedding is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shed(Shedding);

/// What of it an owner shows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Shedding {
    /// Nothing is being done.
    Watching {
        /// Looks in a row that found pressure.
        pressed: u8,
        /// When the last of them was.
        last: Moment,
    },
    /// Something was stopped; whether it helped is not known yet.
    Verifying {
        /// What was stopped.
        name: ComponentName,
        /// When it is judged.
        judge_at: Moment,
    },
    /// It helped. Nothing is stopped until then.
    Cooling {
        /// When this is over.
        until: Moment,
    },
    /// It did not help, or nothing may be stopped: a finding, until it is calm.
    GivenUp {
        /// What was stopped in vain; nothing if nothing may be.
        in_vain: Option<ComponentName>,
    },
}

/// What is to be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ShedStep {
    /// Nothing.
    Nothing,
    /// Stop this one, then look again.
    Stop(ComponentName),
    /// Say that the memory is enough again.
    SayRelieved,
    /// Say that this was stopped and did not help; no more is.
    SayInVain(ComponentName),
    /// Say that memory is short and that nothing that runs may be stopped.
    SayNothingToStop,
}

impl Default for Shed {
    fn default() -> Self {
        Self(Shedding::Watching { pressed: 0, last: Moment::default() })
    }
}

impl Shed {
    /// Where it is.
    #[must_use]
    pub const fn state(&self) -> &Shedding {
        &self.0
    }

    /// The next state after a look at the memory, and what is to be done.
    #[must_use]
    pub fn on(self, pressure: Pressure, running: &[Claim], now: Moment) -> (Self, ShedStep) {
        let (next, step) = match self.0 {
            Shedding::Watching { pressed, last } => watch(pressed, last, pressure, running, now),
            Shedding::Verifying { name, judge_at } if now < judge_at => {
                (Shedding::Verifying { name, judge_at }, ShedStep::Nothing)
            }
            Shedding::Verifying { name, judge_at } => match pressure {
                Pressure::Calm => {
                    (Shedding::Cooling { until: now + COOLDOWN }, ShedStep::SayRelieved)
                }
                Pressure::Tight => (Shedding::Cooling { until: now + COOLDOWN }, ShedStep::Nothing),
                Pressure::Pressed => {
                    (Shedding::GivenUp { in_vain: Some(name.clone()) }, ShedStep::SayInVain(name))
                }
                // Unknown is neither: it is judged by the next look that tells.
                Pressure::Unknown => (Shedding::Verifying { name, judge_at }, ShedStep::Nothing),
            },
            Shedding::Cooling { until } if now < until => {
                (Shedding::Cooling { until }, ShedStep::Nothing)
            }
            Shedding::Cooling { until } => watch(0, until, pressure, running, now),
            Shedding::GivenUp { in_vain } => match pressure {
                Pressure::Calm => {
                    (Shedding::Watching { pressed: 0, last: now }, ShedStep::SayRelieved)
                }
                Pressure::Tight | Pressure::Pressed | Pressure::Unknown => {
                    (Shedding::GivenUp { in_vain }, ShedStep::Nothing)
                }
            },
        };
        (Self(next), step)
    }
}

fn watch(
    pressed: u8,
    last: Moment,
    pressure: Pressure,
    running: &[Claim],
    now: Moment,
) -> (Shedding, ShedStep) {
    let pressed = match pressure {
        Pressure::Pressed if now - last > CONFIRM_MAX => 1,
        Pressure::Pressed => pressed + 1,
        Pressure::Tight | Pressure::Calm | Pressure::Unknown => 0,
    };
    if pressed < CONFIRMATIONS {
        return (Shedding::Watching { pressed, last: now }, ShedStep::Nothing);
    }
    match least_worth(running) {
        Some(claim) => {
            let (name, judge_at) = (claim.name.clone(), now + VERIFY_AFTER);
            (Shedding::Verifying { name: name.clone(), judge_at }, ShedStep::Stop(name))
        }
        None => (Shedding::GivenUp { in_vain: None }, ShedStep::SayNothingToStop),
    }
}

/// One that gave way: when, and how often by now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Evicted {
    at: Moment,
    times: u32,
}

impl Evicted {
    /// One that gives way now, and may have before.
    #[must_use]
    pub fn again(before: Option<Self>, now: Moment) -> Self {
        let recent = before.filter(|before| now - before.at < REFORMED_AFTER);
        Self { at: now, times: recent.map_or(1, |before| before.times.saturating_add(1)) }
    }

    /// The time until it may come back, if memory is enough by then.
    #[must_use]
    pub fn rest(self) -> Duration {
        let doublings = self.times.saturating_sub(1).min(8);
        (REST_MIN * 2_u32.pow(doublings)).min(REST_MAX)
    }

    /// Whether it may come back. Memory that cannot be looked at keeps nobody out.
    #[must_use]
    pub fn may_return(self, pressure: Pressure, now: Moment) -> bool {
        let is_enough = match pressure {
            Pressure::Calm | Pressure::Unknown => true,
            Pressure::Tight | Pressure::Pressed => false,
        };
        is_enough && now - self.at >= self.rest()
    }
}

/// Of those that may be stopped, the one that is worth least; of several, the biggest.
fn least_worth(running: &[Claim]) -> Option<&Claim> {
    let mut evictable: Vec<&Claim> =
        running.iter().filter(|claim| claim.eviction == Eviction::Allowed).collect();
    evictable.sort_by_key(|claim| {
        (claim.priority, Reverse(claim.measured_bytes), Reverse(claim.bytes()))
    });
    evictable.first().copied()
}
