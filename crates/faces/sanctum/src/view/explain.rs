//! The answer of `sanctum explain`: why a component is not ready, from the root to it.

use std::collections::{HashMap, HashSet, VecDeque};

use jiff::tz::TimeZone;
use sanctum_wire::{ComponentState, Event, Finding, PhaseName, Severity, Snapshot};

use super::words::{age, local, printable};
use super::{event, roots, status};
use crate::output::{Paint, Palette};

/// Everything that is known of one component.
#[derive(Debug)]
pub(crate) struct Subject<'s> {
    pub(crate) snapshot: &'s Snapshot,
    pub(crate) state: &'s ComponentState,
    /// How one sees that it works; empty if not known.
    pub(crate) evidence: String,
    /// The last events about the root, or about it if it is its own.
    pub(crate) events: &'s [Event],
    /// The last lines the root wrote.
    pub(crate) log_end: &'s [String],
    pub(crate) now_ms: u64,
    pub(crate) zone: &'s TimeZone,
}

/// The component that a component's state comes from: its root, or itself.
pub(crate) fn root_of<'s>(snapshot: &'s Snapshot, state: &'s ComponentState) -> &'s ComponentState {
    let root = state.root_cause.as_deref().filter(|_| roots::is_casualty(state));
    let find = |name: &str| snapshot.components.iter().find(|other| other.name == name);
    root.and_then(find).unwrap_or(state)
}

/// The whole answer.
pub(crate) fn lines(subject: &Subject<'_>, palette: Palette) -> Vec<String> {
    let Subject { snapshot, state, .. } = subject;
    let root = root_of(snapshot, state);
    let finding = snapshot.findings.iter().find(|finding| finding.component == root.name);
    let mut lines = vec![headline(subject, root, palette)];
    let is_well = state.severity() == Severity::Good && state.wanted;
    if is_well && finding.is_none() {
        if !subject.evidence.is_empty() && state.phase == PhaseName::Ready {
            lines.push(format!("  seen by: {}", printable(&subject.evidence)));
        }
        lines.extend(facts(state));
        return lines;
    }
    if root.name != state.name {
        lines.push(String::new());
        lines.extend(chain(snapshot, state, root, palette));
    }
    lines.push(String::new());
    lines.push(palette.paint(Paint::Strong, &format!("{}: {}", root.name, why(root, finding))));
    lines.extend(facts(root));
    if root.name == state.name && !subject.evidence.is_empty() {
        lines.push(format!("  ready when:  {}", printable(&subject.evidence)));
    }
    if !subject.events.is_empty() {
        lines.push(String::new());
        lines.push(format!("What happened to {}:", root.name));
        let shown = |it: &Event| format!("  {}", event::line(it, subject.zone, palette));
        lines.extend(subject.events.iter().map(shown));
    }
    if !subject.log_end.is_empty() {
        lines.push(String::new());
        lines.push(format!("What {} wrote last, in {}:", root.name, root.log));
        lines.extend(subject.log_end.iter().map(|line| format!("  | {}", printable(line))));
    }
    lines.push(String::new());
    lines.extend(help(root, finding).into_iter().map(|line| format!("→ {}", printable(&line))));
    lines
}

fn headline(subject: &Subject<'_>, root: &ComponentState, palette: Palette) -> String {
    let state = subject.state;
    let since = local(subject.now_ms.saturating_sub(state.phase_age_ms), subject.zone);
    let reason =
        if root.name == state.name { String::new() } else { format!(", because of {}", root.name) };
    let wanted = match (state.wanted, state.phase) {
        (false, PhaseName::Stopped) => ", as it was ordered",
        (true | false, _) => "",
    };
    let text = format!(
        "{} is {} since {since} ({}){reason}{wanted}",
        state.name,
        state.phase,
        age(state.phase_age_ms)
    );
    palette.paint(status::paint(state.severity()), &text)
}

