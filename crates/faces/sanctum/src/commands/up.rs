//! `up`: builds what is missing, starts everything in order, and ends with a question answered.

use std::fs::{self, File, OpenOptions};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::process::{self, Child, ExitCode, Stdio};
use std::time::{Duration, UNIX_EPOCH};

use sanctum_host::file;
use sanctum_model::Manifest;
use sanctum_plan::stack::{CALLER_SECRET, GATEWAY_SECRET, seat_secret};
use sanctum_wire::{ChangePlan, ClientError, ComponentState, Severity, Snapshot, Verb};
use tokio::time::{sleep, timeout};

use super::ask::{Asked, Show};
use super::orders::{failure, patiently, wait_until_gone, watch_until_ready};
use super::{Outcome, apply, ask, block_on, guest, init, model};
use crate::arguments::Up;
use crate::checks::{self, Level};
use crate::failure::{CONFIGURATION, Failure, NOT_RUNNING};
use crate::output::{Output, Paint};
use crate::place::{Loaded, Place};
use crate::view::changes;

/// The time castellan may take until it answers.
const ANSWER_MAX: Duration = Duration::from_secs(10);
/// How often it is asked meanwhile.
const ANSWER_INTERVAL: Duration = Duration::from_millis(50);
/// The time until it is started again where another one held its lock.
const TAKEN_INTERVAL: Duration = Duration::from_millis(500);
/// The time the old castellan may take to leave.
const LEAVE_MAX: Duration = Duration::from_secs(10);
/// The exit code of a castellan that finds another one at work.
pub(super) const TAKEN: i32 = 69;
/// The first question, and the time its first word may take: under emulation, minutes.
const FIRST_QUESTION: &str = "What is the capital of France?";
const FIRST_PATIENCE: Duration = Duration::from_mins(15);

/// How often it is begun anew when castellan goes away meanwhile: another `down` or `up` is at it.
const ATTEMPTS_MAX: u32 = 3;

pub(crate) fn run(place: &Place, output: &Output, options: &Up) -> Outcome {
    if !Path::new(&place.layout.manifest()).exists() {
        init::write_default(place, output)?;
    }
    let loaded = place.load(output)?;
    let mut attempt = 1;
    let was_up = loop {
        match bring_up(place, output, &loaded) {
            Err(failure) if failure.code() == NOT_RUNNING && attempt < ATTEMPTS_MAX => {
                output.say("castellan has gone away meanwhile; once more");
                attempt += 1;
            }
            other => break other?,
        }
    };
    if was_up == WasUp::Already {
        let mark = output.paint_err(Paint::Good, "✓");
        output.say(format!("{mark} up already: every component is ready"));
    } else if !options.no_ask {
        first_question(place, output)?;
    }
    next_steps(output, &loaded.manifest);
    Ok(ExitCode::SUCCESS)
}

/// Whether there was anything to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum WasUp {
    Already,
    OnlyNow,
}

/// What has to be done first.
#[derive(Debug)]
enum Way {
    /// Nobody keeps anything: castellan is started.
    Start,
    /// One of another build keeps things: it hands over to ours.
    Replace,
    /// Ours keeps what another manifest says: it is given this one.
    Apply(ChangePlan),
    /// Ours keeps this manifest; these were stopped by order.
    Wait { stopped: Vec<String> },
    /// All is ready.
    Nothing,
}

fn bring_up(place: &Place, output: &Output, loaded: &Loaded) -> Result<WasUp, Failure> {
    let way = block_on(way(place, output, loaded))?;
    match &way {
        Way::Nothing => return Ok(WasUp::Already),
        Way::Start | Way::Replace => prepare(place, output, loaded)?,
        Way::Apply(plan) => {
            output.lines(changes::lines(plan, output.palette()));
            apply::prepare(place, output, &loaded.manifest, plan)?;
        }
        Way::Wait { .. } => {}
    }
    let mut step = output.step("components");
    block_on(async {
        let generation = match way {
            Way::Start => {
                start(place).await?;
                apply::put_in_force(place, output, loaded).await?
            }
            Way::Replace => {
                replace(place).await?;
                apply::put_in_force(place, output, loaded).await?
            }
            Way::Apply(_) => apply::put_in_force(place, output, loaded).await?,
            Way::Wait { stopped } => start_stopped(place, &stopped).await?,
            Way::Nothing => 0,
        };
        watch_until_ready(place, output, &mut step, generation).await
    })?;
    step.done("are all ready");
    Ok(WasUp::OnlyNow)
}

