//! What the machine's memory is given to: whether there is room for one more, and what to stop when
//! it runs short.
//!
//! Nothing is stored: the ledger is made anew from what lives each time it is asked.

mod shed;
#[cfg(test)]
mod tests;

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use sanctum_model::{ByteSize, ComponentName, Eviction};

pub use shed::{
    CONFIRM_MAX, CONFIRMATIONS, COOLDOWN, Evicted, Pressure, REST_MAX, REST_MIN, Shed, ShedStep,
    Shedding, VERIFY_AFTER,
};

/// What is kept for the kernel and for programs that are not ours, as a part of what the machine
/// has: a quarter. The page cache that model files are read through is in it, and on a Mac the
/// window server and the system's own daemons, which take 2 to 3 GiB of 16.
pub const RESERVED_PART: u64 = 4;
/// The least that is kept for them: a kernel, an ssh server and a shell of a small Linux machine.
pub const RESERVED_BYTES_MIN: u64 = 512 << 20;
/// The most: past 64 GiB a system does not need more for itself.
pub const RESERVED_BYTES_MAX: u64 = 16 << 30;
/// What is kept free above that, as a part of what the machine has: a twentieth. It is what declared
/// peaks are wrong by, and what the kernel needs to reclaim without stalling.
pub const SAFETY_PART: u64 = 20;
/// How many blockers a refusal names.
const BLOCKERS_MAX: usize = 3;

/// The machine's memory, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pool {
    /// All of it.
    pub physical: u64,
    /// What is kept for what is not ours.
    pub reserved: u64,
    /// What is kept free.
    pub safety: u64,
}

impl Pool {
    /// The pool of a machine that has `physical` bytes, with the usual parts kept back: never more
    /// than half of a small machine.
    #[must_use]
    pub fn of(physical: u64) -> Self {
        let reserved = (physical / RESERVED_PART).clamp(RESERVED_BYTES_MIN, RESERVED_BYTES_MAX);
        Self { physical, reserved: reserved.min(physical / 2), safety: physical / SAFETY_PART }
    }

    /// What components may take together.
    #[must_use]
    pub const fn bytes(&self) -> u64 {
        self.physical.saturating_sub(self.reserved).saturating_sub(self.safety)
    }
}

/// What one component takes, or is to take.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claim {
    /// Its name.
    pub name: ComponentName,
    /// What it was declared to take at most; 0 if not declared.
    pub peak_bytes: u64,
    /// What it takes now; 0 if it does not run or is not known.
    pub measured_bytes: u64,
    /// Its worth; the least is shed first.
    pub priority: u8,
    /// Whether it may be stopped to make room.
    pub eviction: Eviction,
}

impl Claim {
    /// What it counts as: its declared peak, or what it takes if that is more.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.peak_bytes.max(self.measured_bytes)
    }
}

/// What those that run count as together.
#[must_use]
pub fn given(running: &[Claim]) -> u64 {
    running.iter().fold(0, |sum, claim| sum.saturating_add(claim.bytes()))
}

/// Why there is no room for a component, and what would make some.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// Who is refused.
    pub name: ComponentName,
    /// What it needs.
    pub wanted_bytes: u64,
    /// What is free of the pool.
    pub free_bytes: u64,
    /// The pool.
    pub pool_bytes: u64,
    /// Those that take the most, the biggest first.
    pub blockers: Vec<Blocker>,
    /// What can be done.
    pub remedy: Remedy,
}

/// A component that takes what another one needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Blocker {
    /// Its name.
    pub name: ComponentName,
    /// What it counts as.
    pub bytes: u64,
}

/// What can be done about a refusal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Remedy {
    /// Stopping these makes room. As few as can be; of those, what is worth least.
    Stop(Vec<Blocker>),
    /// It is more than all of the pool: it never fits on this machine.
    NeverFits,
}

