//! `start`, `stop`, `restart`, `down`: orders to castellan, and waiting for what comes of them.

use std::collections::HashSet;
use std::fs;
use std::path::Path;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use sanctum_model::ErrorChain;
use sanctum_wire::{Client, ClientError, ComponentState, PhaseName, Snapshot, Verb};
use tokio::time::{sleep, timeout};

use super::{Outcome, block_on, up};
use crate::failure::{Failure, NOT_RUNNING, UNKNOWN};
use crate::output::{Output, Paint, Step, shown};
use crate::place::Place;
use crate::view::words::names;

/// How often castellan is asked while something is waited for.
const ASK_INTERVAL: Duration = Duration::from_millis(200);
/// The time a stop may take: longer than any component's own grace.
pub(crate) const DOWN_MAX: Duration = Duration::from_mins(5);
/// The time castellan may be away while something is waited for: another one takes over.
const ABSENCE_MAX: Duration = Duration::from_secs(10);
/// How castellan refuses what it cannot do just now: while it starts, and once it ends.
const NOT_NOW: [u16; 2] = [409, 503];
/// Components that are named of those that are waited for.
const NAMES_SHOWN_MAX: usize = 6;

/// Orders a component up and waits until it is ready.
pub(crate) fn start(place: &Place, output: &Output, component: &str) -> Outcome {
    order(place, output, component, Verb::Start)
}

/// Orders a component down, with what needs it, and waits until it has stopped.
pub(crate) fn stop(place: &Place, output: &Output, component: &str) -> Outcome {
    order(place, output, component, Verb::Stop)
}

/// Orders a component anew and waits until it is ready.
pub(crate) fn restart(place: &Place, output: &Output, component: &str) -> Outcome {
    order(place, output, component, Verb::Restart)
}

fn order(place: &Place, output: &Output, component: &str, verb: Verb) -> Outcome {
    let client = place.client();
    block_on(async {
        let before = client.snapshot().await.map_err(|error| failure(&error))?;
        let before = find(&before, component).and_then(|state| state.pid);
        let ordered = patiently(async || client.order(component, verb).await).await;
        ordered.map_err(|error| failure(&error))?;
        let mut step = output.step(component);
        let mut watch = Watch::new(client);
        loop {
            let snapshot = watch.snapshot().await?;
            let Some(state) = find(&snapshot, component) else {
                return Err(Failure::new(format!("castellan no longer keeps `{component}`")));
            };
            step.detail(described(state));
            match outcome(verb, state, before) {
                Ordered::Done(word) => {
                    step.done(word);
                    return Ok(ExitCode::SUCCESS);
                }
                Ordered::Failed => return Err(not_up(state)),
                Ordered::UnderWay => sleep(ASK_INTERVAL).await,
            }
        }
    })
}

/// What has come of an order so far.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ordered {
    Done(&'static str),
    Failed,
    UnderWay,
}

/// A restart is done when another process is ready than the one before.
fn outcome(verb: Verb, state: &ComponentState, pid_before: Option<u32>) -> Ordered {
    let is_anew = verb != Verb::Restart || state.pid.is_none() || state.pid != pid_before;
    match (verb, state.phase) {
        (Verb::Stop, PhaseName::Stopped) => Ordered::Done("stopped"),
        (Verb::Start | Verb::Restart, PhaseName::Ready) if is_anew => Ordered::Done("ready"),
        (Verb::Start | Verb::Restart, PhaseName::Done) => Ordered::Done("has run to its end"),
        (Verb::Start | Verb::Restart, PhaseName::Scheduled) => {
            Ordered::Done("waits for its next run")
        }
        (Verb::Start | Verb::Restart, PhaseName::GivenUp | PhaseName::Refused) => Ordered::Failed,
        (
            Verb::Start | Verb::Restart | Verb::Stop,
            PhaseName::Stopped
            | PhaseName::Waiting
            | PhaseName::Starting
            | PhaseName::Ready
            | PhaseName::Unhealthy
            | PhaseName::Stopping
            | PhaseName::BackingOff
            | PhaseName::GivenUp
            | PhaseName::Refused
            | PhaseName::Done
            | PhaseName::Scheduled,
        ) => Ordered::UnderWay,
    }
}

