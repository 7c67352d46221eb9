//! The one task that owns the fleet: gathers one event, asks the core, carries its effects out.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use sanctum_host::process::{self, Identity};
use sanctum_host::{file, probe};
use sanctum_model::{Component, ComponentName, ErrorChain, Moment, Plane};
use sanctum_plan::Layout;
use sanctum_plan::supervise::{Effect, Event, Fleet, Order, Phase, Seen};
use sanctum_wire::{ComponentState, PhaseName, PlaneName, PortState, Snapshot, Verb};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::journal::{Journal, Subscription};
use crate::record::{self, Child, Record};

/// Events and requests that may wait.
const QUEUE_MAX: usize = 256;
/// Past this size a component's log is rotated.
const LOG_BYTES_MAX: u64 = 8 * 1024 * 1024;
/// How often the logs' sizes are looked at.
const LOG_INTERVAL: Duration = Duration::from_secs(30);

/// The time from SIGTERM to SIGKILL of what is nobody's.
const LEFTOVER_STOP_MAX: Duration = Duration::from_secs(10);
/// Set, to the state directory, for every child and so for all that it starts.
const KEEPER_VARIABLE: &str = "SANCTUM_KEPT_BY";

/// What a request wants of the keeper.
#[derive(Debug)]
pub(crate) enum Request {
    Order { component: String, verb: Verb, reply: oneshot::Sender<Result<u64, String>> },
    Subscribe { since: u64, reply: oneshot::Sender<Subscription> },
    Shutdown { reply: oneshot::Sender<Result<u64, String>> },
    Handover { reply: oneshot::Sender<Result<u64, String>> },
}

/// What came back from a child or a look, of which run of the component.
struct Occurrence {
    index: usize,
    run: u64,
    event: Event,
    note: String,
}

/// Whether castellan goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Course {
    Keeping,
    ShuttingDown,
    HandingOver,
}

/// What the shell knows of a component beside its phase.
struct Kept {
    component: Component,
    definition: String,
    child: Option<Identity>,
    run: u64,
    phase_since: Moment,
    note: String,
}

/// Keeps the fleet.
pub(crate) struct Keeper {
    fleet: Fleet,
    kept: Vec<Kept>,
    layout: Layout,
    journal: Journal,
    record: Record,
    started: Instant,
    base: Snapshot,
    generation: u64,
    snapshots: watch::Sender<Arc<Snapshot>>,
    requests: mpsc::Receiver<Request>,
    occurrences: (mpsc::Sender<Occurrence>, mpsc::Receiver<Occurrence>),
    course: Course,
}

/// The keeper's ends that the control server holds.
#[derive(Clone, Debug)]
pub(crate) struct Handle {
    pub(crate) requests: mpsc::Sender<Request>,
    pub(crate) snapshots: watch::Receiver<Arc<Snapshot>>,
}

impl Keeper {
    pub(crate) fn new(
        components: Vec<Component>,
        layout: Layout,
        base: Snapshot,
    ) -> (Self, Handle) {
        let fleet = Fleet::new(&components);
        let mut components = components;
        components.sort_by_key(|component| fleet.position(&component.name));
        let kept = components.into_iter().map(Kept::new).collect();
        let (requests, receiver) = mpsc::channel(QUEUE_MAX);
        let (snapshots, watched) = watch::channel(Arc::new(base.clone()));
        let mut keeper = Self {
            fleet,
            kept,
            journal: Journal::at(layout.chitti()),
            record: Record::at(layout.run("castellan.json")),
            layout,
            started: Instant::now(),
            base,
            generation: 0,
            snapshots,
            requests: receiver,
            occurrences: mpsc::channel(QUEUE_MAX),
            course: Course::Keeping,
        };
        // Whoever asks early is told of every component, and of none that it is ready.
        keeper.publish();
        (keeper, Handle { requests, snapshots: watched })
    }

    /// Keeps every component up until `stop`, then stops them in order. Returns when none is
    /// left, or when they have been left to the next castellan.
    pub(crate) async fn run(mut self, stop: CancellationToken) {
        let pid = self.base.castellan_pid;
        self.journal.add("castellan", "started", format!("pid {pid}"));
        self.adopt().await;
        let effects = self.fleet.order_all(Order::Up, self.now());
        self.perform(effects);
        let mut log_look = tokio::time::interval(LOG_INTERVAL);
        while self.course == Course::Keeping
            || (self.course == Course::ShuttingDown && !self.fleet.is_down())
        {
            let deadline = self.fleet.deadline().map(|deadline| self.started + deadline.elapsed());
            tokio::select! {
                biased; // stop, then facts, then orders, then time
                () = stop.cancelled(), if self.course == Course::Keeping => self.shut_down("told by a signal"),
                Some(occurrence) = self.occurrences.1.recv() => self.on_occurrence(occurrence),
                Some(request) = self.requests.recv() => self.on_request(request),
                () = sleep_until(deadline) => {
                    let effects = self.fleet.tick(self.now());
                    self.perform(effects);
                }
                _ = log_look.tick() => self.rotate_logs(),
            }
        }
        let how = if self.course == Course::HandingOver {
            "left its children to the next castellan"
        } else {
            "nothing is left running"
        };
        self.journal.add("castellan", "ended", how);
    }

