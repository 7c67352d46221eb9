//! What the keeper does from time to time: its lease, the clock, what changed on disk; and room.

use std::path::Path;
use std::sync::atomic::Ordering;
use std::time::{Duration, SystemTime};
use std::{env, fs};

use jiff::{Timestamp, civil, tz::TimeZone};
use sanctum_host::memory;
use sanctum_model::manifest::MemoryPool;
use sanctum_model::{ByteSize, Civil};
use sanctum_model::{Calendar, Life, Moment};
use sanctum_plan::capacity::{Claim, Pool, admit, given};
use sanctum_plan::supervise::{Event, Order};
use sanctum_wire::MemoryLedger;

use super::kept::Kept;
use super::{Course, Keeper};
use crate::findings::Obstacle;
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
        self.renew(State::Keeping);
    }

    pub(super) fn end(&mut self) {
        let (state, how) = if self.course == Course::HandingOver {
            (State::HandingOver, "left its children to the next castellan")
        } else {
            (State::Ended, "nothing is left running")
        };
        self.renew(state);
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

    /// Why there is no room for a component; nothing if there is, or if it declares nothing.
    pub(super) fn no_room(&self, index: usize) -> Option<Obstacle> {
        let wanted = self.claim(index, 0);
        if wanted.peak_bytes == 0 {
            return None;
        }
        let refusal = admit(self.pool, &self.claims(|_| true), &wanted).err()?;
        Some(Obstacle { code: "refused", what: refusal.to_string(), mend: refusal.mend() })
    }

    /// What those that declare a peak take; the others are measured when somebody wants in.
    pub(super) fn declared_claims(&self) -> Vec<Claim> {
        self.claims(|kept| kept.component.memory.peak_bytes > 0)
    }

    pub(super) fn ledger(&self, claims: &[Claim]) -> MemoryLedger {
        let pool = self.pool;
        MemoryLedger {
            physical_bytes: pool.physical,
            pool_bytes: pool.bytes(),
            given_bytes: given(claims),
        }
    }

    fn claims(&self, counted: impl Fn(&Kept) -> bool) -> Vec<Claim> {
        let running: Vec<(usize, u32)> = (0..self.kept.len())
            .filter(|index| counted(&self.kept[*index]))
            .filter_map(|index| Some((index, self.kept[index].child.as_ref()?.identity.pid)))
            .collect();
        let groups: Vec<u32> = running.iter().map(|(_, pid)| *pid).collect();
        let measured = memory::of_groups(&groups);
        running
            .into_iter()
            .map(|(index, pid)| self.claim(index, measured.get(&pid).map_or(0, |it| it.bytes)))
            .collect()
    }

    fn claim(&self, index: usize, measured_bytes: u64) -> Claim {
        let component = &self.kept[index].component;
        let memory = component.memory;
        Claim {
            name: component.name.clone(),
            peak_bytes: memory.peak_bytes,
            measured_bytes,
            priority: memory.priority,
            eviction: memory.eviction,
        }
    }
}

/// The machine's memory, as the manifest parts it. Where it cannot be told there is no limit.
pub(crate) fn pool(told: &MemoryPool) -> Pool {
    let usual = Pool::of(memory::physical().unwrap_or(u64::MAX));
    Pool {
        reserved: told.reserved.map_or(usual.reserved, ByteSize::bytes),
        safety: told.safety.map_or(usual.safety, ByteSize::bytes),
        ..usual
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
