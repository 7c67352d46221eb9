//! All components together: who may start, who must wait, and in which order they end.

use alloc::vec;
use alloc::vec::Vec;

use sanctum_model::{Component, ComponentName, Moment};

use super::phase::Then;
use super::{Effect, Event, Needs, Patience, Phase};

/// One component as the fleet sees it.
#[derive(Clone, Debug)]
pub struct Member {
    name: ComponentName,
    needs: Vec<usize>,
    patience: Patience,
    phase: Phase,
    order: Order,
    crashes_total: u32,
}

/// What is wanted of a member.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// That it runs.
    Up,
    /// That it does not.
    Down,
}

/// All components, in the order they are started.
#[derive(Clone, Debug)]
pub struct Fleet {
    members: Vec<Member>,
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

    /// How often it ended without being told to, since castellan began to keep it. Ends for want
    /// of something it needs are not among them.
    pub fn crashes_total(&self) -> u32 {
        self.crashes_total
    }
}

impl Fleet {
    /// A fleet of `components`, all down. They are put in an order in which each comes after what
    /// it needs; a need that is not among them is taken to be absent for ever.
    pub fn new(components: &[Component]) -> Self {
        let order = start_order(components);
        let members = order
            .iter()
            .map(|&index| {
                let component = &components[index];
                let place = |need: &ComponentName| {
                    order.iter().position(|&other| components[other].name == *need)
                };
                Member {
                    name: component.name.clone(),
                    needs: component
                        .needs
                        .iter()
                        .map(|need| place(need).unwrap_or(usize::MAX))
                        .collect(),
                    patience: Patience::from(component),
                    phase: Phase::Stopped,
                    order: Order::Down,
                    crashes_total: 0,
                }
            })
            .collect();
        Self { members }
    }

    /// The members in the order they start.
    pub fn members(&self) -> &[Member] {
        &self.members
    }

    /// The place of a member.
    pub fn position(&self, name: &ComponentName) -> Option<usize> {
        self.members.iter().position(|member| member.name == *name)
    }

    /// Wants every member up, or none.
    pub fn order_all(&mut self, order: Order, now: Moment) -> Vec<(usize, Effect)> {
        for member in &mut self.members {
            member.order = order;
        }
        self.settle(now)
    }

    /// Wants a member up, with all it needs, or down, with all that needs it.
    pub fn order(&mut self, index: usize, order: Order, now: Moment) -> Vec<(usize, Effect)> {
        let mut todo = vec![index];
        while let Some(index) = todo.pop() {
            let Some(member) = self.members.get_mut(index) else { continue };
            member.order = order;
            match order {
                Order::Up => todo.extend(self.members[index].needs.iter().copied()),
                Order::Down => todo.extend(self.dependants(index)),
            }
        }
        let mut effects = match order {
            Order::Up => self.happen(index, Event::Start, now),
            Order::Down => Vec::new(),
        };
        effects.extend(self.settle(now));
        effects
    }

    /// Takes an event to a member, and lets every other answer what follows from it.
    pub fn on(&mut self, index: usize, event: Event, now: Moment) -> Vec<(usize, Effect)> {
        if event == Event::Adopted || event == Event::Restart {
            self.members[index].order = Order::Up;
        }
        let mut effects = self.happen(index, event, now);
        effects.extend(self.settle(now));
        effects
    }

    /// Lets time pass.
    pub fn tick(&mut self, now: Moment) -> Vec<(usize, Effect)> {
        let mut effects = Vec::new();
        for index in 0..self.members.len() {
            effects.extend(self.happen(index, Event::Tick, now));
        }
        effects.extend(self.settle(now));
        effects
    }

    /// When [`Fleet::tick`] is next of use.
    pub fn deadline(&self) -> Option<Moment> {
        self.members.iter().filter_map(|member| member.phase.deadline()).min()
    }

    /// What keeps a member from being ready, at its root: the first need in line that is not
    /// ready for reasons of its own. Nothing if all it needs is ready.
    pub fn root_cause(&self, index: usize) -> Option<usize> {
        let lost =
            |&need: &usize| self.members.get(need).is_some_and(|member| !member.phase.is_ready());
        let need = self.members[index].needs.iter().copied().find(lost)?;
        Some(self.root_cause(need).unwrap_or(need))
    }

    /// Whether nothing of the fleet may still be running.
    pub fn is_down(&self) -> bool {
        self.members.iter().all(|member| !member.phase.has_child())
    }

    fn needs(&self, index: usize) -> Needs {
        let ready =
            |need: &usize| self.members.get(*need).is_some_and(|member| member.phase.is_ready());
        if self.members[index].needs.iter().all(ready) { Needs::Met } else { Needs::Lost }
    }

    fn dependants(&self, index: usize) -> Vec<usize> {
        let needs_it = |other: &usize| self.members[*other].needs.contains(&index);
        (0..self.members.len()).filter(needs_it).collect()
    }

    fn happen(&mut self, index: usize, event: Event, now: Moment) -> Vec<(usize, Effect)> {
        let needs = self.needs(index);
        let member = &mut self.members[index];
        let ended = matches!(event, Event::Gone | Event::SpawnFailed) && member.phase.has_child();
        let asked =
            matches!(member.phase, Phase::Stopping { then: Then::Stay | Then::StartAnew, .. });
        if ended && !asked && needs == Needs::Met {
            member.crashes_total += 1;
        }
        let (phase, effect) = member.phase.on(event, needs, &member.patience, now);
        member.phase = phase;
        effect.map(|effect| (index, effect)).into_iter().collect()
    }

    /// Carries every order as far as it can go now: up in start order, down in reverse.
    fn settle(&mut self, now: Moment) -> Vec<(usize, Effect)> {
        let mut effects = Vec::new();
        for index in 0..self.members.len() {
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
                    let held = self
                        .dependants(index)
                        .into_iter()
                        .any(|other| self.members[other].phase.has_child());
                    if !held && !matches!(phase, Phase::Stopping { then: Then::Stay, .. }) {
                        effects.extend(self.happen(index, Event::Stop, now));
                    }
                }
            }
        }
        effects
    }
}

/// The places of `components` in an order in which each comes after what it needs; ties keep the
/// order given. What is in a circle comes last, as given: a manifest has none.
fn start_order(components: &[Component]) -> Vec<usize> {
    let mut order: Vec<usize> = Vec::with_capacity(components.len());
    loop {
        let placed =
            |name: &ComponentName| order.iter().any(|&other| components[other].name == *name);
        let known = |name: &ComponentName| components.iter().any(|other| other.name == *name);
        let next = (0..components.len()).find(|&index| {
            let component = &components[index];
            !order.contains(&index)
                && component.needs.iter().all(|need| placed(need) || !known(need))
        });
        let Some(index) = next else { break };
        order.push(index);
    }
    let rest: Vec<usize> = (0..components.len()).filter(|index| !order.contains(index)).collect();
    order.extend(rest);
    order
}
