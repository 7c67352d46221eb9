//! `deadman.conf`: `key = value`, one a line, `#` before what is for people only.
//!
//! Strict: all that is wrong is reported at once, with its lines. A file that is not there means
//! the defaults; a file that is wrong means nothing is done at all.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;
use std::{fmt, fs, io};

use crate::target::{Target, Url};

/// The longest file that is read.
const BYTES_MAX: u64 = 64 * 1024;
/// The longest time that may be set.
const DURATION_MAX: Duration = Duration::from_hours(24 * 7);
/// The shortest: below this, nothing can be told from noise.
const DURATION_MIN: Duration = Duration::from_millis(50);
/// Ways to page, and ways to tell that we are there.
const TARGETS_MAX: usize = 16;

/// What was set, or is by default.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Config {
    pub(crate) limits: Limits,
    /// In the order in which they are tried.
    pub(crate) pages: Vec<Target>,
    pub(crate) heartbeats: Vec<Target>,
    pub(crate) heartbeat_interval: Duration,
}

/// What is a fault, and what may be done about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Limits {
    /// A beat that has not moved for so long is none.
    pub(crate) stale_after: Duration,
    /// The oldest of castellan's loops may be so old.
    pub(crate) loop_age_max: Duration,
    /// Castellan may be without any child for so long, if it means to have some.
    pub(crate) childless_max: Duration,
    /// What a started castellan has to prove itself.
    pub(crate) restart_limit: Duration,
    /// Restarts in a row before a page.
    pub(crate) restarts_max: u32,
    /// Restarts in an hour, whatever came of them.
    pub(crate) restarts_per_hour: usize,
    /// When it is tried again after a page.
    pub(crate) retry_after: Duration,
    /// When a page is sent again while nothing is better.
    pub(crate) repage_after: Duration,
    /// How long castellan has to work until a page is resolved.
    pub(crate) settled_after: Duration,
    pub(crate) start_after_boot: bool,
    /// Whether castellan is stopped and started at all, or only watched.
    pub(crate) act: bool,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            limits: Limits::default(),
            pages: Vec::new(),
            heartbeats: Vec::new(),
            heartbeat_interval: Duration::from_mins(1),
        }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            stale_after: Duration::from_secs(30),
            loop_age_max: Duration::from_mins(1),
            childless_max: Duration::from_mins(2),
            restart_limit: Duration::from_secs(30),
            restarts_max: 2,
            restarts_per_hour: 10,
            retry_after: Duration::from_mins(10),
            repage_after: Duration::from_mins(30),
            settled_after: Duration::from_mins(2),
            start_after_boot: true,
            act: true,
        }
    }
}

/// What keeps a configuration from being used.
#[derive(Debug)]
pub(crate) enum ConfigError {
    /// The file is there and cannot be read.
    Read(PathBuf, io::Error),
    /// Everything that is wrong, in the order of the lines.
    Faults(PathBuf, Vec<Fault>),
}

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Fault {
    pub(crate) line: usize,
    pub(crate) what: String,
}

impl fmt::Display for ConfigError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Read(path, error) => {
                write!(formatter, "cannot read `{}`: {error}", path.display())
            }
            Self::Faults(path, faults) => {
                write!(formatter, "cannot use `{}`:", path.display())?;
                for Fault { line, what } in faults {
                    write!(formatter, "\n  line {line}: {what}")?;
                }
                Ok(())
            }
        }
    }
}

/// Reads the configuration.
///
/// # Errors
///
/// [`ConfigError`].
pub(crate) fn read(path: &Path) -> Result<Config, ConfigError> {
    let text = match fs::metadata(path) {
        Ok(about) if about.is_file() && about.len() <= BYTES_MAX => fs::read_to_string(path),
        Ok(_) => Err(io::Error::other("it is no file, or longer than 64 KiB")),
        Err(error) => Err(error),
    };
    match text {
        Ok(text) => parse(&text).map_err(|faults| ConfigError::Faults(path.to_owned(), faults)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Config::default()),
        Err(error) => Err(ConfigError::Read(path.to_owned(), error)),
    }
}

