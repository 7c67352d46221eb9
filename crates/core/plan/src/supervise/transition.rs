//! From one phase to the next.

use core::time::Duration;

use sanctum_model::Moment;

use super::patience::{Kind, Looks};
use super::phase::Then;
use super::{Effect, Event, Exit, Movement, Needs, Patience, Phase, Recent, Seen};

/// The first look after a start comes no later than this.
const FIRST_LOOK_MAX: Duration = Duration::from_millis(100);
/// What a program that has ended left behind gets to end too, once it was told.
const REST_MAX: Duration = Duration::from_secs(2);
/// The least time between two kills of the same.
const KILL_INTERVAL_MIN: Duration = Duration::from_secs(1);
/// A component may put off its end to this many times its grace.
const STOP_EXTENSION_MAX: u32 = 10;
/// How long one for which there was no room waits, if nothing makes room before.
const REFUSED_RETRY: Duration = Duration::from_secs(5);

type Step = (Phase, Option<Effect>);

impl Phase {
    /// The next phase, and what the shell is to do to get there.
    ///
    /// Total: every event in every phase has an answer, and asking twice for what is already so
    /// does nothing.
    #[must_use]
    pub fn on(self, event: Event, needs: Needs, patience: &Patience, now: Moment) -> Step {
        match event {
            Event::Start => self.start(needs, patience, now),
            Event::Stop => self.stop(patience, now),
            Event::Restart => self.restart(needs, patience, now),
            Event::Adopted => (self.adopted(patience, now), None),
            Event::SpawnFailed => self.gone(Exit::NotStarted, needs, patience, now),
            Event::Refused => (self.refused(now), None),
            Event::Ending => self.ending(patience, now),
            Event::Leaving => (self.leaving(patience, now), None),
            Event::Gone(exit) => self.gone(exit, needs, patience, now),
            Event::Looked(seen) => (self.looked(seen, patience, now), None),
            Event::Extend(time) => (self.extend(time, patience, now), None),
            Event::Judged(movement) => self.judged(movement, patience, now),
            Event::Due(at) => self.due(at, needs, patience, now),
            Event::Woke => (self.woke(patience, now), None),
            Event::Tick => self.tick(needs, patience, now),
        }
    }

    fn start(self, needs: Needs, patience: &Patience, now: Moment) -> Step {
        match self {
            Self::Stopped if patience.kind == Kind::Scheduled => Self::schedule(0),
            Self::Stopped
            | Self::Refused { .. }
            | Self::BackingOff { .. }
            | Self::GivenUp { .. }
            | Self::Done
            | Self::Scheduled { .. } => Self::Waiting { crashes: 0 }.tick(needs, patience, now),
            Self::Stopping { kill_at, limit_at, then: Then::Stay } => {
                (Self::Stopping { kill_at, limit_at, then: Then::StartAnew }, None)
            }
            Self::Waiting { .. }
            | Self::Starting { .. }
            | Self::Ready { .. }
            | Self::Unhealthy { .. }
            | Self::Stopping {
                then: Then::StartAnew | Then::CountCrash { .. } | Then::AsItEnded { .. },
                ..
            } => (self, None),
        }
    }

    fn stop(self, patience: &Patience, now: Moment) -> Step {
        match self {
            Self::Stopped
            | Self::Waiting { .. }
            | Self::Refused { .. }
            | Self::BackingOff { .. }
            | Self::GivenUp { .. }
            | Self::Done
            | Self::Scheduled { .. } => (Self::Stopped, None),
            Self::Starting { .. } | Self::Ready { .. } | Self::Unhealthy { .. } => {
                Self::stopping(Then::Stay, patience, now)
            }
            Self::Stopping { kill_at, limit_at, .. } => {
                (Self::Stopping { kill_at, limit_at, then: Then::Stay }, None)
            }
        }
    }

