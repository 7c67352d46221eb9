//! What the machine's memory is, who takes it, and whether it runs short.
//!
//! What a process takes is its proportional share (what it shares with others is divided among
//! them) or, on a Mac, its footprint. The resident size counts what is shared once for each, and is
//! told only where nothing better is, and labelled as that.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::process::Command;

use crate::{cgroup, machine};

/// A line of descent is not followed further than this.
const GENERATIONS_MAX: usize = 64;

/// What processes take, and how that was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Measured {
    /// Bytes.
    pub bytes: u64,
    /// What they count; the weakest of several.
    pub measure: Measure,
}

/// What a figure counts, the best first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Measure {
    /// What the kernel has charged to a control group.
    Charged,
    /// The footprint that macOS holds a process to.
    Footprint,
    /// Proportional shares.
    Proportional,
    /// Resident sizes: what is shared is counted more than once.
    Resident,
}

/// How short memory is, as the system tells it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reading {
    /// Linux: the shares of the last 10 s in which some and all tasks waited, in hundredths of a
    /// percent.
    Stalls {
        /// At least one task.
        some: u32,
        /// All at once.
        full: u32,
    },
    /// macOS: 1 normal, 2 warning, 4 critical.
    Level(u32),
}

/// A process, as the system lists it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Listed {
    pid: u32,
    parent: u32,
    group: u32,
}

/// The memory that we may use, in bytes: the machine's, or less where our control group has less.
pub fn physical() -> Option<u64> {
    let total = machine::memory()?.total;
    Some(cgroup::memory_limit().map_or(total, |limit| limit.min(total)))
}

/// How short memory is; nothing where it cannot be told.
pub fn pressure() -> Option<Reading> {
    match fs::read_to_string("/proc/pressure/memory") {
        Ok(text) => stalls_of_psi(&text),
        Err(_) if cfg!(target_os = "macos") => {
            level_of_sysctl(&run("sysctl", &["-n", "kern.memorystatus_vm_pressure_level"])?)
        }
        Err(_) => None,
    }
}

/// What each of these groups takes, with all that its processes have started, also in groups and
/// sessions of their own. One walk through the processes for all of them. On a Mac it starts
/// programs and takes tenths of a second: not for a thread that must answer.
pub fn of_groups(groups: &[u32]) -> BTreeMap<u32, Measured> {
    let members = members_of(groups, &listed());
    members.into_iter().filter_map(|(group, pids)| Some((group, of_processes(&pids)?))).collect()
}

/// What these processes take together; nothing if none of them can be looked at.
pub fn of_processes(pids: &[u32]) -> Option<Measured> {
    let found = pids.iter().filter_map(|pid| of_process(*pid));
    found.reduce(|sum, one| Measured {
        bytes: sum.bytes.saturating_add(one.bytes),
        measure: sum.measure.max(one.measure),
    })
}

fn of_process(pid: u32) -> Option<Measured> {
    if Path::new("/proc/self/smaps_rollup").exists() {
        let shares = fs::read_to_string(format!("/proc/{pid}/smaps_rollup"));
        let proportional = shares.ok().as_deref().and_then(proportional_of_rollup);
        let proportional = proportional.map(|bytes| (bytes, Measure::Proportional));
        let resident = || {
            let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
            Some((kibibytes(&status, "VmRSS:")?, Measure::Resident))
        };
        let (bytes, measure) = proportional.or_else(resident)?;
        return Some(Measured { bytes, measure });
    }
    let pid = pid.to_string();
    let footprint = run("footprint", &["-p", &pid]).as_deref().and_then(bytes_of_footprint);
    if let Some(bytes) = footprint {
        return Some(Measured { bytes, measure: Measure::Footprint });
    }
    let bytes = bytes_of_ps(&run("ps", &["-o", "rss=", "-p", &pid])?)?;
    Some(Measured { bytes, measure: Measure::Resident })
}

/// The members of each group, and their descendants.
fn members_of(groups: &[u32], listed: &[Listed]) -> BTreeMap<u32, Vec<u32>> {
    let wanted: BTreeSet<u32> = groups.iter().copied().collect();
    let by_pid: BTreeMap<u32, &Listed> = listed.iter().map(|one| (one.pid, one)).collect();
    let mut members: BTreeMap<u32, Vec<u32>> = BTreeMap::new();
    for one in listed {
        let parent = |one: &&Listed| by_pid.get(&one.parent).copied();
        let mut line = std::iter::successors(Some(one), parent).take(GENERATIONS_MAX);
        if let Some(member) = line.find(|one| wanted.contains(&one.group)) {
            members.entry(member.group).or_default().push(one.pid);
        }
    }
    members
}

fn listed() -> Vec<Listed> {
    let Ok(entries) = fs::read_dir("/proc") else {
        let text = run("ps", &["-axo", "pid=,ppid=,pgid="]).unwrap_or_default();
        return text.lines().filter_map(listed_of_ps).collect();
    };
    let of_entry = |entry: fs::DirEntry| {
        let pid = entry.file_name().to_str()?.parse().ok()?;
        listed_of_stat(pid, &fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)
    };
    entries.filter_map(|entry| of_entry(entry.ok()?)).collect()
}

/// The fields after the name, which may hold anything.
fn listed_of_stat(pid: u32, stat: &str) -> Option<Listed> {
    let mut fields = stat.rsplit_once(") ")?.1.split(' ').skip(1);
    Some(Listed { pid, parent: fields.next()?.parse().ok()?, group: fields.next()?.parse().ok()? })
}