/// Whether there is room for `wanted` beside those that run. One that declares nothing is admitted:
/// nothing is known against it, and it is counted by what it then takes. So is what runs already:
/// its own claim is not counted twice.
///
/// # Errors
///
/// [`Refusal`].
pub fn admit(pool: Pool, running: &[Claim], wanted: &Claim) -> Result<(), Refusal> {
    let others: Vec<&Claim> =
        running.iter().filter(|claim| claim.name != wanted.name && claim.bytes() > 0).collect();
    let taken = others.iter().fold(0_u64, |sum, claim| sum.saturating_add(claim.bytes()));
    let pool_bytes = pool.bytes();
    let (wanted_bytes, free_bytes) = (wanted.bytes(), pool_bytes.saturating_sub(taken));
    if wanted_bytes == 0 || wanted_bytes <= free_bytes {
        return Ok(());
    }
    let remedy = if wanted_bytes > pool_bytes {
        Remedy::NeverFits
    } else {
        Remedy::Stop(to_stop(&others, taken.saturating_sub(pool_bytes - wanted_bytes)))
    };
    let mut blockers: Vec<Blocker> = others.into_iter().map(Blocker::of).collect();
    blockers
        .sort_by(|one, other| other.bytes.cmp(&one.bytes).then_with(|| one.name.cmp(&other.name)));
    blockers.truncate(BLOCKERS_MAX);
    let name = wanted.name.clone();
    Err(Refusal { name, wanted_bytes, free_bytes, pool_bytes, blockers, remedy })
}

impl Blocker {
    fn of(claim: &Claim) -> Self {
        Self { name: claim.name.clone(), bytes: claim.bytes() }
    }
}

/// Whom to stop so that `missing` bytes come free: one if one is enough, the least worth of those
/// that are; else from the least worth up, and none of them in vain.
fn to_stop(others: &[&Claim], missing: u64) -> Vec<Blocker> {
    let worth =
        |claim: &&&Claim| (claim.eviction == Eviction::Spared, claim.priority, claim.bytes());
    let enough = others.iter().filter(|claim| claim.bytes() >= missing).min_by_key(worth);
    if let Some(one) = enough {
        return alloc::vec![Blocker::of(one)];
    }
    let mut by_worth: Vec<&&Claim> = others.iter().collect();
    by_worth.sort_by_key(|claim| {
        let (is_spared, priority, bytes) = worth(claim);
        (is_spared, priority, core::cmp::Reverse(bytes))
    });
    let (mut chosen, mut freed) = (Vec::new(), 0_u64);
    for claim in by_worth {
        if freed >= missing {
            break;
        }
        freed = freed.saturating_add(claim.bytes());
        chosen.push(Blocker::of(claim));
    }
    // What was taken first may be too small to matter beside what came after it.
    let mut index = 0;
    while index < chosen.len() {
        if freed.saturating_sub(chosen[index].bytes) >= missing {
            freed -= chosen.remove(index).bytes;
        } else {
            index += 1;
        }
    }
    chosen
}

/// One sentence for a reader.
impl fmt::Display for Refusal {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, wanted_bytes, free_bytes, pool_bytes, .. } = self;
        let (wanted, pool) =
            (ByteSize::from_bytes(*wanted_bytes), ByteSize::from_bytes(*pool_bytes));
        match &self.remedy {
            Remedy::NeverFits => write!(
                formatter,
                "`{name}` needs {wanted}, and components may take {pool} of this machine together: \
                 it can never fit"
            ),
            Remedy::Stop(chosen) => write!(
                formatter,
                "`{name}` needs {wanted}, {free} are free of {pool}; stopping {chosen} would make room",
                free = ByteSize::from_bytes(*free_bytes),
                chosen = listed(chosen),
            ),
        }
    }
}

impl Refusal {
    /// What would mend it, as a command.
    #[must_use]
    pub fn mend(&self) -> String {
        match &self.remedy {
            Remedy::NeverFits => {
                format!("give `{}` a smaller peak, or a machine with more memory", self.name)
            }
            Remedy::Stop(chosen) => {
                let names: Vec<&str> = chosen.iter().map(|blocker| blocker.name.as_str()).collect();
                format!("sanctum stop {}", names.join(" "))
            }
        }
    }
}

/// `a` (2 GiB) and `b` (1 GiB)
fn listed(blockers: &[Blocker]) -> String {
    let named =
        |blocker: &Blocker| format!("`{}` ({})", blocker.name, ByteSize::from_bytes(blocker.bytes));
    let Some((last, others)) = blockers.split_last() else { return String::new() };
    let others: Vec<String> = others.iter().map(named).collect();
    if others.is_empty() {
        named(last)
    } else {
        format!("{} and {}", others.join(", "), named(last))
    }
}
