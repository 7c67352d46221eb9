//! Looks at everything a person would look at, all at once, and is back in time.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fs;
use std::path::Path;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use sanctum_host::machine;
use sanctum_host::port::{self, Holder, Listening};
use sanctum_host::probe;
use sanctum_host::process::Identity;
use sanctum_model::{Component, ErrorChain, Keeper, Life, Probe};
use sanctum_wire::{ClientError, Snapshot};
use serde::Deserialize;

use super::facts::{self, Answer, Facts, Lease, Now, Owner, Port, Said, Seen};
use crate::commands::block_on;
use crate::place::Place;

/// Looks taken at once.
const LOOKS_MAX: usize = 64;
/// The time castellan may take to answer.
const ANSWER_MAX: Duration = Duration::from_secs(2);
/// A look with less time than this shows nothing.
const LOOK_MIN: Duration = Duration::from_millis(50);
/// What is kept of the time for judging and telling.
const MARGIN: Duration = Duration::from_millis(200);

/// Sees everything there is to see until `deadline`.
pub(super) fn look(place: &Place, components: &[Component], deadline: Instant) -> Facts {
    let looks = begin_looks(components, deadline);
    let (castellan, snapshot) = ask(place);
    let children = children(place);
    let listening = port::listening();
    let said: BTreeMap<&str, Said> = snapshot
        .iter()
        .flat_map(|snapshot| &snapshot.components)
        .map(|state| (state.name.as_str(), Said { phase: state.phase, wanted: state.wanted }))
        .collect();
    let mut seen = looks.collect(deadline);
    let components = components
        .iter()
        .enumerate()
        .map(|(index, component)| {
            let child = children.get(component.name.as_str());
            let seen = match asked(component) {
                Asked::Look => seen.remove(&index).unwrap_or_else(|| {
                    Seen::Unknown("its look did not end within the time of the sweep".to_owned())
                }),
                Asked::Process => alive(child),
                Asked::Nothing => Seen::Nothing,
            };
            facts::Component {
                name: component.name.to_string(),
                needs: component.needs.iter().map(ToString::to_string).collect(),
                said: said.get(component.name.as_str()).copied(),
                seen,
                ports: ports(component, child, &listening),
            }
        })
        .collect();
    let home = Path::new(&place.layout.home);
    Facts { castellan, lease: lease(place), disk_bytes: machine::disk_available(home), components }
}

/// What can be seen of a component from outside.
enum Asked {
    Look,
    Process,
    Nothing,
}

fn asked(component: &Component) -> Asked {
    match (&component.life, &component.readiness.probe) {
        (Life::Once | Life::Every(_) | Life::Calendar(_), _) => Asked::Nothing,
        (
            Life::Always | Life::UntilSuccess | Life::Never,
            Probe::Tcp { .. } | Probe::Http { .. } | Probe::Exec(_),
        ) => Asked::Look,
        (Life::Always | Life::UntilSuccess | Life::Never, Probe::Alive | Probe::Notify { .. }) => {
            match component.keeper {
                Keeper::Own => Asked::Process,
                // Its own manager says so, through castellan.
                Keeper::Systemd { .. } | Keeper::Launchd { .. } => Asked::Nothing,
            }
        }
    }
}

/// Looks under way.
struct Looks {
    count: usize,
    answers: mpsc::Receiver<(usize, Seen)>,
}

fn begin_looks(components: &[Component], deadline: Instant) -> Looks {
    let todo: VecDeque<(usize, Probe, Duration)> = components
        .iter()
        .enumerate()
        .filter(|(_, component)| matches!(asked(component), Asked::Look))
        .map(|(index, it)| (index, it.readiness.probe.clone(), it.readiness.watch.timeout))
        .collect();
    let count = todo.len();
    let todo = Arc::new(Mutex::new(todo));
    let (sender, answers) = mpsc::channel();
    for _ in 0..count.min(LOOKS_MAX) {
        let (todo, sender) = (todo.clone(), sender.clone());
        // Left behind when the time is over: each look has its own limit.
        thread::spawn(move || {
            loop {
                let next = todo.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
                let Some((index, probe, timeout)) = next else { return };
                if sender.send((index, take(&probe, timeout, deadline))).is_err() {
                    return;
                }
            }
        });
    }
    Looks { count, answers }
}

impl Looks {
    fn collect(self, deadline: Instant) -> BTreeMap<usize, Seen> {
        let mut seen = BTreeMap::new();
        while seen.len() < self.count {
            let left = deadline.saturating_duration_since(Instant::now());
            match self.answers.recv_timeout(left) {
                Ok((index, answer)) => drop(seen.insert(index, answer)),
                Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => break,
            }
        }
        seen
    }
}