fn listed_of_ps(line: &str) -> Option<Listed> {
    let mut fields = line.split_whitespace().map(|field| field.parse().ok());
    Some(Listed { pid: fields.next()??, parent: fields.next()??, group: fields.next()?? })
}

fn proportional_of_rollup(text: &str) -> Option<u64> {
    kibibytes(text, "Pss:")
}

fn kibibytes(text: &str, name: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    let count: u64 = line.trim().strip_suffix(" kB")?.parse().ok()?;
    count.checked_mul(1 << 10)
}

/// `some avg10=0.12 avg60=… total=…`, and the same of `full`.
fn stalls_of_psi(text: &str) -> Option<Reading> {
    let share = |name: &str| {
        let line =
            text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(" avg10="))?;
        let (whole, hundredths) = line.split(' ').next()?.split_once('.')?;
        let (whole, hundredths): (u32, u32) = (whole.parse().ok()?, hundredths.parse().ok()?);
        Some(whole * 100 + hundredths)
    };
    Some(Reading::Stalls { some: share("some")?, full: share("full")? })
}

fn level_of_sysctl(text: &str) -> Option<Reading> {
    text.trim().parse().ok().map(Reading::Level)
}

/// `sanctum-mlx [1234]: 64-bit    Footprint: 5217 KB (16384 bytes per page)`
fn bytes_of_footprint(text: &str) -> Option<u64> {
    let mut words = text.split_once("Footprint: ")?.1.split_whitespace();
    let count: u64 = words.next()?.parse().ok()?;
    let factor = match words.next()? {
        "B" | "bytes" => 1,
        "KB" => 1 << 10,
        "MB" => 1 << 20,
        "GB" => 1 << 30,
        _ => return None,
    };
    count.checked_mul(factor)
}

fn bytes_of_ps(text: &str) -> Option<u64> {
    let kibibytes: u64 = text.trim().parse().ok()?;
    kibibytes.checked_mul(1 << 10)
}

fn run(program: &str, arguments: &[&str]) -> Option<String> {
    let output = Command::new(program).args(arguments).output().ok()?;
    output.status.success().then(|| String::from_utf8(output.stdout).ok())?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_each_system_writes_is_read() {
        let rollup = "55cc1c599000-7ffe6ffcb000 ---p 00000000 00:00 0      [rollup]\n\
                      Rss:                1716 kB\nPss:                 331 kB\nPss_Dirty:  112 kB\n";
        assert_eq!(proportional_of_rollup(rollup), Some(331 << 10));
        let psi = "some avg10=12.05 avg60=0.00 avg300=0.00 total=0\n\
                   full avg10=0.30 avg60=0.00 avg300=0.00 total=0\n";
        assert_eq!(stalls_of_psi(psi), Some(Reading::Stalls { some: 1205, full: 30 }));
        assert_eq!(level_of_sysctl("4\n"), Some(Reading::Level(4)));
        let footprint = "======\nsanctum-mlx [1234]: 64-bit    Footprint: 5217 KB (16384 bytes per page)\n======\n";
        assert_eq!(bytes_of_footprint(footprint), Some(5217 << 10));
        assert_eq!(bytes_of_footprint("x Footprint: 3 GB (…)"), Some(3 << 30));
        assert_eq!(bytes_of_ps("  2048\n"), Some(2 << 20));
        let stat = listed_of_stat(7, "7 (a) b) S 3 5 5 0 -1 4194560");
        assert_eq!(stat, Some(Listed { pid: 7, parent: 3, group: 5 }));
        assert_eq!(listed_of_ps("    7     3     5"), stat);
    }

    #[test]
    fn what_is_cut_or_changed_is_not_taken_for_a_figure() {
        for text in ["", "Pss:", "Pss: x kB\n", "some avg10=0.00\n", "Footprint: 1 YB"] {
            assert_eq!(proportional_of_rollup(text), None, "{text}");
            assert_eq!(stalls_of_psi(text), None, "{text}");
            assert_eq!(bytes_of_footprint(text), None, "{text}");
        }
        assert_eq!(listed_of_stat(7, "7 (a) S"), None);
    }

    #[test]
    fn a_group_has_its_members_and_all_they_started() {
        let one = |pid, parent, group| Listed { pid, parent, group };
        let listed = [
            one(1, 0, 1),
            one(10, 1, 10),
            one(11, 10, 10),
            one(12, 11, 12),
            one(20, 1, 20),
            one(30, 1, 30),
        ];
        let members = members_of(&[10, 20], &listed);
        assert_eq!(members, BTreeMap::from([(10, vec![10, 11, 12]), (20, vec![20])]));
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_child_of_our_own_is_measured_by_its_share() {
        use std::time::{Duration, Instant};

        use crate::process;

        let script = "sleep 600 & sleep 600; exit";
        let command = sanctum_model::Command::new("sh").arguments(["-c", script]);
        let mut child =
            process::spawn(&command, fs::File::create("/dev/null").unwrap().into()).unwrap();
        let start = Instant::now();
        let measured = of_groups(&[child.id()]);
        let spent = start.elapsed();
        assert!(spent < Duration::from_secs(1), "{spent:?}");
        let Measured { bytes, measure } = measured[&child.id()];
        assert!(bytes > 0 && bytes < 64 << 20, "{bytes}");
        assert_eq!(measure, Measure::Proportional);
        process::clear_group(child.id());
        child.wait().unwrap();
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn the_machine_tells_what_it_has() {
        assert!(physical().unwrap() > 64 << 20);
        if Path::new("/proc/pressure/memory").exists() {
            assert!(matches!(pressure(), Some(Reading::Stalls { .. })));
        }
    }
}
