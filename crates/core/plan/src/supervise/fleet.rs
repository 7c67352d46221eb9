//! All components together: who may start, who must wait, and in which order they end.

use alloc::vec;
use alloc::vec::Vec;

use sanctum_model::{Component, ComponentName, Moment};

use super::phase::Then;
use super::{Effect, Event, Needs, Patience, Phase};

/// What a fleet wants done, each for the member at that place.
type Effects = Vec<(usize, Effect)>;

/// One component as the fleet sees it.
#[derive(Clone, Debug)]
pub struct Member {
    name: ComponentName,
    needs: Vec<usize>,
    dependants: Vec<usize>,
    patience: Patience,
    phase: Phase,
    order: Order,
    crashes_total: u32,
    place: Place,
}

/// What is wanted of a member.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// That it runs.
    Up,
    /// That it does not.
    Down,
}

/// Where a member stands between two manifests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    /// It is meant.
    Settled,
    /// It is meant since the last change, and waits until what that change removed is gone: it may
    /// want the same port.
    New,
    /// It is no longer meant. Once it is gone another may have its place.
    Retired,
}

/// All components. Each keeps its place in the fleet for as long as it is meant.
#[derive(Clone, Debug, Default)]
pub struct Fleet {
    members: Vec<Member>,
    /// The places of those that are meant, in an order in which each comes after what it needs.
    sequence: Vec<usize>,
    touched: Vec<usize>,
}

impl Member {
    /// Its name.
    pub fn name(&self) -> &ComponentName {
        &self.name
    }

    /// Where it is in its life.
    pub fn phase(&self) -> Phase {
        self.phase
    }

    /// What is wanted of it.
    pub fn order(&self) -> Order {
        self.order
    }

    /// How often it ended without being told to and not well, since castellan began to keep it.
    /// Ends for want of something it needs are not among them.
    pub fn crashes_total(&self) -> u32 {
        self.crashes_total
    }

    /// Whether nothing is meant by it any more, and nothing of it is left.
    pub fn is_vacant(&self) -> bool {
        self.place == Place::Retired && !self.phase.has_child()
    }
}

impl Fleet {
    /// A fleet of `components`, all down.
    pub fn new(components: &[Component]) -> Self {
        let mut fleet = Self::default();
        fleet.enlist(components, Order::Down);
        for member in &mut fleet.members {
            member.place = Place::Settled;
        }
        fleet
    }

    /// Every place, in no order that means anything; some may be vacant.
    pub fn members(&self) -> &[Member] {
        &self.members
    }

    /// The places of all that are meant, in the order they start, then of those on their way out.
    pub fn sequence(&self) -> impl Iterator<Item = usize> {
        let leaving = |index: &usize| {
            let member = &self.members[*index];
            member.place == Place::Retired && member.phase.has_child()
        };
        self.sequence.iter().copied().chain((0..self.members.len()).filter(leaving))
    }

    /// The place of a member that is meant.
    pub fn position(&self, name: &ComponentName) -> Option<usize> {
        let meant = |member: &Member| member.name == *name && member.place != Place::Retired;
        self.members.iter().position(meant)
    }

    /// The places of which the phase may have changed since this was last asked.
    pub fn take_touched(&mut self) -> Vec<usize> {
        let mut touched = core::mem::take(&mut self.touched);
        touched.sort_unstable();
        touched.dedup();
        touched
    }

    /// Wants every member up, or none.
    pub fn order_all(&mut self, order: Order, now: Moment) -> Effects {
        for member in &mut self.members {
            if member.place != Place::Retired {
                member.order = order;
            }
        }
        self.settle(now)
    }

    /// Wants a member up, with all it needs, or down, with all that needs it.
    pub fn order(&mut self, index: usize, order: Order, now: Moment) -> Effects {
        let mut todo = vec![index];
        let mut seen = vec![false; self.members.len()];
        while let Some(index) = todo.pop() {
            if core::mem::replace(&mut seen[index], true) {
                continue;
            }
            self.members[index].order = order;
            todo.extend_from_slice(match order {
                Order::Up => &self.members[index].needs,
                Order::Down => &self.members[index].dependants,
            });
        }
        let mut effects = match order {
            Order::Up => self.happen(index, Event::Start, now),
            Order::Down => Vec::new(),
        };
        effects.extend(self.settle(now));
        effects
    }