/// Parses a configuration.
///
/// # Errors
///
/// Every fault, not the first one.
pub(crate) fn parse(text: &str) -> Result<Config, Vec<Fault>> {
    let mut config = Config::default();
    let mut faults = Vec::new();
    let mut seen = BTreeMap::new();
    for (index, line) in text.lines().enumerate() {
        let (line, number) = (line.trim(), index + 1);
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        if let Err(what) = set(&mut config, line, number, &mut seen) {
            faults.push(Fault { line: number, what });
        }
    }
    if faults.is_empty() { Ok(config) } else { Err(faults) }
}

fn set<'a>(
    config: &mut Config,
    line: &'a str,
    number: usize,
    seen: &mut BTreeMap<&'a str, usize>,
) -> Result<(), String> {
    let (key, value) = line.split_once('=').ok_or("it is not `key = value`")?;
    let (key, value) = (key.trim(), value.trim());
    let is_repeatable =
        matches!(key, "page_exec" | "page_http" | "heartbeat_exec" | "heartbeat_http");
    if !is_repeatable && let Some(before) = seen.insert(key, number) {
        return Err(format!("`{key}` is set in line {before} already"));
    }
    let limits = &mut config.limits;
    match key {
        "stale_after" => limits.stale_after = duration(value)?,
        "loop_age_max" => limits.loop_age_max = duration(value)?,
        "childless_max" => limits.childless_max = duration(value)?,
        "restart_limit" => limits.restart_limit = duration(value)?,
        "restarts_max" => limits.restarts_max = count(value, 1, 100)?,
        "restarts_per_hour" => {
            limits.restarts_per_hour =
                usize::try_from(count(value, 1, 1000)?).unwrap_or(usize::MAX);
        }
        "retry_after" => limits.retry_after = duration(value)?,
        "repage_after" => limits.repage_after = duration(value)?,
        "settled_after" => limits.settled_after = duration(value)?,
        "start_after_boot" => limits.start_after_boot = yes_or_no(value)?,
        "act" => limits.act = yes_or_no(value)?,
        "heartbeat_interval" => config.heartbeat_interval = duration(value)?,
        "page_exec" => add(&mut config.pages, exec(value)?)?,
        "page_http" => add(&mut config.pages, Target::Http(Url::parse(value)?))?,
        "heartbeat_exec" => add(&mut config.heartbeats, exec(value)?)?,
        "heartbeat_http" => add(&mut config.heartbeats, Target::Http(Url::parse(value)?))?,
        _ => return Err(format!("`{key}` is not known; the keys are {KEYS}")),
    }
    Ok(())
}

const KEYS: &str = "act, childless_max, heartbeat_exec, heartbeat_http, heartbeat_interval, \
    loop_age_max, page_exec, page_http, repage_after, restart_limit, restarts_max, \
    restarts_per_hour, retry_after, settled_after, stale_after, start_after_boot";

fn add(targets: &mut Vec<Target>, target: Target) -> Result<(), String> {
    if targets.len() == TARGETS_MAX {
        return Err(format!("there are more than {TARGETS_MAX} of them"));
    }
    targets.push(target);
    Ok(())
}

fn duration(text: &str) -> Result<Duration, String> {
    let unit_at = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(unit_at);
    let millis = match unit.trim() {
        "ms" => 1,
        "s" => 1000,
        "m" => 60_000,
        "h" => 3_600_000,
        _ => return Err(format!("`{text}` is no time: write 300ms, 30s, 10m or 1h")),
    };
    let number: u64 = number.parse().map_err(|_| format!("`{text}` has no whole number"))?;
    let duration = Duration::from_millis(number.saturating_mul(millis));
    if (DURATION_MIN..=DURATION_MAX).contains(&duration) {
        Ok(duration)
    } else {
        Err(format!("`{text}` is not from 50ms to 168h"))
    }
}

