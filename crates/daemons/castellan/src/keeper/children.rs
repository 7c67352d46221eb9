//! Children: starting them, ending them, and knowing when nothing of them is left.

use std::path::PathBuf;
use std::time::SystemTime;

use sanctum_host::file;
use sanctum_host::port::{self, Port};
use sanctum_host::process::{self, Identity};
use sanctum_model::{ErrorChain, Probe};
use sanctum_plan::supervise::{Event, Exit, Movement, Phase, Then};
use tokio_util::sync::CancellationToken;

use super::kept::{Origin, Running, Spoken};
use super::{Awaited, COMPONENT_VARIABLE, KEEPER_VARIABLE, Keeper, News, Occurrence};
use crate::findings::Obstacle;
use crate::journal::ms_since_1970;
use crate::notify;
use crate::output::Output;
use crate::reaper;
use crate::record::Child;

impl Keeper {
    /// Starts a component's program, if nothing speaks against it.
    pub(super) fn spawn(&mut self, index: usize) -> Option<Event> {
        self.kept[index].obstacle = self.obstacle(index);
        if let Some(obstacle) = &self.kept[index].obstacle {
            let what = obstacle.what.clone();
            if self.kept[index].note != what {
                let name = self.kept[index].component.name.clone();
                self.journal.add(name.as_str(), "refused", what.clone());
            }
            self.kept[index].note = what;
            return Some(Event::Refused);
        }
        self.kept[index].note.clear();
        if self.is_foreign(index) {
            self.start_foreign(index);
            return None;
        }
        match self.spawn_own(index) {
            Ok(()) => None,
            Err(reason) => {
                let name = self.kept[index].component.name.clone();
                self.journal.add(name.as_str(), "spawn-failed", reason.clone());
                self.kept[index].note = reason;
                Some(Event::SpawnFailed)
            }
        }
    }

    fn spawn_own(&mut self, index: usize) -> Result<(), String> {
        let component = &self.kept[index].component;
        for rendered in &component.files {
            let path = PathBuf::from(&rendered.path);
            file::write_atomic(&path, rendered.text.as_bytes(), 0o600)
                .map_err(|error| ErrorChain(&error).to_string())?;
        }
        let mut command = component
            .command
            .clone()
            .variable(KEEPER_VARIABLE, self.layout.home.clone())
            .variable(COMPONENT_VARIABLE, component.name.as_str());
        self.open_output(index)?;
        self.kept[index].run += 1;
        if let Some(socket) = self.listen(index)? {
            command = command.variable("NOTIFY_SOCKET", socket);
            if let Some(watchdog) = self.kept[index].watchdog() {
                command = command.variable("WATCHDOG_USEC", watchdog.as_micros().to_string());
            }
        }
        let output = self.kept[index].output.as_ref().expect("it was opened just now");
        let writer = output.writer().map_err(|error| format!("cannot open its output: {error}"))?;
        let child =
            process::spawn(&command, writer).map_err(|error| ErrorChain(&error).to_string())?;
        let pid = child.id();
        // One that is gone already has no start to be compared with; the reaper has it all the same.
        let identity = Identity::of(pid).unwrap_or(Identity { pid, started: String::new() });
        self.awaited.insert(pid, Awaited::Component(index));
        let name = self.kept[index].component.name.clone();
        self.journal.add(name.as_str(), "spawned", format!("pid {pid}"));
        self.begin(index, identity, Origin::Spawned, SystemTime::now());
        Ok(())
    }

    /// Remembers a child that runs, here and for the next castellan.
    pub(super) fn begin(
        &mut self,
        index: usize,
        identity: Identity,
        origin: Origin,
        started: SystemTime,
    ) {
        if origin != Origin::Foreign {
            self.confine(index, identity.pid);
        }
        let kept = &mut self.kept[index];
        let child =
            Child::new(kept.name(), identity.clone(), &kept.definition, ms_since_1970(started));
        kept.child = Some(Running { identity, origin, started, ended: None });
        kept.last_run = Some(started);
        kept.last_look.clear();
        kept.port_seen = false;
        kept.is_program_newer = false;
        if let Err(error) = self.record.write(&child) {
            tracing::error!(%error, "cannot write the record of a child");
        }
    }

    pub(super) fn open_output(&mut self, index: usize) -> Result<(), String> {
        if self.kept[index].output.is_some() {
            return Ok(());
        }
        let component = &self.kept[index].component;
        let pipe = PathBuf::from(self.layout.run(&format!("output/{}.fifo", component.name)));
        let log = PathBuf::from(self.layout.log(&component.name));
        let output =
            Output::open(pipe, &log, component.log_bytes_max, self.archivist.clone(), &self.tasks)
                .map_err(|error| format!("cannot make its output: {error}"))?;
        self.kept[index].output = Some(output);
        Ok(())
    }

