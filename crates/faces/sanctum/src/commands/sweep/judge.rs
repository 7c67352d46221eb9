//! What a sweep's facts come to: each root once, with what it keeps down.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use sanctum_wire::{Finding, PhaseName, Severity};

use super::facts::{Answer, Component, Facts, Lease, Owner, Seen};

/// Less room than this on the disk of the state directory is a finding …
const DISK_MIN: u64 = 1 << 30;
/// … and with less than this, what must be written down soon cannot be.
const DISK_SHORT: u64 = 128 << 20;
/// The component that castellan itself is called.
const CASTELLAN: &str = "castellan";

/// The findings, the worst first.
pub(super) fn findings(facts: &Facts) -> Vec<Finding> {
    let mut findings = castellan(facts);
    findings.extend(components(facts));
    findings.extend(facts.components.iter().flat_map(ports));
    findings.extend(facts.components.iter().filter_map(|it| differs(it, facts)));
    findings.extend(facts.components.iter().filter_map(unknown));
    findings.extend(disk(facts.disk_bytes));
    findings.sort_by_key(|finding| std::cmp::Reverse((finding.severity, finding.casualties.len())));
    findings
}

fn finding(
    code: &str,
    component: &str,
    severity: Severity,
    what: impl Into<String>,
    mend: impl Into<String>,
) -> Finding {
    Finding {
        code: code.to_owned(),
        component: component.to_owned(),
        what: what.into(),
        mend: mend.into(),
        casualties: Vec::new(),
        severity,
    }
}

fn castellan(facts: &Facts) -> Vec<Finding> {
    let logs = "`sanctum logs castellan`";
    let mut found = Vec::new();
    match (&facts.castellan, &facts.lease) {
        (Answer::Absent, Lease::Ended) => found.push(finding(
            "ended",
            CASTELLAN,
            Severity::Passing,
            "was told to end; nothing is kept up",
            "`sanctum up`",
        )),
        // Where nobody keeps anything up, that is the root of all that is down.
        (Answer::Absent, Lease::Fresh | Lease::Stale(_) | Lease::Absent) => {
            let what = "does not run, and was not told to end";
            let mut finding = finding("absent", CASTELLAN, Severity::Bad, what, "`sanctum up`");
            let down = facts.components.iter().filter(|it| is_bad(it));
            finding.casualties = down.map(|it| it.name.clone()).collect();
            found.push(finding);
        }
        (Answer::Unknown(why), Lease::Fresh | Lease::Ended | Lease::Absent) => {
            found.push(finding("silent", CASTELLAN, Severity::Bad, why.clone(), logs));
        }
        (Answer::Unknown(why), Lease::Stale(stale)) => {
            let what = format!("{why}; of its lease, {stale}");
            found.push(finding("silent", CASTELLAN, Severity::Bad, what, logs));
        }
        (Answer::Answers, Lease::Fresh) => {}
        (Answer::Answers, Lease::Stale(why)) => {
            let what = format!("answers, and its lease proves nothing: {why}");
            found.push(finding("lease-stale", CASTELLAN, Severity::Bad, what, logs));
        }
        (Answer::Answers, Lease::Ended | Lease::Absent) => {
            let what = "answers, and there is no lease of it";
            found.push(finding("lease-absent", CASTELLAN, Severity::Degraded, what, logs));
        }
    }
    found
}

/// What does not work as it should, each root with all that needs it.
fn components(facts: &Facts) -> Vec<Finding> {
    if facts.castellan == Answer::Absent {
        return Vec::new();
    }
    let bad: BTreeMap<&str, &Component> =
        facts.components.iter().filter(|it| is_bad(it)).map(|it| (it.name.as_str(), it)).collect();
    let needs: HashMap<&str, &[String]> =
        facts.components.iter().map(|it| (it.name.as_str(), it.needs.as_slice())).collect();
    let mut roots: HashMap<&str, Option<&str>> = HashMap::new();
    let mut casualties: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for component in facts.components.iter().filter(|it| bad.contains_key(it.name.as_str())) {
        let root = root(&component.name, &needs, &bad, &mut roots, &mut BTreeSet::new());
        if let Some(root) = root {
            casualties.entry(root).or_default().push(component.name.clone());
        }
    }
    let mut found = Vec::new();
    for component in bad.values() {
        let is_root = roots.get(component.name.as_str()).copied().flatten().is_none();
        if let (true, Some(mut finding)) = (is_root, not_seen(component)) {
            finding.casualties = casualties.remove(component.name.as_str()).unwrap_or_default();
            found.push(finding);
        }
    }
    found
}

