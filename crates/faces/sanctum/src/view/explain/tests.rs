//! What is promised of it, held.

use crate::view::status::tests::{finding, snapshot, state};

use super::*;

const NOW_MS: u64 = 1_795_579_140_000;

fn text(snapshot: &Snapshot, name: &str, evidence: &str, log_end: &[String]) -> String {
    let state = snapshot.components.iter().find(|state| state.name == name).unwrap();
    let event = Event {
        sequence: 1,
        at_ms: NOW_MS - 20_000,
        component: root_of(snapshot, state).name.clone(),
        what: "exited".to_owned(),
        detail: "exit code 1".to_owned(),
    };
    let subject = Subject {
        snapshot,
        state,
        evidence: evidence.to_owned(),
        events: &[event],
        log_end,
        now_ms: NOW_MS,
        zone: &TimeZone::UTC,
    };
    lines(&subject, Palette::Plain).join("\n")
}

fn fallen() -> Snapshot {
    let mut guest = state("guest", PhaseName::GivenUp);
    guest.crashes = 12;
    guest.crashes_in_row = 10;
    guest.next_try_ms = Some(500_000);
    guest.last_exit = "exit code 1".to_owned();
    guest.last_look = "nothing answers at 127.0.0.1:1922".to_owned();
    guest.last_author = "a person, by `sanctum restart guest`".to_owned();
    let mut umbilical = state("umbilical", PhaseName::Waiting);
    umbilical.needs = vec!["proxyd".to_owned(), "guest".to_owned()];
    umbilical.root_cause = Some("guest".to_owned());
    let mut openclaw = state("openclaw", PhaseName::Waiting);
    openclaw.needs = vec!["umbilical".to_owned()];
    openclaw.root_cause = Some("guest".to_owned());
    openclaw.chain = vec!["umbilical".to_owned()];
    let mut proxyd = state("proxyd", PhaseName::Ready);
    proxyd.pid = Some(7);
    let what = "crashed 10 times in a row: exit code 1";
    let finding = finding("guest", "given-up", what, &["umbilical", "openclaw"]);
    snapshot(vec![proxyd, guest, umbilical, openclaw], vec![finding])
}

#[test]
fn a_casualty_is_explained_from_its_root() {
    assert_eq!(
        text(&fallen(), "openclaw", "the agent answers", &["cannot open /dev/kvm".to_owned()]),
        "\
openclaw is waiting since 2026-11-25 03:58:48.000 (12 s), because of guest

  guest  given-up   the root
  └ umbilical  waiting
    └ openclaw  waiting

guest: crashed 10 times in a row: exit code 1
  last exit:   exit code 1
  last look:   nothing answers at 127.0.0.1:1922
  crashes:     12, 10 of them in a row that still counts
  next try:    in 8 min 20 s
  last order:  a person, by `sanctum restart guest`

What happened to guest:
  2026-11-25 03:58:40.000  guest         exited        exit code 1

What guest wrote last, in /home/a/.sanctum/logs/guest.log:
  | cannot open /dev/kvm

→ mend what it says, then `sanctum restart guest` tries at once"
    );
}

#[test]
fn a_ready_one_is_said_to_be_so_and_by_which_evidence() {
    assert_eq!(
        text(&fallen(), "proxyd", "http://127.0.0.1:4040/health answers with 200", &[]),
        "\
proxyd is ready since 2026-11-25 03:58:48.000 (12 s)
  seen by: http://127.0.0.1:4040/health answers with 200
  runs as:     pid 7"
    );
}

#[test]
fn a_component_is_its_own_root_when_nothing_else_is() {
    let text = text(&fallen(), "guest", "127.0.0.1:1922 speaks first", &[]);
    assert!(text.contains("guest is given-up since"), "{text}");
    assert!(text.contains("  ready when:  127.0.0.1:1922 speaks first"), "{text}");
    assert!(!text.contains("└"), "{text}");
}

#[test]
fn a_root_that_needs_do_not_lead_to_is_named_all_the_same() {
    let mut a = state("a", PhaseName::Waiting);
    a.root_cause = Some("elsewhere".to_owned());
    let snapshot = snapshot(vec![a, state("elsewhere", PhaseName::Refused)], Vec::new());
    let text = text(&snapshot, "a", "", &[]);
    assert!(text.contains("  elsewhere  refused   the root\n  └ a  waiting"), "{text}");
}

#[test]
fn every_phase_has_something_that_would_help() {
    for phase in [
        PhaseName::Stopped,
        PhaseName::Waiting,
        PhaseName::Starting,
        PhaseName::Unhealthy,
        PhaseName::Stopping,
        PhaseName::BackingOff,
        PhaseName::GivenUp,
        PhaseName::Refused,
    ] {
        let text = text(&snapshot(vec![state("a", phase)], Vec::new()), "a", "", &[]);
        assert!(text.lines().last().unwrap().starts_with("→ "), "{phase}: {text}");
        assert!(text.contains("sanctum "), "{phase}: {text}");
    }
}