    fn restart(self, needs: Needs, patience: &Patience, now: Moment) -> Step {
        match self {
            Self::Starting { .. } | Self::Ready { .. } | Self::Unhealthy { .. } => {
                Self::stopping(Then::StartAnew, patience, now)
            }
            Self::Stopping { kill_at, limit_at, .. } => {
                (Self::Stopping { kill_at, limit_at, then: Then::StartAnew }, None)
            }
            Self::Stopped
            | Self::Waiting { .. }
            | Self::Refused { .. }
            | Self::BackingOff { .. }
            | Self::GivenUp { .. }
            | Self::Done
            | Self::Scheduled { .. } => self.start(needs, patience, now),
        }
    }

    fn adopted(self, patience: &Patience, now: Moment) -> Self {
        match self {
            Self::Stopped
            | Self::Waiting { .. }
            | Self::Refused { .. }
            | Self::BackingOff { .. }
            | Self::GivenUp { .. }
            | Self::Done
            | Self::Scheduled { .. } => {
                let look_at = if patience.is_task() { None } else { Some(now) };
                Self::starting(0, look_at, patience, now)
            }
            Self::Starting { .. }
            | Self::Ready { .. }
            | Self::Unhealthy { .. }
            | Self::Stopping { .. } => self,
        }
    }

    fn refused(self, now: Moment) -> Self {
        let Self::Starting { crashes, .. } = self else { return self };
        Self::Refused { retry_at: now + REFUSED_RETRY, crashes }
    }

    /// What still counts of the crashes before, for one that runs.
    fn record(self, patience: &Patience, now: Moment) -> Option<u32> {
        match self {
            Self::Starting { crashes, .. } | Self::Unhealthy { crashes, .. } => Some(crashes),
            Self::Ready { since, crashes, .. } => Some(patience.remembered(crashes, now - since)),
            Self::Stopped
            | Self::Waiting { .. }
            | Self::Refused { .. }
            | Self::Stopping { .. }
            | Self::BackingOff { .. }
            | Self::GivenUp { .. }
            | Self::Done
            | Self::Scheduled { .. } => None,
        }
    }

    /// Its program is gone and others of it are not. From here on nobody can rely on it, and who
    /// falls with it is a casualty. What was not told to end is debris; what was gets a moment.
    fn ending(self, patience: &Patience, now: Moment) -> Step {
        if let Some(crashes) = self.record(patience, now) {
            let then = Then::AsItEnded { crashes };
            let kill_at = now + patience.stop_max.max(KILL_INTERVAL_MIN);
            return (Self::Stopping { kill_at, limit_at: kill_at, then }, Some(Effect::Kill));
        }
        match self {
            Self::Stopping { kill_at, then, .. } => {
                let kill_at = kill_at.min(now + REST_MAX);
                (Self::Stopping { kill_at, limit_at: kill_at, then }, None)
            }
            Self::Stopped
            | Self::Waiting { .. }
            | Self::Refused { .. }
            | Self::Starting { .. }
            | Self::Ready { .. }
            | Self::Unhealthy { .. }
            | Self::BackingOff { .. }
            | Self::GivenUp { .. }
            | Self::Done
            | Self::Scheduled { .. } => (self, None),
        }
    }

    fn leaving(self, patience: &Patience, now: Moment) -> Self {
        match self.record(patience, now) {
            Some(crashes) => Self::stopping(Then::AsItEnded { crashes }, patience, now).0,
            None => self,
        }
    }

    fn gone(self, exit: Exit, needs: Needs, patience: &Patience, now: Moment) -> Step {
        if let Some(crashes) = self.record(patience, now) {
            return Self::ended(exit, crashes, needs, patience, now);
        }
        match self {
            Self::Stopping { then: Then::AsItEnded { crashes }, .. } => {
                Self::ended(exit, crashes, needs, patience, now)
            }
            Self::Stopping { then: Then::CountCrash { crashes }, .. } => {
                Self::crashed(crashes, needs, patience, now)
            }
            Self::Stopping { then: Then::Stay, .. } => (Self::Stopped, None),
            Self::Stopping { then: Then::StartAnew, .. } => {
                Self::Waiting { crashes: 0 }.tick(needs, patience, now)
            }
            Self::Stopped
            | Self::Waiting { .. }
            | Self::Refused { .. }
            | Self::Starting { .. }
            | Self::Ready { .. }
            | Self::Unhealthy { .. }
            | Self::BackingOff { .. }
            | Self::GivenUp { .. }
            | Self::Done
            | Self::Scheduled { .. } => (self, None),
        }
    }