/// Calls a castellan that is just starting or ending until it takes the call or is gone. A call
/// whose answer is lost is made again: an order given twice is one.
pub(crate) async fn patiently<T>(
    call: impl AsyncFn() -> Result<T, ClientError>,
) -> Result<T, ClientError> {
    let until = Instant::now() + DOWN_MAX;
    loop {
        match call().await {
            Err(error) if is_for_later(&error) && Instant::now() < until => {
                sleep(ASK_INTERVAL).await;
            }
            other => return other,
        }
    }
}

fn is_for_later(error: &ClientError) -> bool {
    match error {
        ClientError::Refused { status, .. } => NOT_NOW.contains(status),
        ClientError::Broken(_) => true,
        ClientError::NotRunning { .. }
        | ClientError::Silent { .. }
        | ClientError::Unreachable { .. }
        | ClientError::Strange { .. } => false,
    }
}

/// Asks castellan again and again, and bears with its being replaced meanwhile.
#[derive(Debug)]
pub(crate) struct Watch {
    client: Client,
    absent_since: Option<Instant>,
}

impl Watch {
    pub(crate) fn new(client: Client) -> Self {
        Self { client, absent_since: None }
    }

    /// The next snapshot. Fails when castellan has not answered for too long.
    pub(crate) async fn snapshot(&mut self) -> Result<Snapshot, Failure> {
        loop {
            let error = match self.client.snapshot().await {
                Ok(snapshot) => {
                    self.absent_since = None;
                    return Ok(snapshot);
                }
                Err(error) => error,
            };
            let since = *self.absent_since.get_or_insert_with(Instant::now);
            if since.elapsed() > ABSENCE_MAX || matches!(error, ClientError::Refused { .. }) {
                return Err(failure(&error));
            }
            sleep(ASK_INTERVAL).await;
        }
    }
}

/// Stops everything and castellan, and waits until nothing is left.
pub(crate) fn down(place: &Place, output: &Output) -> Outcome {
    let client = place.client();
    block_on(async {
        let before = client.snapshot().await.ok().map(|snapshot| snapshot.castellan_pid);
        match client.shutdown().await {
            // Told before, by another `down`, it is ending: what is left is waited for.
            Ok(_) | Err(ClientError::Refused { .. } | ClientError::Broken(_)) => {}
            Err(ClientError::NotRunning { .. }) if is_at_rest(place) => {
                output.say("castellan is not running: nothing to stop");
                return Ok(ExitCode::SUCCESS);
            }
            // It died, and what it kept lives on: another one takes that over, and stops it.
            Err(ClientError::NotRunning { .. }) => {
                output.say("castellan has died: another one stops what it left");
                let status = up::start_castellan(place, &["--end"])?.wait();
                let status = status.map_err(|error| Failure::from_error(&error))?;
                if status.success() {
                    return Ok(ExitCode::SUCCESS);
                }
                if status.code() != Some(up::TAKEN) {
                    let what = format!("the castellan that was to stop what is left: {status}");
                    return Err(up::castellan_failure(place, &what));
                }
                // Its dead-man's switch was quicker.
                let told = patiently(async || client.shutdown().await).await;
                told.map_err(|error| failure(&error))?;
            }
            Err(error) => return Err(failure(&error)),
        }
        let mut step = output.step("stopping");
        let waited = timeout(
            DOWN_MAX,
            wait_until_gone(&client, before, |snapshot| {
                step.detail(still_running(snapshot));
            }),
        );
        match waited.await {
            Ok(Gone::Absent) => step.done("everything is stopped"),
            Ok(Gone::Replaced) => {
                step.done("everything was stopped; another castellan was started meanwhile");
            }
            Err(_) => {
                return Err(Failure::new(format!("not everything stopped within {DOWN_MAX:?}"))
                    .hint("`sanctum status` shows what is left"));
            }
        }
        Ok(ExitCode::SUCCESS)
    })
}

/// Whether the last castellan ended as it was told, and left nothing; or there never was one.
fn is_at_rest(place: &Place) -> bool {
    let children = fs::read_dir(place.layout.run("children"));
    !has_died(Path::new(&place.layout.run("castellan.lease")))
        && children.map_or(true, |mut children| children.next().is_none())
}

