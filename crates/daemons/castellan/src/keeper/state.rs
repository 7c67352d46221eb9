//! What castellan says is so, put together when somebody asks.

use std::time::{Duration, SystemTime};

use sanctum_model::{Keeper as KeptBy, Plane};
use sanctum_plan::supervise::Order;
use sanctum_wire::{ComponentState, Finding, PlaneName, PortState, Severity, Snapshot};

use super::Keeper;
use super::kept::phase_name;
use crate::findings;

impl Keeper {
    pub(super) fn snapshot(&self) -> Snapshot {
        let mut snapshot = self.base.clone();
        snapshot.components = self.fleet.sequence().map(|index| self.state(index)).collect();
        snapshot.findings = findings::of_components(&snapshot.components, |name| {
            self.kept.iter().find(|kept| kept.name() == name)?.obstacle.as_ref()
        });
        snapshot.findings.extend(self.drift());
        let claims = self.declared_claims();
        for claim in &claims {
            let taken = snapshot.components.iter_mut().find(|it| it.name == claim.name.as_str());
            if let Some(state) = taken {
                state.memory_bytes = claim.measured_bytes;
            }
        }
        snapshot.memory = self.ledger(&claims);
        snapshot
    }

    fn state(&self, index: usize) -> ComponentState {
        let (member, kept, now) = (&self.fleet.members()[index], &self.kept[index], self.now());
        let component = &kept.component;
        let name = |index: &usize| self.fleet.members()[*index].name().to_string();
        let chain: Vec<String> = self.fleet.chain(index).iter().map(name).collect();
        let last_look = if kept.last_look.is_empty() { &kept.said.status } else { &kept.last_look };
        let note = [&kept.note, last_look, &kept.last_exit].into_iter().find(|it| !it.is_empty());
        let phase = phase_name(member.phase());
        let is_good = phase == sanctum_wire::PhaseName::Ready;
        ComponentState {
            name: component.name.to_string(),
            purpose: component.purpose.clone(),
            plane: match component.plane {
                Plane::Host => PlaneName::Host,
                Plane::Guest => PlaneName::Guest,
            },
            phase,
            // All are, as soon as what an earlier castellan left is out of the way.
            wanted: member.order() == Order::Up || self.is_adopting,
            phase_age_ms: millis(now - kept.phase_since),
            pid: kept.child.as_ref().map(|child| child.identity.pid),
            crashes: member.crashes_total(),
            crashes_in_row: member.phase().crashes(),
            root_cause: chain.last().cloned(),
            chain,
            next_try_ms: member.phase().next_try().map(|at| millis(at - now)),
            last_exit: kept.last_exit.clone(),
            last_look: kept.last_look.clone(),
            last_author: kept.author.clone(),
            keeper: match component.keeper {
                KeptBy::Own => "own",
                KeptBy::Systemd { .. } => "systemd",
                KeptBy::Launchd { .. } => "launchd",
            }
            .to_owned(),
            memory_bytes: 0,
            memory_peak_bytes: component.memory.peak_bytes,
            note: note.filter(|_| !is_good).cloned().unwrap_or_default(),
            needs: component.needs.iter().map(ToString::to_string).collect(),
            ports: component
                .ports
                .iter()
                .map(|port| PortState { address: port.address.to_string(), why: port.why.clone() })
                .collect(),
            log: self.layout.log(&component.name),
        }
    }

    /// What runs and is not what the disk says.
    fn drift(&self) -> Vec<Finding> {
        let finding = |code: &str, component: &str, what: String, mend: String| Finding {
            code: code.to_owned(),
            component: component.to_owned(),
            what,
            mend,
            casualties: Vec::new(),
            severity: Severity::Passing,
        };
        let mut found = Vec::new();
        for kept in self.kept.iter().filter(|kept| kept.is_program_newer) {
            let what = format!("`{}` is newer than the process", kept.component.command.program);
            let mend = format!("`sanctum restart {}`", kept.name());
            found.push(finding("program-newer", kept.name(), what, mend));
        }
        if !self.manifest_fault.is_empty() {
            let mend = "`sanctum apply` says what is wrong with it, or puts it in force".to_owned();
            found.push(finding("manifest-differs", "castellan", self.manifest_fault.clone(), mend));
        }
        if let Some(what) = self.room.shortage() {
            let mend = "`sanctum status` shows what takes it; mark what may give way `evictable`";
            let short = finding("memory-short", "castellan", what, mend.to_owned());
            found.push(Finding { severity: Severity::Degraded, ..short });
        }
        let started = SystemTime::UNIX_EPOCH + Duration::from_millis(self.base.started_at_ms);
        if super::rounds::is_own_program_newer(started) {
            let what = "castellan's own program is newer than the process".to_owned();
            found.push(finding("program-newer", "castellan", what, "`sanctum up`".to_owned()));
        }
        found
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
