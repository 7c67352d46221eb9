//! What is asked of the keeper: orders, a changed manifest, the end.

use std::path::Path;

use sanctum_host::{file, program};
use sanctum_model::{Component, ComponentName, ErrorChain};
use sanctum_plan::capacity::Pool;
use sanctum_plan::supervise::{Event, Order};
use sanctum_wire::{Change, ChangeKind, ChangePlan, Fault, ManifestProblem, Verb};
use sha2::{Digest as _, Sha256};

use super::kept::Kept;
use super::{Course, Keeper, Refused, Request};
use crate::record;

impl Keeper {
    pub(super) fn on_request(&mut self, request: Request) {
        match request {
            Request::Snapshot { reply } => drop(reply.send(self.snapshot())),
            Request::Subscribe { since, reply } => drop(reply.send(self.journal.subscribe(since))),
            Request::Order { component, verb, reply } => {
                reply.send(self.on_order(&component, verb)).ok();
            }
            Request::Plan { manifest, reply } => {
                let plan = self.read(&manifest).map(|(components, _)| self.plan(&components));
                reply.send(plan).ok();
            }
            Request::Apply { manifest, reply } => drop(reply.send(self.apply(&manifest))),
            Request::Shutdown { reply } => {
                self.shut_down("an operator");
                reply.send(self.base.generation).ok();
            }
            Request::Handover { reply } => {
                if self.course == Course::Keeping {
                    self.course = Course::HandingOver;
                }
                reply.send(self.base.generation).ok();
            }
        }
    }

    fn on_order(&mut self, component: &str, verb: Verb) -> Result<u64, Refused> {
        self.may_change().map_err(Refused::Busy)?;
        let name: Option<ComponentName> = component.parse().ok();
        let Some(index) = name.and_then(|name| self.fleet.position(&name)) else {
            let known: Vec<_> =
                self.fleet.sequence().map(|index| self.kept[index].name()).collect();
            let known = known.join(", ");
            return Err(Refused::Unknown(format!(
                "there is no component `{component}`; there are {known}"
            )));
        };
        let author = format!("an operator: {}", verb.as_str());
        self.journal.add(component, "ordered", author.clone());
        self.kept[index].author = author;
        if verb != Verb::Stop {
            self.kept[index].gave_way = None; // it is wanted all the same
        }
        let now = self.now();
        let effects = match verb {
            Verb::Start => self.fleet.order(index, Order::Up, now),
            Verb::Stop => {
                for other in self.fleet.sequence().collect::<Vec<_>>() {
                    if self.fleet.chain_includes(other, index) {
                        self.kept[other].author = format!("an operator: stop of {component}");
                    }
                }
                self.fleet.order(index, Order::Down, now)
            }
            Verb::Restart => self.fleet.on(index, Event::Restart, now),
        };
        self.perform(effects);
        Ok(self.base.generation)
    }