    /// Listens to what a component says of itself, if that is how it is seen to be ready.
    pub(super) fn listen(&mut self, index: usize) -> Result<Option<String>, String> {
        self.kept[index].listening.cancel();
        self.kept[index].said = Spoken::default();
        if !matches!(self.kept[index].component.readiness.probe, Probe::Notify { .. }) {
            return Ok(None);
        }
        let path = notify::place(&self.layout.run("notify"), self.kept[index].name());
        let socket = notify::listen(&path)
            .map_err(|error| format!("cannot listen at `{}`: {error}", path.display()))?;
        let (run, sender) = (self.kept[index].run, self.occurrences.0.clone());
        let stop = CancellationToken::new();
        self.kept[index].listening = stop.clone();
        let end = self.tasks.token();
        self.tasks.spawn(async move {
            loop {
                let said = tokio::select! {
                    said = notify::next(&socket) => said,
                    () = stop.cancelled() => return,
                    () = end.cancelled() => return,
                };
                let Ok(said) = said else { return };
                if sender.send(Occurrence { index, run, news: News::Said(said) }).await.is_err() {
                    return;
                }
            }
        });
        Ok(Some(path.to_string_lossy().into_owned()))
    }

    /// What speaks against starting a component now: somebody else has its port, or there is no
    /// room for it.
    fn obstacle(&mut self, index: usize) -> Option<Obstacle> {
        if self.is_foreign(index) {
            return self.no_room(index); // its keeper may have started it already
        }
        let component = &self.kept[index].component;
        for claim in &component.ports {
            let holder = match port::look(claim.address.port()) {
                Port::Free => continue,
                Port::HeldByUnknown => "a process of another user".to_owned(),
                Port::Held(holder) => {
                    let whose = self.owner_of(holder.pid, holder.group).map_or_else(
                        || "which castellan did not start".to_owned(),
                        |owner| format!("of the component `{owner}`"),
                    );
                    format!("{} (pid {}), {whose}", holder.name, holder.pid)
                }
            };
            return Some(Obstacle {
                code: "port-taken",
                what: format!("{} is held by {holder}", claim.address),
                mend: format!("stop that process, or give `{}` another port", component.name),
            });
        }
        self.no_room(index)
    }

    /// The component that a process belongs to.
    pub(super) fn owner_of(&self, pid: u32, group: u32) -> Option<String> {
        let leads = |group: u32| {
            self.kept
                .iter()
                .find(|kept| kept.child.as_ref().is_some_and(|child| child.identity.pid == group))
        };
        if let Some(kept) = leads(group) {
            return Some(kept.name().to_owned());
        }
        let marked = process::variable_of(pid, KEEPER_VARIABLE)? == self.layout.home;
        if marked { process::variable_of(pid, COMPONENT_VARIABLE) } else { None }
    }

    /// Collects what has ended. What others need comes first: who falls with it is a casualty.
    pub(super) fn reap(&mut self) {
        let mut leaders = Vec::new();
        for ended in reaper::collect() {
            match self.awaited.remove(&ended.pid) {
                Some(Awaited::Component(index)) => leaders.push((index, ended)),
                Some(Awaited::Probe(reply)) => drop(reply.send((ended.exit, ended.how))),
                None => {} // one that was left to us
            }
        }
        if leaders.len() > 1 {
            let sequence: Vec<usize> = self.fleet.sequence().collect();
            leaders.sort_by_key(|(index, _)| sequence.iter().position(|it| it == index));
        }
        for (index, ended) in leaders {
            self.on_end(index, ended.exit, format!("{} (pid {})", ended.how, ended.pid));
        }
        self.clear();
    }

    /// A component's program has ended.
    pub(super) fn on_end(&mut self, index: usize, exit: Exit, how: String) {
        let Some(child) = &mut self.kept[index].child else { return };
        child.ended = Some((exit, how));
        if self.is_clear(index) {
            self.on_gone(index);
        } else {
            self.happen(index, Event::Ending);
        }
    }

    pub(super) fn on_adopted_end(&mut self, index: usize) {
        let Some(child) = &self.kept[index].child else { return };
        let how = format!("how is not known for one that was adopted (pid {})", child.identity.pid);
        self.on_end(index, Exit::Unknown, how);
    }

    pub(super) fn is_clearing(&self) -> bool {
        self.kept.iter().any(|kept| kept.child.as_ref().is_some_and(|child| child.ended.is_some()))
    }

    /// Looks at all whose program has ended and of which something was left.
    pub(super) fn clear(&mut self) {
        for index in 0..self.kept.len() {
            let has_ended =
                self.kept[index].child.as_ref().is_some_and(|child| child.ended.is_some());
            if has_ended && self.is_clear(index) {
                self.on_gone(index);
            }
        }
    }

    fn on_gone(&mut self, index: usize) {
        let Some(child) = self.kept[index].child.take() else { return };
        let Some((exit, mut how)) = child.ended else { return };
        if let Some(why) = self.kept[index].confined.take().and_then(|it| it.release()) {
            how = format!("{how}: {why}");
        }
        let name = self.kept[index].component.name.clone();
        self.record.remove(name.as_str());
        self.journal.add(name.as_str(), "exited", how.clone());
        self.kept[index].last_exit = how;
        self.kept[index].run += 1;
        self.kept[index].listening.cancel();
        self.happen(index, Event::Gone(exit));
    }

