//! `up`: builds what is missing, starts everything in order, and ends with a question answered.

use std::fs::{File, OpenOptions};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::process::{self, Child, ExitCode, Stdio};
use std::time::Duration;

use sanctum_host::file;
use sanctum_model::Manifest;
use sanctum_plan::stack::{CALLER_SECRET, GATEWAY_SECRET, seat_secret};
use sanctum_wire::{ClientError, PhaseName, Snapshot};
use tokio::time::sleep;

use super::ask::{Asked, Show};
use super::orders::{failure, wait_until_ready};
use super::{Outcome, ask, block_on, guest, init, model};
use crate::arguments::Up;
use crate::checks::{self, Level};
use crate::failure::{CONFIGURATION, Failure};
use crate::output::{Output, Paint};
use crate::place::{Loaded, Place};

/// The time castellan may take until it answers.
const ANSWER_MAX: Duration = Duration::from_secs(10);
/// How often it is asked meanwhile.
const ANSWER_INTERVAL: Duration = Duration::from_millis(50);
/// The time the old castellan may take to leave.
const LEAVE_MAX: Duration = Duration::from_secs(10);
/// The first question, and the time its first word may take: under emulation, minutes.
const FIRST_QUESTION: &str = "What is the capital of France?";
const FIRST_PATIENCE: Duration = Duration::from_mins(15);

pub(crate) fn run(place: &Place, output: &Output, options: &Up) -> Outcome {
    if !Path::new(&place.layout.manifest()).exists() {
        init::write_default(place, output)?;
    }
    let loaded = place.load(output)?;
    let running = block_on(async { running(place).await })?;
    let fresh = match &running {
        Some(snapshot) if snapshot.manifest_sha256 == loaded.sha256 && is_ready(snapshot) => {
            output.say(format!(
                "{} up already: every component is ready",
                output.paint_err(Paint::Good, "✓")
            ));
            next_steps(output, &loaded.manifest);
            return Ok(ExitCode::SUCCESS);
        }
        Some(snapshot) => snapshot.manifest_sha256 != loaded.sha256,
        None => true,
    };
    if fresh {
        prepare(place, output, &loaded)?;
    }
    let mut step = output.step("components");
    block_on(async {
        if fresh {
            replace_castellan(place, running.is_some()).await?;
        }
        let interrupted = tokio::signal::ctrl_c();
        tokio::select! {
            ready = wait_until_ready(place, output, &mut step) => ready,
            _ = interrupted => Err(Failure::new("interrupted")
                .hint("castellan goes on in the background: `sanctum status`, or `sanctum down` to stop it")),
        }
    })?;
    step.done("are all ready");
    if !options.no_ask {
        first_question(place, output)?;
    }
    next_steps(output, &loaded.manifest);
    Ok(ExitCode::SUCCESS)
}

/// What castellan says, if it runs.
async fn running(place: &Place) -> Result<Option<Snapshot>, Failure> {
    match place.client().snapshot().await {
        Ok(snapshot) => Ok(Some(snapshot)),
        Err(ClientError::NotRunning { .. }) => Ok(None),
        Err(error) => Err(failure(&error)),
    }
}

fn is_ready(snapshot: &Snapshot) -> bool {
    snapshot.components.iter().all(|state| state.phase == PhaseName::Ready)
}

/// Makes what is missing: keys first, then, if the machine is fit for it, image and models.
fn prepare(place: &Place, output: &Output, loaded: &Loaded) -> Result<(), Failure> {
    let manifest = &loaded.manifest;
    mint_secrets(place, manifest)?;
    let mut found = checks::machine(place);
    found.extend(checks::prerequisites(place, manifest));
    let bad: Vec<_> = found.iter().filter(|check| check.level == Level::Bad).collect();
    if !bad.is_empty() {
        let mut failure = Failure::new("cannot start: the machine is not ready for this manifest");
        for check in bad {
            failure =
                failure.detail(format!("  {}: {}", check.id, check.what)).hint(check.mend.clone());
        }
        return Err(failure);
    }
    guest::build(place, output)?;
    for seat in manifest.seats().values() {
        model::ensure(place, output, &seat.model)?;
    }
    Ok(())
}

