//! The one task that owns the fleet: gathers one event, asks the core, carries its effects out.

mod adopt;
mod children;
mod foreign;
mod kept;
mod looks;
mod orders;
pub(crate) mod room;
mod rounds;
mod state;

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use sanctum_daemon::Shutdown;
use sanctum_host::process;
use sanctum_host::rotating::Archivist;
use sanctum_model::{Component, Moment};
use sanctum_plan::Layout;
use sanctum_plan::capacity::Pool;
use sanctum_plan::supervise::{Effect, Event, Exit, Fleet, Order, Seen};
use sanctum_wire::{ChangePlan, Fault, Snapshot, Verb};
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::journal::{Journal, Subscription};
use crate::lease::{LEASE_INTERVAL, Lease};
use crate::notify::Said;
use crate::reaper::Reaper;
use crate::record::Record;
use kept::{Kept, phase_name};
use room::Room;

/// Events and requests that may wait.
const QUEUE_MAX: usize = 256;
/// How often it is looked whether what an ended program left behind is gone.
const CLEAR_INTERVAL: Duration =
    Duration::from_millis(if process::ORPHANS_ARE_OURS { 20 } else { 200 });
/// Set, to the state directory, for every child and so for all that it starts.
const KEEPER_VARIABLE: &str = "SANCTUM_KEPT_BY";
/// Set, to the component's name, likewise.
const COMPONENT_VARIABLE: &str = "SANCTUM_COMPONENT";

/// What a request wants of the keeper.
#[derive(Debug)]
pub(crate) enum Request {
    Snapshot { reply: oneshot::Sender<Snapshot> },
    Order { component: String, verb: Verb, reply: oneshot::Sender<Result<u64, Refused>> },
    Plan { manifest: String, reply: oneshot::Sender<Result<ChangePlan, Fault>> },
    Apply { manifest: String, reply: oneshot::Sender<Result<ChangePlan, Fault>> },
    Subscribe { since: u64, reply: oneshot::Sender<Subscription> },
    Shutdown { reply: oneshot::Sender<u64> },
    Handover { reply: oneshot::Sender<u64> },
}

/// Why an order is not taken.
#[derive(Debug)]
pub(crate) enum Refused {
    /// Castellan is on its way up or down: it may be asked again.
    Busy(&'static str),
    /// There is no such component.
    Unknown(String),
}

/// What came back from a component, of which run of it.
#[derive(Debug)]
struct Occurrence {
    index: usize,
    run: u64,
    news: News,
}

#[derive(Debug)]
enum News {
    Looked(Seen, String),
    Said(Vec<Said>),
    /// The end of a program that is not our child.
    Ended,
    Foreign(foreign::Answer),
}

/// Who waits for the end of a process of ours.
#[derive(Debug)]
enum Awaited {
    Component(usize),
    Probe(oneshot::Sender<(Exit, String)>),
}

/// Whether castellan goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Course {
    Keeping,
    ShuttingDown,
    HandingOver,
}

/// What a keeper is made with.
#[derive(Debug)]
pub(crate) struct Plan {
    pub(crate) components: Vec<Component>,
    pub(crate) layout: Layout,
    pub(crate) scope: crate::run::Scope,
    pub(crate) base: Snapshot,
    /// Why the manifest on disk is not the one in force; empty if it is.
    pub(crate) manifest_fault: String,
    pub(crate) pool: Pool,
}

/// Keeps the fleet.
#[derive(Debug)]
pub(crate) struct Keeper {
    fleet: Fleet,
    /// What belongs to each place of the fleet.
    kept: Vec<Kept>,
    layout: Layout,
    scope: crate::run::Scope,
    manifest_fault: String,
    /// The sum of the manifest on disk when it was last looked at; empty before.
    manifest_seen: String,
    room: Room,
    journal: Journal,
    record: Record,
    /// Compresses what is rotated, for every log and the journal.
    archivist: Archivist,
    lease: Lease,
    tasks: Shutdown,
    started: Instant,
    /// How far the clock that sleeps is behind the one that does not.
    slept: Duration,
    base: Snapshot,
    requests: mpsc::Receiver<Request>,
    occurrences: (mpsc::Sender<Occurrence>, mpsc::Receiver<Occurrence>),
    awaited: HashMap<u32, Awaited>,
    course: Course,
    is_adopting: bool,
    control_beat: Arc<AtomicU64>,
}

/// The keeper's end that the control server holds.
#[derive(Clone, Debug)]
pub(crate) struct Handle {
    pub(crate) requests: mpsc::Sender<Request>,
    /// Seconds since castellan started, at the control server's last beat.
    pub(crate) beat: Arc<AtomicU64>,
}

