//! Taking over from the castellan before this one.

use std::time::{Duration, SystemTime};

use sanctum_host::process::{self, Identity};
use sanctum_plan::supervise::Event;
use tokio::task::JoinSet;

use super::kept::Origin;
use super::{COMPONENT_VARIABLE, KEEPER_VARIABLE, Keeper, News, Occurrence};
use crate::record::Child;

/// The time from SIGTERM to SIGKILL of what is nobody's.
const LEFTOVER_STOP_MAX: Duration = Duration::from_secs(10);
/// How often the end of what is nobody's child here is looked for.
const END_INTERVAL: Duration = Duration::from_millis(20);

impl Keeper {
    /// Takes over the living children of the castellan before this one; those that the manifest
    /// no longer means as they are, and what no record leads to, end first, whatever is asked
    /// meanwhile: nobody else would end them.
    pub(super) async fn adopt(&mut self) {
        let mut ending = JoinSet::new();
        for child in self.record.read() {
            if !child.identity.is_alive() {
                self.record.remove(&child.component);
                continue;
            }
            let meant = self.kept.iter().position(|kept| {
                kept.name() == child.component && kept.definition == child.definition
            });
            if let Some(index) = meant {
                self.adopt_one(index, &child);
                continue;
            }
            let why = "the manifest no longer means it as it is";
            self.journal.add(&child.component, "stopped-stranger", why);
            self.record.remove(&child.component);
            ending.spawn(end_group(child.identity));
        }
        for identity in self.leftovers() {
            let detail = format!("group {}", identity.pid);
            self.journal.add("castellan", "cleared-leftover", detail);
            ending.spawn(end_group(identity));
        }
        self.beat();
        loop {
            tokio::select! {
                ended = ending.join_next() => if ended.is_none() { break },
                Some(request) = self.requests.recv() => self.on_request(request),
            }
        }
        self.is_adopting = false;
    }

    fn adopt_one(&mut self, index: usize, child: &Child) {
        self.kept[index].run += 1;
        let started = SystemTime::UNIX_EPOCH + Duration::from_millis(child.started_at_ms);
        let pid = child.identity.pid;
        self.journal.add(&child.component, "adopted", format!("pid {pid}"));
        let ready = self.open_output(index).and_then(|()| self.listen(index).map(drop));
        if let Err(trouble) = ready {
            self.kept[index].note = trouble;
        }
        // It has said so to the castellan that started it.
        self.kept[index].said.is_ready = true;
        self.kept[index].said.at = Some(self.now());
        let foreign = self.is_foreign(index);
        let origin = if foreign { Origin::Foreign } else { Origin::Adopted };
        self.begin(index, child.identity.clone(), origin, started);
        self.watch(index, child.identity.clone());
        self.happen(index, Event::Adopted);
    }

    /// Tells the end of a process that is not our child.
    pub(super) fn watch(&self, index: usize, identity: Identity) {
        let (run, sender, end) =
            (self.kept[index].run, self.occurrences.0.clone(), self.tasks.token());
        self.tasks.spawn(async move {
            tokio::select! {
                () = end_of(&identity) => {
                    sender.send(Occurrence { index, run, news: News::Ended }).await.ok();
                }
                () = end.cancelled() => {}
            }
        });
    }

    /// What a castellan before this one started and no record leads to: a leader for each group.
    fn leftovers(&self) -> Vec<Identity> {
        let own = [Some(std::process::id()), process::group_of(std::process::id())];
        let is_kept = |pid: u32| {
            let name = process::variable_of(pid, COMPONENT_VARIABLE);
            self.kept
                .iter()
                .any(|kept| kept.child.is_some() && Some(kept.name()) == name.as_deref())
        };
        let marked = process::marked(KEEPER_VARIABLE, &self.layout.home);
        let mut groups: Vec<u32> = marked
            .into_iter()
            .filter(|pid| !is_kept(*pid))
            .filter_map(process::group_of)
            .filter(|group| !own.contains(&Some(*group)))
            .collect();
        groups.sort_unstable();
        groups.dedup();
        let leader = |pid| Identity { pid, started: String::new() };
        groups.into_iter().map(|group| Identity::of(group).unwrap_or(leader(group))).collect()
    }
}

/// Returns once a process that is not our child has ended.
async fn end_of(identity: &Identity) {
    #[cfg(target_os = "linux")]
    if let Some(handle) = handle(identity)
        && let Ok(handle) = crate::output::registered(handle)
    {
        drop(handle.readable().await);
        return;
    }
    while identity.is_alive() {
        tokio::time::sleep(END_INTERVAL * 10).await;
    }
}

#[cfg(target_os = "linux")]
fn handle(identity: &Identity) -> Option<std::os::fd::OwnedFd> {
    use rustix::process::{Pid, PidfdFlags, pidfd_open};
    let pid = Pid::from_raw(i32::try_from(identity.pid).ok()?)?;
    let handle = pidfd_open(pid, PidfdFlags::NONBLOCK).ok()?;
    identity.is_alive().then_some(handle)
}

/// Ends a group that is nobody's: asks, waits, kills.
async fn end_group(identity: Identity) {
    let group = identity.pid;
    process::terminate_group(group);
    let empty = async {
        while !process::is_group_empty(group) {
            tokio::time::sleep(END_INTERVAL).await;
        }
    };
    if tokio::time::timeout(LEFTOVER_STOP_MAX, empty).await.is_ok() {
        return;
    }
    while !process::is_group_empty(group) {
        process::kill_group(group);
        tokio::time::sleep(END_INTERVAL).await;
    }
}