    /// What the end of its program means, by the life it leads.
    fn ended(exit: Exit, crashes: u32, needs: Needs, patience: &Patience, now: Moment) -> Step {
        let succeeded = patience.succeeded(exit);
        let given_up = Self::GivenUp { retry_at: None, crashes: crashes + 1 };
        match patience.kind {
            Kind::Scheduled if succeeded => Self::schedule(0),
            Kind::Scheduled => Self::schedule(crashes + 1),
            Kind::UntilSuccess | Kind::Never | Kind::Once if succeeded => (Self::Done, None),
            Kind::Never => (given_up, None),
            Kind::Always | Kind::UntilSuccess | Kind::Once if patience.is_fatal(exit) => {
                (given_up, None)
            }
            Kind::Always | Kind::UntilSuccess | Kind::Once => {
                Self::crashed(crashes, needs, patience, now)
            }
        }
    }

    fn looked(self, seen: Seen, patience: &Patience, now: Moment) -> Self {
        let soon = Some(now + patience.interval_starting);
        match (self, seen) {
            (Self::Starting { crashes, .. } | Self::Unhealthy { crashes, .. }, Seen::Good) => {
                let look_at = patience.look_when_ready(now);
                Self::Ready { since: now, look_at, recent: Recent::default(), crashes }
            }
            (Self::Starting { since, judge_at, crashes, .. }, Seen::Bad | Seen::Unknown) => {
                Self::Starting { since, look_at: soon, judge_at, crashes }
            }
            (Self::Ready { since, crashes, recent, .. }, Seen::Good) => {
                let look_at = patience.look_when_ready(now);
                Self::Ready { since, look_at, recent: recent.with(Seen::Good), crashes }
            }
            (Self::Ready { since, crashes, recent, .. }, Seen::Unknown) => {
                Self::Ready { since, look_at: soon, recent, crashes }
            }
            (Self::Ready { since, recent, crashes, .. }, Seen::Bad) => {
                let recent = recent.with(Seen::Bad);
                if recent.misses(patience.watch.misses_of) < patience.watch.misses_max {
                    Self::Ready { since, look_at: soon, recent, crashes }
                } else {
                    let restart_at = now + patience.watch.unhealthy_max;
                    Self::Unhealthy { since: now, look_at: soon, restart_at, crashes }
                }
            }
            (Self::Unhealthy { since, restart_at, crashes, .. }, Seen::Bad | Seen::Unknown) => {
                Self::Unhealthy { since, look_at: soon, restart_at, crashes }
            }
            (
                Self::Stopped
                | Self::Waiting { .. }
                | Self::Refused { .. }
                | Self::Stopping { .. }
                | Self::BackingOff { .. }
                | Self::GivenUp { .. }
                | Self::Done
                | Self::Scheduled { .. },
                Seen::Good | Seen::Bad | Seen::Unknown,
            ) => self,
        }
    }

    /// What asks for more time gets it, up to a limit that it cannot move.
    fn extend(self, time: Duration, patience: &Patience, now: Moment) -> Self {
        match self {
            Self::Starting { since, look_at, crashes, judge_at } => {
                let wanted = (now + time).min(since + patience.watch.start_limit);
                Self::Starting { since, look_at, judge_at: judge_at.max(wanted), crashes }
            }
            Self::Stopping { kill_at, limit_at, then } => {
                let kill_at = kill_at.max((now + time).min(limit_at));
                Self::Stopping { kill_at, limit_at, then }
            }
            Self::Stopped
            | Self::Waiting { .. }
            | Self::Refused { .. }
            | Self::Ready { .. }
            | Self::Unhealthy { .. }
            | Self::BackingOff { .. }
            | Self::GivenUp { .. }
            | Self::Done
            | Self::Scheduled { .. } => self,
        }
    }

