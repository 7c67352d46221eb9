//! A castellan of a test's own, over stand-ins for everything it keeps.

#![expect(
    clippy::missing_panics_doc,
    reason = "a castle is for tests: what is not as it should be is a panic"
)]

use std::fs;
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use sanctum_host::process;
use sanctum_wire::{Client, ClientError, ComponentState, Event, PhaseName, Snapshot};
use tempfile::TempDir;

use crate::{Ports, Starts, place, program};

/// The longest that anything awaited may take; a busy machine is slow.
pub const WAIT_MAX: Duration = Duration::from_mins(1);
/// How often an awaited condition is looked at.
const LOOK_INTERVAL: Duration = Duration::from_millis(20);

/// Parts the castles of one test process.
static CASTLES: AtomicU16 = AtomicU16::new(0);

/// A state directory, a castellan that keeps it, and the switches of its components' faults. With
/// it everything it started ends, also when the test is killed.
///
/// What a test wants and does not get is a panic that shows what was there instead.
#[derive(Debug)]
pub struct Castle {
    directory: TempDir,
    ports: Ports,
    castellan: Option<Child>,
    reaper: Child,
    starts: Starts,
}

impl Castle {
    /// A castle whose castellan is not started yet. The manifest has the five components on free
    /// ports and, after them, what `more` adds; without a `[castellan]` of its own there is no
    /// dead-man's switch and no sweep. There `{programs}` is the directory of programs,
    /// `{control}` that of switches, `{port}` a free port.
    pub fn new(more: &str) -> Self {
        let directory = tempfile::Builder::new().prefix("castle-").tempdir().expect("a directory");
        let path = |name: &str| directory.path().join(name);
        for name in ["bin", "path", "control", "home", "home/guest", "home/guest/main"] {
            fs::create_dir(path(name)).expect("a fresh directory takes others");
        }
        let fake = program("sanctum-testkit", "fake-component").expect("the fakes are built");
        let castellan = program("castellan", "castellan").expect("castellan is built");
        place(&castellan, &path("bin/castellan")).expect("castellan is put in its place");
        for name in
            ["bin/sanctum", "bin/sanctum-mlx", "bin/proxyd", "bin/radio", "path/ssh", "path/reaper"]
        {
            place(&fake, &path(name)).expect("a fake is put in its place");
        }
        let starts = Starts::in_directory(&path("control"));
        let reaper = Command::new(path("path/reaper"))
            .env("FAKE_CONTROL", path("control"))
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .process_group(0)
            .spawn()
            .expect("the reaper starts");
        let ports = Ports::free(CASTLES.fetch_add(1, Ordering::Relaxed));
        let castle = Self { directory, ports, castellan: None, reaper, starts };
        castle.write_manifest(more);
        castle
    }

    /// A castle in which every component is ready.
    pub fn up(more: &str) -> Self {
        let mut castle = Self::new(more);
        castle.start();
        castle.wait_until_all_ready();
        castle
    }

    /// Writes the manifest anew, for the next castellan.
    pub fn write_manifest(&self, more: &str) {
        let Ports { guest, openclaw, proxyd, seat, declared } = self.ports;
        let more = more
            .replace("{programs}", &self.path("bin").to_string_lossy())
            .replace("{control}", &self.path("control").to_string_lossy())
            .replace("{port}", &declared.to_string());
        let alone = "[castellan]\ndeadman = false\nsweep = \"never\"\n";
        let alone = if more.contains("[castellan]") { "" } else { alone };
        let text = format!(
            "{alone}[guest]\nssh_port = {guest}\n[openclaw]\nport = {openclaw}\n\
             [proxyd]\nport = {proxyd}\n\
             [seat.general]\nmodel = \"smollm2-135m-instruct\"\nport = {seat}\n{more}"
        );
        fs::write(self.path("home/sanctum.toml"), text).expect("the manifest is written");
    }

    /// Starts castellan, away from this process' group and terminal.
    pub fn start(&mut self) {
        let command = self.command();
        self.begin(command);
    }