    fn now(&self) -> Moment {
        Moment::at(self.started.elapsed())
    }

    /// Takes over the living children of the castellan before this one; those that the manifest
    /// no longer means as they are, are stopped first.
    async fn adopt(&mut self) {
        let mut strangers = Vec::new();
        for child in self.record.read().into_iter().rev().filter(|child| child.identity.is_alive())
        {
            let meant = self.kept.iter().position(|kept| {
                kept.component.name.as_str() == child.component
                    && kept.definition == child.definition
            });
            match meant {
                Some(index) => self.adopt_one(index, child.identity),
                None => strangers.push(child),
            }
        }
        for child in strangers {
            self.journal.add(
                &child.component,
                "stopped-stranger",
                "the manifest no longer means it as it is",
            );
            let stop_max = self
                .kept
                .iter()
                .find(|kept| kept.component.name.as_str() == child.component)
                .map_or(Duration::from_secs(10), |kept| kept.component.stop_max);
            end_group(child.identity, stop_max).await;
        }
        self.clear_leftovers().await;
        self.publish();
    }

    /// Ends what a castellan before this one started and no record leads to: what is left of a
    /// component that died in between, or of one whose record was lost.
    async fn clear_leftovers(&mut self) {
        let kept: Vec<u32> =
            self.kept.iter().filter_map(|kept| Some(kept.child.as_ref()?.pid)).collect();
        for group in process::marked_groups(KEEPER_VARIABLE, &self.layout.home, &kept) {
            self.journal.add("castellan", "cleared-leftover", format!("group {group}"));
            let leader = Identity { pid: group, started: String::new() };
            end_group(Identity::of(group).unwrap_or(leader), LEFTOVER_STOP_MAX).await;
        }
    }

    fn adopt_one(&mut self, index: usize, identity: Identity) {
        let detail = format!("pid {}", identity.pid);
        self.kept[index].run += 1;
        self.kept[index].child = Some(identity.clone());
        self.journal.add(self.kept[index].component.name.as_str(), "adopted", detail);
        self.watch(index, identity, None);
        let effects = self.fleet.on(index, Event::Adopted, self.now());
        self.perform(effects);
    }

    fn on_occurrence(&mut self, occurrence: Occurrence) {
        let Occurrence { index, run, event, note } = occurrence;
        if self.kept[index].run != run {
            return; // of a child that is gone since
        }
        if event == Event::Gone {
            self.kept[index].child = None;
            self.journal.add(self.kept[index].component.name.as_str(), "exited", note.clone());
        }
        // What a look found is over once a look is good; how an end came about is not.
        let is_ending = matches!(self.fleet.members()[index].phase(), Phase::Stopping { .. });
        match event {
            Event::Looked(_) if is_ending => {}
            Event::Looked(_) | Event::Ending | Event::Gone => self.kept[index].note = note,
            Event::Start
            | Event::Stop
            | Event::Restart
            | Event::Adopted
            | Event::SpawnFailed
            | Event::Tick => {}
        }
        let effects = self.fleet.on(index, event, self.now());
        self.perform(effects);
    }

    fn on_request(&mut self, request: Request) {
        match request {
            Request::Subscribe { since, reply } => drop(reply.send(self.journal.subscribe(since))),
            Request::Order { component, verb, reply } => {
                let answer = self.on_order(&component, verb);
                reply.send(answer).ok();
            }
            Request::Shutdown { reply } => {
                self.shut_down("told by an operator");
                reply.send(Ok(self.generation)).ok();
            }
            Request::Handover { reply } => {
                self.course = Course::HandingOver;
                reply.send(Ok(self.generation)).ok();
            }
        }
    }