/// Whether a castellan that does not run did not end as it was told, by the lease that it left.
fn has_died(lease: &Path) -> bool {
    let lease = fs::read_to_string(lease);
    lease.is_ok_and(|lease| lease.lines().all(|line| line != "state ended"))
}

/// How a castellan is known to be gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Gone {
    /// Nobody listens.
    Absent,
    /// Another one listens.
    Replaced,
}

/// Waits until castellan, or the one with that process id, is gone: its lock and socket go with it.
/// One that does not answer is not gone.
pub(crate) async fn wait_until_gone(
    client: &Client,
    mut pid: Option<u32>,
    mut seen: impl FnMut(&Snapshot),
) -> Gone {
    loop {
        match client.snapshot().await {
            Ok(snapshot)
                if snapshot.castellan_pid == *pid.get_or_insert(snapshot.castellan_pid) =>
            {
                seen(&snapshot);
            }
            Ok(_) => return Gone::Replaced,
            Err(ClientError::NotRunning { .. }) => return Gone::Absent,
            Err(_) => {}
        }
        sleep(ASK_INTERVAL).await;
    }
}

/// What is left to stop, in words.
fn still_running(snapshot: &Snapshot) -> String {
    let left: Vec<_> = snapshot
        .components
        .iter()
        .filter(|state| state.pid.is_some() || state.phase == PhaseName::Stopping)
        .map(|state| state.name.as_str())
        .collect();
    left.join(", ")
}

pub(crate) fn find<'s>(snapshot: &'s Snapshot, component: &str) -> Option<&'s ComponentState> {
    snapshot.components.iter().find(|state| state.name == component)
}

/// A component's state in a few words: the phase, for how long, and why it is not ready. What a
/// look at one that is still starting found is no news: it is not ready yet.
pub(crate) fn described(state: &ComponentState) -> String {
    let age = shown(Duration::from_millis(state.phase_age_ms));
    match (&state.root_cause, state.phase, state.note.as_str()) {
        (Some(root), phase, _) => format!("{phase}, for {root}"),
        (None, PhaseName::Starting, _) => format!("starting for {age}"),
        (None, phase, "") => phase.to_string(),
        (None, phase, note) => format!("{phase}: {note}"),
    }
}

/// A component that does not come up, with the end of its log.
pub(crate) fn not_up(state: &ComponentState) -> Failure {
    let name = &state.name;
    if state.phase == PhaseName::Refused {
        return Failure::new(format!("`{name}` is not started: {}", state.note))
            .hint(format!("`sanctum explain {name}` says what would help"));
    }
    let slowly = match state.next_try_ms {
        Some(ms) => format!("is retried in {}", shown(Duration::from_millis(ms))),
        None => "is not retried".to_owned(),
    };
    let failure = Failure::new(format!(
        "`{name}` crashed {} times and {slowly}: {}",
        state.crashes, state.note
    ));
    with_log_end(failure, state)
        .hint(format!("`sanctum explain {name}` says more, and `sanctum logs {name}` shows it"))
}

/// Adds the last lines of a component's log.
pub(crate) fn with_log_end(failure: Failure, state: &ComponentState) -> Failure {
    match super::logs::last_lines(Path::new(&state.log), 8) {
        Ok(lines) if !lines.is_empty() => {
            let shown: Vec<_> =
                lines.iter().map(|line| format!("  {} | {line}", state.name)).collect();
            failure.detail(shown.join("\n"))
        }
        Ok(_) | Err(_) => failure,
    }
}

/// What a failed call to castellan means to the person who typed the command.
pub(crate) fn failure(error: &ClientError) -> Failure {
    let failure = Failure::from_error(error);
    match error {
        ClientError::NotRunning { path, .. } if has_died(&path.with_file_name("castellan.lease")) => {
            failure.with_code(NOT_RUNNING).hint(
                "it has died, and what it kept lives on; its dead-man's switch, if it has one, \
                 brings it back within seconds, `sanctum up` at once",
            )
        }
        ClientError::NotRunning { .. } => {
            failure.with_code(NOT_RUNNING).hint("`sanctum up` starts everything")
        }
        ClientError::Silent { .. } | ClientError::Unreachable { .. } => {
            Failure::new(format!("unknown: {}", ErrorChain(error)))
                .with_code(UNKNOWN)
                .hint("it may still be at work: `sanctum sweep` looks without it, `sanctum logs castellan` shows what it last did")
        }
        ClientError::Broken(_) | ClientError::Strange { .. } => {
            failure.with_code(UNKNOWN).hint("`sanctum logs castellan` shows what it last did")
        }
        ClientError::Refused { .. } => failure,
    }
}

