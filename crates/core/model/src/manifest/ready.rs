//! How it is written that a component works: `ready` says what is looked at, `live` how often.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use super::check::Places;
use super::declared::{Look, Program, ProgramUse};
use super::reader::{Placed, Reader};
use crate::{Command, HttpTarget, Probe, Watch, parse_duration};

/// The longest time a component may be given to start or stop, and one look to take.
pub(super) const WAIT_MAX: Duration = Duration::from_hours(1);
/// The longest time from start to readiness, and the longest run of a task.
const START_LIMIT_MAX: Duration = Duration::from_hours(168);
/// The time one look may take unless told otherwise.
pub(super) const TIMEOUT: Duration = Duration::from_secs(3);
/// The same where the look is a real unit of work.
const TIMEOUT_CAPABILITY: Duration = Duration::from_mins(1);
/// The time from one look to the next unless told otherwise.
const EVERY: Duration = Duration::from_secs(5);
/// The same where the look is a real unit of work.
const EVERY_CAPABILITY: Duration = Duration::from_mins(5);
/// The longest words that an answer is searched for.
const WORDS_BYTES_MAX: usize = 1024;
/// Looks are at least this far apart.
const EVERY_MIN: Duration = Duration::from_millis(100);
/// The most looks that are remembered.
const LOOKS_MAX: u32 = 32;
/// The looks that are judged unless told otherwise.
const LOOKS: u32 = 3;
/// A start in which nothing moves for this long has failed, unless told otherwise.
const START_MAX: Duration = Duration::from_mins(1);
/// The same of a task, which may work long without a word.
const START_MAX_TASK: Duration = Duration::from_mins(10);
/// A start is given this many times `start_max` in all.
const START_LIMIT_FACTOR: u32 = 5;
/// What is unhealthy is left alone this long unless told otherwise.
const RECOVER: Duration = Duration::from_secs(30);

/// Whether what is read is a task, which runs to its end and is not looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Stays,
    Task,
}

/// What `ready` says is looked at, and how long one look may take.
pub(super) fn look(
    mut reader: Reader<'_, '_>,
    port: u16,
    component: &str,
    places: &mut Places,
) -> (Look, Duration) {
    let looks = [
        http(&mut reader, port),
        banner(&mut reader, port),
        exec(&mut reader, component, places),
        notify(&mut reader),
        capability(&mut reader, places),
    ];
    let mut looks = looks.into_iter().flatten();
    let look = looks.next().unwrap_or_else(|| {
        Look::Probe(match port {
            0 => Probe::Alive,
            port => Probe::Tcp { address: loopback(port), banner: String::new() },
        })
    });
    if looks.next().is_some() {
        reader.problems().add_with_help(
            reader.span(),
            "a component has one probe: `http`, `banner`, `exec`, `notify` or `capability`",
            "what must hold beside it can be a component of its own that this one needs",
        );
    }
    let default = match &look {
        Look::Probe(_) => TIMEOUT,
        Look::Capability { .. } => TIMEOUT_CAPABILITY,
    };
    let timeout = reader.parsed("timeout", default, timeout);
    reader.finish();
    (look, timeout)
}

fn http(reader: &mut Reader<'_, '_>, port: u16) -> Option<Look> {
    if !reader.has("http") {
        reader.pass(&["http"]);
        let help = "write http = \"/path\" beside it";
        reader.refuse(&["body", "status"], "it is of an answer over http", help);
        return None;
    }
    needs_port(reader, "http", port);
    let path = reader.parsed("http", "/".to_owned(), http_path);
    let body = reader.parsed("body", String::new(), |text| {
        let fits = text.len() <= WORDS_BYTES_MAX;
        if fits { Ok(text.to_owned()) } else { Err(format!("at most {WORDS_BYTES_MAX} bytes")) }
    });
    let status = u16::try_from(reader.number("status", 200, 100, 599).value).unwrap_or(200);
    let address = loopback(port);
    let (target, host) = (HttpTarget::Tcp(address), address.to_string());
    Some(Look::Probe(Probe::Http { target, host, path, status, body }))
}

fn banner(reader: &mut Reader<'_, '_>, port: u16) -> Option<Look> {
    let banner = reader.text("banner")?;
    needs_port(reader, "banner", port);
    if banner.value.len() > WORDS_BYTES_MAX {
        let message = format!("`{}` has at most {WORDS_BYTES_MAX} bytes", reader.name("banner"));
        reader.problems().add(banner.span, message);
    } else if banner.value.is_empty() {
        let message = format!("`{}` is empty", reader.name("banner"));
        let help = "leave it out: then the port need only accept";
        reader.problems().add_with_help(banner.span, message, help);
    }
    Some(Look::Probe(Probe::Tcp { address: loopback(port), banner: banner.value }))
}

fn exec(reader: &mut Reader<'_, '_>, component: &str, places: &mut Places) -> Option<Look> {
    let mut words = reader.arguments("exec").into_iter();
    let Some(program) = words.next() else {
        if reader.has("exec") {
            let message = format!("`{}` names no program", reader.name("exec"));
            let help = "write [\"program\", \"argument\"]: it shows health by ending with 0";
            reader.problems().add_with_help(reader.span_of("exec"), message, help);
        }
        return None;
    };
    let command = Command::new(&program.value).arguments(words.map(|word| word.value));
    let Placed { value: program, span } = program;
    let (component, used) = (component.to_owned(), ProgramUse::Probe);
    places.programs.push(Program { component, used, program, path_variable: None, span });
    Some(Look::Probe(Probe::Exec(command)))
}