    /// Goes over to another set of components: those of the same name keep their place and their
    /// phase, new ones start once what is no longer meant has stopped. What is started otherwise
    /// is for the caller to restart.
    pub fn replan(&mut self, components: &[Component], now: Moment) -> Effects {
        for member in &mut self.members {
            if !components.iter().any(|component| component.name == member.name) {
                member.place = Place::Retired;
                member.order = Order::Down;
            }
        }
        self.enlist(components, Order::Up);
        self.settle(now)
    }

    /// Takes an event to a member, and lets every other answer what follows from it.
    pub fn on(&mut self, index: usize, event: Event, now: Moment) -> Effects {
        if matches!(event, Event::Adopted | Event::Restart) {
            self.members[index].order = Order::Up;
        }
        let mut effects = self.happen(index, event, now);
        if matches!(event, Event::Gone(_)) {
            effects.extend(self.retry_refused(now));
        }
        effects.extend(self.settle(now));
        effects
    }

    /// Takes an event to every member.
    pub fn on_all(&mut self, event: Event, now: Moment) -> Effects {
        let mut effects = Vec::new();
        for index in 0..self.members.len() {
            effects.extend(self.happen(index, event, now));
        }
        effects.extend(self.settle(now));
        effects
    }

    /// Lets time pass.
    pub fn tick(&mut self, now: Moment) -> Effects {
        let mut effects = Vec::new();
        for index in 0..self.members.len() {
            if self.members[index].phase.deadline().is_some_and(|deadline| deadline <= now) {
                effects.extend(self.happen(index, Event::Tick, now));
            }
        }
        effects.extend(self.settle(now));
        effects
    }

    /// When [`Fleet::tick`] is next of use.
    pub fn deadline(&self) -> Option<Moment> {
        self.members.iter().filter_map(|member| member.phase.deadline()).min()
    }

    /// From a member to the root of what keeps it from being ready: the first need that is not,
    /// the first need of that which is not, and so on. Empty if all it needs is ready.
    pub fn chain(&self, index: usize) -> Vec<usize> {
        let mut chain = Vec::new();
        let mut at = index;
        while let Some(need) = self.lost_need(at) {
            if chain.contains(&need) {
                break; // a manifest has no circle; a fleet of anything else must still end
            }
            chain.push(need);
            at = need;
        }
        chain
    }

    /// What keeps a member from being ready, at its root. Nothing if all it needs is ready.
    pub fn root_cause(&self, index: usize) -> Option<usize> {
        self.chain(index).pop()
    }

    /// Whether a member needs another, itself or through others.
    pub fn chain_includes(&self, index: usize, need: usize) -> bool {
        let mut todo = vec![index];
        let mut seen = vec![false; self.members.len()];
        while let Some(at) = todo.pop() {
            if !core::mem::replace(&mut seen[at], true) {
                todo.extend_from_slice(&self.members[at].needs);
            }
        }
        index != need && seen[need]
    }

    /// Whether nothing of the fleet may still be running.
    pub fn is_down(&self) -> bool {
        self.members.iter().all(|member| !member.phase.has_child())
    }

    /// Whether anything that is no longer meant still runs.
    fn is_leaving(&self) -> bool {
        let leaving = |member: &Member| member.place == Place::Retired && member.phase.has_child();
        self.members.iter().any(leaving)
    }

    fn lost_need(&self, index: usize) -> Option<usize> {
        let lost = |need: &usize| !self.members[*need].phase.is_ready();
        self.members[index].needs.iter().copied().find(lost)
    }

    fn needs(&self, index: usize) -> Needs {
        let held = self.members[index].place == Place::New && self.is_leaving();
        if held || self.lost_need(index).is_some() { Needs::Lost } else { Needs::Met }
    }

    fn happen(&mut self, index: usize, event: Event, now: Moment) -> Effects {
        let needs = self.needs(index);
        let member = &mut self.members[index];
        let before = member.phase;
        let failed = match event {
            Event::Gone(exit) => {
                let was_ended =
                    matches!(before, Phase::Stopping { then: Then::CountCrash { .. }, .. });
                was_ended || !member.patience.succeeded(exit)
            }
            Event::SpawnFailed => true,
            Event::Start
            | Event::Stop
            | Event::Restart
            | Event::Adopted
            | Event::Refused
            | Event::Ending
            | Event::Leaving
            | Event::Looked(_)
            | Event::Extend(_)
            | Event::Judged(_)
            | Event::Due(_)
            | Event::Woke
            | Event::Tick => false,
        };
        let (phase, effect) = before.on(event, needs, &member.patience, now);
        // By what comes of it: one that was told to end, or fell with its need, has nothing held
        // against it.
        let blamed = phase.crashes() > 0 && !matches!(phase, Phase::Waiting { .. });
        if failed && before.has_child() && blamed {
            member.crashes_total += 1;
        }
        member.phase = phase;
        if phase != before {
            self.touched.push(index);
        }
        effect.map(|effect| (index, effect)).into_iter().collect()
    }

