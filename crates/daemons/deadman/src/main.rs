//! `castellan-deadman`, the dead-man's switch of castellan; see `docs/deadman.md`.
//!
//! It depends on the standard library alone and shares neither code nor configuration with
//! castellan, so that what breaks one does not break the other. It has no signal handlers: it can
//! be killed at any moment, and nothing it does is torn by that.

mod clock;
mod config;
mod decide;
mod evidence;
mod frozen;
mod heartbeat;
mod journal;
mod lease;
mod notify;
mod page;
mod place;
mod process;
mod pulse;
mod start;
mod state;
mod target;
mod tool;
mod watch;

use std::env;
use std::ffi::OsString;
use std::fmt;
use std::io::{self, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;

use decide::Verdict;
use notify::Notify;
use place::Place;
use watch::WatchError;

const HELP: &str = "\
Restarts castellan when it does not work, and pages when that does not help.

Usage: castellan-deadman [--home DIRECTORY] [--once]

Options:
  --home DIRECTORY  the state directory [env: SANCTUM_HOME]
  --once            look once, print what is true, and exit
  --help            print this
  --version         print the version

It is configured by `deadman.conf` in the state directory; see `docs/deadman.md`.

Exit codes: 0 with --once: castellan works, was told to stop, or there is none; 1 with --once: it
does not work; 2 with --once: its lease cannot be understood; 64 the arguments are wrong; 69
another one guards this state directory; 74 the state directory cannot be used; 78 the
configuration cannot be used.
";

const DOES_NOT_WORK: u8 = 1;
const UNKNOWN: u8 = 2;
const USAGE: u8 = 64;
const TAKEN: u8 = 69;
const CANNOT_WRITE: u8 = 74;
const CONFIGURATION: u8 = 78;

/// What we were told to do.
enum Order {
    Help,
    Version,
    Launch(Vec<OsString>),
    Once(PathBuf),
    Watch(PathBuf),
}

fn main() -> ExitCode {
    let arguments: Vec<OsString> = env::args_os().skip(1).collect();
    match parse(arguments, env::var_os("SANCTUM_HOME")) {
        Ok(Order::Help) => print(HELP),
        Ok(Order::Version) => print(&format!("castellan-deadman {}\n", env!("CARGO_PKG_VERSION"))),
        Ok(Order::Launch(arguments)) => start::launch(&arguments),
        Ok(Order::Once(home)) => once(home),
        Ok(Order::Watch(home)) => guard(home),
        Err(fault) => fail(USAGE, &format!("{fault}\n\nFor help, try `--help`.")),
    }
}

fn parse(arguments: Vec<OsString>, home: Option<OsString>) -> Result<Order, String> {
    if arguments.first().is_some_and(|first| first == start::LAUNCH) {
        return Ok(Order::Launch(arguments.into_iter().skip(1).collect()));
    }
    let (mut home, mut is_once) = (home.filter(|home| !home.is_empty()), false);
    let mut arguments = arguments.into_iter();
    while let Some(argument) = arguments.next() {
        match argument.to_string_lossy().as_ref() {
            "--help" | "-h" => return Ok(Order::Help),
            "--version" | "-V" => return Ok(Order::Version),
            "--once" => is_once = true,
            "--home" => home = Some(arguments.next().ok_or("`--home` needs a directory")?),
            other => match other.strip_prefix("--home=") {
                Some(directory) => home = Some(directory.into()),
                None => return Err(format!("`{other}` is not known")),
            },
        }
    }
    let home = PathBuf::from(home.ok_or("neither `--home` nor SANCTUM_HOME is given")?);
    let home = std::path::absolute(&home).map_err(|error| error.to_string())?;
    Ok(if is_once { Order::Once(home) } else { Order::Watch(home) })
}

fn once(home: PathBuf) -> ExitCode {
    let place = Place { home };
    let limits = match config::read(&place.config()) {
        Ok(config) => config.limits,
        Err(error) => return fail(CONFIGURATION, &error),
    };
    let verdict = watch::glance(&place, limits);
    print(&format!("{verdict}\n"));
    match verdict {
        Verdict::Works { .. } | Verdict::Quiet(_) => ExitCode::SUCCESS,
        Verdict::Fault(..) => ExitCode::from(DOES_NOT_WORK),
        Verdict::Unknown(_) | Verdict::Proving { .. } => ExitCode::from(UNKNOWN),
    }
}

fn guard(home: PathBuf) -> ExitCode {
    let place = Place { home };
    if !place.home.is_dir() {
        return fail(CANNOT_WRITE, &format!("`{}` is no directory", place.home.display()));
    }
    let config = match config::read(&place.config()) {
        Ok(config) => config,
        Err(error) => return fail(CONFIGURATION, &error),
    };
    let variable = |name: &str| env::var(name).ok();
    let notify = Notify::from_values(
        variable("NOTIFY_SOCKET").as_deref(),
        variable("WATCHDOG_USEC").as_deref(),
        variable("WATCHDOG_PID").as_deref(),
    );
    let named = place.home.display().to_string();
    match watch::watch(place, &config, notify) {
        Ok(()) => ExitCode::SUCCESS,
        Err(WatchError::Taken) => {
            fail(TAKEN, &format!("another castellan-deadman guards `{named}`"))
        }
        Err(WatchError::Gone) => fail(CANNOT_WRITE, &format!("`{named}` is gone")),
        Err(WatchError::Directory(path, error)) => {
            fail(CANNOT_WRITE, &format!("cannot make `{}`: {error}", path.display()))
        }
        Err(WatchError::Lock(path, error)) => {
            fail(CANNOT_WRITE, &format!("cannot lock `{}`: {error}", path.display()))
        }
    }
}

fn print(text: &str) -> ExitCode {
    match io::stdout().write_all(text.as_bytes()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::from(CANNOT_WRITE),
    }
}

fn fail(code: u8, fault: &impl fmt::Display) -> ExitCode {
    writeln!(io::stderr(), "castellan-deadman: {fault}").ok();
    ExitCode::from(code)
}
