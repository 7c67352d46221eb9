//! Components that another service manager spawns: orders go through it, and what it says is
//! believed only when it is read back.

use std::time::SystemTime;

use sanctum_host::process::Identity;
use sanctum_host::service_manager::{self, Job, ManagerError, Tools};
use sanctum_model::{ErrorChain, Keeper as KeptBy, Probe};
use sanctum_plan::supervise::{Event, Exit, Phase, Seen};

use super::kept::Origin;
use super::{Keeper, News, Occurrence};

/// What a service manager answered.
#[derive(Debug)]
pub(super) enum Answer {
    /// It runs as this process.
    Runs(Identity),
    /// It does not run.
    Rests,
    /// It cannot be said, or could not be done.
    Trouble(String),
}

/// What is asked of a service manager.
#[derive(Clone, Copy, Debug)]
enum Ask {
    Start,
    Stop,
    Kill,
    State,
}

impl Keeper {
    pub(super) fn is_foreign(&self, index: usize) -> bool {
        self.kept[index].component.keeper != KeptBy::Own
    }

    pub(super) fn start_foreign(&mut self, index: usize) {
        self.kept[index].run += 1;
        self.ask(index, Ask::Start);
    }

    pub(super) fn stop_foreign(&self, index: usize) {
        self.ask(index, Ask::Stop);
    }

    pub(super) fn kill_foreign(&self, index: usize) {
        self.ask(index, Ask::Kill);
    }

    /// Its process has ended: its keeper may have started another already.
    pub(super) fn ask_foreign(&self, index: usize) {
        self.ask(index, Ask::State);
    }

    /// On a thread of its own: a service manager may take as long as it is given.
    fn ask(&self, index: usize, ask: Ask) {
        let (run, sender) = (self.kept[index].run, self.occurrences.0.clone());
        let component = &self.kept[index].component;
        let (keeper, within) = match ask {
            Ask::Start => (component.keeper.clone(), component.readiness.watch.start_max),
            Ask::Stop | Ask::Kill | Ask::State => (component.keeper.clone(), component.stop_max),
        };
        self.tasks.spawn(async move {
            let asked = tokio::task::spawn_blocking(move || answer(&keeper, ask, within));
            let answer = asked.await.unwrap_or(Answer::Trouble("it was lost sight of".to_owned()));
            sender.send(Occurrence { index, run, news: News::Foreign(answer) }).await.ok();
        });
    }

    pub(super) fn on_foreign(&mut self, index: usize, answer: Answer) {
        let phase = self.fleet.members()[index].phase();
        let name = self.kept[index].component.name.clone();
        match answer {
            Answer::Runs(_) if matches!(phase, Phase::Stopping { .. }) => self.stop_foreign(index),
            Answer::Runs(identity) => {
                self.journal.add(name.as_str(), "runs", format!("pid {}", identity.pid));
                self.begin(index, identity.clone(), Origin::Foreign, SystemTime::now());
                self.watch(index, identity);
                if self.kept[index].component.readiness.probe == Probe::Alive {
                    self.happen(index, Event::Looked(Seen::Good));
                }
            }
            Answer::Rests => {
                self.kept[index].child = None;
                self.record.remove(name.as_str());
                "its service manager says that it rests"
                    .clone_into(&mut self.kept[index].last_exit);
                self.happen(index, Event::Gone(Exit::Unknown));
            }
            Answer::Trouble(trouble) => {
                self.journal.add(name.as_str(), "keeper-trouble", trouble.clone());
                self.kept[index].note = trouble;
                if self.kept[index].child.is_none() && !matches!(phase, Phase::Stopping { .. }) {
                    self.happen(index, Event::SpawnFailed);
                }
            }
        }
    }
}

fn answer(keeper: &KeptBy, ask: Ask, within: std::time::Duration) -> Answer {
    let (tools, Some(job)) = (Tools::default(), Job::of(keeper)) else {
        return Answer::Trouble("castellan keeps it itself".to_owned());
    };
    let trouble = |error: ManagerError| Answer::Trouble(ErrorChain(&error).to_string());
    match ask {
        Ask::Start => {
            service_manager::start(&tools, &job, within).map_or_else(trouble, Answer::Runs)
        }
        Ask::Stop => {
            service_manager::stop(&tools, &job, within).map_or_else(trouble, |()| Answer::Rests)
        }
        Ask::Kill => {
            service_manager::kill(&tools, &job, within).map_or_else(trouble, |()| Answer::Rests)
        }
        Ask::State => match service_manager::state(&tools, &job, within) {
            Ok(state) => state.pid.map_or(Answer::Rests, Answer::Runs),
            Err(error) => trouble(error),
        },
    }
}