    /// Whether nothing of a component is left: its group is empty, and so is every session that
    /// one of it has begun.
    fn is_clear(&self, index: usize) -> bool {
        let Some(child) = &self.kept[index].child else { return true };
        let confined = &self.kept[index].confined;
        process::is_group_empty(child.identity.pid)
            && confined.as_ref().is_none_or(|it| it.leaf.is_populated() != Some(true))
            && self.escaped(index).is_empty()
    }

    /// What a component has started in sessions of their own.
    fn escaped(&self, index: usize) -> Vec<u32> {
        let Some(child) = &self.kept[index].child else { return Vec::new() };
        let (name, group) = (self.kept[index].name(), child.identity.pid);
        let left = match child.origin {
            Origin::Spawned if process::ORPHANS_ARE_OURS => {
                process::orphans(|pid| self.awaited.contains_key(&pid))
            }
            Origin::Spawned | Origin::Adopted => {
                process::marked(KEEPER_VARIABLE, &self.layout.home)
            }
            Origin::Foreign => return Vec::new(),
        };
        let own = std::process::id();
        // What has cleared its environment is known by its control group alone.
        let confined =
            self.kept[index].confined.as_ref().map_or_else(Vec::new, |it| it.leaf.pids());
        let marked = left
            .into_iter()
            .filter(|pid| *pid != own && *pid != group)
            .filter(|pid| process::variable_of(*pid, COMPONENT_VARIABLE).as_deref() == Some(name));
        let mut escaped: Vec<u32> = marked
            .chain(confined)
            .filter(|pid| process::group_of(*pid).is_some_and(|it| it != group))
            .collect();
        escaped.sort_unstable();
        escaped.dedup();
        escaped
    }

    pub(super) fn terminate(&mut self, index: usize) -> Option<Event> {
        let reason = self.reason_to_end(index);
        let name = self.kept[index].component.name.clone();
        self.journal.add(name.as_str(), "stopping", reason);
        if self.is_foreign(index) {
            self.stop_foreign(index);
            return None;
        }
        self.signal(index, process::terminate_group, process::terminate);
        None
    }

    pub(super) fn kill(&mut self, index: usize) -> Option<Event> {
        let name = self.kept[index].component.name.clone();
        self.journal.add(name.as_str(), "killing", "what is left of it does not end by itself");
        if self.is_foreign(index) {
            self.kill_foreign(index);
            return None;
        }
        self.signal(index, process::kill_group, process::kill);
        if let Some(confined) = &self.kept[index].confined {
            confined.leaf.kill();
        }
        None
    }

    /// Sends a signal to everything of a component; never to a process that is only its namesake.
    fn signal(&self, index: usize, to_group: fn(u32), to_one: fn(u32)) {
        let Some(child) = &self.kept[index].child else { return };
        let is_ours = match child.origin {
            Origin::Spawned => true, // not collected yet, or its group is not empty
            Origin::Adopted | Origin::Foreign => child.ended.is_some() || child.identity.is_alive(),
        };
        if is_ours {
            to_group(child.identity.pid);
        }
        for pid in self.escaped(index) {
            to_one(pid);
        }
    }

    /// Who ends it, and why.
    fn reason_to_end(&mut self, index: usize) -> String {
        let kept = &mut self.kept[index];
        let Phase::Stopping { then, .. } = self.fleet.members()[index].phase() else {
            return kept.author.clone();
        };
        match then {
            Then::Stay | Then::StartAnew => kept.author.clone(),
            Then::CountCrash { .. } | Then::AsItEnded { .. } => {
                let readiness = &kept.component.readiness;
                kept.author = if kept.shown == sanctum_wire::PhaseName::Unhealthy {
                    format!(
                        "castellan: unhealthy for {:?} (live.recover)",
                        readiness.watch.unhealthy_max
                    )
                } else {
                    format!(
                        "castellan: not ready, and nothing moved for {:?} (start_max, start_limit)",
                        readiness.watch.start_max
                    )
                };
                kept.author.clone()
            }
        }
    }

    /// Whether anything of a component moved since it was last asked.
    pub(super) fn judge(&mut self, index: usize) -> Movement {
        let kept = &mut self.kept[index];
        let Some(child) = &kept.child else { return Movement::None };
        let ticks = process::processor_ticks(child.identity.pid);
        let written = kept.output.as_ref().map_or(0, Output::moved);
        let now = (written, ticks, format!("{}{}", kept.last_look, kept.said.status));
        let before = std::mem::replace(&mut kept.judged, now);
        // A program that waits in a loop uses a little time too.
        let computed = kept.judged.1.saturating_sub(before.1) > super::looks::IDLE_TICKS_MAX;
        if computed || kept.judged.0 != before.0 || kept.judged.2 != before.2 {
            Movement::Some
        } else {
            Movement::None
        }
    }
}