/// As [`wait_until_ready`], until `^C`.
pub(crate) async fn watch_until_ready(
    place: &Place,
    output: &Output,
    step: &mut Step<'_>,
    generation: u64,
) -> Result<(), Failure> {
    let interrupted = tokio::signal::ctrl_c();
    tokio::select! {
        ready = wait_until_ready(place, output, step, generation) => ready,
        _ = interrupted => Err(Failure::new("interrupted").hint(
            "castellan goes on in the background: `sanctum status`, or `sanctum down` to stop it",
        )),
    }
}

/// Waits until every wanted component is ready in a snapshot of that generation or a later one,
/// telling each change once.
async fn wait_until_ready(
    place: &Place,
    output: &Output,
    step: &mut Step<'_>,
    generation: u64,
) -> Result<(), Failure> {
    let mut watch = Watch::new(place.client());
    let mut told: HashSet<String> = HashSet::new();
    loop {
        let snapshot = watch.snapshot().await?;
        if snapshot.generation < generation {
            sleep(ASK_INTERVAL).await;
            continue;
        }
        let width = snapshot.components.iter().map(|state| state.name.len()).max().unwrap_or(0);
        let wanted = snapshot.components.iter().filter(|state| state.wanted);
        let mut missing = Vec::new();
        for state in wanted {
            match state.phase {
                PhaseName::GivenUp | PhaseName::Refused => return Err(not_up(state)),
                PhaseName::Ready | PhaseName::Done | PhaseName::Scheduled => {
                    if told.insert(state.name.clone()) {
                        let mark = output.paint_err(Paint::Good, "✓");
                        step.line(format!("  {mark} {:width$} {}", state.name, state.purpose));
                    }
                }
                PhaseName::Stopped
                | PhaseName::Waiting
                | PhaseName::Starting
                | PhaseName::Unhealthy
                | PhaseName::Stopping
                | PhaseName::BackingOff => missing.push(state),
            }
        }
        let Some(first) = missing.first() else { return Ok(()) };
        let others: Vec<_> = missing.iter().skip(1).map(|state| state.name.as_str()).collect();
        let mut detail = format!("{} {}", first.name, described(first));
        if !others.is_empty() {
            detail = format!("{detail} · then {}", names(&others, NAMES_SHOWN_MAX));
        }
        step.detail(detail);
        sleep(ASK_INTERVAL).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::view::status::tests::state;

    #[test]
    fn a_restart_is_done_when_another_process_is_ready() {
        let mut now = state("a", PhaseName::Ready);
        now.pid = Some(7);
        assert_eq!(outcome(Verb::Restart, &now, Some(7)), Ordered::UnderWay);
        assert_eq!(outcome(Verb::Restart, &now, Some(6)), Ordered::Done("ready"));
        assert_eq!(outcome(Verb::Start, &now, Some(7)), Ordered::Done("ready"));
        assert_eq!(outcome(Verb::Stop, &now, Some(7)), Ordered::UnderWay);
    }

    #[test]
    fn a_task_that_has_run_is_done_and_what_has_no_room_failed() {
        let done = outcome(Verb::Start, &state("a", PhaseName::Done), None);
        assert_eq!(done, Ordered::Done("has run to its end"));
        assert_eq!(outcome(Verb::Start, &state("a", PhaseName::Refused), None), Ordered::Failed);
    }

    #[test]
    fn silence_has_a_code_of_its_own() {
        assert_eq!(failure(&ClientError::Silent { seconds: 2 }).code(), UNKNOWN);
        let absent = ClientError::NotRunning {
            path: "/x".into(),
            source: std::io::ErrorKind::NotFound.into(),
        };
        assert_eq!(failure(&absent).code(), NOT_RUNNING);
    }
}
