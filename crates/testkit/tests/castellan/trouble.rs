//! Components that misbehave as the steps say that they are declared with.

use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use sanctum_testkit::{Castle, WAIT_MAX, program};
use sanctum_wire::{ComponentState, Finding};

/// How often an awaited condition is looked at.
const LOOK_INTERVAL: Duration = Duration::from_millis(20);

/// A component of the manifest whose program does `steps`, with further lines.
pub(crate) fn declared(name: &str, steps: &str, more: &str) -> String {
    let program = program("sanctum-testkit", "troublemaker").expect("the troublemaker is built");
    let words: Vec<String> = steps.split_whitespace().map(|word| format!("\"{word}\"")).collect();
    format!(
        "[component.{name}]\nprogram = \"{}\"\narguments = [{}]\n{more}\n",
        program.display(),
        words.join(", ")
    )
}

/// A castle of which the five are not waited for: what is declared beside them may never be ready.
pub(crate) fn begun(more: &str) -> Castle {
    let mut castle = Castle::new(more);
    castle.start();
    castle
}

/// A program that castellan knows nothing of; it ends with the test.
pub(crate) struct Stranger(Child);

impl Stranger {
    pub(crate) fn doing(steps: &str) -> Self {
        let program =
            program("sanctum-testkit", "troublemaker").expect("the troublemaker is built");
        let mut command = Command::new(program);
        Self(command.args(steps.split(' ')).stdin(Stdio::null()).spawn().expect("it starts"))
    }

    pub(crate) fn pid(&self) -> u32 {
        self.0.id()
    }

    pub(crate) fn is_alive(&mut self) -> bool {
        self.0.try_wait().expect("it can be asked").is_none()
    }
}

impl Drop for Stranger {
    fn drop(&mut self) {
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

/// Waits until a component is so, and gives its state.
pub(crate) fn wait_until(
    castle: &Castle,
    name: &str,
    what: &str,
    is_so: impl Fn(&ComponentState) -> bool,
) -> ComponentState {
    let named = |state: &&ComponentState| state.name == name;
    let snapshot = castle.wait_until(&format!("{name} {what}"), |snapshot| {
        snapshot.components.iter().find(named).is_some_and(&is_so)
    });
    snapshot.components.iter().find(named).expect("it was there").clone()
}

/// Waits for a finding about a component.
pub(crate) fn finding(castle: &Castle, component: &str, code: &str) -> Finding {
    let wanted = |finding: &&Finding| finding.component == component && finding.code == code;
    let snapshot = castle.wait_until(&format!("{component} has the finding {code}"), |snapshot| {
        snapshot.findings.iter().any(|finding| wanted(&finding))
    });
    snapshot.findings.iter().find(wanted).expect("it was there").clone()
}

/// Waits for something that castellan is not asked about.
pub(crate) fn until(castle: &Castle, what: &str, is_so: impl Fn() -> bool) {
    let deadline = Instant::now() + WAIT_MAX;
    while !is_so() {
        assert!(Instant::now() < deadline, "not so: {what}\n{}", castle.story());
        thread::sleep(LOOK_INTERVAL);
    }
}

/// How often a component was started so far.
pub(crate) fn starts_of(castle: &Castle, component: &str) -> usize {
    let events = castle.events();
    events.iter().filter(|event| event.component == component && event.what == "spawned").count()
}

/// The living processes that carry the mark of a component of this castle.
pub(crate) fn marked(castle: &Castle, component: &str) -> Vec<u32> {
    let home = format!("SANCTUM_KEPT_BY={}", castle.path("home").display());
    let name = format!("SANCTUM_COMPONENT={component}");
    let has_both = |pid: &u32| {
        let environment = fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
        let variables: Vec<_> = environment.split(|byte| *byte == 0).collect();
        variables.contains(&home.as_bytes()) && variables.contains(&name.as_bytes())
    };
    everyone().filter(has_both).collect()
}

/// Every process of the machine.
pub(crate) fn everyone() -> impl Iterator<Item = u32> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok())
}

/// What a component has printed, rotated parts left out.
pub(crate) fn log(castle: &Castle, component: &str) -> String {
    let path = castle.component(component).log;
    fs::read_to_string(Path::new(&path)).unwrap_or_default()
}

/// The bytes that all parts of a component's log take.
pub(crate) fn log_bytes(castle: &Castle, component: &str) -> u64 {
    let entries = fs::read_dir(castle.path("home/logs")).expect("there is a place for logs");
    let of_it = entries.flatten().filter(|entry| {
        let name = entry.file_name().to_string_lossy().into_owned();
        name.starts_with(&format!("{component}.log"))
    });
    of_it.filter_map(|entry| entry.metadata().ok()).map(|metadata| metadata.len()).sum()
}
