//! A program that misbehaves as it is told: its arguments are steps, done one after the other.
//!
//! | step | what it does |
//! |---|---|
//! | `sleep MS` | sleeps |
//! | `wait` | sleeps until it is killed |
//! | `busy MS` | takes processor time |
//! | `exit CODE` | ends; after the last step it ends with 0 |
//! | `mark FILE` | adds its process id, a line, to the file |
//! | `ignore-term` | SIGTERM does nothing from here on |
//! | `listen PORT` | serves `GET /health` on 127.0.0.1, or ends with 1 if the port is taken |
//! | `hang PORT` | listens there and never answers |
//! | `child { STEPS }` | has a child in its own group |
//! | `session { STEPS }` | has a child in a session of its own |
//! | `orphan { STEPS }` | has a grandchild in a session of its own whose parent is gone |
//! | `print TEXT` | prints a line |
//! | `lines EVERY_MS MS` | prints a line each `EVERY_MS`, for MS |
//! | `flood LINES` | prints so many lines, each with its number, as fast as it can |
//! | `repeat LINES` | prints so many lines that are all the same, as fast as it can |
//! | `leak MIB` | takes so much memory, a MiB each 10 ms, and keeps it |
//! | `lock FILE MS` | takes the file, or ends with 1 if it was taken less than MS ago |
//! | `notify TEXT` | tells its supervisor: `READY=1`, `STATUS=…`, `EXTEND_TIMEOUT_USEC=…` |
//! | `ping EVERY_MS MS` | tells it `WATCHDOG=1` each `EVERY_MS`, for MS |
//!
//! Children inherit its outputs, and so hold them open. It and they end by themselves after
//! `TROUBLEMAKER_LIFE_S` seconds, 600 without it, whoever forgot them.

mod step;
mod talk;

use std::env;
use std::fs::{self, OpenOptions};
use std::hint;
use std::io::{self, Write};
use std::path::Path;
use std::process::{Command, ExitCode, Stdio};
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use anyhow::{Context as _, Result};
use rustix::process::{Signal, getpgrp, getpid, kill_process, setsid};
use sanctum_testkit::Starts;
use tokio::signal::unix::{SignalKind, signal};

use step::Step;

/// The longest it lives, if nothing else is said.
const LIFE_MAX: Duration = Duration::from_mins(10);
/// How fast it leaks: a MiB in this time.
const LEAK_INTERVAL: Duration = Duration::from_millis(10);
const MIB: usize = 1 << 20;
/// First word of a child that leads a session of its own.
const IN_SESSION: &str = "--in-session";

fn main() -> ExitCode {
    match play() {
        Ok(code) => code,
        Err(error) => {
            writeln!(io::stderr(), "troublemaker: {error:#}").ok();
            ExitCode::FAILURE
        }
    }
}

fn play() -> Result<ExitCode> {
    let mut words: Vec<String> = env::args().skip(1).collect();
    if words.first().is_some_and(|word| word == IN_SESSION) {
        words.remove(0);
        setsid().context("cannot lead a session")?;
    }
    end_in_time()?;
    enlist()?;
    let mut kept = Vec::new();
    for step in step::parse(&words)? {
        if let Some(code) = perform(step, &mut kept)? {
            return Ok(code);
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Kills this process when its life is over.
fn end_in_time() -> Result<()> {
    let life = match env::var("TROUBLEMAKER_LIFE_S") {
        Ok(seconds) => Duration::from_secs(seconds.parse().context("TROUBLEMAKER_LIFE_S")?),
        Err(_) => LIFE_MAX,
    };
    thread::spawn(move || {
        thread::sleep(life);
        kill_process(getpid(), Signal::KILL).ok();
    });
    Ok(())
}

/// In a castle, the leader of a group stands on the list of what is ended with it.
fn enlist() -> Result<()> {
    let (Ok(control), true) = (env::var("FAKE_CONTROL"), getpgrp() == getpid()) else {
        return Ok(());
    };
    let name = env::var("SANCTUM_COMPONENT").unwrap_or_else(|_| "troublemaker".to_owned());
    Starts::in_directory(Path::new(&control)).add(&name, std::process::id())
}

/// Does one step. The exit code, if it is the last one.
fn perform(step: Step, kept: &mut Vec<Vec<u8>>) -> Result<Option<ExitCode>> {
    match step {
        Step::Sleep(time) => thread::sleep(time),
        Step::Wait => loop {
            thread::park();
        },
        Step::Busy(time) => {
            let began = Instant::now();
            while began.elapsed() < time {
                hint::spin_loop();
            }
        }
        Step::Exit(code) => return Ok(Some(ExitCode::from(code))),
        Step::Mark(file) => mark(&file)?,
        Step::IgnoreTerm => ignore_term()?,
        Step::Listen(port) => talk::serve(port)?,
        Step::Hang(port) => talk::hang(port)?,
        Step::Child(steps) => drop(this_program()?.args(steps).spawn()?),
        Step::Session(steps) => drop(this_program()?.arg(IN_SESSION).args(steps).spawn()?),
        Step::Orphan(steps) => {
            let mut between = vec!["session".to_owned(), "{".to_owned()];
            between.extend(steps);
            between.push("}".to_owned());
            this_program()?.args(between).status()?;
        }
        Step::Print(text) => writeln!(io::stdout(), "{text}")?,
        Step::Lines { every, time } => {
            talk::each(every, time, |turn| Ok(writeln!(io::stdout(), "still at it: {turn}")?))?;
        }
        Step::Flood(lines) => {
            let mut output = io::BufWriter::new(io::stdout().lock());
            (0..lines).try_for_each(|line| writeln!(output, "line {line}"))?;
            output.flush()?;
        }
        Step::Repeat(lines) => {
            let mut output = io::BufWriter::new(io::stdout().lock());
            (0..lines).try_for_each(|_| writeln!(output, "cannot reach the server"))?;
            output.flush()?;
        }
        Step::Leak(mib) => {
            for _ in 0..mib {
                kept.push(vec![1; MIB]);
                thread::sleep(LEAK_INTERVAL);
            }
        }
        Step::Lock { file, stale_after } => {
            if is_held(&file, stale_after) {
                writeln!(io::stderr(), "`{file}` is held by another")?;
                return Ok(Some(ExitCode::FAILURE));
            }
            fs::write(&file, std::process::id().to_string())?;
        }
        Step::Notify(text) => talk::notify(&text)?,
        Step::Ping { every, time } => talk::each(every, time, |_| talk::notify("WATCHDOG=1"))?,
    }
    Ok(None)
}

fn this_program() -> Result<Command> {
    let mut command = Command::new(env::current_exe()?);
    command.stdin(Stdio::null());
    Ok(command)
}

fn mark(file: &str) -> Result<()> {
    let mut file = OpenOptions::new().append(true).create(true).open(Path::new(file))?;
    Ok(file.write_all(format!("{}\n", std::process::id()).as_bytes())?)
}

fn is_held(file: &str, stale_after: Duration) -> bool {
    let written = fs::metadata(file).and_then(|metadata| metadata.modified());
    written.is_ok_and(|written| {
        SystemTime::now().duration_since(written).is_ok_and(|age| age < stale_after)
    })
}

/// A handler that does nothing, where the default one would end the process.
fn ignore_term() -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let mut terminate = {
        let _inside = runtime.enter();
        signal(SignalKind::terminate())?
    };
    thread::spawn(move || while runtime.block_on(terminate.recv()).is_some() {});
    Ok(())
}