    /// A start in which something moves is slow; one in which nothing does is hung.
    fn judged(self, movement: Movement, patience: &Patience, now: Moment) -> Step {
        let Self::Starting { crashes, .. } = self else { return (self, None) };
        match movement {
            Movement::Some => (self, None),
            Movement::None => Self::stopping(Then::CountCrash { crashes }, patience, now),
        }
    }

    fn due(self, at: Moment, needs: Needs, patience: &Patience, now: Moment) -> Step {
        let Self::Scheduled { crashes, .. } = self else { return (self, None) };
        Self::Scheduled { run_at: Some(at), crashes }.tick(needs, patience, now)
    }

    /// Every limit that ran while nothing could run begins anew.
    fn woke(self, patience: &Patience, now: Moment) -> Self {
        let again = |look_at: Option<Moment>| look_at.map(|_| now);
        match self {
            Self::Starting { since, look_at, crashes, .. } => {
                let judge_at = now + patience.watch.start_max;
                Self::Starting { since, look_at: again(look_at), judge_at, crashes }
            }
            Self::Ready { since, look_at, crashes, .. } => {
                let recent = Recent::default();
                Self::Ready { since, look_at: again(look_at), recent, crashes }
            }
            Self::Unhealthy { since, look_at, crashes, .. } => {
                let restart_at = now + patience.watch.unhealthy_max;
                Self::Unhealthy { since, look_at: again(look_at), restart_at, crashes }
            }
            Self::Stopped
            | Self::Waiting { .. }
            | Self::Refused { .. }
            | Self::Stopping { .. }
            | Self::BackingOff { .. }
            | Self::GivenUp { .. }
            | Self::Done
            | Self::Scheduled { .. } => self,
        }
    }

    fn tick(self, needs: Needs, patience: &Patience, now: Moment) -> Step {
        match self {
            Self::Waiting { crashes } if needs == Needs::Met => {
                let look_at = patience.first_look(now);
                (Self::starting(crashes, look_at, patience, now), Some(Effect::Spawn))
            }
            Self::BackingOff { retry_at, crashes }
            | Self::Refused { retry_at, crashes }
            | Self::GivenUp { retry_at: Some(retry_at), crashes }
            | Self::Scheduled { run_at: Some(retry_at), crashes }
                if retry_at <= now =>
            {
                Self::Waiting { crashes }.tick(needs, patience, now)
            }
            Self::Stopping { kill_at, then, .. } if kill_at <= now => {
                let kill_at = now + patience.stop_max.max(KILL_INTERVAL_MIN);
                (Self::Stopping { kill_at, limit_at: kill_at, then }, Some(Effect::Kill))
            }
            Self::Starting { .. } => self.tick_starting(needs, patience, now),
            Self::Unhealthy { restart_at, since, look_at, crashes } if restart_at <= now => {
                match needs {
                    Needs::Met => Self::stopping(Then::CountCrash { crashes }, patience, now),
                    Needs::Lost => {
                        let restart_at =
                            now + patience.watch.unhealthy_max.max(Duration::from_secs(1));
                        (Self::Unhealthy { since, look_at, restart_at, crashes }, None)
                    }
                }
            }
            Self::Ready { look_at: Some(at), since, recent, crashes } if at <= now => {
                (Self::Ready { since, look_at: None, recent, crashes }, Some(Effect::Look))
            }
            Self::Unhealthy { look_at: Some(at), since, restart_at, crashes } if at <= now => {
                (Self::Unhealthy { since, look_at: None, restart_at, crashes }, Some(Effect::Look))
            }
            Self::Stopped
            | Self::Waiting { .. }
            | Self::Refused { .. }
            | Self::Ready { .. }
            | Self::Unhealthy { .. }
            | Self::Stopping { .. }
            | Self::BackingOff { .. }
            | Self::GivenUp { .. }
            | Self::Done
            | Self::Scheduled { .. } => (self, None),
        }
    }

