//! What is concluded from a look at castellan, and what is done about it. No I/O, no clock.
//!
//! ```text
//!              a fault, seen twice                          not proven in time,
//!   guarding ───────────────────────▶ proving: attempt n ◀─┐ n < restarts_max
//!      ▲  ▲                             │   │    └─────────┘
//!      │  └────── its beat moves ───────┘   │ n = restarts_max, or no budget left
//!      │                                    ▼
//!      └──────── its beat moves ────── given up: paged, tried again after `retry_after`
//! ```
//!
//! What cannot be known is not a fault: it becomes one only when it has lasted `stale_after`. Time
//! the machine slept through counts for nobody.

mod judge;
#[cfg(test)]
mod tests;
mod words;

use std::time::Duration;

use crate::clock::Time;
use crate::config::Limits;
use crate::lease::{Lease, Reading};
use crate::process::{Identity, Presence};

/// A fault is acted on when it was seen so often in a row.
const CONFIRM_LOOKS: u32 = 2;
/// A castellan has proven itself when its beat was seen to move so often.
const PROOF_MOVES: u32 = 1;
/// The clocks part by more than this only if the machine has slept.
const SLEEP_MIN: Duration = Duration::from_secs(2);
/// What the budget of restarts is for.
const BUDGET_INTERVAL: Duration = Duration::from_hours(1);

/// The facts of one look.
#[derive(Clone, Debug)]
pub(crate) struct Look {
    pub(crate) time: Time,
    pub(crate) reading: Reading,
    /// Of the lease's process, or of that of the last lease there was.
    pub(crate) process: Presence,
    /// Of the castellan that we started last and that has not proven itself.
    pub(crate) launched: Presence,
    pub(crate) boot: Boot,
    /// Why nothing can be written to the state directory, if so.
    pub(crate) disk_fault: Option<String>,
}

/// Whether a lease is of this start of the machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Boot {
    This,
    Earlier,
}

/// What can be wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// Its process is gone, and it was not told to stop.
    Dead,
    /// Its beat does not move.
    Silent,
    /// Its beat moves, and one of its loops does not.
    Stuck,
    /// It has no child and means to have some.
    Childless,
    /// The machine was started anew, and castellan was not.
    NotStarted,
    /// Its lease cannot be understood, so nothing is known of it.
    Unreadable,
    /// The disk takes nothing, so a lease that is not renewed says nothing of castellan.
    Blind,
}

/// Why there is nothing to guard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Quiet {
    NoLease,
    Ended,
    NotStarted,
}

/// What one look comes to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    Works {
        pid: u32,
        beat: u64,
    },
    Quiet(Quiet),
    Unknown(String),
    Fault(Fault, String),
    /// Castellan was started and has to prove itself.
    Proving {
        attempt: u32,
    },
}

/// What is to be done, in this order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Action {
    Journal {
        what: &'static str,
        detail: String,
    },
    /// Save what can be seen of it.
    Capture {
        of: Identity,
        reason: String,
    },
    /// Wake what it has stopped.
    Thaw,
    /// Where this cannot be done, the `Start` that follows is not tried.
    Kill(Identity),
    Start(Box<Lease>),
    Page {
        news: News,
        incident: u64,
        reason: String,
    },
}

/// What a page says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum News {
    Down,
    StillDown,
    /// Castellan works again.
    Resolved,
    /// There is nothing to guard any more.
    StoodDown,
}

/// A verdict and what follows from it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Decision {
    pub(crate) verdict: Verdict,
    pub(crate) actions: Vec<Action>,
}

/// What outlives the switch itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Durable {
    /// When castellan was restarted, since boot.
    pub(crate) restarts: Vec<Duration>,
    /// What was paged and is not resolved.
    pub(crate) incident: Option<u64>,
    /// The castellan that we started last, until one has proven itself.
    pub(crate) launched: Option<Identity>,
}

