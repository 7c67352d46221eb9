//! The table of `sanctum status`.

use std::cmp::Reverse;
use std::collections::{HashMap, HashSet};

use sanctum_model::ByteSize;
use sanctum_wire::{ComponentState, PhaseName, PlaneName, Severity, Snapshot};

use super::roots::{self, Root};
use super::words::{age, names, printable};
use crate::output::{Paint, Palette};

/// Casualties of one root that are named.
const CASUALTIES_SHOWN_MAX: usize = 6;

/// Whether components that are down for want of another one have rows of their own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Casualties {
    Named,
    Listed,
}

/// The exit code: how the worst component is.
pub(crate) fn exit_code(snapshot: &Snapshot) -> u8 {
    code(worst(snapshot))
}

/// The exit code for something that is as bad as that.
pub(crate) const fn code(severity: Severity) -> u8 {
    match severity {
        Severity::Good => 0,
        Severity::Passing => 3,
        Severity::Degraded => 4,
        Severity::Bad => 5,
    }
}

fn worst(snapshot: &Snapshot) -> Severity {
    snapshot.components.iter().map(ComponentState::severity).max().unwrap_or(Severity::Good)
}

/// A row, and what is said below it.
struct Block<'s> {
    severity: Severity,
    casualties: usize,
    cells: Cells,
    below: Vec<String>,
    state: Option<&'s ComponentState>,
}

struct Cells {
    name: String,
    plane: &'static str,
    phase: String,
    age: String,
    pid: String,
    crashes: String,
    next: String,
    memory: String,
    what: String,
}

/// The whole table, the worst first.
pub(crate) fn lines(snapshot: &Snapshot, casualties: Casualties, palette: Palette) -> Vec<String> {
    let roots = roots::roots(snapshot);
    let mut by_component: HashMap<&str, Vec<&Root<'_>>> = HashMap::new();
    for root in &roots {
        by_component.entry(root.component).or_default().push(root);
    }
    let mut hidden: HashSet<&str> = HashSet::new();
    if casualties == Casualties::Named {
        hidden.extend(roots.iter().flat_map(|root| root.casualties.iter().copied()));
    }
    let mut blocks = Vec::new();
    for state in &snapshot.components {
        let own = by_component.remove(state.name.as_str()).unwrap_or_default();
        // One that has a finding of its own is listed, whatever else keeps it down.
        if own.is_empty() && hidden.contains(state.name.as_str()) {
            continue;
        }
        blocks.push(of_component(state, &own));
    }
    let others = roots.iter().filter(|root| by_component.contains_key(root.component));
    blocks.extend(others.map(of_other));
    // Stable: start order within.
    blocks.sort_by_key(|block| Reverse((block.severity, block.casualties)));
    let mut lines = vec![headline(snapshot, &roots, palette)];
    if snapshot.memory.pool_bytes > 0 {
        let memory = &snapshot.memory;
        let bytes = |bytes| ByteSize::from_bytes(bytes).to_string();
        let text = format!(
            "memory: {} given of {}; the machine has {}",
            bytes(memory.given_bytes),
            bytes(memory.pool_bytes),
            bytes(memory.physical_bytes)
        );
        lines.push(palette.paint(Paint::Faint, &text));
    }
    lines.extend(rows(&blocks, palette));
    lines
}

fn of_component<'s>(state: &'s ComponentState, own: &[&Root<'_>]) -> Block<'s> {
    let severity = own
        .iter()
        .map(|root| root.severity)
        .chain([state.severity()])
        .max()
        .unwrap_or(Severity::Good);
    let said = own.first().map_or("", |root| root.what);
    let plane = match state.plane {
        PlaneName::Host => "host",
        PlaneName::Guest => "guest",
    };
    let memory = match state.memory_bytes {
        0 => "-".to_owned(),
        bytes => ByteSize::from_bytes(bytes).to_string(),
    };
    Block {
        severity,
        casualties: own.iter().map(|root| root.casualties.len()).sum(),
        cells: Cells {
            name: state.name.clone(),
            plane,
            phase: state.phase.to_string(),
            age: age(state.phase_age_ms),
            pid: state.pid.map_or_else(|| "-".to_owned(), |pid| pid.to_string()),
            crashes: state.crashes.to_string(),
            next: state.next_try_ms.map_or_else(|| "-".to_owned(), |ms| format!("in {}", age(ms))),
            memory,
            what: if said.is_empty() { what(state) } else { printable(said).into_owned() },
        },
        below: below(own),
        state: Some(state),
    }
}

/// A finding that is about no component in the list: castellan itself.
fn of_other<'s>(root: &Root<'_>) -> Block<'s> {
    let dash = || "-".to_owned();
    Block {
        severity: root.severity,
        casualties: root.casualties.len(),
        cells: Cells {
            name: root.component.to_owned(),
            plane: "-",
            phase: root.code.to_owned(),
            age: dash(),
            pid: dash(),
            crashes: dash(),
            next: dash(),
            memory: dash(),
            what: printable(root.what).into_owned(),
        },
        below: below(&[root]),
        state: None,
    }
}