/// One look, in what is left of the time. One that is cut short says nothing of what it looked at.
fn take(probe: &Probe, timeout: Duration, deadline: Instant) -> Seen {
    let left = deadline.saturating_duration_since(Instant::now()).saturating_sub(MARGIN);
    if left < LOOK_MIN {
        return Seen::Unknown("there was no time left to look at it".to_owned());
    }
    let (limit, began) = (timeout.min(left), Instant::now());
    match probe::look(probe, limit) {
        Ok(()) => Seen::Good,
        Err(_) if limit < timeout && began.elapsed() >= limit => Seen::Unknown(format!(
            "its look may take {} s, and the sweep had {:.1} s left for it",
            timeout.as_secs(),
            limit.as_secs_f64()
        )),
        Err(error) => Seen::Bad(ErrorChain(&error).to_string()),
    }
}

fn alive(child: Option<&Identity>) -> Seen {
    match child {
        Some(child) if child.is_alive() => Seen::Good,
        Some(child) => Seen::Bad(format!("its process {} has ended", child.pid)),
        None => Seen::Bad("no process of it is written down".to_owned()),
    }
}

fn ask(place: &Place) -> (Answer, Option<Snapshot>) {
    let client = place.client().with_answer_max(ANSWER_MAX);
    match block_on(async { Ok(client.snapshot().await) }) {
        Ok(Ok(snapshot)) => (Answer::Answers, Some(snapshot)),
        Ok(Err(ClientError::NotRunning { .. })) => (Answer::Absent, None),
        Ok(Err(error)) => (Answer::Unknown(ErrorChain(&error).to_string()), None),
        Err(failure) => (Answer::Unknown(failure.to_string()), None),
    }
}

/// The processes that castellan has written down, by component.
fn children(place: &Place) -> BTreeMap<String, Identity> {
    #[derive(Deserialize)]
    struct Child {
        component: String,
        identity: Identity,
    }
    let entries = fs::read_dir(place.layout.run("children")).into_iter().flatten().flatten();
    entries
        .filter_map(|entry| fs::read(entry.path()).ok())
        .filter_map(|record| serde_json::from_slice::<Child>(&record).ok())
        .map(|child| (child.component, child.identity))
        .collect()
}

fn ports(
    component: &Component,
    child: Option<&Identity>,
    listening: &BTreeMap<u16, Listening>,
) -> Vec<Port> {
    let port = |number: u16| {
        let Some(found) = listening.get(&number) else {
            return Port { number, addresses: BTreeSet::new(), owner: Owner::Nobody };
        };
        let owner = match (&component.keeper, &found.holder) {
            (Keeper::Own, Some(holder)) => owner(component, child, holder),
            (Keeper::Own | Keeper::Systemd { .. } | Keeper::Launchd { .. }, _) => Owner::Unknown,
        };
        Port { number, addresses: found.addresses.clone(), owner }
    };
    component.ports.iter().map(|claim| port(claim.address.port())).collect()
}

/// A port is a component's own if a process of its group, or one that was started with its mark,
/// has it. A machine that does not show a process's environment leaves the second untold.
fn owner(component: &Component, child: Option<&Identity>, holder: &Holder) -> Owner {
    if child.is_some_and(|child| child.is_alive() && child.pid == holder.group) {
        return Owner::Own;
    }
    match fs::read(format!("/proc/{}/environ", holder.pid)) {
        Ok(variables) => {
            let mark = format!("SANCTUM_COMPONENT={}", component.name);
            if variables.split(|byte| *byte == 0).any(|variable| variable == mark.as_bytes()) {
                Owner::Own
            } else {
                Owner::Stranger(format!("`{}` (pid {})", holder.name, holder.pid))
            }
        }
        Err(_) => Owner::Unknown,
    }
}

fn lease(place: &Place) -> Lease {
    let path = place.layout.run("castellan.lease");
    let Ok(text) = fs::read_to_string(&path) else { return Lease::Absent };
    let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_else(|_| {
        let sysctl = std::process::Command::new("sysctl").args(["-n", "kern.boottime"]).output();
        sysctl.map(|it| String::from_utf8_lossy(&it.stdout).into_owned()).unwrap_or_default()
    });
    let uptime = fs::read_to_string("/proc/uptime").ok();
    let uptime = uptime.and_then(|text| text.split(' ').next()?.parse::<f64>().ok());
    let written = fs::metadata(&path).and_then(|about| about.modified()).ok();
    let file_age = written.and_then(|at| SystemTime::now().duration_since(at).ok());
    let now = Now {
        boot: boot.trim().replace('\n', " "),
        uptime_ms: uptime
            .and_then(|seconds| Duration::try_from_secs_f64(seconds).ok())
            .and_then(|uptime| u64::try_from(uptime.as_millis()).ok()),
        file_age: file_age.unwrap_or_default(),
    };
    facts::lease(&text, &now, |pid, started| {
        Identity { pid, started: started.to_owned() }.is_alive()
    })
}