    /// Starts castellan as the last argument of a program that becomes it.
    pub fn start_under(&mut self, mut wrapper: Command) {
        let castellan = self.command();
        wrapper.arg(castellan.get_program());
        self.fit(&mut wrapper);
        self.begin(wrapper);
    }

    fn begin(&mut self, mut command: Command) {
        let child = command.spawn().expect("castellan starts");
        self.starts.add("castellan", child.id()).expect("castellan's start is written down");
        self.castellan = Some(child);
    }

    /// A castellan for this state directory, to be run as it is.
    pub fn command(&self) -> Command {
        let mut command = Command::new(self.path("bin/castellan"));
        self.fit(&mut command);
        command
    }

    fn fit(&self, command: &mut Command) {
        let log = fs::OpenOptions::new().append(true).create(true).open(self.path("castellan.log"));
        command
            .env("SANCTUM_HOME", self.path("home"))
            .env("SANCTUM_CACHE", self.path("cache"))
            .env("FAKE_CONTROL", self.path("control"))
            .env("PATH", self.search_path())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log.expect("castellan's log can be opened"))
            .process_group(0);
    }

    /// The `PATH` on which the castle's stand-ins come first.
    pub fn search_path(&self) -> String {
        format!("{}:{}", self.path("path").display(), std::env::var("PATH").unwrap_or_default())
    }

    /// A path in the castle: `home/…`, `control/…`.
    pub fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// The control socket.
    pub fn socket(&self) -> PathBuf {
        self.path("home/run/castellan.sock")
    }

    /// The ports of the manifest.
    pub fn ports(&self) -> Ports {
        self.ports
    }

    /// Every process that was started, in order.
    pub fn starts(&self) -> &Starts {
        &self.starts
    }

    /// Switches a fault on, `NAME.FAULT`: see `fake-component`.
    pub fn fault(&self, fault: &str) {
        fs::write(self.path("control").join(fault), "").expect("a switch can be set");
    }

    /// Switches a fault off.
    pub fn mend(&self, fault: &str) {
        fs::remove_file(self.path("control").join(fault)).expect("the switch was set");
    }

    /// Calls castellan: `castle.call(|client| async move { client.shutdown().await })`.
    ///
    /// # Errors
    ///
    /// As the client gives them.
    pub fn call<T, F>(&self, call: impl FnOnce(Client) -> F) -> Result<T, ClientError>
    where
        F: Future<Output = Result<T, ClientError>>,
    {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        runtime.expect("a runtime starts").block_on(call(Client::new(self.socket())))
    }

    /// What castellan says is so.
    pub fn snapshot(&self) -> Snapshot {
        self.call(|client| async move { client.snapshot().await }).expect("castellan answers")
    }

    /// One component of the snapshot.
    pub fn component(&self, name: &str) -> ComponentState {
        named(&self.snapshot(), name).clone()
    }

    /// The pids of all components, by name.
    pub fn pids(&self) -> Vec<(String, Option<u32>)> {
        self.snapshot().components.into_iter().map(|state| (state.name, state.pid)).collect()
    }

    /// All that has happened, of every castellan so far.
    pub fn events(&self) -> Vec<Event> {
        let chitti = fs::read_to_string(self.path("home/chitti/events.jsonl")).unwrap_or_default();
        chitti.lines().map(|line| serde_json::from_str(line).expect("a line is an event")).collect()
    }

    /// Waits for a snapshot in which `is_so`, and returns it.
    ///
    /// # Panics
    ///
    /// When it does not come within [`WAIT_MAX`].
    pub fn wait_until(&self, what: &str, is_so: impl Fn(&Snapshot) -> bool) -> Snapshot {
        let deadline = Instant::now() + WAIT_MAX;
        loop {
            let snapshot = self.call(|client| async move { client.snapshot().await });
            match snapshot {
                Ok(snapshot) if is_so(&snapshot) => return snapshot,
                other => assert!(
                    Instant::now() < deadline,
                    "not so: {what}\n{other:#?}\n{}\n{}",
                    self.story(),
                    fs::read_to_string(self.path("castellan.log")).unwrap_or_default()
                ),
            }
            thread::sleep(LOOK_INTERVAL);
        }
    }

    /// Waits until every component is ready.
    pub fn wait_until_all_ready(&self) -> Snapshot {
        self.wait_until("all are ready", |snapshot| {
            let ready = |state: &ComponentState| state.phase == PhaseName::Ready;
            !snapshot.components.is_empty() && snapshot.components.iter().all(ready)
        })
    }

    /// Waits until a component is in a phase.
    pub fn wait_for(&self, name: &str, phase: PhaseName) -> ComponentState {
        let snapshot = self.wait_until(&format!("{name} is {phase}"), |snapshot| {
            named(snapshot, name).phase == phase
        });
        named(&snapshot, name).clone()
    }

    /// Waits until a component runs as another process than `pid`, and everything is ready.
    pub fn wait_for_another(&self, name: &str, pid: u32) -> u32 {
        self.wait_until(&format!("{name} runs anew"), |snapshot| {
            named(snapshot, name).pid.is_some_and(|now| now != pid)
        });
        self.wait_until_all_ready();
        self.pid(name)
    }

    /// The process of a component.
    pub fn pid(&self, name: &str) -> u32 {
        self.component(name).pid.expect("the component runs")
    }

    /// Sends a signal to a component's process alone, not to its group.
    pub fn signal(&self, name: &str, signal: Signal) -> u32 {
        let pid = self.pid(name);
        self.signal_process(pid, signal);
        pid
    }

    /// Sends a signal to one process of the castle.
    pub fn signal_process(&self, pid: u32, signal: Signal) {
        let known = self.starts.list().iter().any(|start| start.identity.pid == pid);
        assert!(known, "{pid} is none of ours");
        send(pid, signal);
    }

    /// Kills castellan as a power cut would.
    pub fn kill_castellan(&mut self) {
        let mut castellan = self.castellan.take().expect("castellan runs");
        castellan.kill().expect("castellan can be killed");
        castellan.wait().expect("castellan can be waited for");
    }

    /// Asks castellan to end, as a service manager would.
    pub fn terminate_castellan(&self) {
        send(self.castellan.as_ref().expect("castellan runs").id(), Signal::TERM);
    }

    /// Waits for castellan's end.
    ///
    /// # Panics
    ///
    /// When it does not come within [`WAIT_MAX`].
    pub fn wait_for_end(&mut self) -> ExitStatus {
        let mut castellan = self.castellan.take().expect("castellan runs");
        let deadline = Instant::now() + WAIT_MAX;
        loop {
            if let Some(status) = castellan.try_wait().expect("castellan can be waited for") {
                return status;
            }
            assert!(Instant::now() < deadline, "castellan does not end\n{}", self.story());
            thread::sleep(LOOK_INTERVAL);
        }
    }

    /// What is left running of everything that was ever started: names and groups.
    pub fn left_running(&self) -> Vec<(String, u32)> {
        let starts = self.starts.list().into_iter();
        starts
            .map(|start| (start.name, start.identity.pid))
            .filter(|(_, group)| !process::is_group_empty(*group))
            .collect()
    }

    /// The events, for a reader.
    pub fn story(&self) -> String {
        let line = |event: &Event| {
            format!("{} {} {} {}\n", event.at_ms, event.component, event.what, event.detail)
        };
        self.events().iter().map(line).collect()
    }
}

impl Drop for Castle {
    /// The reaper sees its input end, here or when this process is killed.
    fn drop(&mut self) {
        drop(self.reaper.stdin.take());
        self.reaper.wait().ok();
        if let Some(mut castellan) = self.castellan.take() {
            castellan.wait().ok();
        }
    }
}

fn named<'a>(snapshot: &'a Snapshot, name: &str) -> &'a ComponentState {
    let mut components = snapshot.components.iter();
    components.find(|state| state.name == name).expect("there is such a component")
}

fn send(pid: u32, signal: Signal) {
    let pid = i32::try_from(pid).ok().and_then(Pid::from_raw).expect("a process id");
    kill_process(pid, signal).expect("the process is there");
}
