//! How long a component is waited for, how often it is started again, and how its end is read.

use core::time::Duration;

use sanctum_model::{Component, ExitCodes, Keeper, Life, Probe, Restart, Watch};

/// Delays are spread by this part to either side, so that what fell together is not tried together.
const JITTER_DIVISOR: u32 = 4;
/// The steps the spread is parted into.
const JITTER_STEPS: u32 = 1024;

/// A component's patience: everything of it that its life depends on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Patience {
    /// What kind of life it leads.
    pub kind: Kind,
    /// How one sees that it works.
    pub looks: Looks,
    /// See [`sanctum_model::Readiness::interval_starting`].
    pub interval_starting: Duration,
    /// How often and how patiently it is looked at.
    pub watch: Watch,
    /// See [`sanctum_model::Component::stop_max`].
    pub stop_max: Duration,
    /// How often and how soon it is started again.
    pub restart: Restart,
    /// Exit codes that are success, 0 among them.
    pub success: CodeSet,
    /// Exit codes that say that another start is of no use.
    pub fatal: CodeSet,
    /// What the spread of its delays is taken from.
    pub seed: u32,
}

/// What kind of life a component leads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// It runs for ever.
    Always,
    /// It runs until it ends well.
    UntilSuccess,
    /// It is started once, and stays ended.
    Never,
    /// A task that runs to its end once.
    Once,
    /// A task that runs again and again.
    Scheduled,
}

/// How one sees that it works.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Looks {
    /// That it runs is all that can be asked.
    Alive,
    /// It is looked at.
    Outside,
    /// It says so itself, or its keeper does; looked at only where it must go on saying so.
    Told {
        /// It must say so at least this often; zero if it need not.
        watchdog: Duration,
    },
}

/// A set of exit codes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CodeSet([u64; 4]);

impl CodeSet {
    /// The set of these codes.
    pub fn of(codes: impl IntoIterator<Item = u8>) -> Self {
        let mut set = [0; 4];
        for code in codes {
            set[usize::from(code >> 6)] |= 1u64 << (code & 63);
        }
        Self(set)
    }

    /// Whether the code is one of them.
    pub const fn contains(&self, code: u8) -> bool {
        self.0[(code >> 6) as usize] & (1u64 << (code & 63)) != 0
    }
}

impl From<&Component> for Patience {
    fn from(component: &Component) -> Self {
        let readiness = &component.readiness;
        let ExitCodes { success, fatal } = &component.exit_codes;
        Self {
            kind: match &component.life {
                Life::Always => Kind::Always,
                Life::UntilSuccess => Kind::UntilSuccess,
                Life::Never => Kind::Never,
                Life::Once => Kind::Once,
                Life::Every(_) | Life::Calendar(_) => Kind::Scheduled,
            },
            looks: match readiness.probe {
                // Its keeper says when it runs.
                Probe::Alive if component.keeper != Keeper::Own => {
                    Looks::Told { watchdog: Duration::ZERO }
                }
                Probe::Alive => Looks::Alive,
                Probe::Tcp { .. } | Probe::Http { .. } | Probe::Exec(_) => Looks::Outside,
                Probe::Notify { watchdog } => Looks::Told { watchdog },
            },
            interval_starting: readiness.interval_starting,
            watch: readiness.watch,
            stop_max: component.stop_max,
            restart: component.restart,
            success: CodeSet::of(success.iter().copied().chain([0])),
            fatal: CodeSet::of(fatal.iter().copied()),
            seed: hash(component.name.as_str().as_bytes()),
        }
    }
}

impl Patience {
    /// Whether it is a task: something that runs to an end.
    pub const fn is_task(&self) -> bool {
        match self.kind {
            Kind::Once | Kind::Scheduled => true,
            Kind::Always | Kind::UntilSuccess | Kind::Never => false,
        }
    }

    /// The crashes that still count after a run of this length.
    pub(super) fn remembered(&self, crashes: u32, ran: Duration) -> u32 {
        if ran >= self.restart.run_long { 0 } else { crashes }
    }

    /// The wait after so many crashes in a row: none after the first, then doubling to the cap.
    pub(super) fn delay(&self, crashes: u32) -> Duration {
        match crashes {
            0 | 1 => Duration::ZERO,
            many => {
                let factor = 1u32.checked_shl(many - 2).unwrap_or(u32::MAX);
                let delay =
                    self.restart.delay_min.saturating_mul(factor).min(self.restart.delay_max);
                self.spread(delay, crashes)
            }
        }
    }

    /// The wait before a slow retry.
    pub(super) fn delay_slow(&self, crashes: u32) -> Duration {
        self.spread(self.restart.retry_slow, crashes)
    }

    /// The same for the same component and the same crash: nothing here is drawn.
    fn spread(&self, delay: Duration, crashes: u32) -> Duration {
        let drawn = hash(&(self.seed ^ crashes).to_le_bytes()) % JITTER_STEPS;
        let width = delay / JITTER_DIVISOR * 2;
        delay.saturating_sub(delay / JITTER_DIVISOR).saturating_add(width / JITTER_STEPS * drawn)
    }
}

/// FNV-1a: spreads short texts well enough.
fn hash(bytes: &[u8]) -> u32 {
    bytes.iter().fold(0x811c_9dc5, |hash, byte| (hash ^ u32::from(*byte)).wrapping_mul(16_777_619))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_holds_what_it_was_given_and_no_other() {
        let set = CodeSet::of([0, 63, 64, 255]);
        let held: Vec<u8> = (0..=255).filter(|code| set.contains(*code)).collect();
        assert_eq!(held, [0, 63, 64, 255]);
    }
}
