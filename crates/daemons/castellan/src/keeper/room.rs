//! Memory: who has room, who is held to what, and who gives way when it runs short.

use std::mem;
use std::path::Path;

use sanctum_host::cgroup::{self, Hierarchy, Leaf, Outcome};
use sanctum_host::memory::{self, Reading};
use sanctum_model::ByteSize;
use sanctum_model::manifest::MemoryPool;
use sanctum_plan::capacity::{
    Claim, Evicted, Pool, Pressure, Shed, ShedStep, Shedding, admit, given,
};
use sanctum_plan::supervise::{Event, Phase};
use sanctum_wire::MemoryLedger;

use super::kept::Kept;
use super::{Course, Keeper};
use crate::findings::Obstacle;

/// The machine's memory, as far as it is the keeper's.
#[derive(Debug)]
pub(super) struct Room {
    pub(super) pool: Pool,
    shed: Shed,
    pressure: Pressure,
    /// Where the kernel holds components to their peaks, or why it cannot.
    groups: Result<Hierarchy, String>,
}

/// One that gave way for memory.
#[derive(Clone, Copy, Debug)]
pub(super) struct GaveWay {
    evicted: Evicted,
    /// Whether it has come back since.
    is_back: bool,
}

/// What the kernel knows of a component in a control group of its own.
#[derive(Debug)]
pub(super) struct Confined {
    pub(super) leaf: Leaf,
    /// How often the kernel had killed in it before.
    kills_before: u64,
}

impl Room {
    pub(super) fn new(pool: Pool, home: &str) -> Self {
        Self {
            pool,
            shed: Shed::default(),
            pressure: Pressure::Unknown,
            groups: Hierarchy::make(Path::new(home)),
        }
    }

    /// Why components are not held to their peaks; empty if they are.
    pub(super) fn not_held(&self) -> String {
        match &self.groups {
            Err(why) => why.clone(),
            Ok(groups) => match groups.memory() {
                Outcome::Done => String::new(),
                Outcome::NotHere(why) => why.clone(),
            },
        }
    }

    /// What shedding has come to, where it does not help.
    pub(super) fn shortage(&self) -> Option<String> {
        match self.shed.state() {
            Shedding::GivenUp { in_vain: Some(name) } => {
                Some(format!("memory is short, and stopping `{name}` did not help"))
            }
            Shedding::GivenUp { in_vain: None } => {
                Some("memory is short, and nothing that runs may be stopped for it".to_owned())
            }
            Shedding::Watching { .. } | Shedding::Verifying { .. } | Shedding::Cooling { .. } => {
                None
            }
        }
    }

    /// Leaves nothing of ours in the kernel's hierarchy that is empty.
    pub(super) fn leave(&self) {
        if let Ok(groups) = &self.groups {
            groups.remove();
        }
    }
}

impl Confined {
    /// Removes it, once it is empty. Says so if the kernel killed for the limit meanwhile.
    pub(super) fn release(&self) -> Option<&'static str> {
        let kills = self.leaf.oom_kills().unwrap_or_default();
        self.leaf.remove();
        (kills > self.kills_before).then_some("the kernel killed in it: it took more than its peak")
    }
}

impl Keeper {
    /// Why there is no room for a component; nothing if there is, or if it declares nothing.
    pub(super) fn no_room(&mut self, index: usize) -> Option<Obstacle> {
        let (now, pressure) = (self.now(), self.room.pressure);
        if let Some(gave_way) = &mut self.kept[index].gave_way
            && !gave_way.is_back
        {
            if !gave_way.evicted.may_return(pressure, now) {
                let rest = gave_way.evicted.rest().as_secs() / 60;
                let what = format!(
                    "it gave way when memory ran short, and comes back when there has been enough \
                     for {rest} min"
                );
                let mend = format!("wait, or `sanctum start {}`", self.kept[index].name());
                return Some(Obstacle { code: "evicted", what, mend });
            }
            gave_way.is_back = true;
        }
        let wanted = self.claim(index, 0);
        if wanted.peak_bytes == 0 {
            return None;
        }
        let refusal = admit(self.room.pool, &self.claims(|_| true), &wanted).err()?;
        Some(Obstacle { code: "refused", what: refusal.to_string(), mend: refusal.mend() })
    }

    /// What those that declare a peak take; the others are measured when somebody wants in.
    pub(super) fn declared_claims(&self) -> Vec<Claim> {
        self.claims(|kept| kept.component.memory.peak_bytes > 0)
    }

    pub(super) fn ledger(&self, claims: &[Claim]) -> MemoryLedger {
        let pool = self.room.pool;
        MemoryLedger {
            physical_bytes: pool.physical,
            pool_bytes: pool.bytes(),
            given_bytes: given(claims),
            not_held: self.room.not_held(),
        }
    }