    fn tick_starting(self, needs: Needs, patience: &Patience, now: Moment) -> Step {
        let Self::Starting { since, look_at, judge_at, crashes } = self else {
            return (self, None);
        };
        if judge_at <= now {
            // A casualty is not judged, and one that moves is asked again as long as it may start.
            let next = Self::Starting { since, look_at, judge_at: now + patience.pause(), crashes };
            return match needs {
                Needs::Lost => (next, None),
                Needs::Met if since + patience.watch.start_limit <= now => {
                    Self::stopping(Then::CountCrash { crashes }, patience, now)
                }
                Needs::Met => (next, Some(Effect::Judge)),
            };
        }
        match (look_at, patience.looks) {
            (Some(at), Looks::Alive) if at <= now => (self.looked(Seen::Good, patience, now), None),
            (Some(at), Looks::Outside | Looks::Told { .. }) if at <= now => {
                (Self::Starting { since, look_at: None, judge_at, crashes }, Some(Effect::Look))
            }
            (Some(_) | None, Looks::Alive | Looks::Outside | Looks::Told { .. }) => (self, None),
        }
    }

    fn starting(crashes: u32, look_at: Option<Moment>, patience: &Patience, now: Moment) -> Self {
        Self::Starting { since: now, look_at, judge_at: now + patience.pause(), crashes }
    }

    fn stopping(then: Then, patience: &Patience, now: Moment) -> Step {
        let limit_at = now + patience.stop_max.saturating_mul(STOP_EXTENSION_MAX);
        let kill_at = now + patience.stop_max;
        (Self::Stopping { kill_at, limit_at, then }, Some(Effect::Terminate))
    }

    const fn schedule(crashes: u32) -> Step {
        (Self::Scheduled { run_at: None, crashes }, Some(Effect::Schedule))
    }

    fn crashed(crashes: u32, needs: Needs, patience: &Patience, now: Moment) -> Step {
        if patience.kind == Kind::Scheduled {
            return Self::schedule(crashes + 1);
        }
        if needs == Needs::Lost {
            return (Self::Waiting { crashes }, None);
        }
        let crashes = crashes + 1;
        if crashes > patience.restart.crashes_max {
            let retry_at = Some(now + patience.delay_slow(crashes));
            return (Self::GivenUp { retry_at, crashes }, None);
        }
        let delay = patience.delay(crashes);
        if delay.is_zero() {
            return Self::Waiting { crashes }.tick(needs, patience, now);
        }
        (Self::BackingOff { retry_at: now + delay, crashes }, None)
    }
}

impl Patience {
    pub(super) fn succeeded(&self, exit: Exit) -> bool {
        match exit {
            Exit::Code(code) => self.success.contains(code),
            Exit::Signal | Exit::NotStarted => false,
            // A task that a castellan before this one started is not run twice on a guess.
            Exit::Unknown => self.is_task(),
        }
    }

    fn is_fatal(&self, exit: Exit) -> bool {
        match exit {
            Exit::Code(code) => self.fatal.contains(code),
            Exit::Signal | Exit::Unknown | Exit::NotStarted => false,
        }
    }

    /// The time until it is asked whether anything moves; never none, so that asking ends.
    fn pause(&self) -> Duration {
        self.watch.start_max.min(self.watch.start_limit).max(Duration::from_millis(1))
    }

    fn first_look(&self, now: Moment) -> Option<Moment> {
        if self.is_task() {
            return None;
        }
        match self.looks {
            Looks::Alive => Some(now + FIRST_LOOK_MAX),
            Looks::Outside => Some(now + self.interval_starting.min(FIRST_LOOK_MAX)),
            Looks::Told { .. } => None,
        }
    }

    fn look_when_ready(&self, now: Moment) -> Option<Moment> {
        match self.looks {
            Looks::Alive => None,
            Looks::Outside => Some(now + self.watch.interval_ready),
            Looks::Told { watchdog } if watchdog.is_zero() => None,
            Looks::Told { watchdog } => Some(now + watchdog),
        }
    }
}