/// The dead-man's switch.
#[derive(Clone, Debug)]
pub(crate) struct Switch {
    limits: Limits,
    seen: Option<Seen>,
    /// Since when there is no whole lease.
    unread_since: Option<Duration>,
    childless_since: Option<Duration>,
    doubt: Option<Doubt>,
    course: Course,
    durable: Durable,
    page_at: Duration,
    /// Since when castellan works, while there is something to resolve.
    works_since: Option<Duration>,
    /// How far the clocks are apart.
    slept: Option<Duration>,
    /// When we looked last; nothing if we had something else to do since.
    looked_at: Option<Duration>,
    said: Option<&'static str>,
}

/// The last whole lease.
#[derive(Clone, Debug)]
struct Seen {
    lease: Lease,
    /// When its beat moved last.
    moved_at: Duration,
    /// How often it did, since this castellan was first seen or last doubted.
    moves: u32,
}

#[derive(Clone, Copy, Debug)]
struct Doubt {
    fault: Fault,
    looks: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Course {
    Guarding,
    Proving { attempt: u32, until: Duration },
    GivenUp { retry_at: Duration },
}

impl Switch {
    /// A switch that goes on where the one before it was.
    pub(crate) fn new(limits: Limits, durable: Durable, now: Duration) -> Self {
        let course = match durable.incident {
            Some(_) => Course::GivenUp { retry_at: now + limits.retry_after },
            None => Course::Guarding,
        };
        let page_at = now + limits.repage_after;
        Self {
            limits,
            seen: None,
            unread_since: None,
            childless_since: None,
            doubt: None,
            course,
            durable,
            page_at,
            works_since: None,
            slept: None,
            looked_at: None,
            said: None,
        }
    }

    /// The castellan of the last whole lease.
    pub(crate) fn subject(&self) -> Option<&Identity> {
        self.seen.as_ref().map(|seen| &seen.lease.identity)
    }

    /// Whether there is reason to look closer.
    pub(crate) fn is_in_doubt(&self) -> bool {
        self.doubt.is_some() || self.course != Course::Guarding
    }

    /// Takes in which castellan was started.
    pub(crate) fn on_launched(&mut self, identity: Identity) {
        self.durable.launched = Some(identity);
    }

    /// What the next switch must know.
    pub(crate) fn durable(&self) -> &Durable {
        &self.durable
    }

    /// Concludes, and says what is to be done.
    pub(crate) fn on(&mut self, look: &Look) -> Decision {
        let mut actions = Vec::new();
        self.forgive(look.time, &mut actions);
        self.remember(look);
        let judged = self.judge(look);
        if !matches!(judged, Verdict::Works { .. }) {
            self.works_since = None;
        }
        let verdict = match judged {
            works @ Verdict::Works { .. } => self.on_works(works, look, &mut actions),
            Verdict::Quiet(quiet) => self.on_quiet(quiet, look, &mut actions),
            Verdict::Fault(fault, detail) => self.on_fault(fault, detail, look, &mut actions),
            Verdict::Unknown(why) => {
                self.doubt = None;
                self.say_once("unknown", why.clone(), &mut actions);
                Verdict::Unknown(why)
            }
            proving @ Verdict::Proving { .. } => proving,
        };
        Decision { verdict, actions }
    }

    /// What can be told from one look alone, by the moment the lease was written.
    pub(crate) fn glance(limits: Limits, look: &Look) -> Verdict {
        let mut look = look.clone();
        look.time.awake = look.time.uptime;
        let mut switch = Self::new(limits, Durable::default(), look.time.awake);
        switch.remember(&look);
        if let Some(seen) = &mut switch.seen {
            seen.moved_at = seen.lease.at.min(look.time.awake);
        }
        switch.judge(&look)
    }