    /// Has the kernel hold a child to its declared peak, and know whom to kill first when the
    /// machine has nothing left. What it cannot do here it does not.
    pub(super) fn confine(&mut self, index: usize, pid: u32) {
        let kept = &mut self.kept[index];
        let memory = kept.component.memory;
        cgroup::set_oom_score(pid, memory.priority);
        // To be moved takes a process milliseconds, so only those are that have a peak.
        let Ok(groups) = &self.room.groups else { return };
        if memory.peak_bytes == 0 {
            return;
        }
        kept.confined = groups.leaf(kept.name()).ok().and_then(|leaf| {
            leaf.limit(memory.peak_bytes);
            let kills_before = leaf.oom_kills().unwrap_or_default();
            if leaf.put(pid) != Outcome::Done {
                leaf.remove();
                return None;
            }
            Some(Confined { leaf, kills_before })
        });
    }

    /// Looks whether memory is short, and has one give way that may.
    pub(super) fn look_at_memory(&mut self) {
        if self.course != Course::Keeping {
            return;
        }
        let reading = memory::pressure();
        self.room.pressure = match reading {
            Some(Reading::Stalls { some, full }) => Pressure::of_stalls(some, full),
            Some(Reading::Level(level)) => Pressure::of_level(level),
            None => Pressure::Unknown,
        };
        let pressure = self.room.pressure;
        let running = match pressure {
            Pressure::Pressed => self.claims(|_| true),
            Pressure::Calm | Pressure::Tight | Pressure::Unknown => Vec::new(),
        };
        let is_ending = |claim: &Claim| {
            let index = self.fleet.position(&claim.name);
            index.is_some_and(|index| {
                matches!(self.fleet.members()[index].phase(), Phase::Stopping { .. })
            })
        };
        let running: Vec<Claim> = running.into_iter().filter(|it| !is_ending(it)).collect();
        let (shed, step) = mem::take(&mut self.room.shed).on(pressure, &running, self.now());
        self.room.shed = shed;
        match step {
            ShedStep::Nothing => {}
            ShedStep::Stop(name) => {
                if let Some(index) = self.fleet.position(&name) {
                    self.give_way(index, &reading.map(shown).unwrap_or_default());
                }
            }
            ShedStep::SayRelieved => {
                self.journal.add(
                    "castellan",
                    "memory-relieved",
                    "there is enough again".to_owned(),
                );
            }
            ShedStep::SayInVain(_) | ShedStep::SayNothingToStop => {
                let what = self.room.shortage().unwrap_or_default();
                self.journal.add("castellan", "memory-short", what);
            }
        }
    }

    fn give_way(&mut self, index: usize, reading: &str) {
        let now = self.now();
        let kept = &mut self.kept[index];
        let evicted = Evicted::again(kept.gave_way.map(|before| before.evicted), now);
        kept.gave_way = Some(GaveWay { evicted, is_back: false });
        kept.author = format!("castellan: memory is short: {reading} (evictable)");
        let (name, author) = (kept.component.name.clone(), kept.author.clone());
        self.journal.add(name.as_str(), "evicted", author);
        self.happen(index, Event::Restart);
    }

    fn claims(&self, counted: impl Fn(&Kept) -> bool) -> Vec<Claim> {
        let charged = |kept: &Kept| kept.confined.as_ref()?.leaf.memory_bytes();
        let running: Vec<(usize, u32, Option<u64>)> = (0..self.kept.len())
            .map(|index| (index, &self.kept[index]))
            .filter(|(_, kept)| counted(kept))
            .filter_map(|(index, kept)| {
                Some((index, kept.child.as_ref()?.identity.pid, charged(kept)))
            })
            .collect();
        let uncharged = running.iter().filter(|(_, _, charged)| charged.is_none());
        let measured = memory::of_groups(&uncharged.map(|(_, pid, _)| *pid).collect::<Vec<_>>());
        running
            .into_iter()
            .map(|(index, pid, charged)| {
                let bytes = charged.or_else(|| Some(measured.get(&pid)?.bytes));
                self.claim(index, bytes.unwrap_or_default())
            })
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

fn shown(reading: Reading) -> String {
    let percent = |hundredths: u32| format!("{}.{:02} %", hundredths / 100, hundredths % 100);
    match reading {
        Reading::Stalls { some, full } => {
            let (some, full) = (percent(some), percent(full));
            format!("in {some} of the last 10 s some task waited for it, in {full} all did")
        }
        Reading::Level(level) => format!("the system's level is {level}"),
    }
}