/// The keys that the parts of one machine know each other by.
fn mint_secrets(place: &Place, manifest: &Manifest) -> Result<(), Failure> {
    let own = [CALLER_SECRET.to_owned(), GATEWAY_SECRET.to_owned()];
    let seats = manifest.seats().keys().map(seat_secret);
    for name in own.into_iter().chain(seats) {
        let name = name.parse().map_err(|error| Failure::from_error(&error))?;
        place
            .secrets()
            .read_or_mint(&name)
            .map_err(|error| Failure::from_error(&error).with_code(CONFIGURATION))?;
    }
    Ok(())
}

/// Starts castellan; one that runs with another manifest leaves its children to the new one.
async fn replace_castellan(place: &Place, is_running: bool) -> Result<(), Failure> {
    if is_running {
        place.client().handover().await.map_err(|error| failure(&error))?;
        let left = tokio::time::timeout(LEAVE_MAX, async {
            while place.client().snapshot().await.is_ok() {
                sleep(ANSWER_INTERVAL).await;
            }
        });
        left.await.map_err(|_| {
            Failure::new("the running castellan does not leave")
                .hint("`sanctum down`, then `sanctum up`")
        })?;
    }
    let mut child = start_castellan(place)?;
    let answers = tokio::time::timeout(ANSWER_MAX, async {
        loop {
            if place.client().snapshot().await.is_ok() {
                return Ok(());
            }
            if let Ok(Some(status)) = child.try_wait() {
                return Err(castellan_failure(
                    place,
                    &format!("castellan ended at once: {status}"),
                ));
            }
            sleep(ANSWER_INTERVAL).await;
        }
    });
    match answers.await {
        Ok(answered) => answered,
        Err(_) => Err(castellan_failure(
            place,
            &format!("castellan does not answer within {ANSWER_MAX:?}"),
        )),
    }
}

/// In a session of its own, so that it survives the terminal.
fn start_castellan(place: &Place) -> Result<Child, Failure> {
    let log = open_log(Path::new(&place.layout.castellan_log())).map_err(|error| {
        Failure::new(format!("cannot open `{}`: {error}", place.layout.castellan_log()))
    })?;
    let errors = log.try_clone().map_err(|error| Failure::from_error(&error))?;
    let program = place.layout.program("castellan");
    process::Command::new(&program)
        .arg("--own-session")
        .env("SANCTUM_HOME", &place.layout.home)
        .env("SANCTUM_CACHE", &place.layout.cache)
        .current_dir("/")
        .stdin(Stdio::null())
        .stdout(log)
        .stderr(errors)
        .spawn()
        .map_err(|error| Failure::new(format!("cannot start `{program}`: {error}")))
}

fn open_log(path: &Path) -> std::io::Result<File> {
    file::make_private_directory(path.parent().unwrap_or(Path::new("/")))?;
    OpenOptions::new().append(true).create(true).mode(0o600).open(path)
}

fn castellan_failure(place: &Place, message: &str) -> Failure {
    let lines =
        super::logs::last_lines(Path::new(&place.layout.castellan_log()), 5).unwrap_or_default();
    let shown: Vec<_> = lines.iter().map(|line| format!("  castellan | {line}")).collect();
    Failure::new(message).detail(shown.join("\n")).hint("`sanctum logs castellan` shows more")
}

fn first_question(place: &Place, output: &Output) -> Result<(), Failure> {
    output.say("");
    output.say(format!("{} {FIRST_QUESTION}", output.paint_err(Paint::Faint, "you   >")));
    let asked =
        Asked { question: FIRST_QUESTION.to_owned(), agent: None, patience: FIRST_PATIENCE };
    let answered = ask::ask(place, output, &asked, Show::Stream).or_else(|failure| {
        // The first turn of a fresh agent on a slow machine is the one most likely to go wrong.
        output.failure(&failure);
        output.say("asking once more");
        ask::ask(place, output, &asked, Show::Stream)
    });
    answered.map_err(|failure| failure.hint("everything is up; `sanctum ask` asks again"))?;
    output.say("");
    Ok(())
}

fn next_steps(output: &Output, manifest: &Manifest) {
    output.say("next:  sanctum ask \"…\"     ask the agent something");
    output.say("       sanctum status      see what runs, the worst first");
    output.say(format!(
        "       sanctum down        stop it all; OpenClaw itself is at 127.0.0.1:{}",
        manifest.openclaw().port
    ));
}
