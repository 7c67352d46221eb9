//! Who needs whom among the components: everything needed exists, and nothing needs itself.

use std::collections::{BTreeMap, BTreeSet};

use super::Declared;
use super::check::Places;
use super::reader::{Placed, Problems, suggestion};
use crate::{ComponentName, Life};

/// Every need exists, can be met, and leads to no circle.
pub(super) fn needs(
    components: &BTreeMap<ComponentName, Declared>,
    ours: &[ComponentName],
    places: &Places,
    problems: &Problems,
) {
    let known: BTreeSet<&str> = components.keys().chain(ours).map(ComponentName::as_str).collect();
    let mut seen = BTreeSet::new();
    for (by, need) in &places.needs {
        if !seen.insert((by, &need.value)) {
            let message = format!("`{by}` lists its need `{}` twice", need.value);
            problems.add_with_help(need.span.clone(), message, "leave one of them out");
        } else if !known.contains(need.value.as_str()) && !places.names.contains(&need.value) {
            let message = format!("`{by}` needs `{}`, which does not exist", need.value);
            let help = suggestion(&need.value, known.iter().copied());
            problems.add_with_help(need.span.clone(), message, help);
        } else {
            is_met(components, by, need, problems);
        }
    }
    circles(places, problems);
}

/// A task on a schedule is over most of the time, and what is over is no ground to stand on.
fn is_met(
    components: &BTreeMap<ComponentName, Declared>,
    by: &str,
    need: &Placed<String>,
    problems: &Problems,
) {
    let found = components.iter().find(|(name, _)| name.as_str() == need.value);
    let Some((_, declared)) = found else { return };
    match declared.life {
        Life::Every(_) | Life::Calendar(_) => {
            let message = format!(
                "`{by}` needs `{}`, which runs on a schedule and is never simply there",
                need.value
            );
            let help = "need a component that stays, or a task with `schedule = \"once\"`";
            problems.add_with_help(need.span.clone(), message, help);
        }
        Life::Always | Life::UntilSuccess | Life::Never | Life::Once => {}
    }
}

/// Reports every circle of needs once, with all its members, at the need that closes it. What the
/// system itself needs never leads to a declared component.
fn circles(places: &Places, problems: &Problems) {
    let mut edges: BTreeMap<&str, Vec<&Placed<String>>> = BTreeMap::new();
    for (by, need) in &places.needs {
        let needs = edges.entry(by).or_default();
        if needs.iter().all(|other| other.value != need.value) {
            needs.push(need);
        }
    }
    let mut done = BTreeSet::new();
    for start in edges.keys() {
        // The path from `start`, each member with the number of its needs that were followed.
        let mut path: Vec<(&str, usize)> = vec![(*start, 0)];
        while let Some((member, followed)) = path.last_mut() {
            let member = *member;
            let next = edges.get(member).and_then(|needs| needs.get(*followed)).copied();
            *followed += 1;
            let Some(need) = next.filter(|_| !done.contains(member)) else {
                done.insert(member);
                path.pop();
                continue;
            };
            match path.iter().position(|(other, _)| *other == need.value) {
                Some(first) => report(&path[first..], need, problems),
                None => path.push((&need.value, 0)),
            }
        }
    }
}

fn report(members: &[(&str, usize)], closing: &Placed<String>, problems: &Problems) {
    let mut names: Vec<String> = members.iter().map(|(name, _)| format!("`{name}`")).collect();
    names.push(format!("`{}`", closing.value));
    let message = format!("needs run in a circle: {}", names.join(" → "));
    problems.add_with_help(closing.span.clone(), message, "one of them must start first");
}