    /// What ended has made room.
    fn retry_refused(&mut self, now: Moment) -> Effects {
        let mut effects = Vec::new();
        for index in 0..self.members.len() {
            if matches!(self.members[index].phase, Phase::Refused { .. }) {
                effects.extend(self.happen(index, Event::Start, now));
            }
        }
        effects
    }

    /// Carries every order as far as it can go now: up in start order, down in reverse.
    fn settle(&mut self, now: Moment) -> Effects {
        if !self.is_leaving() {
            for member in &mut self.members {
                if member.place == Place::New {
                    member.place = Place::Settled;
                }
            }
        }
        let mut effects = Vec::new();
        let sequence: Vec<usize> = self.sequence().collect();
        for index in sequence {
            let (order, phase) = (self.members[index].order, self.members[index].phase);
            match (order, phase) {
                (Order::Up, Phase::Stopped) => {
                    effects.extend(self.happen(index, Event::Start, now));
                }
                (Order::Up, Phase::Waiting { .. }) => {
                    effects.extend(self.happen(index, Event::Tick, now));
                }
                (Order::Up, _) | (Order::Down, Phase::Stopped) => {}
                (Order::Down, _) => {
                    let held = self.members[index]
                        .dependants
                        .iter()
                        .any(|other| self.members[*other].phase.has_child());
                    if !held && !matches!(phase, Phase::Stopping { then: Then::Stay, .. }) {
                        effects.extend(self.happen(index, Event::Stop, now));
                    }
                }
            }
        }
        effects
    }

    /// Gives every component its place, its needs and its turn.
    fn enlist(&mut self, components: &[Component], order: Order) {
        for component in components {
            let patience = Patience::from(component);
            if let Some(at) = self.members.iter().position(|it| it.name == component.name) {
                let member = &mut self.members[at];
                member.patience = patience;
                if member.place == Place::Retired {
                    (member.place, member.order) = (Place::New, order);
                }
                continue;
            }
            let member = Member {
                name: component.name.clone(),
                needs: Vec::new(),
                dependants: Vec::new(),
                patience,
                phase: Phase::Stopped,
                order,
                crashes_total: 0,
                place: Place::New,
            };
            match self.members.iter().position(Member::is_vacant) {
                Some(vacant) => self.members[vacant] = member,
                None => self.members.push(member),
            }
        }
        let place = |name: &ComponentName| self.members.iter().position(|it| it.name == *name);
        let places: Vec<Option<usize>> = components.iter().map(|it| place(&it.name)).collect();
        let needs: Vec<Vec<usize>> =
            components.iter().map(|it| it.needs.iter().filter_map(place).collect()).collect();
        for (place, needs) in places.iter().zip(needs) {
            if let Some(place) = *place {
                self.members[place].needs = needs;
            }
        }
        self.link();
        self.sequence = start_order(components).into_iter().filter_map(|it| places[it]).collect();
    }

    /// Writes down who needs each.
    fn link(&mut self) {
        for member in &mut self.members {
            member.dependants.clear();
        }
        for index in 0..self.members.len() {
            for need in self.members[index].needs.clone() {
                self.members[need].dependants.push(index);
            }
        }
    }
}

/// The places of `components` in an order in which each comes after what it needs; ties keep the
/// order given. What is in a circle comes last, as given: a manifest has none.
fn start_order(components: &[Component]) -> Vec<usize> {
    let mut placed = vec![false; components.len()];
    let mut order: Vec<usize> = Vec::with_capacity(components.len());
    loop {
        let before = order.len();
        for (index, component) in components.iter().enumerate() {
            let met = |need: &ComponentName| {
                let at = components.iter().position(|other| other.name == *need);
                at.is_none_or(|at| placed[at])
            };
            if !placed[index] && component.needs.iter().all(met) {
                placed[index] = true;
                order.push(index);
            }
        }
        if order.len() == before {
            break;
        }
    }
    order.extend((0..components.len()).filter(|index| !placed[*index]));
    order
}