/// From the root to the component, each needing the one above it.
fn chain(
    snapshot: &Snapshot,
    state: &ComponentState,
    root: &ComponentState,
    palette: Palette,
) -> Vec<String> {
    let states: HashMap<&str, &ComponentState> =
        snapshot.components.iter().map(|state| (state.name.as_str(), state)).collect();
    let line = |(depth, name): (usize, &str)| {
        let (phase, severity) = states.get(name).map_or(("unknown", Severity::Degraded), |state| {
            (state.phase.as_str(), state.severity())
        });
        let phase = palette.paint(status::paint(severity), phase);
        let branch =
            if depth == 0 { String::new() } else { format!("{}└ ", "  ".repeat(depth - 1)) };
        let note = if depth == 0 { "   the root" } else { "" };
        format!("  {branch}{name}  {phase}{note}")
    };
    way(&states, &state.name, &root.name).into_iter().enumerate().map(line).collect()
}

/// The shortest way along needs, from the root to the component. Both are on it even where
/// castellan's snapshot does not say how they hang together.
fn way<'s>(
    states: &HashMap<&'s str, &'s ComponentState>,
    from: &'s str,
    root: &'s str,
) -> Vec<&'s str> {
    let mut before: HashMap<&str, &str> = HashMap::new();
    let (mut seen, mut todo) = (HashSet::from([from]), VecDeque::from([from]));
    while let Some(name) = todo.pop_front() {
        if name == root {
            break;
        }
        let needs = states.get(name).map_or(&[][..], |state| &state.needs);
        for need in needs.iter().map(String::as_str) {
            if seen.insert(need) {
                before.insert(need, name);
                todo.push_back(need);
            }
        }
    }
    let mut way = vec![root];
    let mut name = root;
    while let Some(next) = before.get(name) {
        way.push(next);
        name = next;
    }
    if name != from {
        way.push(from);
    }
    way
}

fn why(root: &ComponentState, finding: Option<&Finding>) -> String {
    match finding {
        Some(finding) => printable(&finding.what).into_owned(),
        None if !root.note.is_empty() => format!("{}: {}", root.phase, printable(&root.note)),
        None => root.phase.to_string(),
    }
}

/// What castellan knows of a component; what is not known is left out.
fn facts(state: &ComponentState) -> Vec<String> {
    let mut facts = Vec::new();
    let mut add = |title: &str, text: &str| {
        if !text.is_empty() {
            facts.push(format!("  {:12} {}", format!("{title}:"), printable(text)));
        }
    };
    add("runs as", &state.pid.map_or_else(String::new, |pid| format!("pid {pid}")));
    add("last exit", &state.last_exit);
    add("last look", &state.last_look);
    if state.crashes > 0 {
        let row = state.crashes_in_row;
        add("crashes", &format!("{}, {row} of them in a row that still counts", state.crashes));
    }
    add("next try", &state.next_try_ms.map_or_else(String::new, |ms| format!("in {}", age(ms))));
    add("last order", &state.last_author);
    if state.keeper != "own" {
        add("kept by", &state.keeper);
    }
    facts
}

/// What would help: castellan's word, unless that is to ask us, and the commands for its phase.
fn help(root: &ComponentState, finding: Option<&Finding>) -> Vec<String> {
    let name = &root.name;
    let more = match root.phase {
        PhaseName::Stopped if root.wanted => format!("`sanctum start {name}`"),
        PhaseName::Stopped => format!("`sanctum start {name}` starts it, and what it needs"),
        PhaseName::Waiting => "`sanctum status` shows what it waits for".to_owned(),
        PhaseName::Starting => format!("`sanctum logs -f {name}` shows how it comes up"),
        PhaseName::Stopping => format!("`sanctum logs -f {name}` shows how it ends"),
        PhaseName::Unhealthy | PhaseName::BackingOff => {
            format!("`sanctum logs {name}` shows more; castellan restarts it by itself")
        }
        PhaseName::GivenUp => {
            format!("mend what it says, then `sanctum restart {name}` tries at once")
        }
        PhaseName::Refused => {
            "`sanctum stop` something else, or lower its memory_peak and `sanctum apply`".to_owned()
        }
        PhaseName::Ready | PhaseName::Done | PhaseName::Scheduled => {
            format!("`sanctum logs {name}` shows what it wrote")
        }
    };
    let said = finding.map_or("", |finding| &finding.mend);
    let is_news = !said.is_empty() && !said.contains("sanctum explain") && !more.contains(said);
    if is_news { vec![said.to_owned(), more] } else { vec![more] }
}

#[cfg(test)]
mod tests;