fn notify(reader: &mut Reader<'_, '_>) -> Option<Look> {
    if reader.flag("notify", false) {
        let watchdog = reader.parsed("watchdog", Duration::ZERO, wait);
        return Some(Look::Probe(Probe::Notify { watchdog }));
    }
    let help = "write notify = true beside it";
    reader.refuse(&["watchdog"], "only what reports by itself can be waited for", help);
    None
}

fn capability(reader: &mut Reader<'_, '_>, places: &mut Places) -> Option<Look> {
    let route = reader.text("capability")?;
    places.capabilities.push(route.clone());
    Some(Look::Capability { route: route.value })
}

/// How often and how patiently one looks: `live`, `start_max` and `start_limit`.
pub(super) fn watch(
    reader: &mut Reader<'_, '_>,
    kind: Kind,
    look: &Look,
    timeout: Duration,
) -> Watch {
    let (every, alive) = match look {
        Look::Capability { .. } => (EVERY_CAPABILITY, false),
        Look::Probe(probe) => (EVERY, *probe == Probe::Alive),
    };
    let mut live = reader.table("live");
    if live.is_written() && alive && kind == Kind::Stays {
        let message = format!("`{}`: there is nothing to look at", reader.name("live"));
        let help = "say by `ready` or `port` how one sees that it works";
        reader.problems().add_with_help(live.span(), message, help);
    }
    let interval_ready = live.parsed("every", every, self::every);
    let (misses, of) = misses(&mut live);
    let unhealthy_max = live.parsed("recover", RECOVER, wait);
    live.finish();
    let start_default = match kind {
        Kind::Stays => START_MAX,
        Kind::Task => START_MAX_TASK,
    };
    let start_max = reader.parsed("start_max", start_default, longer_than_none);
    let limit_default = start_max.saturating_mul(START_LIMIT_FACTOR);
    let start_limit = reader.parsed("start_limit", limit_default, |text| {
        let limit = parse_duration(text).map_err(|error| error.to_string())?;
        if limit < start_max {
            return Err("less than `start_max`, which it limits".to_owned());
        }
        if limit > START_LIMIT_MAX { Err("at most 168h, a week".to_owned()) } else { Ok(limit) }
    });
    Watch {
        timeout,
        interval_ready,
        start_max,
        start_limit,
        misses_max: misses,
        misses_of: of,
        unhealthy_max,
    }
}

/// How many of the last looks must have failed, of how many. Where one is not written, it makes
/// room for the other.
fn misses(live: &mut Reader<'_, '_>) -> (u32, u32) {
    let (misses_written, of_written) = (live.has("misses"), live.has("of"));
    let misses = live.number("misses", LOOKS, 1, LOOKS_MAX);
    let of = live.number("of", LOOKS, 1, LOOKS_MAX);
    match (misses_written, of_written) {
        (true, true) => {
            if misses.value > of.value {
                let message = format!("{} misses of {} looks cannot be", misses.value, of.value);
                live.problems().add(misses.span, message);
            }
            (misses.value, of.value)
        }
        (_, false) => (misses.value, of.value.max(misses.value)),
        (false, true) => (misses.value.min(of.value), of.value),
    }
}

fn needs_port(reader: &Reader<'_, '_>, key: &str, port: u16) {
    if port == 0 {
        let message =
            format!("`{}`: a probe of a port needs `port` in the component", reader.name(key));
        reader.problems().add_with_help(reader.span(), message, "write port = 9000, or the like");
    }
}

fn loopback(port: u16) -> SocketAddr {
    SocketAddr::from((Ipv4Addr::LOCALHOST, port))
}

fn http_path(text: &str) -> Result<String, &'static str> {
    let plain = |c: char| c.is_ascii_graphic() && c != '#';
    if text.starts_with('/') && text.chars().all(plain) {
        Ok(text.to_owned())
    } else {
        Err("a path begins with `/` and holds no blanks; what is not ASCII is written as %XX")
    }
}

/// A duration of an hour at most.
pub(super) fn wait(text: &str) -> Result<Duration, String> {
    let wait = parse_duration(text).map_err(|error| error.to_string())?;
    if wait > WAIT_MAX { Err("at most 1h".to_owned()) } else { Ok(wait) }
}

fn longer_than_none(text: &str) -> Result<Duration, String> {
    let wait = wait(text)?;
    if wait.is_zero() { Err("more than nothing".to_owned()) } else { Ok(wait) }
}

fn timeout(text: &str) -> Result<Duration, String> {
    let timeout = wait(text)?;
    if timeout.is_zero() {
        return Err("a probe without a deadline can hang for ever".to_owned());
    }
    Ok(timeout)
}

fn every(text: &str) -> Result<Duration, String> {
    let every = wait(text)?;
    if every < EVERY_MIN { Err("at least 100ms".to_owned()) } else { Ok(every) }
}