    fn may_change(&self) -> Result<(), &'static str> {
        if self.course != Course::Keeping {
            return Err("castellan is shutting down");
        }
        if self.is_adopting {
            return Err("castellan is just starting: ask again in a moment");
        }
        Ok(())
    }

    pub(super) fn shut_down(&mut self, who: &str) {
        if self.course == Course::Keeping {
            self.course = Course::ShuttingDown;
            self.journal.add("castellan", "shutting-down", format!("told by {who}"));
            for kept in &mut self.kept {
                kept.author = format!("{who}: shutdown");
            }
            let effects = self.fleet.order_all(Order::Down, self.now());
            self.perform(effects);
        }
    }

    /// What a manifest would keep.
    fn read(&self, manifest: &str) -> Result<(Vec<Component>, Pool), Fault> {
        let path = std::env::var_os("PATH").unwrap_or_default();
        match program::parse_manifest(manifest, &path) {
            Ok(manifest) => {
                let pool = super::room::pool(manifest.memory());
                Ok((self.scope.components(&manifest, &self.layout), pool))
            }
            Err(error) => Err(Fault {
                error: "the manifest cannot be used, and nothing was changed".to_owned(),
                problems: error
                    .problems()
                    .iter()
                    .map(|problem| ManifestProblem {
                        start: problem.span.start,
                        end: problem.span.end,
                        message: problem.message.clone(),
                        help: problem.help.clone(),
                    })
                    .collect(),
            }),
        }
    }

    fn plan(&self, components: &[Component]) -> ChangePlan {
        let mut changes = Vec::new();
        let change = |component: &ComponentName, kind, what: String| Change {
            component: component.to_string(),
            kind,
            what,
        };
        for index in self.fleet.sequence() {
            let name = &self.kept[index].component.name;
            if !components.iter().any(|component| component.name == *name) {
                changes.push(change(name, ChangeKind::Remove, String::new()));
            }
        }
        for component in components {
            match self.fleet.position(&component.name) {
                None => changes.push(change(&component.name, ChangeKind::Add, String::new())),
                Some(index) => {
                    let kept = &self.kept[index];
                    let what = differences(&kept.component, component);
                    if kept.definition != record::definition(component) {
                        changes.push(change(&component.name, ChangeKind::Restart, what));
                    } else if !what.is_empty() {
                        changes.push(change(&component.name, ChangeKind::Adjust, what));
                    }
                }
            }
        }
        ChangePlan { generation: self.base.generation, changes }
    }

    /// Goes over to another manifest: only what differs is touched.
    fn apply(&mut self, manifest: &str) -> Result<ChangePlan, Fault> {
        let refused = |error: String| Fault { error, problems: Vec::new() };
        self.may_change().map_err(|busy| refused(busy.to_owned()))?;
        let (components, pool) = self.read(manifest)?;
        let mut plan = self.plan(&components);
        for path in [self.layout.manifest(), self.layout.last_good()] {
            file::write_atomic(Path::new(&path), manifest.as_bytes(), 0o600)
                .map_err(|error| refused(ErrorChain(&error).to_string()))?;
        }
        self.base.manifest_sha256 = format!("{:x}", Sha256::digest(manifest));
        self.manifest_fault.clear();
        self.room.pool = pool;
        let touched: Vec<_> = plan.changes.iter().map(|it| it.component.clone()).collect();
        self.journal.add("castellan", "applied", touched.join(" "));
        let now = self.now();
        for change in plan.changes.iter().filter(|change| change.kind == ChangeKind::Remove) {
            if let Some(kept) = self.kept.iter_mut().find(|kept| kept.name() == change.component) {
                "apply: it is no longer in the manifest".clone_into(&mut kept.author);
            }
        }
        let effects = self.fleet.replan(&components, now);
        let mut restarts = Vec::new();
        for component in components {
            let Some(index) = self.fleet.position(&component.name) else { continue };
            match self.kept.get_mut(index) {
                Some(kept) if kept.component.name == component.name => {
                    if kept.definition != record::definition(&component) {
                        "apply: it is started otherwise now".clone_into(&mut kept.author);
                        restarts.push(index);
                    }
                    kept.definition = record::definition(&component);
                    kept.component = component;
                }
                // Late news of the one that had its place is still told apart by its run.
                Some(vacant) => *vacant = Kept { run: vacant.run, ..Kept::new(component) },
                None => self.kept.push(Kept::new(component)),
            }
        }
        self.perform(effects);
        for index in restarts {
            if self.fleet.members()[index].order() == Order::Up {
                self.happen(index, Event::Restart);
            }
        }
        plan.generation = self.base.generation;
        Ok(plan)
    }
}

/// In what two components differ, in a few words.
fn differences(old: &Component, new: &Component) -> String {
    let parts = [
        ("keeper", old.keeper != new.keeper),
        ("program", old.command.program != new.command.program),
        ("arguments", old.command.arguments != new.command.arguments),
        ("environment", old.command.environment != new.command.environment),
        ("files", old.files != new.files),
        ("life", old.life != new.life || old.restart != new.restart),
        ("exit codes", old.exit_codes != new.exit_codes),
        ("needs", old.needs != new.needs),
        ("ports", old.ports != new.ports),
        ("readiness", old.readiness != new.readiness),
        ("stop time", old.stop_max != new.stop_max),
        ("memory", old.memory != new.memory),
        ("log size", old.log_bytes_max != new.log_bytes_max),
    ];
    let differing: Vec<_> =
        parts.into_iter().filter(|(_, differs)| *differs).map(|(name, _)| name).collect();
    differing.join(", ")
}
