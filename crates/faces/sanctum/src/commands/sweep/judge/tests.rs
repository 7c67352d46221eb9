//! What is promised of it, held.

use std::net::Ipv4Addr;

use super::super::facts::{Port, Said};
use super::*;

fn component(name: &str, needs: &[&str], seen: Seen, phase: PhaseName) -> Component {
    Component {
        name: name.to_owned(),
        needs: needs.iter().map(|need| (*need).to_owned()).collect(),
        said: Some(Said { phase, wanted: true }),
        seen,
        ports: Vec::new(),
    }
}

fn facts(components: Vec<Component>) -> Facts {
    Facts { castellan: Answer::Answers, lease: Lease::Fresh, disk_bytes: Some(1 << 40), components }
}

fn bad() -> Seen {
    Seen::Bad("nothing answers".to_owned())
}

/// `code component: casualties`, a line each.
fn shown(facts: &Facts) -> Vec<String> {
    let line = |it: &Finding| format!("{} {} [{}]", it.code, it.component, it.casualties.join(" "));
    findings(facts).iter().map(line).collect()
}

#[test]
fn two_hundred_that_hang_on_one_are_one_finding() {
    let mut components = vec![component("guest", &[], bad(), PhaseName::Ready)];
    let mut need = "guest".to_owned();
    for index in 0..200 {
        let name = format!("c{index}");
        components.push(component(&name, &[&need], bad(), PhaseName::Waiting));
        if index % 20 == 0 {
            need = name;
        }
    }
    let found = findings(&facts(components));
    assert_eq!(found.len(), 1, "{found:#?}");
    assert_eq!((found[0].component.as_str(), found[0].casualties.len()), ("guest", 200));
    assert_eq!(found[0].severity, Severity::Bad);
    assert!(found[0].what.contains("castellan says that it is ready"), "{}", found[0].what);
}

#[test]
fn all_is_well_when_everything_shows_what_it_should() {
    let components = vec![
        component("a", &[], Seen::Good, PhaseName::Ready),
        component("task", &[], Seen::Nothing, PhaseName::Scheduled),
    ];
    assert_eq!(findings(&facts(components)), []);
}

#[test]
fn what_was_ordered_down_is_no_finding() {
    let mut down = component("a", &[], bad(), PhaseName::Stopped);
    down.said = Some(Said { phase: PhaseName::Stopped, wanted: false });
    assert_eq!(findings(&facts(vec![down])), []);
}

#[test]
fn how_bad_it_is_depends_on_whether_somebody_is_at_it() {
    for (phase, severity) in [
        (PhaseName::Starting, Severity::Passing),
        (PhaseName::BackingOff, Severity::Degraded),
        (PhaseName::GivenUp, Severity::Bad),
        (PhaseName::Ready, Severity::Bad),
    ] {
        let found = findings(&facts(vec![component("a", &[], bad(), phase)]));
        assert_eq!(found[0].severity, severity, "{phase}");
    }
}

#[test]
fn what_works_and_is_said_not_to_is_a_difference() {
    let found = shown(&facts(vec![component("a", &[], Seen::Good, PhaseName::GivenUp)]));
    assert_eq!(found, ["view-differs a []"]);
}

#[test]
fn without_castellan_it_is_the_root_of_all_that_is_down() {
    let mut facts = facts(vec![
        component("a", &[], bad(), PhaseName::Ready),
        component("b", &["a"], bad(), PhaseName::Ready),
        component("c", &[], Seen::Good, PhaseName::Ready),
    ]);
    facts.components.iter_mut().for_each(|component| component.said = None);
    (facts.castellan, facts.lease) = (Answer::Absent, Lease::Stale("it has ended".to_owned()));
    assert_eq!(shown(&facts), ["absent castellan [a b]"]);
    facts.lease = Lease::Ended;
    assert_eq!(shown(&facts), ["ended castellan []"]);
}

#[test]
fn a_castellan_that_says_nothing_is_a_finding_and_not_absent() {
    let mut facts = facts(Vec::new());
    facts.castellan = Answer::Unknown("does not answer".to_owned());
    assert_eq!(shown(&facts), ["silent castellan []"]);
    facts.castellan = Answer::Answers;
    facts.lease = Lease::Stale("it was not renewed".to_owned());
    assert_eq!(shown(&facts), ["lease-stale castellan []"]);
}

#[test]
fn a_port_of_a_stranger_and_one_that_is_open_to_others_are_findings() {
    let mut component = component("proxyd", &[], Seen::Good, PhaseName::Ready);
    let port = |owner, address: [u8; 4]| Port {
        number: 4040,
        addresses: BTreeSet::from([Ipv4Addr::from(address).into()]),
        owner,
    };
    component.ports = vec![
        port(Owner::Own, [127, 0, 0, 1]),
        port(Owner::Stranger("nc (pid 7)".to_owned()), [127, 0, 0, 1]),
        port(Owner::Own, [0, 0, 0, 0]),
    ];
    assert_eq!(shown(&facts(vec![component])), ["port-taken proxyd []", "port-open proxyd []"]);
}

#[test]
fn a_look_that_had_no_time_is_unknown() {
    let unknown = Seen::Unknown("no time".to_owned());
    let found = findings(&facts(vec![component("a", &[], unknown, PhaseName::Ready)]));
    assert_eq!((found[0].code.as_str(), found[0].severity), ("unknown", Severity::Degraded));
}

#[test]
fn a_full_disk_is_a_finding_before_it_is_full() {
    let mut facts = facts(Vec::new());
    facts.disk_bytes = Some(512 << 20);
    assert_eq!(findings(&facts)[0].severity, Severity::Degraded);
    facts.disk_bytes = Some(1 << 20);
    assert_eq!(findings(&facts)[0].severity, Severity::Bad);
    facts.disk_bytes = None;
    assert_eq!(findings(&facts), []);
}
