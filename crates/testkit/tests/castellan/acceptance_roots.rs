//! One thing that is wrong is one finding, and no repair makes it worse.

use std::fs;
use std::time::{Duration, SystemTime};

use rustix::process::Signal;
use sanctum_testkit::{Castle, place, program};
use sanctum_wire::{PhaseName, Severity};

use crate::story::spawned;
use crate::trouble::{begun, declared, finding, starts_of};

#[test]
fn two_hundred_casualties_of_one_are_one_finding_and_none_is_restarted() {
    let more =
        "ready = { exec = [\"test\", \"-e\", \"{control}/root.well\"] }\nstart_max = \"30s\"";
    let mut text = declared("root", "wait", more);
    for index in 0..200 {
        let need = if index < 20 { "root".to_owned() } else { format!("leaf{}", index - 20) };
        text += &declared(&format!("leaf{index}"), "wait", &format!("needs = [\"{need}\"]"));
    }
    let castle = Castle::new(&text);
    let mut castle = castle;
    castle.fault("root.well");
    castle.start();
    castle.wait_until_all_ready();
    let from = castle.events().len();
    castle.mend("root.well");
    castle.signal("root", Signal::KILL);
    let found = castle.wait_until("the root is said", |snapshot| {
        snapshot.findings.iter().any(|finding| finding.component == "root")
    });
    assert_eq!(found.findings.len(), 1, "{:#?}", found.findings);
    castle.fault("root.well");
    castle.wait_until_all_ready();
    assert!(spawned(&castle, from).iter().all(|name| name == "root"), "{}", castle.story());
    let well = castle.snapshot();
    assert!(well.findings.is_empty(), "{:#?}", well.findings);
}

#[test]
fn the_chain_leads_from_the_casualty_to_the_root() {
    let text = declared("root", "exit 78", "")
        + &declared("middle", "wait", "needs = [\"root\"]")
        + &declared("leaf", "wait", "needs = [\"middle\"]");
    let castle = begun(&text);
    let found = finding(&castle, "root", "fatal-exit");
    assert_eq!(found.severity, Severity::Bad);
    assert_eq!(found.casualties, ["leaf", "middle"]);
    let leaf = castle.component("leaf");
    assert_eq!((leaf.phase, leaf.root_cause.as_deref()), (PhaseName::Waiting, Some("root")));
    assert_eq!(leaf.chain, ["middle", "root"]);
    assert_eq!((starts_of(&castle, "middle"), starts_of(&castle, "leaf")), (0, 0));
}

#[test]
fn what_would_not_fit_into_the_memory_is_refused_with_the_reason_and_costs_no_other() {
    let castle = begun(
        &(declared("huge", "wait", "memory_peak = \"60TiB\"") + &declared("radio", "wait", "")),
    );
    castle.wait_for("huge", PhaseName::Refused);
    let found = finding(&castle, "huge", "refused");
    assert!(!found.what.is_empty() && !found.mend.is_empty(), "{found:?}");
    castle.wait_for("radio", PhaseName::Ready);
    assert_eq!(starts_of(&castle, "huge"), 0);
}

#[test]
fn a_manifest_that_was_changed_and_not_applied_is_said_to_be() {
    let castle = Castle::up("");
    castle.write_manifest(&declared("radio", "wait", ""));
    let differs = finding(&castle, "castellan", "manifest-differs");
    assert!(differs.what.contains("is not what is in force"), "{differs:?}");
    assert!(differs.mend.contains("sanctum apply"), "{differs:?}");
    castle.write_manifest("");
    castle.wait_until("nothing differs", |snapshot| snapshot.findings.is_empty());
}

#[test]
fn a_program_that_is_newer_on_the_disk_than_in_memory_is_said_to_be() {
    let castle =
        Castle::new("[component.radio]\nprogram = \"{programs}/newer\"\narguments = [\"wait\"]\n");
    let mut castle = castle;
    let path = castle.path("bin/newer");
    let built = program("sanctum-testkit", "troublemaker").expect("the troublemaker is built");
    place(&built, &path).expect("it is put in its place");
    castle.start();
    castle.wait_until_all_ready();
    let pid = castle.pid("radio");
    fs::remove_file(&path).expect("the old one goes");
    fs::copy(&built, &path).expect("the new one comes");
    let later = SystemTime::now() + Duration::from_secs(5);
    fs::File::options().write(true).open(&path).expect("open").set_modified(later).expect("set");
    finding(&castle, "radio", "program-newer");
    assert_eq!(castle.pid("radio"), pid, "to be told is not to be restarted");
}

#[test]
fn a_leak_of_one_that_may_be_stopped_is_seen_in_the_ledger() {
    let castle = Castle::up(&declared("radio", "leak 64 wait", "memory_peak = \"32MiB\""));
    let seen = castle.wait_until("the leak is seen", |snapshot| {
        let named = snapshot.components.iter().find(|state| state.name == "radio");
        named.is_some_and(|state| state.memory_bytes > 48 << 20)
    });
    assert!(seen.memory.given_bytes > 48 << 20, "{:?}", seen.memory);
    assert!(seen.memory.pool_bytes < seen.memory.physical_bytes, "{:?}", seen.memory);
}