    fn on_order(&mut self, component: &str, verb: Verb) -> Result<u64, String> {
        let name: Option<ComponentName> = component.parse().ok();
        let Some(index) = name.and_then(|name| self.fleet.position(&name)) else {
            let known: Vec<_> = self.kept.iter().map(|kept| kept.component.name.as_str()).collect();
            return Err(format!(
                "there is no component `{component}`; there are {}",
                known.join(", ")
            ));
        };
        if self.course != Course::Keeping {
            return Err("castellan is shutting down".to_owned());
        }
        self.journal.add(component, "ordered", format!("{} by an operator", verb.as_str()));
        let now = self.now();
        let effects = match verb {
            Verb::Start => self.fleet.order(index, Order::Up, now),
            Verb::Stop => self.fleet.order(index, Order::Down, now),
            Verb::Restart => self.fleet.on(index, Event::Restart, now),
        };
        self.perform(effects);
        Ok(self.generation)
    }

    fn shut_down(&mut self, why: &str) {
        if self.course == Course::Keeping {
            self.course = Course::ShuttingDown;
            self.journal.add("castellan", "shutting-down", why);
            let effects = self.fleet.order_all(Order::Down, self.now());
            self.perform(effects);
        }
    }

    /// Carries effects out until none is left; a failure is an event, and has effects of its own.
    fn perform(&mut self, effects: Vec<(usize, Effect)>) {
        let mut effects = std::collections::VecDeque::from(effects);
        while let Some((index, effect)) = effects.pop_front() {
            self.note_phases();
            match effect {
                Effect::Spawn => {
                    if let Err(reason) = self.spawn(index) {
                        let name = self.kept[index].component.name.clone();
                        self.journal.add(name.as_str(), "spawn-failed", reason.clone());
                        self.kept[index].note = reason;
                        effects.extend(self.fleet.on(index, Event::SpawnFailed, self.now()));
                    }
                }
                Effect::Terminate => self.signal(index, process::terminate_group),
                Effect::Kill => self.signal(index, process::kill_group),
                Effect::Look => self.look(index),
            }
        }
        self.note_phases();
        self.publish();
    }

    fn spawn(&mut self, index: usize) -> Result<(), String> {
        let component = &self.kept[index].component;
        for rendered in &component.files {
            let path = PathBuf::from(&rendered.path);
            file::write_atomic(&path, rendered.text.as_bytes(), 0o600)
                .map_err(|error| ErrorChain(&error).to_string())?;
        }
        let log = PathBuf::from(self.layout.log(&component.name));
        let command = component.command.clone().variable(KEEPER_VARIABLE, self.layout.home.clone());
        let child =
            process::spawn(&command, &log).map_err(|error| ErrorChain(&error).to_string())?;
        let pid = child.id();
        // One that is gone already has no start to be compared with; it is waited for all the same.
        let identity = Identity::of(pid).unwrap_or(Identity { pid, started: String::new() });
        self.journal.add(component.name.as_str(), "spawned", format!("pid {pid}"));
        self.kept[index].run += 1;
        self.kept[index].child = Some(identity.clone());
        self.kept[index].note.clear();
        self.watch(index, identity, Some(child));
        self.write_record();
        Ok(())
    }

    /// Waits, on a thread of its own, for the end of a child and of all it started.
    fn watch(&self, index: usize, identity: Identity, child: Option<std::process::Child>) {
        let (run, sender) = (self.kept[index].run, self.occurrences.0.clone());
        let wait = move || {
            let note = if let Some(mut child) = child {
                match child.wait() {
                    Ok(status) => format!("pid {}: {status}", identity.pid),
                    Err(error) => format!("pid {}: cannot wait for it: {error}", identity.pid),
                }
            } else {
                identity.wait_for_end();
                format!("pid {}: ended, how is not known for one that was adopted", identity.pid)
            };
            let tell = |event| Occurrence { index, run, event, note: note.clone() };
            sender.blocking_send(tell(Event::Ending)).ok();
            process::clear_group(identity.pid);
            sender.blocking_send(tell(Event::Gone)).ok();
        };
        drop(tokio::task::spawn_blocking(wait));
    }

    fn signal(&self, index: usize, signal: fn(u32)) {
        if let Some(child) = &self.kept[index].child {
            signal(child.pid);
        }
    }

    fn look(&self, index: usize) {
        let readiness = self.kept[index].component.readiness.clone();
        let (run, sender) = (self.kept[index].run, self.occurrences.0.clone());
        let look = move || {
            let (seen, note) = match probe::look(&readiness.probe, readiness.timeout) {
                Ok(()) => (Seen::Good, String::new()),
                Err(error) => (Seen::Bad, ErrorChain(&error).to_string()),
            };
            sender.blocking_send(Occurrence { index, run, event: Event::Looked(seen), note }).ok();
        };
        drop(tokio::task::spawn_blocking(look));
    }

