//! `start`, `stop`, `restart`, `down`: orders to castellan, and waiting for what comes of them.

use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use sanctum_wire::{ClientError, ComponentState, PhaseName, Snapshot, Verb};

use super::{Outcome, block_on};
use crate::failure::{Failure, NOT_RUNNING};
use crate::output::{Output, Paint, Step, shown};
use crate::place::Place;

/// How often castellan is asked while something is waited for.
const ASK_INTERVAL: Duration = Duration::from_millis(200);
/// The time a stop may take: longer than any component's own grace.
const DOWN_MAX: Duration = Duration::from_mins(5);

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
        let pid_before = find(&before, component).and_then(|state| state.pid);
        client.order(component, verb).await.map_err(|error| failure(&error))?;
        let mut step = output.step(component);
        loop {
            let snapshot = client.snapshot().await.map_err(|error| failure(&error))?;
            let Some(state) = find(&snapshot, component) else {
                return Err(Failure::new(format!("castellan no longer keeps `{component}`")));
            };
            step.detail(described(state));
            let anew = verb != Verb::Restart || state.pid != pid_before;
            match (verb, state.phase) {
                (Verb::Stop, PhaseName::Stopped) => {
                    step.done("stopped");
                    return Ok(ExitCode::SUCCESS);
                }
                (Verb::Start | Verb::Restart, PhaseName::Ready) if anew => {
                    step.done("ready");
                    return Ok(ExitCode::SUCCESS);
                }
                (Verb::Start | Verb::Restart, PhaseName::GivenUp) => return Err(given_up(state)),
                (Verb::Start | Verb::Stop | Verb::Restart, _) => {
                    tokio::time::sleep(ASK_INTERVAL).await;
                }
            }
        }
    })
}

/// Stops everything and castellan, and waits until nothing is left.
pub(crate) fn down(place: &Place, output: &Output) -> Outcome {
    let client = place.client();
    block_on(async {
        match client.shutdown().await {
            Ok(_) => {}
            Err(ClientError::NotRunning { .. }) => {
                output.say("castellan is not running: nothing to stop");
                return Ok(ExitCode::SUCCESS);
            }
            Err(error) => return Err(failure(&error)),
        }
        let mut step = output.step("stopping");
        let waited = tokio::time::timeout(DOWN_MAX, async {
            // Castellan's lock and socket go with it: no answer means that nothing is left.
            while let Ok(snapshot) = client.snapshot().await {
                step.detail(still_running(&snapshot));
                tokio::time::sleep(ASK_INTERVAL).await;
            }
        });
        if waited.await.is_err() {
            return Err(Failure::new(format!("not everything stopped within {DOWN_MAX:?}"))
                .hint("`sanctum status` shows what is left"));
        }
        step.done("everything is stopped");
        Ok(ExitCode::SUCCESS)
    })
}

/// What is left to stop, in words.
fn still_running(snapshot: &Snapshot) -> String {
    let left: Vec<_> = snapshot
        .components
        .iter()
        .filter(|state| state.phase != PhaseName::Stopped)
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

/// A component that castellan has given up, with the end of its log.
pub(crate) fn given_up(state: &ComponentState) -> Failure {
    let failure = Failure::new(format!(
        "`{}` crashed {} times and is retried only slowly now: {}",
        state.name, state.crashes, state.note
    ));
    with_log_end(failure, state).hint(format!("`sanctum logs {}` shows more", state.name))
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
        ClientError::NotRunning { .. } => {
            failure.with_code(NOT_RUNNING).hint("`sanctum up` starts everything")
        }
        ClientError::Silent { .. } | ClientError::Broken(_) | ClientError::Strange { .. } => {
            failure.hint("`sanctum logs castellan` shows what it last did")
        }
        ClientError::Refused { .. } => failure,
    }
}

/// Waits until every wanted component is ready, telling each change once.
pub(crate) async fn wait_until_ready(
    place: &Place,
    output: &Output,
    step: &mut Step<'_>,
) -> Result<(), Failure> {
    let client = place.client();
    let mut told: Vec<String> = Vec::new();
    loop {
        let snapshot = client.snapshot().await.map_err(|error| failure(&error))?;
        let wanted = snapshot.components.iter().filter(|state| state.wanted);
        let mut missing = Vec::new();
        for state in wanted {
            if state.phase == PhaseName::GivenUp {
                return Err(given_up(state));
            }
            if state.phase != PhaseName::Ready {
                missing.push(state);
            } else if !told.contains(&state.name) {
                told.push(state.name.clone());
                let mark = output.paint_err(Paint::Good, "✓");
                step.line(format!("  {mark} {:12} {}", state.name, state.purpose));
            }
        }
        let Some(first) = missing.first() else { return Ok(()) };
        let others = missing.iter().skip(1).map(|state| state.name.as_str()).collect::<Vec<_>>();
        let mut detail = format!("{} {}", first.name, described(first));
        if !others.is_empty() {
            detail = format!("{detail} · then {}", others.join(", "));
        }
        step.detail(detail);
        tokio::time::sleep(ASK_INTERVAL).await;
    }
}