/// The bad one that a bad one hangs on, however indirectly; nothing if all it needs is good.
fn root<'f>(
    name: &'f str,
    needs: &HashMap<&'f str, &'f [String]>,
    bad: &BTreeMap<&'f str, &'f Component>,
    known: &mut HashMap<&'f str, Option<&'f str>>,
    under_way: &mut BTreeSet<&'f str>,
) -> Option<&'f str> {
    if let Some(root) = known.get(name) {
        return *root;
    }
    if !under_way.insert(name) {
        return None; // a circle, which no manifest has
    }
    let own = needs.get(name).copied().unwrap_or_default();
    let mut found = None;
    for need in own.iter().map(String::as_str) {
        let below = root(need, needs, bad, known, under_way);
        found = below.or_else(|| bad.contains_key(need).then_some(need));
        if found.is_some() {
            break;
        }
    }
    known.insert(name, found);
    found
}

fn is_bad(component: &Component) -> bool {
    let is_ordered_down = component.said.is_some_and(|said| !said.wanted);
    matches!(component.seen, Seen::Bad(_)) && !is_ordered_down
}

/// A component that does not show what it should; castellan's word decides how bad that is only
/// where it says that it is on its way.
fn not_seen(component: &Component) -> Option<Finding> {
    let Seen::Bad(why) = &component.seen else { return None };
    let mend = format!("`sanctum explain {}`", component.name);
    let said = component.said.map(|said| said.phase);
    let (severity, view) = match said {
        Some(PhaseName::Starting | PhaseName::Waiting | PhaseName::Stopping) => {
            (Severity::Passing, "castellan has it under way")
        }
        Some(PhaseName::BackingOff | PhaseName::Unhealthy) => {
            (Severity::Degraded, "castellan knows, and restarts it")
        }
        Some(PhaseName::Ready) => (Severity::Bad, "castellan says that it is ready"),
        Some(PhaseName::GivenUp | PhaseName::Refused | PhaseName::Stopped) => {
            (Severity::Bad, "castellan knows, and does no more")
        }
        // It has ended as it should: there is nothing to see.
        Some(PhaseName::Done | PhaseName::Scheduled) => return None,
        None => (Severity::Bad, "castellan says nothing of it"),
    };
    Some(finding("not-working", &component.name, severity, format!("{why}; {view}"), mend))
}

/// What works, and castellan says that it does not.
fn differs(component: &Component, facts: &Facts) -> Option<Finding> {
    let is_seen = component.seen == Seen::Good;
    let said = component.said?;
    let word = match said.phase {
        PhaseName::GivenUp | PhaseName::Refused | PhaseName::Stopped => said.phase.as_str(),
        PhaseName::Ready
        | PhaseName::Done
        | PhaseName::Scheduled
        | PhaseName::Waiting
        | PhaseName::Starting
        | PhaseName::Unhealthy
        | PhaseName::Stopping
        | PhaseName::BackingOff => return None,
    };
    if !is_seen || facts.castellan != Answer::Answers {
        return None;
    }
    let what = format!("castellan says that it is {word}, and from outside it works");
    let mend = format!("`sanctum explain {}`", component.name);
    Some(finding("view-differs", &component.name, Severity::Degraded, what, mend))
}

fn unknown(component: &Component) -> Option<Finding> {
    let Seen::Unknown(why) = &component.seen else { return None };
    let mend = "`sanctum sweep --time 60`";
    Some(finding("unknown", &component.name, Severity::Degraded, why.clone(), mend))
}

fn ports(component: &Component) -> Vec<Finding> {
    let mut found = Vec::new();
    let name = &component.name;
    for port in &component.ports {
        let number = port.number;
        if let Owner::Stranger(who) = &port.owner {
            let what = format!("its port {number} is held by {who}, which is not its own");
            let mend = format!("end that one, or give {name} another port and `sanctum apply`");
            found.push(finding("port-taken", name, Severity::Bad, what, mend));
        }
        let wide: Vec<String> = port
            .addresses
            .iter()
            .filter(|address| !address.is_loopback())
            .map(ToString::to_string)
            .collect();
        if !wide.is_empty() {
            let what = format!(
                "its port {number} is open at {}: not to this machine alone",
                wide.join(", ")
            );
            let mend = "whoever listens there must listen on 127.0.0.1";
            found.push(finding("port-open", name, Severity::Bad, what, mend));
        }
    }
    found
}

fn disk(bytes: Option<u64>) -> Option<Finding> {
    let bytes = bytes.filter(|bytes| *bytes < DISK_MIN)?;
    let severity = if bytes < DISK_SHORT { Severity::Bad } else { Severity::Degraded };
    let what = format!("{} MiB are left on the disk of the state directory", bytes >> 20);
    Some(finding(
        "disk-short",
        CASTELLAN,
        severity,
        what,
        "make room; `sanctum doctor` shows where",
    ))
}

#[cfg(test)]
mod tests;