fn below(own: &[&Root<'_>]) -> Vec<String> {
    let mut lines = Vec::new();
    for (place, root) in own.iter().enumerate() {
        if place > 0 {
            lines.push(format!("also {}: {}", root.code, printable(root.what)));
        }
        if !root.casualties.is_empty() {
            let word =
                if root.severity == Severity::Passing { "waited for by" } else { "keeps down" };
            lines.push(format!("{word}: {}", names(&root.casualties, CASUALTIES_SHOWN_MAX)));
        }
        if !root.mend.is_empty() {
            lines.push(format!("→ {}", printable(root.mend)));
        }
    }
    lines
}

fn rows(blocks: &[Block<'_>], palette: Palette) -> Vec<String> {
    let width = |cell: fn(&Cells) -> &str, title: &str| {
        let widest = blocks.iter().map(|block| cell(&block.cells).chars().count()).max();
        widest.unwrap_or(0).max(title.len())
    };
    let name_width = width(|cells| &cells.name, "COMPONENT");
    let phase_width = width(|cells| &cells.phase, "PHASE");
    let age_width = width(|cells| &cells.age, "FOR");
    let pid_width = width(|cells| &cells.pid, "PID");
    let next_width = width(|cells| &cells.next, "NEXT TRY");
    let memory_width = width(|cells| &cells.memory, "MEMORY");
    let is_known = |known: fn(&ComponentState) -> bool| {
        blocks.iter().filter_map(|block| block.state).any(known)
    };
    let has_next = is_known(|state| state.next_try_ms.is_some());
    let has_memory = is_known(|state| state.memory_bytes > 0);
    let line = |cells: &Cells, phase: &str| {
        let Cells { name, plane, age, pid, crashes, next, memory, what, .. } = cells;
        let line = format!(
            "{name:name_width$}  {plane:5}  {phase}  {age:>age_width$}  {pid:>pid_width$}  {crashes:>7}"
        );
        let next = if has_next { format!("  {next:>next_width$}") } else { String::new() };
        let memory = if has_memory { format!("  {memory:>memory_width$}") } else { String::new() };
        format!("{line}{next}{memory}  {what}").trim_end().to_owned()
    };
    let text = str::to_owned;
    let titles = Cells {
        name: text("COMPONENT"),
        plane: "PLANE",
        phase: text("PHASE"),
        age: text("FOR"),
        pid: text("PID"),
        crashes: text("CRASHES"),
        next: text("NEXT TRY"),
        memory: text("MEMORY"),
        what: text("WHAT"),
    };
    let phase = |cells: &Cells| format!("{:phase_width$}", cells.phase);
    let mut lines = vec![palette.paint(Paint::Faint, &line(&titles, &phase(&titles)))];
    for block in blocks {
        let painted = palette.paint(paint(block.severity), &phase(&block.cells));
        lines.push(line(&block.cells, &painted));
        lines.extend(
            block.below.iter().map(|text| format!("  {}", palette.paint(Paint::Faint, text))),
        );
    }
    lines
}

fn headline(snapshot: &Snapshot, roots: &[Root<'_>], palette: Palette) -> String {
    let count = snapshot.components.len();
    let good =
        snapshot.components.iter().filter(|state| state.severity() == Severity::Good).count();
    let down: usize = roots.iter().map(|root| root.casualties.len()).sum();
    let mut text = format!("{good} of {count} components are as wanted");
    if down > 0 {
        let causes = roots.iter().filter(|root| !root.casualties.is_empty()).count();
        let noun = if causes == 1 { "root" } else { "roots" };
        let verb = if down == 1 { "waits" } else { "wait" };
        text = format!("{text}; {down} {verb} for {causes} {noun}");
    }
    palette.paint(paint(worst(snapshot)), &text)
}

pub(super) const fn paint(severity: Severity) -> Paint {
    match severity {
        Severity::Good => Paint::Good,
        Severity::Passing | Severity::Degraded => Paint::Passing,
        Severity::Bad => Paint::Bad,
    }
}

/// Why it is not ready, or where it is found.
fn what(state: &ComponentState) -> String {
    if roots::is_casualty(state)
        && let Some(root) = &state.root_cause
    {
        return format!("waits for {root}");
    }
    if !state.wanted && state.phase == PhaseName::Stopped && !state.last_author.is_empty() {
        return format!("was stopped: {}", printable(&state.last_author));
    }
    if !state.note.is_empty() {
        return printable(&state.note).into_owned();
    }
    let ports: Vec<_> =
        state.ports.iter().map(|port| format!("{} {}", port.address, port.why)).collect();
    if ports.is_empty() { state.purpose.clone() } else { ports.join(", ") }
}

#[cfg(test)]
pub(crate) mod tests;
