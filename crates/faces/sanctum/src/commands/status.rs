//! `status`: every component, the worst first; the exit code is the worst one's.

use std::process::ExitCode;
use std::time::Duration;

use sanctum_wire::{ClientError, ComponentState, PlaneName, Severity, Snapshot};

use super::orders::failure;
use super::{Outcome, block_on, print_json};
use crate::output::{Output, Paint, shown};
use crate::place::Place;

pub(crate) fn run(place: &Place, output: &Output, json: bool) -> Outcome {
    let client = place.client();
    let snapshot =
        block_on(async { client.snapshot().await.map_err(|error: ClientError| failure(&error)) })?;
    if json {
        print_json(output, &snapshot)?;
    } else {
        for line in table(&snapshot, output) {
            output.data(line);
        }
    }
    Ok(ExitCode::from(exit_code(worst(&snapshot))))
}

fn worst(snapshot: &Snapshot) -> Severity {
    snapshot.components.iter().map(ComponentState::severity).max().unwrap_or(Severity::Good)
}

const fn exit_code(worst: Severity) -> u8 {
    match worst {
        Severity::Good => 0,
        Severity::Passing => 3,
        Severity::Degraded => 4,
        Severity::Bad => 5,
    }
}

fn table(snapshot: &Snapshot, output: &Output) -> Vec<String> {
    let mut states: Vec<&ComponentState> = snapshot.components.iter().collect();
    states.sort_by_key(|state| std::cmp::Reverse(state.severity())); // stable: start order within
    let name_width = states.iter().map(|state| state.name.len()).max().unwrap_or(0).max(9);
    let mut lines = vec![headline(snapshot, output)];
    lines.push(output.paint(
        Paint::Faint,
        &format!(
            "{:name_width$}  {:5}  {:11}  {:>12}  {:>8}  {:>7}  WHAT",
            "COMPONENT", "PLANE", "PHASE", "FOR", "PID", "CRASHES"
        ),
    ));
    for state in states {
        let plane = match state.plane {
            PlaneName::Host => "host",
            PlaneName::Guest => "guest",
        };
        let paint = match state.severity() {
            Severity::Good => Paint::Good,
            Severity::Passing | Severity::Degraded => Paint::Passing,
            Severity::Bad => Paint::Bad,
        };
        let phase = output.paint(paint, &format!("{:11}", state.phase));
        let age = shown(Duration::from_millis(state.phase_age_ms));
        let pid = state.pid.map_or_else(|| "-".to_owned(), |pid| pid.to_string());
        let what = what(state);
        lines.push(format!(
            "{:name_width$}  {plane:5}  {phase}  {age:>12}  {pid:>8}  {:>7}  {what}",
            state.name, state.crashes
        ));
    }
    lines
}

fn headline(snapshot: &Snapshot, output: &Output) -> String {
    let ready =
        snapshot.components.iter().filter(|state| state.severity() == Severity::Good).count();
    let text = format!("{ready} of {} components are as wanted", snapshot.components.len());
    let paint = match worst(snapshot) {
        Severity::Good => Paint::Good,
        Severity::Passing | Severity::Degraded => Paint::Passing,
        Severity::Bad => Paint::Bad,
    };
    output.paint(paint, &text)
}

/// Why it is not ready, or where it is found.
fn what(state: &ComponentState) -> String {
    if let Some(root) = &state.root_cause {
        return format!("waits for {root}");
    }
    if !state.note.is_empty() {
        return state.note.clone();
    }
    let ports: Vec<_> =
        state.ports.iter().map(|port| format!("{} {}", port.address, port.why)).collect();
    if ports.is_empty() { state.purpose.clone() } else { ports.join(", ") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_exit_code_is_the_worst_components() {
        let codes =
            [Severity::Good, Severity::Passing, Severity::Degraded, Severity::Bad].map(exit_code);
        assert_eq!(codes, [0, 3, 4, 5]);
    }
}
