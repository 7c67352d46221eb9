//! What the facts of a look mean by themselves, whatever is being done about it.

use std::time::Duration;

use super::{Boot, Fault, Look, Quiet, Seen, Switch, Verdict};
use crate::lease::{Lease, Reading, State};
use crate::process::Presence;

impl Switch {
    /// Takes in what the lease says.
    pub(super) fn remember(&mut self, look: &Look) {
        let now = look.time.awake;
        let Reading::Lease(lease) = &look.reading else {
            self.unread_since.get_or_insert(now);
            self.childless_since = None;
            return;
        };
        self.unread_since = None;
        let is_childless = lease.children == 0 && lease.wanted > 0;
        self.childless_since = if is_childless { self.childless_since.or(Some(now)) } else { None };
        match &mut self.seen {
            Some(seen) if is_same_castellan(&seen.lease, lease) => {
                if seen.lease.beat != lease.beat {
                    seen.moved_at = now;
                    seen.moves = seen.moves.saturating_add(1);
                }
                seen.lease = (**lease).clone();
            }
            Some(_) | None => {
                self.seen = Some(Seen { lease: (**lease).clone(), moved_at: now, moves: 0 });
            }
        }
    }

    /// Judges by what was remembered.
    pub(super) fn judge(&self, look: &Look) -> Verdict {
        let now = look.time.awake;
        let silent = |since: Duration| now.saturating_sub(since);
        let unread = self.unread_since.map_or(Duration::ZERO, silent);
        let is_unread_for_long = unread > self.limits.stale_after;
        match (&look.reading, &self.seen) {
            (Reading::Absent, None) => Verdict::Quiet(Quiet::NoLease),
            (Reading::Absent, Some(seen)) if seen.lease.state == State::Ended => {
                Verdict::Quiet(Quiet::Ended)
            }
            (Reading::Foreign(why), _) | (Reading::Torn(why), None) => {
                if is_unread_for_long {
                    Verdict::Fault(Fault::Unreadable, why.clone())
                } else {
                    Verdict::Unknown(why.clone())
                }
            }
            (Reading::Absent, Some(_)) if !is_unread_for_long => {
                Verdict::Unknown("the lease is gone".to_owned())
            }
            (Reading::Torn(why), Some(_)) if !is_unread_for_long => Verdict::Unknown(why.clone()),
            (Reading::Absent | Reading::Torn(_) | Reading::Lease(_), Some(seen)) => {
                self.judge_lease(seen, look, silent(seen.moved_at))
            }
            // A lease that was read was remembered.
            (Reading::Lease(_), None) => Verdict::Unknown("nothing was seen yet".to_owned()),
        }
    }

    fn judge_lease(&self, seen: &Seen, look: &Look, silent: Duration) -> Verdict {
        let lease = &seen.lease;
        let pid = lease.identity.pid;
        if lease.state == State::Ended {
            return Verdict::Quiet(Quiet::Ended);
        }
        if look.boot == Boot::Earlier {
            return if self.limits.start_after_boot {
                let detail = format!("it was keeping its components as pid {pid} before");
                Verdict::Fault(Fault::NotStarted, detail)
            } else {
                Verdict::Quiet(Quiet::NotStarted)
            };
        }
        let is_stale = silent > self.limits.stale_after;
        match look.process {
            Presence::Gone if lease.state == State::HandingOver && !is_stale => {
                return Verdict::Unknown("castellan hands over to the next one".to_owned());
            }
            Presence::Gone => return Verdict::Fault(Fault::Dead, format!("pid {pid} is gone")),
            Presence::Alive | Presence::Unknown => {}
        }
        if is_stale {
            if let Some(why) = &look.disk_fault {
                return Verdict::Fault(Fault::Blind, format!("nothing can be written: {why}"));
            }
            let detail = format!("the beat of pid {pid} has not moved for {silent:.1?}");
            return Verdict::Fault(Fault::Silent, detail);
        }
        if lease.loop_age > self.limits.loop_age_max {
            let detail = format!("its last beat is {:.1?} old", lease.loop_age);
            return Verdict::Fault(Fault::Stuck, detail);
        }
        let childless = self
            .childless_since
            .map_or(Duration::ZERO, |since| look.time.awake.saturating_sub(since));
        if childless > self.limits.childless_max {
            let detail = format!("none of {} for {childless:.1?}", lease.wanted);
            return Verdict::Fault(Fault::Childless, detail);
        }
        Verdict::Works { pid, beat: lease.beat }
    }
}

fn is_same_castellan(one: &Lease, other: &Lease) -> bool {
    (&one.identity, &one.boot) == (&other.identity, &other.boot)
}