/// Looks at what runs.
async fn way(place: &Place, output: &Output, loaded: &Loaded) -> Result<Way, Failure> {
    let client = place.client();
    let snapshot = match client.snapshot().await {
        Ok(snapshot) => snapshot,
        Err(ClientError::NotRunning { .. }) => return Ok(Way::Start),
        // What we cannot understand is of another version.
        Err(ClientError::Strange { .. }) => return Ok(Way::Replace),
        Err(error) => return Err(failure(&error)),
    };
    if is_of_another_build(place, &snapshot) {
        return Ok(Way::Replace);
    }
    if snapshot.manifest_sha256 == loaded.sha256 {
        let stopped = |state: &&ComponentState| !state.wanted;
        let stopped: Vec<String> =
            snapshot.components.iter().filter(stopped).map(|state| state.name.clone()).collect();
        return Ok(if stopped.is_empty() && is_ready(&snapshot) {
            Way::Nothing
        } else {
            Way::Wait { stopped }
        });
    }
    match client.plan(&loaded.text).await {
        Ok(plan) => Ok(Way::Apply(plan)),
        Err(error) => Err(apply::refusal(&error, loaded, output)),
    }
}

/// Whether the castellan that answers is another program than the one beside us: of another
/// version, or older than the file.
fn is_of_another_build(place: &Place, snapshot: &Snapshot) -> bool {
    let changed = fs::metadata(place.layout.program("castellan")).and_then(|file| file.modified());
    let changed = changed.ok().and_then(|time| time.duration_since(UNIX_EPOCH).ok());
    snapshot.version != env!("CARGO_PKG_VERSION")
        || changed.is_some_and(|at| at > Duration::from_millis(snapshot.started_at_ms))
}

/// Orders up what was ordered down. Gives the generation from which on that is to be seen.
async fn start_stopped(place: &Place, stopped: &[String]) -> Result<u64, Failure> {
    let client = place.client();
    let mut generation = 0;
    for name in stopped {
        let ordered = patiently(async || client.order(name, Verb::Start).await).await;
        generation = ordered.map_err(|error| failure(&error))?.generation;
    }
    Ok(generation)
}

fn is_ready(snapshot: &Snapshot) -> bool {
    snapshot.components.iter().all(|state| state.severity() == Severity::Good)
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
pub(super) fn mint_secrets(place: &Place, manifest: &Manifest) -> Result<(), Failure> {
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

/// Has the castellan that runs leave its children to a new one.
async fn replace(place: &Place) -> Result<(), Failure> {
    let client = place.client();
    let before = client.snapshot().await.ok().map(|snapshot| snapshot.castellan_pid);
    match client.handover().await {
        // Of another version, it answers in other words.
        Ok(_)
        | Err(
            ClientError::Strange { .. } | ClientError::Broken(_) | ClientError::NotRunning { .. },
        ) => {}
        Err(error) => return Err(failure(&error)),
    }
    timeout(LEAVE_MAX, wait_until_gone(&client, before, |_| {})).await.map_err(|_| {
        Failure::new("the running castellan does not leave")
            .hint("`sanctum down`, then `sanctum up`")
    })?;
    start(place).await
}

/// Starts castellan and waits until it answers. Where another one was quicker, that one does.
async fn start(place: &Place) -> Result<(), Failure> {
    let mut child = start_castellan(place, &[])?;
    let client = place.client();
    let answers = timeout(ANSWER_MAX, async {
        loop {
            if client.snapshot().await.is_ok() {
                return Ok(());
            }
            match child.try_wait() {
                // Another one starts just now, or is about to end.
                Ok(Some(status)) if status.code() == Some(TAKEN) => {
                    sleep(TAKEN_INTERVAL).await;
                    if client.snapshot().await.is_err() {
                        child = start_castellan(place, &[])?;
                    }
                }
                Ok(Some(status)) => {
                    let what = format!("castellan ended at once: {status}");
                    return Err(castellan_failure(place, &what));
                }
                Ok(None) | Err(_) => sleep(ANSWER_INTERVAL).await,
            }
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
pub(super) fn start_castellan(place: &Place, arguments: &[&str]) -> Result<Child, Failure> {
    let log = open_log(Path::new(&place.layout.castellan_log())).map_err(|error| {
        Failure::new(format!("cannot open `{}`: {error}", place.layout.castellan_log()))
    })?;
    let errors = log.try_clone().map_err(|error| Failure::from_error(&error))?;
    let program = place.layout.program("castellan");
    process::Command::new(&program)
        .arg("--own-session")
        .args(arguments)
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

pub(super) fn castellan_failure(place: &Place, message: &str) -> Failure {
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