fn count(text: &str, least: u32, most: u32) -> Result<u32, String> {
    let number = text.parse().ok().filter(|number| (least..=most).contains(number));
    number.ok_or_else(|| format!("`{text}` is no whole number from {least} to {most}"))
}

fn yes_or_no(text: &str) -> Result<bool, String> {
    match text {
        "yes" => Ok(true),
        "no" => Ok(false),
        _ => Err(format!("`{text}` is neither `yes` nor `no`")),
    }
}

/// A program and its arguments, parted by spaces. There is no shell, and who writes a quote means
/// one.
fn exec(text: &str) -> Result<Target, String> {
    if text.contains(['"', '\'', '\\', '`', '$']) {
        return Err("nothing is quoted or expanded: put it into a script".to_owned());
    }
    let mut words = text.split_whitespace().map(str::to_owned);
    let program = words.next().ok_or("it names no program")?;
    if !program.starts_with('/') {
        return Err(format!("`{program}` is not an absolute path"));
    }
    Ok(Target::Exec { program, arguments: words.collect() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_set_is_the_defaults() {
        assert_eq!(parse("").unwrap(), Config::default());
        let home = tempfile::tempdir().unwrap();
        assert_eq!(read(&home.path().join("deadman.conf")).unwrap(), Config::default());
    }

    #[test]
    fn each_key_is_known_and_said_to_be() {
        let text = "# all of them\nstale_after = 300ms\nloop_age_max=5s\nchildless_max = 1m\n\
            restart_limit = 2h\nrestarts_max = 3\nrestarts_per_hour = 4\nretry_after = 5m\n\
            repage_after = 6m\nsettled_after = 1m\n\n  start_after_boot = no\nact = no\nheartbeat_interval = 7s\n\
            page_exec = /usr/bin/env a=b c\npage_http = http://127.0.0.1:8080/page?to=me\n\
            heartbeat_exec = /bin/true\nheartbeat_http = http://[::1]/beat\n";
        let config = parse(text).unwrap();
        assert_eq!(config.limits.stale_after, Duration::from_millis(300));
        assert_eq!(config.limits.restart_limit, Duration::from_hours(2));
        assert!(!config.limits.act && !config.limits.start_after_boot);
        assert_eq!((config.pages.len(), config.heartbeats.len()), (2, 2));
        assert_eq!(
            config.pages[0],
            Target::Exec {
                program: "/usr/bin/env".to_owned(),
                arguments: vec!["a=b".to_owned(), "c".to_owned()]
            }
        );
        let keys = text.lines().filter_map(|line| Some(line.split_once('=')?.0.trim()));
        assert!(keys.into_iter().all(|key| KEYS.contains(key)));
    }

    #[test]
    fn every_fault_is_reported_at_once_with_its_line() {
        let text = "stale_after = soon\n\nstale = 3s\nrestarts_max = 0\nact = maybe\n\
            page_exec = curl x\npage_http = https://example.org/\nact = yes\nwhat\n\
            retry_after = 1ms\npage_exec =\npage_exec = /bin/x \"a b\"\n";
        let faults = parse(text).unwrap_err();
        let lines: Vec<usize> = faults.iter().map(|fault| fault.line).collect();
        assert_eq!(lines, [1, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12]);
        assert!(faults[5].what.contains("page_exec"), "{:?}", faults[5]);
        assert!(faults[6].what.contains("line 5"), "{:?}", faults[6]);
        let said = ConfigError::Faults("/c".into(), faults).to_string();
        assert_eq!(said.lines().count(), 12);
    }

    #[test]
    fn a_time_has_a_number_and_a_unit_and_is_neither_too_short_nor_too_long() {
        assert_eq!(duration("90 s"), Ok(Duration::from_secs(90)));
        for bad in ["", "s", "10", "-1s", "1.5s", "0s", "49ms", "169h", "99999999999999999999h"] {
            assert!(duration(bad).is_err(), "{bad}");
        }
    }
}
