//! Memory that runs short, and what the kernel is asked to hold.

use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

use sanctum_host::process::Identity;
use sanctum_testkit::Castle;
use sanctum_wire::{PhaseName, Verb};

use crate::trouble::{declared, finding, until};

/// Runs a program that takes a file for what the kernel says of memory: `FILE PROGRAM`.
const UNDER: &str = "mount --bind \"$1\" /proc/pressure/memory && exec \"$2\"";

#[test]
fn under_pressure_the_least_worth_gives_way_and_nobody_does_in_vain() {
    if !may_mount() {
        return skipped("it takes a mount namespace to say what the kernel says");
    }
    let gives = "evictable = true\npriority = ";
    let mut castle = Castle::new(
        &[
            declared("least", "wait", &format!("{gives}10")),
            declared("worthy", "wait", &format!("{gives}20")),
            declared("spared", "wait", "priority = 1"),
        ]
        .concat(),
    );
    let says = castle.path("pressure");
    let say = |some: &str| {
        let text = format!("some avg10={some} avg60=0.00 avg300=0.00 total=0\n");
        fs::write(&says, text.clone() + &text.replace("some", "full")).expect("written");
    };
    say("0.00");
    let mut command = Command::new("unshare");
    command.args(["--mount", "sh", "-c", UNDER, "sh"]).arg(&says);
    castle.start_under(command);
    castle.wait_until_all_ready();

    say("40.00");
    let gave_way = finding(&castle, "least", "evicted");
    assert!(gave_way.what.contains("comes back"), "{gave_way:?}");
    let author = castle.component("least").last_author;
    assert!(author.contains("in 40.00 % of the last 10 s some task waited"), "{author}");
    let short = finding(&castle, "castellan", "memory-short");
    assert!(short.what.contains("stopping `least` did not help"), "{short:?}");
    for kept in ["worthy", "spared"] {
        assert_eq!(castle.component(kept).phase, PhaseName::Ready, "{kept}");
    }

    say("0.00");
    castle.wait_until("there is enough again", |snapshot| {
        snapshot.findings.iter().all(|finding| finding.code != "memory-short")
    });
    assert_eq!(castle.component("least").phase, PhaseName::Refused, "it waits for its time");
    castle
        .call(|client| async move { client.order("least", Verb::Start).await })
        .expect("an order is taken");
    castle.wait_for("least", PhaseName::Ready);
}

#[test]
fn what_has_cleared_its_environment_and_its_session_ends_with_a_component_that_has_a_peak() {
    let script = "sleep 0.5; env -i setsid sleep 600 & wait";
    let more = format!(
        "[component.sly]\nprogram = \"/bin/sh\"\narguments = [\"-c\", \"{script}\"]\n\
         memory_peak = \"64MiB\"\n"
    );
    let castle = Castle::up(&more);
    let groups = fs::read_to_string(format!("/proc/{}/cgroup", castle.pid("sly")));
    let groups = groups.expect("it runs");
    let Some(group) = groups.lines().find_map(|line| {
        line.strip_prefix("0::").filter(|path| path.contains("/sanctum-")).map(str::to_owned)
    }) else {
        return skipped("no control groups of version 2 may be made here");
    };
    until(&castle, "the sly one is there", || !sleepers_in(&group).is_empty());
    let members = sleepers_in(&group);
    castle
        .call(|client| async move { client.order("sly", Verb::Stop).await })
        .expect("an order is taken");
    castle.wait_for("sly", PhaseName::Stopped);
    let left: Vec<_> = members.into_iter().filter(Identity::is_alive).collect();
    assert!(left.is_empty(), "{left:?}\n{}", castle.story());
}

/// The processes of a control group that are named `sleep`, wherever they are led to.
fn sleepers_in(group: &str) -> Vec<Identity> {
    let pids = fs::read_dir("/proc").expect("there is /proc").flatten();
    let pids = pids.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    let is_one = |pid: &u32| {
        let read = |name: &str| fs::read_to_string(format!("/proc/{pid}/{name}"));
        read("comm").is_ok_and(|name| name.trim() == "sleep")
            && read("cgroup").is_ok_and(|text| text.contains(&format!("0::{group}\n")))
            && read("environ").is_ok_and(|text| text.is_empty())
    };
    pids.filter(is_one).filter_map(Identity::of).collect()
}

/// Whether a mount can be made that nobody else sees.
fn may_mount() -> bool {
    let mut unshare = Command::new("unshare");
    let unshare =
        unshare.args(["--mount", "mount", "--bind", "/dev/null", "/proc/pressure/memory"]);
    Path::new("/proc/pressure/memory").exists()
        && unshare.stderr(Stdio::null()).status().is_ok_and(|status| status.success())
}

fn skipped(why: &str) {
    writeln!(std::io::stderr().lock(), "skipped: {why}").expect("a test may speak");
}
