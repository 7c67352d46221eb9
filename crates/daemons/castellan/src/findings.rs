//! What is wrong, from the states of all components: each root once, with all that it keeps down.

use std::collections::BTreeMap;

use sanctum_wire::{ComponentState, Finding, PhaseName, Severity};

/// What speaks against starting a component now.
#[derive(Clone, Debug)]
pub(crate) struct Obstacle {
    /// The finding's code.
    pub(crate) code: &'static str,
    pub(crate) what: String,
    pub(crate) mend: String,
}

/// The findings that follow from the components' states, the worst first. `obstacle` says what
/// keeps a refused one from starting.
pub(crate) fn of_components<'o>(
    states: &[ComponentState],
    obstacle: impl Fn(&str) -> Option<&'o Obstacle>,
) -> Vec<Finding> {
    let mut casualties: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for state in states.iter().filter(|state| state.wanted) {
        if let Some(root) = &state.root_cause {
            casualties.entry(root).or_default().push(state.name.clone());
        }
    }
    let roots = states.iter().filter(|state| state.root_cause.is_none());
    let mut findings: Vec<Finding> = roots
        .filter_map(|state| {
            let mut casualties = casualties.remove(state.name.as_str()).unwrap_or_default();
            casualties.sort_unstable();
            finding(state, obstacle(&state.name), casualties)
        })
        .collect();
    findings.sort_by_key(|finding| std::cmp::Reverse((finding.severity, finding.casualties.len())));
    findings
}

fn finding(
    state: &ComponentState,
    obstacle: Option<&Obstacle>,
    casualties: Vec<String>,
) -> Option<Finding> {
    let name = &state.name;
    let (code, what, mend) = match state.phase {
        PhaseName::GivenUp if state.next_try_ms.is_none() => (
            "fatal-exit",
            format!("ended with {}: another start is of no use", state.last_exit),
            format!("change what is wrong, then `sanctum start {name}`"),
        ),
        PhaseName::GivenUp => (
            "given-up",
            format!("crashed {} times in a row: {}", state.crashes_in_row, reason(state)),
            format!("`sanctum explain {name}`"),
        ),
        PhaseName::Refused => {
            let Obstacle { code, what, mend } = obstacle?;
            (*code, what.clone(), mend.clone())
        }
        PhaseName::Unhealthy => (
            "unhealthy",
            format!("runs and does not work: {}", reason(state)),
            format!("`sanctum explain {name}`"),
        ),
        PhaseName::BackingOff => (
            "crashed",
            format!("crashed, and is started again soon: {}", reason(state)),
            format!("`sanctum logs {name}`"),
        ),
        PhaseName::Scheduled if state.crashes_in_row > 0 => (
            "task-failed",
            format!("its last {} runs failed: {}", state.crashes_in_row, reason(state)),
            format!("`sanctum logs {name}`"),
        ),
        // One that fell and is on its way up is a finding only for those it keeps down.
        PhaseName::Starting if !state.last_exit.is_empty() && !casualties.is_empty() => (
            "crashed",
            format!("ended with {}, and is starting again", state.last_exit),
            format!("`sanctum logs {name}`"),
        ),
        // One that somebody stopped is a finding only for those it keeps down.
        PhaseName::Stopped if !state.wanted && !casualties.is_empty() => (
            "stopped",
            format!("was stopped: {}", state.last_author),
            format!("`sanctum start {name}`"),
        ),
        PhaseName::Stopped
        | PhaseName::Waiting
        | PhaseName::Starting
        | PhaseName::Ready
        | PhaseName::Stopping
        | PhaseName::Done
        | PhaseName::Scheduled => return None,
    };
    let is_passing = matches!(state.phase, PhaseName::Stopped | PhaseName::Starting);
    let severity =
        if is_passing { Severity::Degraded } else { state.severity().max(Severity::Degraded) };
    let (code, component) = (code.to_owned(), name.clone());
    Some(Finding { code, component, what, mend, casualties, severity })
}

fn reason(state: &ComponentState) -> &str {
    [&state.note, &state.last_look, &state.last_exit]
        .into_iter()
        .find(|text| !text.is_empty())
        .map_or("nothing is known of why", String::as_str)
}
