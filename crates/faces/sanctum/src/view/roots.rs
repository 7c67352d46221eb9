//! What is wrong, each root once, with everything that it keeps down.

use std::collections::{HashMap, HashSet};

use sanctum_wire::{ComponentState, PhaseName, Severity, Snapshot};

/// Something that is wrong for a reason of its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Root<'s> {
    /// The component it is about, or `castellan`.
    pub(super) component: &'s str,
    /// A stable word.
    pub(super) code: &'s str,
    /// What is wrong; empty where the component's own state says it.
    pub(super) what: &'s str,
    /// What would mend it; may be empty.
    pub(super) mend: &'s str,
    pub(super) casualties: Vec<&'s str>,
    pub(super) severity: Severity,
}

/// Castellan's findings, and what it has not made one of: a component that is on its way up keeps
/// others waiting, and is no finding.
pub(super) fn roots(snapshot: &Snapshot) -> Vec<Root<'_>> {
    let mut roots: Vec<Root<'_>> = snapshot
        .findings
        .iter()
        .map(|finding| Root {
            component: &finding.component,
            code: &finding.code,
            what: &finding.what,
            mend: &finding.mend,
            casualties: finding.casualties.iter().map(String::as_str).collect(),
            severity: finding.severity,
        })
        .collect();
    let told: HashSet<&str> = roots.iter().flat_map(|root| root.casualties.clone()).collect();
    let mut places: HashMap<&str, usize> = HashMap::new();
    for (place, root) in roots.iter().enumerate() {
        places.entry(root.component).or_insert(place);
    }
    let untold = snapshot.components.iter().filter(|state| is_casualty(state));
    for state in untold.filter(|state| !told.contains(state.name.as_str())) {
        let Some(root) = state.root_cause.as_deref() else { continue };
        let place = *places.entry(root).or_insert_with(|| {
            roots.push(Root {
                component: root,
                code: "",
                what: "",
                mend: "",
                casualties: Vec::new(),
                severity: Severity::Passing,
            });
            roots.len() - 1
        });
        roots[place].casualties.push(&state.name);
    }
    roots
}

/// Whether it is wanted and not ready for no reason of its own.
pub(super) fn is_casualty(state: &ComponentState) -> bool {
    let is_down = match state.phase {
        PhaseName::Ready | PhaseName::Done | PhaseName::Scheduled => false,
        PhaseName::Stopped
        | PhaseName::Waiting
        | PhaseName::Starting
        | PhaseName::Unhealthy
        | PhaseName::Stopping
        | PhaseName::BackingOff
        | PhaseName::GivenUp
        | PhaseName::Refused => true,
    };
    state.wanted && is_down && state.root_cause.as_deref().is_some_and(|root| root != state.name)
}