impl Keeper {
    pub(crate) fn new(plan: Plan, tasks: Shutdown) -> (Self, Handle) {
        let Plan { components, layout, scope, base, manifest_fault, pool } = plan;
        let archivist = Archivist::default();
        let room = Room::new(pool, &layout.home);
        let fleet = Fleet::new(&components);
        let kept = components.into_iter().map(Kept::new).collect();
        let (requests, receiver) = mpsc::channel(QUEUE_MAX);
        let beat = Arc::new(AtomicU64::new(0));
        let keeper = Self {
            fleet,
            kept,
            journal: Journal::at(layout.chitti(), archivist.clone()),
            archivist,
            record: Record::at(layout.run("children")),
            lease: Lease::new(&layout, scope),
            layout,
            scope,
            manifest_fault,
            manifest_seen: String::new(),
            room,
            tasks,
            started: Instant::now(),
            slept: Duration::ZERO,
            base,
            requests: receiver,
            occurrences: mpsc::channel(QUEUE_MAX),
            awaited: HashMap::new(),
            course: Course::Keeping,
            is_adopting: true,
            control_beat: beat.clone(),
        };
        (keeper, Handle { requests, beat })
    }

    /// Keeps every component up until `stop`, then stops them in order. Returns when none is
    /// left, or when they have been left to the next castellan.
    pub(crate) async fn run(mut self, mut reaper: Reaper, stop: CancellationToken) {
        let pid = self.base.castellan_pid;
        self.journal.add("castellan", "started", format!("pid {pid}"));
        let not_held = self.room.not_held();
        if !not_held.is_empty() {
            let what = format!("the kernel holds nobody to a declared peak: {not_held}");
            self.journal.add("castellan", "memory-not-held", what);
        }
        let mut beat = tokio::time::interval(LEASE_INTERVAL);
        self.adopt().await;
        if !stop.is_cancelled() {
            let effects = self.fleet.order_all(Order::Up, self.now());
            self.perform(effects);
        }
        while self.course == Course::Keeping
            || (self.course == Course::ShuttingDown && !self.fleet.is_down())
        {
            let deadline = self.fleet.deadline().map(|deadline| self.started + deadline.elapsed());
            let clearing = self.is_clearing().then(|| Instant::now() + CLEAR_INTERVAL);
            tokio::select! {
                biased; // stop, then facts, then orders, then time
                () = stop.cancelled(), if self.course == Course::Keeping => self.shut_down("a signal"),
                () = reaper.wake() => self.reap(),
                Some(occurrence) = self.occurrences.1.recv() => self.on_occurrence(occurrence),
                Some(request) = self.requests.recv() => self.on_request(request),
                () = sleep_until(deadline) => {
                    let effects = self.fleet.tick(self.now());
                    self.perform(effects);
                }
                () = sleep_until(clearing) => self.clear(),
                _ = beat.tick() => self.beat(),
            }
        }
        self.end();
    }

    fn now(&self) -> Moment {
        Moment::at(self.started.elapsed())
    }

    fn on_occurrence(&mut self, occurrence: Occurrence) {
        let Occurrence { index, run, news } = occurrence;
        if self.kept[index].run != run {
            return; // of a child that is gone since
        }
        match news {
            News::Looked(seen, note) => self.on_look(index, seen, note),
            News::Said(said) => self.on_said(index, said),
            News::Ended if self.is_foreign(index) => self.ask_foreign(index),
            News::Ended => self.on_adopted_end(index),
            News::Foreign(answer) => self.on_foreign(index, answer),
        }
    }

    /// Carries effects out until none is left; a failure is an event, and has effects of its own.
    fn perform(&mut self, effects: Vec<(usize, Effect)>) {
        let mut effects = VecDeque::from(effects);
        self.note_phases();
        while let Some((index, effect)) = effects.pop_front() {
            let answer = match effect {
                Effect::Spawn => self.spawn(index),
                Effect::Terminate => self.terminate(index),
                Effect::Kill => self.kill(index),
                Effect::Look => self.look(index),
                Effect::Judge => Some(Event::Judged(self.judge(index))),
                Effect::Schedule => self.next_run(index).map(Event::Due),
            };
            if let Some(event) = answer {
                effects.extend(self.fleet.on(index, event, self.now()));
            }
            self.note_phases();
        }
    }

    /// Takes an event to a component and carries out what follows.
    fn happen(&mut self, index: usize, event: Event) {
        let effects = self.fleet.on(index, event, self.now());
        self.perform(effects);
    }

    /// Tells the journal of every member whose phase has another name than when last looked at.
    fn note_phases(&mut self) {
        let now = self.now();
        for index in self.fleet.take_touched() {
            let phase = phase_name(self.fleet.members()[index].phase());
            let kept = &mut self.kept[index];
            self.base.generation += 1;
            if kept.shown == phase {
                continue;
            }
            (kept.shown, kept.phase_since) = (phase, now);
            let why = [&kept.note, &kept.last_look].into_iter().find(|text| !text.is_empty());
            let detail = why.map_or_else(|| phase.to_string(), |why| format!("{phase}: {why}"));
            let name = kept.component.name.clone();
            self.journal.add(name.as_str(), "phase", detail);
        }
    }
}

/// Sleeps until then, or for ever.
async fn sleep_until(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => tokio::time::sleep_until(deadline).await,
        None => std::future::pending().await,
    }
}
