//! The clocks: one that stands still while the machine sleeps, one that does not, and the wall's.

use std::fs;
use std::process::Command;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use crate::tool;

/// How long `sysctl` may take.
const SYSCTL_MAX: Duration = Duration::from_secs(5);

/// All clocks, read at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Time {
    /// Since we were started, sleep left out.
    pub(crate) awake: Duration,
    /// Since the machine was started, sleep included.
    pub(crate) uptime: Duration,
    /// Milliseconds since 1970.
    pub(crate) wall_ms: u64,
}

/// Reads the clocks.
#[derive(Debug)]
pub(crate) struct Clock {
    started: Instant,
}

impl Clock {
    pub(crate) fn start() -> Self {
        Self { started: Instant::now() }
    }

    pub(crate) fn now(&self) -> Time {
        let awake = self.started.elapsed();
        Time { awake, uptime: uptime().unwrap_or(awake), wall_ms: wall_ms() }
    }
}

/// What tells this start of the machine from the next.
pub(crate) fn boot() -> String {
    let linux = fs::read_to_string("/proc/sys/kernel/random/boot_id").ok();
    let text = linux.or_else(boottime).unwrap_or_default();
    text.trim().replace('\n', " ")
}

/// Milliseconds since 1970.
pub(crate) fn wall_ms() -> u64 {
    millis(SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default())
}

/// A duration in whole milliseconds.
pub(crate) fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// A moment as a name: `20261125T091500Z`.
pub(crate) fn stamp(wall_ms: u64) -> String {
    let seconds = wall_ms / 1000;
    let (days, second) = (seconds / 86_400, seconds % 86_400);
    // Years begin in March, so that the leap day is the last one; an era has 400 years.
    let shifted = days + 719_468;
    let (era, of_era) = (shifted / 146_097, shifted % 146_097);
    let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    let year = era * 400 + year_of_era + u64::from(month <= 2);
    let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
    format!("{year:04}{month:02}{day:02}T{hour:02}{minute:02}{second:02}Z")
}

fn uptime() -> Option<Duration> {
    if let Ok(text) = fs::read_to_string("/proc/uptime") {
        return seconds(text.split_whitespace().next()?);
    }
    let since = boot_seconds(&boottime()?)?;
    SystemTime::now().duration_since(UNIX_EPOCH + Duration::from_secs(since)).ok()
}

fn seconds(text: &str) -> Option<Duration> {
    Duration::try_from_secs_f64(text.parse().ok()?).ok()
}

fn boottime() -> Option<String> {
    let mut sysctl = Command::new("/usr/sbin/sysctl");
    let said = tool::run(sysctl.args(["-n", "kern.boottime"]), "", SYSCTL_MAX).ok()?;
    said.success().ok()
}

/// `{ sec = 1700000000, usec = 123 } Tue Nov 14 …`
fn boot_seconds(text: &str) -> Option<u64> {
    let (_, after) = text.split_once("sec = ")?;
    after.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_has_its_name_in_the_calendar() {
        for (seconds, name) in [
            (0, "19700101T000000Z"),
            (951_782_399, "20000228T235959Z"),
            (951_782_400, "20000229T000000Z"),
            (1_709_164_800, "20240229T000000Z"),
            (4_107_542_399, "21000228T235959Z"),
            (4_107_542_400, "21000301T000000Z"),
            (1_795_684_500, "20261126T091500Z"),
        ] {
            assert_eq!(stamp(seconds * 1000), name);
        }
    }

    #[test]
    fn the_moment_of_boot_is_read_from_either_system() {
        assert_eq!(seconds("350735.47"), Some(Duration::from_millis(350_735_470)));
        assert_eq!(seconds("soon"), None);
        let mac = "{ sec = 1700000000, usec = 123456 } Tue Nov 14 22:13:20 2023";
        assert_eq!(boot_seconds(mac), Some(1_700_000_000));
    }

    #[test]
    fn a_machine_has_a_boot_and_runs_since_then() {
        assert!(!boot().is_empty());
        assert!(uptime().unwrap() > Duration::ZERO);
    }
}