    fn on_works(&mut self, works: Verdict, look: &Look, actions: &mut Vec<Action>) -> Verdict {
        let now = look.time.awake;
        self.doubt = None;
        let moves = self.seen.as_ref().map_or(0, |seen| seen.moves);
        match self.course {
            Course::Guarding => {
                self.say_once("watching", works.to_string(), actions);
                // One that dies again in a moment is not worth two more pages.
                let since = *self.works_since.get_or_insert(now);
                if now.saturating_sub(since) >= self.limits.settled_after {
                    self.resolve(News::Resolved, &works.to_string(), actions);
                }
                works
            }
            Course::Proving { attempt, .. } if moves < PROOF_MOVES => Verdict::Proving { attempt },
            Course::GivenUp { .. } if moves < PROOF_MOVES => Verdict::Proving { attempt: 0 },
            Course::Proving { .. } | Course::GivenUp { .. } => {
                self.course = Course::Guarding;
                self.said = Some("watching");
                self.durable.launched = None;
                actions.push(Action::Journal { what: "brought-back", detail: works.to_string() });
                works
            }
        }
    }

    fn on_quiet(&mut self, quiet: Quiet, look: &Look, actions: &mut Vec<Action>) -> Verdict {
        self.doubt = None;
        self.course = Course::Guarding;
        let word = match quiet {
            Quiet::NoLease => "no-lease",
            Quiet::Ended => "ended",
            Quiet::NotStarted => "not-started",
        };
        self.say_once(word, quiet.to_string(), actions);
        if look.process == Presence::Gone && self.seen.is_some() {
            actions.push(Action::Thaw);
        }
        self.resolve(News::StoodDown, &quiet.to_string(), actions);
        Verdict::Quiet(quiet)
    }

    fn on_fault(
        &mut self,
        fault: Fault,
        detail: String,
        look: &Look,
        actions: &mut Vec<Action>,
    ) -> Verdict {
        let now = look.time.awake;
        if let Course::Proving { attempt, until } = self.course
            && now < until
        {
            return Verdict::Proving { attempt };
        }
        let looks = match self.doubt {
            Some(doubt) if doubt.fault == fault => doubt.looks.saturating_add(1),
            Some(_) | None => 1,
        };
        self.doubt = Some(Doubt { fault, looks });
        if looks >= CONFIRM_LOOKS {
            let reason = format!("{fault}: {detail}");
            self.on_confirmed(fault, &reason, look, actions);
        }
        Verdict::Fault(fault, detail)
    }

    fn on_confirmed(&mut self, fault: Fault, reason: &str, look: &Look, actions: &mut Vec<Action>) {
        let now = look.time.awake;
        let attempt = match self.course {
            Course::Guarding => 1,
            Course::Proving { attempt, .. } if attempt >= self.limits.restarts_max => {
                return self.give_up(reason, "it did not come back", look, actions);
            }
            Course::Proving { attempt, .. } => attempt + 1,
            Course::GivenUp { retry_at } if now < retry_at => {
                return self.page_again(reason, look, actions);
            }
            Course::GivenUp { .. } => self.limits.restarts_max,
        };
        if let Err(why) = self.may_restart(fault, look.time.uptime) {
            return self.give_up(reason, why, look, actions);
        }
        let Some(seen) = &mut self.seen else {
            return self.give_up(reason, "nothing tells how to start it", look, actions);
        };
        seen.moves = 0;
        self.doubt = None;
        self.said = None;
        self.childless_since = None;
        self.durable.restarts.push(look.time.uptime);
        self.looked_at = None;
        self.course = Course::Proving { attempt, until: now + self.limits.restart_limit };
        let of = seen.lease.identity.clone();
        actions.push(Action::Journal { what: fault.word(), detail: reason.to_owned() });
        actions.push(Action::Capture { of: of.clone(), reason: reason.to_owned() });
        actions.push(Action::Thaw);
        // The number of a process of an earlier start of the machine means nothing now.
        if look.process != Presence::Gone && fault != Fault::NotStarted {
            actions.push(Action::Kill(of.clone()));
        }
        // It hangs before its first lease, and holds the lock that the next one needs.
        if let Some(launched) = self.durable.launched.clone().filter(|it| *it != of)
            && look.launched == Presence::Alive
        {
            let reason = format!("pid {} was started and did not prove itself", launched.pid);
            actions.push(Action::Capture { of: launched.clone(), reason });
            actions.push(Action::Kill(launched));
        }
        actions.push(Action::Start(Box::new(seen.lease.clone())));
    }

