//! What is promised of it, held.

use sanctum_wire::{Finding, MemoryLedger};

use super::*;

/// A component in a phase, wanted, with nothing else to say.
pub(crate) fn state(name: &str, phase: PhaseName) -> ComponentState {
    ComponentState {
        name: name.to_owned(),
        purpose: format!("what {name} is for"),
        plane: PlaneName::Host,
        phase,
        wanted: true,
        phase_age_ms: 12_000,
        pid: None,
        crashes: 0,
        crashes_in_row: 0,
        root_cause: None,
        chain: Vec::new(),
        next_try_ms: None,
        last_exit: String::new(),
        last_look: String::new(),
        last_author: String::new(),
        keeper: "own".to_owned(),
        memory_bytes: 0,
        memory_peak_bytes: 0,
        note: String::new(),
        needs: Vec::new(),
        ports: Vec::new(),
        log: format!("/home/a/.sanctum/logs/{name}.log"),
    }
}

pub(crate) fn snapshot(components: Vec<ComponentState>, findings: Vec<Finding>) -> Snapshot {
    Snapshot {
        generation: 7,
        castellan_pid: 1,
        version: "0.1.0".to_owned(),
        started_at_ms: 0,
        manifest_path: "/home/a/.sanctum/sanctum.toml".to_owned(),
        manifest_sha256: String::new(),
        findings,
        memory: MemoryLedger::default(),
        components,
    }
}

pub(crate) fn finding(component: &str, code: &str, what: &str, casualties: &[&str]) -> Finding {
    Finding {
        code: code.to_owned(),
        component: component.to_owned(),
        what: what.to_owned(),
        mend: format!("`sanctum explain {component}`"),
        casualties: casualties.iter().map(|name| (*name).to_owned()).collect(),
        severity: Severity::Bad,
    }
}

fn casualty(name: &str, root: &str) -> ComponentState {
    ComponentState { root_cause: Some(root.to_owned()), ..state(name, PhaseName::Waiting) }
}

fn text(snapshot: &Snapshot, casualties: Casualties) -> String {
    lines(snapshot, casualties, Palette::Plain).join("\n")
}

/// A guest that is given up, and what goes down with it.
fn fallen(casualties: usize) -> Snapshot {
    let mut guest = state("guest", PhaseName::GivenUp);
    (guest.crashes, guest.crashes_in_row, guest.next_try_ms) = (12, 10, Some(500_000));
    let mut proxyd = state("proxyd", PhaseName::Ready);
    (proxyd.pid, proxyd.memory_bytes) = (Some(4711), 12 << 20);
    let mut components = vec![proxyd, guest];
    let names: Vec<String> = (0..casualties).map(|index| format!("part-{index}")).collect();
    components.extend(names.iter().map(|name| casualty(name, "guest")));
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let what = "crashed 10 times in a row: ended with exit code 1";
    snapshot(components, vec![finding("guest", "given-up", what, &names)])
}

#[test]
fn two_hundred_casualties_of_one_root_are_one_row() {
    assert_eq!(
        text(&fallen(200), Casualties::Named),
        "\
1 of 202 components are as wanted; 200 wait for 1 root
COMPONENT  PLANE  PHASE      FOR   PID  CRASHES       NEXT TRY  MEMORY  WHAT
guest      host   given-up  12 s     -       12  in 8 min 20 s       -  crashed 10 times in a row: ended with exit code 1
  keeps down: part-0, part-1, part-2, part-3, part-4, part-5 (and 194 more)
  → `sanctum explain guest`
proxyd     host   ready     12 s  4711        0              -  12 MiB  what proxyd is for"
    );
}

#[test]
fn casualties_are_listed_when_asked_for() {
    let text = text(&fallen(3), Casualties::Listed);
    assert!(text.contains("part-2     host   waiting"), "{text}");
    assert!(text.contains("waits for guest"), "{text}");
}

#[test]
fn while_things_come_up_they_are_waited_for_and_not_kept_down() {
    let guest = state("guest", PhaseName::Starting);
    let snapshot = snapshot(vec![guest, casualty("umbilical", "guest")], Vec::new());
    let text = text(&snapshot, Casualties::Named);
    assert!(text.contains("\n  waited for by: umbilical"), "{text}");
    assert_eq!(exit_code(&snapshot), 3);
}

#[test]
fn a_finding_about_castellan_itself_has_a_row_of_its_own() {
    let finding = finding("castellan", "manifest-differs", "the file is not what is in force", &[]);
    let snapshot = snapshot(vec![state("a", PhaseName::Ready)], vec![finding]);
    let text = text(&snapshot, Casualties::Named);
    assert!(text.contains("castellan  -      manifest-differs"), "{text}");
}

#[test]
fn a_stopped_root_is_shown_with_what_it_keeps_down() {
    let mut guest = state("guest", PhaseName::Stopped);
    guest.wanted = false;
    let snapshot = snapshot(vec![guest, casualty("umbilical", "guest")], Vec::new());
    let text = text(&snapshot, Casualties::Named);
    assert!(text.contains("guest      host   stopped"), "{text}");
    assert!(!text.contains("umbilical  host"), "{text}");
}

#[test]
fn the_exit_code_is_the_worst_components() {
    let code = |phases: &[PhaseName]| {
        let components = phases.iter().map(|phase| state("a", *phase)).collect();
        exit_code(&snapshot(components, Vec::new()))
    };
    assert_eq!(code(&[PhaseName::Ready, PhaseName::Done, PhaseName::Scheduled]), 0);
    assert_eq!(code(&[PhaseName::Ready, PhaseName::Starting]), 3);
    assert_eq!(code(&[PhaseName::Unhealthy, PhaseName::Starting]), 4);
    assert_eq!(code(&[PhaseName::Ready, PhaseName::Refused]), 5);
}

#[test]
fn no_component_can_write_to_the_terminal_through_its_words() {
    let mut guest = state("guest", PhaseName::Unhealthy);
    guest.note = "\u{1b}[2J\r".to_owned();
    let text = text(&snapshot(vec![guest], Vec::new()), Casualties::Named);
    assert!(!text.contains(['\u{1b}', '\r']), "{text:?}");
}
