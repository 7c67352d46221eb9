//! What the keeper does from time to time: its lease, the clock, what changed on disk.

use std::path::Path;
use std::sync::atomic::Ordering;
use std::time::{Duration, SystemTime};
use std::{env, fs};

use jiff::{Timestamp, civil, tz::TimeZone};
use sanctum_model::{Calendar, Civil, Life, Moment};
use sanctum_plan::supervise::{Event, Order};
use sha2::{Digest as _, Sha256};

use super::{Course, Keeper};
use crate::lease::{Evidence, State, uptime};

/// The clocks are apart by more than this only if the machine has slept.
const SLEEP_MIN: Duration = Duration::from_secs(2);
/// A calendar that cannot say when asks again after this.
const CALENDAR_RETRY: Duration = Duration::from_hours(24);

impl Keeper {
    pub(super) fn beat(&mut self) {
        let behind = uptime().saturating_sub(self.started.elapsed());
        if !self.slept.is_zero() && behind > self.slept + SLEEP_MIN {
            let nap = behind.saturating_sub(self.slept);
            self.journal.add("castellan", "woke", format!("the machine slept for {nap:.0?}"));
            let effects = self.fleet.on_all(Event::Woke, self.now());
            self.perform(effects);
        }
        self.slept = behind;
        self.look_at_programs();
        self.look_at_manifest();
        self.look_at_memory();
        self.renew(State::Keeping);
    }

    pub(super) fn end(&mut self) {
        let (state, how) = if self.course == Course::HandingOver {
            (State::HandingOver, "left its children to the next castellan")
        } else {
            (State::Ended, "nothing is left running")
        };
        self.renew(state);
        if state == State::Ended {
            self.room.leave();
        }
        self.journal.add("castellan", "ended", how);
    }

    fn renew(&mut self, state: State) {
        let members = self.fleet.members();
        let wanted = members
            .iter()
            .filter(|member| member.order() == Order::Up && member.phase().has_child())
            .count();
        let children = self.kept.iter().filter(|kept| kept.child.is_some()).count();
        let control = Duration::from_secs(self.control_beat.load(Ordering::Relaxed));
        let loop_age = self.started.elapsed().saturating_sub(control);
        let state = if self.course == Course::ShuttingDown { State::Ended } else { state };
        self.lease.renew(state, Evidence { children, wanted, loop_age });
    }

    /// A program that was replaced on disk is not the one that runs.
    fn look_at_programs(&mut self) {
        for kept in &mut self.kept {
            let Some(child) = &kept.child else { continue };
            let program = Path::new(&kept.component.command.program);
            let is_newer = program.is_absolute() && is_newer(program, child.started);
            if is_newer && !kept.is_program_newer {
                let detail = format!("{} is newer than the process", program.display());
                self.journal.add(kept.component.name.as_str(), "program-newer", detail);
            }
            kept.is_program_newer = is_newer;
        }
    }

    /// A manifest that was changed and not applied is not the one in force.
    fn look_at_manifest(&mut self) {
        let path = self.layout.manifest();
        let sha256 = match fs::read(&path) {
            Ok(text) => format!("{:x}", Sha256::digest(text)),
            Err(error) => {
                self.manifest_fault = format!("cannot read `{path}`: {error}");
                return;
            }
        };
        let is_another = !self.manifest_seen.is_empty() && self.manifest_seen != sha256;
        if sha256 == self.base.manifest_sha256 {
            self.manifest_fault.clear();
        } else if self.manifest_fault.is_empty() || is_another {
            self.manifest_fault = format!("`{path}` was changed, and is not what is in force");
        }
        self.manifest_seen = sha256;
    }

    /// When a task is to run next.
    pub(super) fn next_run(&self, index: usize) -> Option<Moment> {
        let kept = &self.kept[index];
        let now = self.now();
        let since_last = kept.last_run.and_then(|last| SystemTime::now().duration_since(last).ok());
        match &kept.component.life {
            Life::Every(interval) => {
                let wait = since_last.map_or(Duration::ZERO, |ran| interval.saturating_sub(ran));
                Some(now + wait)
            }
            Life::Calendar(calendar) => {
                Some(now + until(calendar, SystemTime::now()).unwrap_or(CALENDAR_RETRY))
            }
            Life::Always | Life::UntilSuccess | Life::Never | Life::Once => None,
        }
    }
}

/// The time until the next point of a calendar, in local time.
fn until(calendar: &Calendar, now: SystemTime) -> Option<Duration> {
    let zone = TimeZone::try_system().unwrap_or(TimeZone::UTC);
    let now = Timestamp::try_from(now).ok()?.to_zoned(zone.clone());
    let civil = Civil::new(now.year(), now.month(), now.day(), now.hour(), now.minute())?;
    let next = calendar.next_after(civil)?;
    let next = civil::DateTime::new(
        next.year(),
        next.month(),
        next.day(),
        next.hour(),
        next.minute(),
        0,
        0,
    );
    let next = next.ok()?.to_zoned(zone).ok()?;
    let wait = next.timestamp().duration_since(now.timestamp());
    Duration::try_from(wait).ok()
}

/// Whether castellan's own program was replaced since it was started.
pub(super) fn is_own_program_newer(started: SystemTime) -> bool {
    env::current_exe().is_ok_and(|program| is_newer(&program, started))
}

fn is_newer(file: &Path, than: SystemTime) -> bool {
    fs::metadata(file).and_then(|about| about.modified()).is_ok_and(|at| at > than)
}