    fn may_restart(&mut self, fault: Fault, uptime: Duration) -> Result<(), &'static str> {
        let is_recent =
            |at: &Duration| uptime.checked_sub(*at).is_some_and(|age| age < BUDGET_INTERVAL);
        self.durable.restarts.retain(is_recent);
        match fault {
            Fault::Unreadable => Err("it is left as it is"),
            Fault::Blind => Err("it is left as it is, and may well work"),
            Fault::Dead | Fault::Silent | Fault::Stuck | Fault::Childless | Fault::NotStarted => {
                if !self.limits.act {
                    Err("`act = no`, so it is left as it is")
                } else if self.durable.restarts.len() >= self.limits.restarts_per_hour {
                    Err("the restarts of this hour are used up")
                } else {
                    Ok(())
                }
            }
        }
    }

    fn give_up(&mut self, reason: &str, why: &str, look: &Look, actions: &mut Vec<Action>) {
        let now = look.time.awake;
        let is_news = !matches!(self.course, Course::GivenUp { .. });
        self.course = Course::GivenUp { retry_at: now + self.limits.retry_after };
        if let Some(seen) = &mut self.seen {
            seen.moves = 0;
        }
        self.said = None;
        let reason = format!("{reason}; {why}");
        if is_news {
            actions.push(Action::Journal { what: "given-up", detail: reason.clone() });
        }
        if self.durable.incident.is_some() {
            return self.page_again(&reason, look, actions);
        }
        let incident = look.time.wall_ms;
        self.durable.incident = Some(incident);
        self.page_at = now + self.limits.repage_after;
        actions.push(Action::Page { news: News::Down, incident, reason });
    }

    fn page_again(&mut self, reason: &str, look: &Look, actions: &mut Vec<Action>) {
        let now = look.time.awake;
        if let Some(incident) = self.durable.incident
            && self.page_at <= now
        {
            self.page_at = now + self.limits.repage_after;
            let reason = reason.to_owned();
            actions.push(Action::Page { news: News::StillDown, incident, reason });
        }
    }

    fn resolve(&mut self, news: News, reason: &str, actions: &mut Vec<Action>) {
        if let Some(incident) = self.durable.incident.take() {
            let reason = reason.to_owned();
            actions.push(Action::Page { news, incident, reason });
        }
    }

    fn say_once(&mut self, what: &'static str, detail: String, actions: &mut Vec<Action>) {
        if self.said != Some(what) {
            self.said = Some(what);
            actions.push(Action::Journal { what, detail });
        }
    }

    /// Whoever slept with the machine has a whole term again. So has everybody when we did not look
    /// for long: the machine may have stood still, and who did not look cannot judge.
    fn forgive(&mut self, time: Time, actions: &mut Vec<Action>) {
        let now = time.awake;
        let apart = time.uptime.saturating_sub(now);
        let nap = apart.saturating_sub(self.slept.replace(apart).unwrap_or(apart));
        let gap = now.saturating_sub(self.looked_at.replace(now).unwrap_or(now));
        let (what, detail) = if nap >= SLEEP_MIN {
            ("woke", format!("the machine slept for {nap:.0?}"))
        } else if gap > self.limits.stale_after / 2 {
            ("stood-still", format!("nobody looked for {gap:.1?}"))
        } else {
            return;
        };
        actions.push(Action::Journal { what, detail });
        self.doubt = None;
        self.childless_since = None;
        self.unread_since = self.unread_since.map(|_| now);
        if let Some(seen) = &mut self.seen {
            seen.moved_at = now;
        }
        if let Course::Proving { until, .. } = &mut self.course {
            *until = now + self.limits.restart_limit;
        }
    }
}