    fn write_record(&mut self) {
        let children = self
            .kept
            .iter()
            .filter_map(|kept| {
                Some(Child {
                    component: kept.component.name.to_string(),
                    identity: kept.child.clone()?,
                    definition: kept.definition.clone(),
                })
            })
            .collect();
        if let Err(error) = self.record.write(children) {
            tracing::error!(error = %ErrorChain(&error), "cannot write the record of children");
        }
    }

    /// Tells the journal of every member whose phase has another name than when last looked at.
    fn note_phases(&mut self) {
        let now = self.now();
        for (index, member) in self.fleet.members().iter().enumerate() {
            let (before, after) = (
                self.base.components.get(index).map(|state| state.phase),
                phase_name(member.phase()),
            );
            if before == Some(after) {
                continue;
            }
            self.kept[index].phase_since = now;
            if let Some(state) = self.base.components.get_mut(index) {
                state.phase = after;
            }
            let detail = if self.kept[index].note.is_empty() {
                after.to_string()
            } else {
                format!("{after}: {}", self.kept[index].note)
            };
            self.journal.add(member.name().as_str(), "phase", detail);
        }
    }

    fn publish(&mut self) {
        self.generation += 1;
        self.base.generation = self.generation;
        let now = self.now();
        let states = (0..self.kept.len()).map(|index| self.state(index, now)).collect();
        self.base.components = states;
        self.snapshots.send_replace(Arc::new(self.base.clone()));
    }

    fn state(&self, index: usize, now: Moment) -> ComponentState {
        let (member, kept) = (&self.fleet.members()[index], &self.kept[index]);
        let component = &kept.component;
        let root = if member.phase().is_ready() { None } else { self.fleet.root_cause(index) };
        ComponentState {
            name: component.name.to_string(),
            purpose: component.purpose.clone(),
            plane: match component.plane {
                Plane::Host => PlaneName::Host,
                Plane::Guest => PlaneName::Guest,
            },
            phase: phase_name(member.phase()),
            wanted: member.order() == Order::Up,
            phase_age_ms: u64::try_from((now - kept.phase_since).as_millis()).unwrap_or(u64::MAX),
            pid: kept.child.as_ref().map(|child| child.pid),
            crashes: member.crashes_total(),
            crashes_in_row: 0,
            chain: Vec::new(),
            next_try_ms: None,
            last_exit: String::new(),
            last_look: String::new(),
            last_author: String::new(),
            keeper: "own".to_owned(),
            memory_bytes: 0,
            memory_peak_bytes: component.memory.peak_bytes,
            root_cause: root.map(|root| self.fleet.members()[root].name().to_string()),
            note: kept.note.clone(),
            needs: component.needs.iter().map(ToString::to_string).collect(),
            ports: component
                .ports
                .iter()
                .map(|port| PortState { address: port.address.to_string(), why: port.why.clone() })
                .collect(),
            log: self.layout.log(&component.name),
        }
    }

    fn rotate_logs(&self) {
        for kept in &self.kept {
            let log = PathBuf::from(self.layout.log(&kept.component.name));
            if let Err(error) = file::rotate_log(&log, LOG_BYTES_MAX) {
                tracing::warn!(log = %log.display(), %error, "cannot rotate a log");
            }
        }
    }
}

impl Kept {
    fn new(component: Component) -> Self {
        let definition = record::definition(&component);
        let (child, run, phase_since, note) = (None, 0, Moment::default(), String::new());
        Self { component, definition, child, run, phase_since, note }
    }
}

fn phase_name(phase: Phase) -> PhaseName {
    match phase {
        Phase::Stopped => PhaseName::Stopped,
        Phase::Waiting { .. } => PhaseName::Waiting,
        Phase::Starting { .. } => PhaseName::Starting,
        Phase::Ready { .. } => PhaseName::Ready,
        Phase::Unhealthy { .. } => PhaseName::Unhealthy,
        Phase::Stopping { .. } => PhaseName::Stopping,
        Phase::BackingOff { .. } => PhaseName::BackingOff,
        Phase::GivenUp { .. } => PhaseName::GivenUp,
    }
}

/// Sleeps until then, or for ever.
async fn sleep_until(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => tokio::time::sleep_until(deadline).await,
        None => std::future::pending().await,
    }
}

/// Ends a group that is nobody's: asks, waits `stop_max`, kills.
async fn end_group(identity: Identity, stop_max: Duration) {
    let pid = identity.pid;
    process::terminate_group(pid);
    let ended = tokio::task::spawn_blocking(move || identity.wait_for_end());
    tokio::time::timeout(stop_max, ended).await.ok();
    tokio::task::spawn_blocking(move || process::clear_group(pid)).await.ok();
}
