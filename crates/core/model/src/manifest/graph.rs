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
        if problems.is_full() {
            return;
        }
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
    let name = need.value.parse::<ComponentName>();
    let Some(declared) = name.ok().and_then(|name| components.get(&name)) else { return };
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
    let mut edges: BTreeMap<&str, BTreeMap<&str, &Placed<String>>> = BTreeMap::new();
    for (by, need) in &places.needs {
        edges.entry(by).or_default().entry(&need.value).or_insert(need);
    }
    let edges: BTreeMap<&str, Vec<&Placed<String>>> =
        edges.into_iter().map(|(by, needs)| (by, needs.into_values().collect())).collect();
    let mut done = BTreeSet::new();
    for start in edges.keys().copied().filter(|_| !problems.is_full()) {
        // The path from `start`, each member with the number of its needs that were followed.
        let mut path = vec![(start, 0)];
        let mut on_path = BTreeMap::from([(start, 0)]);
        while let Some((member, followed)) = path.last_mut() {
            let member = *member;
            let next = edges.get(member).and_then(|needs| needs.get(*followed)).copied();
            *followed += 1;
            let Some(need) = next.filter(|_| !done.contains(member)) else {
                done.insert(member);
                on_path.remove(member);
                path.pop();
                continue;
            };
            if let Some(first) = on_path.get(need.value.as_str()) {
                report(&path[*first..], need, problems);
            } else {
                on_path.insert(&need.value, path.len());
                path.push((&need.value, 0));
            }
        }
    }
}

fn report(members: &[(&str, usize)], closing: &Placed<String>, problems: &Problems) {
    if problems.is_full() {
        return;
    }
    let mut names: Vec<String> = members.iter().map(|(name, _)| format!("`{name}`")).collect();
    names.push(format!("`{}`", closing.value));
    let message = format!("needs run in a circle: {}", names.join(" → "));
    problems.add_with_help(closing.span.clone(), message, "one of them must start first");
}
