//! Lives of a castellan, in a time that is a value.

use super::*;
use crate::lease::State;
use crate::lease::tests::WHOLE;

/// Between two looks.
const TICK: Duration = Duration::from_secs(1);

/// A machine: its clocks, its castellan, and what the switch makes of it.
struct World {
    switch: Switch,
    time: Time,
    lease: Lease,
    reading: Option<Reading>,
    process: Presence,
    launched: Presence,
    boot: Boot,
    disk_fault: Option<String>,
    /// Whether castellan renews its lease.
    beats: bool,
    /// Whether a castellan that is started works.
    starts: bool,
    done: Vec<Action>,
}

impl World {
    fn new(limits: Limits) -> Self {
        let Reading::Lease(lease) = crate::lease::parse(WHOLE) else { panic!("it is whole") };
        Self {
            switch: Switch::new(limits, Durable::default(), Duration::ZERO),
            time: Time { awake: Duration::ZERO, uptime: Duration::from_hours(1), wall_ms: 1_000 },
            lease: *lease,
            reading: None,
            process: Presence::Alive,
            launched: Presence::Gone,
            boot: Boot::This,
            disk_fault: None,
            beats: true,
            starts: true,
            done: Vec::new(),
        }
    }

    fn pass(&mut self, time: Duration) {
        self.time.awake += time;
        self.sleep(time);
    }

    fn sleep(&mut self, time: Duration) {
        self.time.uptime += time;
        self.time.wall_ms += u64::try_from(time.as_millis()).unwrap();
    }

    fn look(&mut self) -> Verdict {
        self.pass(TICK);
        if self.beats && self.process == Presence::Alive {
            self.lease.beat += 1;
        }
        let lease = Reading::Lease(Box::new(self.lease.clone()));
        let look = Look {
            time: self.time,
            reading: self.reading.clone().unwrap_or(lease),
            process: self.process,
            launched: self.launched,
            boot: self.boot,
            disk_fault: self.disk_fault.clone(),
        };
        let Decision { verdict, actions } = self.switch.on(&look);
        for action in &actions {
            match action {
                Action::Kill(_) => self.process = Presence::Gone,
                Action::Start(_) if self.starts => {
                    self.lease.identity.pid += 1;
                    (self.process, self.boot) = (Presence::Alive, Boot::This);
                    (self.beats, self.reading, self.lease.beat) = (true, None, 0);
                    self.lease.loop_age = Duration::ZERO;
                    self.lease.children = 5;
                }
                Action::Start(_)
                | Action::Journal { .. }
                | Action::Capture { .. }
                | Action::Thaw
                | Action::Page { .. } => {}
            }
        }
        self.done.extend(actions);
        verdict
    }

    fn looks(&mut self, count: u64) -> Verdict {
        (1..count).for_each(|_| drop(self.look()));
        self.look()
    }

    fn words(&self) -> Vec<&'static str> {
        self.done
            .iter()
            .map(|action| match action {
                Action::Journal { what, .. } => what,
                Action::Capture { .. } => "Capture",
                Action::Thaw => "Thaw",
                Action::Kill(_) => "Kill",
                Action::Start(_) => "Start",
                Action::Page { news: News::Down, .. } => "Down",
                Action::Page { news: News::StillDown, .. } => "StillDown",
                Action::Page { news: News::Resolved, .. } => "Resolved",
                Action::Page { news: News::StoodDown, .. } => "StoodDown",
            })
            .collect()
    }

    fn count(&self, word: &str) -> usize {
        self.words().iter().filter(|it| **it == word).count()
    }
}

fn world() -> World {
    World::new(Limits::default())
}

#[test]
fn a_castellan_that_works_is_left_alone_for_a_year() {
    let mut world = world();
    for _ in 0..10_000 {
        assert!(matches!(world.look(), Verdict::Works { .. }));
        world.pass(Duration::from_secs(13));
    }
    assert_eq!(world.words(), ["watching"]);
}

#[test]
fn one_that_hangs_is_seen_twice_looked_at_killed_started_and_believed_when_it_beats() {
    let mut world = world();
    world.looks(3);
    world.beats = false;
    assert!(matches!(world.looks(30), Verdict::Works { .. }), "30 s are not stale");
    assert!(matches!(world.look(), Verdict::Fault(Fault::Silent, _)));
    assert_eq!(world.words(), ["watching"], "once is not enough");
    world.look();
    assert_eq!(world.words()[1..], ["silent", "Capture", "Thaw", "Kill", "Start"]);
    assert_eq!(world.look(), Verdict::Proving { attempt: 1 });
    assert!(matches!(world.look(), Verdict::Works { .. }));
    assert_eq!(world.words()[6..], ["brought-back"]);
}

#[test]
fn one_that_is_dead_is_started_at_the_second_look_and_not_signalled() {
    let mut world = world();
    world.look();
    world.process = Presence::Gone;
    world.looks(2);
    assert_eq!(world.words()[1..], ["dead", "Capture", "Thaw", "Start"]);
}

#[test]
fn one_that_was_told_to_stop_is_left_in_peace() {
    let mut world = world();
    world.look();
    world.lease.state = State::Ended;
    world.process = Presence::Gone;
    assert_eq!(world.looks(1000), Verdict::Quiet(Quiet::Ended));
    assert_eq!(world.count("Start") + world.count("Down") + world.count("Kill"), 0);
    assert_eq!(world.count("ended"), 1);
    assert!(world.count("Thaw") > 0, "what it has stopped is woken all the same");
}

#[test]
fn where_no_lease_ever_was_there_is_nothing_to_guard_and_it_is_said_once() {
    let mut world = world();
    world.reading = Some(Reading::Absent);
    assert_eq!(world.looks(1000), Verdict::Quiet(Quiet::NoLease));
    assert_eq!(world.words(), ["no-lease"]);
}

#[test]
fn a_hand_over_has_the_time_of_a_stale_lease() {
    let mut world = world();
    world.look();
    world.lease.state = State::HandingOver;
    world.process = Presence::Gone;
    assert!(matches!(world.looks(29), Verdict::Unknown(_)));
    world.looks(4);
    assert_eq!(world.count("Start"), 1);
}

#[test]
fn one_that_does_not_come_back_is_paged_once_then_again_and_resolved_when_it_does() {
    let mut world = world();
    world.look();
    world.process = Presence::Gone;
    world.starts = false;
    world.looks(100);
    assert_eq!((world.count("Start"), world.count("Down")), (2, 1));
    world.looks(29 * 60);
    assert_eq!(world.count("StillDown"), 0);
    world.looks(2 * 60);
    assert_eq!((world.count("StillDown"), world.count("Down")), (1, 1));
    assert_eq!(world.count("Start"), 5, "it is tried again, slowly");
    (world.process, world.beats) = (Presence::Alive, true);
    world.lease.identity.pid += 1;
    assert!(matches!(world.looks(119), Verdict::Works { .. }));
    assert_eq!(world.count("Resolved"), 0, "it has to settle first");
    world.looks(10_000);
    assert_eq!((world.count("Resolved"), world.count("Down")), (1, 1));
}

#[test]
fn one_that_dies_again_and_again_uses_up_the_hour_and_is_paged() {
    let mut world = world();
    for _ in 0..40 {
        world.looks(10);
        world.process = Presence::Gone;
        world.looks(3);
    }
    assert_eq!(world.count("Start"), 10);
    assert_eq!(world.count("Down"), 1);
    assert!(world.done.iter().any(|action| matches!(action,
        Action::Page { reason, .. } if reason.contains("used up"))));
}

#[test]
fn one_that_dies_for_ever_is_two_pages_an_hour_at_most() {
    let mut world = world();
    for _ in 0..6 * 120 {
        world.looks(27);
        world.process = Presence::Gone;
        world.looks(3);
    }
    assert_eq!(world.count("StoodDown"), 0);
    let pages = world.count("Down") + world.count("StillDown") + world.count("Resolved");
    assert!(pages <= 2 * 6 + 1, "{pages} pages in six hours");
    assert!(world.count("StillDown") >= 6, "and it is not forgotten");
}

#[test]
fn one_that_was_started_and_hangs_before_its_first_lease_makes_room_for_the_next() {
    let mut world = world();
    world.look();
    world.process = Presence::Gone;
    world.starts = false;
    world.looks(2);
    let launched = Identity { pid: 77, started: "7".to_owned() };
    world.switch.on_launched(launched.clone());
    world.launched = Presence::Alive;
    world.looks(40);
    let kills: Vec<_> =
        world.done.iter().filter(|action| matches!(action, Action::Kill(_))).collect();
    assert_eq!(kills, [&Action::Kill(launched)]);
    assert_eq!(world.count("Start"), 2);
}

#[test]
fn who_did_not_look_for_long_does_not_judge() {
    let mut world = world();
    world.looks(3);
    world.beats = false;
    world.looks(10);
    world.pass(Duration::from_hours(1));
    assert!(matches!(world.looks(30), Verdict::Works { .. }));
    assert_eq!(world.count("stood-still"), 1);
    world.looks(3);
    assert_eq!(world.count("Kill"), 1);
}

#[test]
fn a_night_of_sleep_is_nobodys_silence() {
    let mut world = world();
    world.look();
    world.beats = false;
    world.looks(25);
    world.sleep(Duration::from_hours(8));
    assert!(matches!(world.looks(30), Verdict::Works { .. }), "it has a whole term again");
    assert_eq!(world.count("woke"), 1);
    world.looks(3);
    assert_eq!(world.count("Kill"), 1, "and no more than that");
}

#[test]
fn a_castellan_that_was_up_before_the_machine_was_started_anew_is_started() {
    let mut world = world();
    (world.boot, world.process) = (Boot::Earlier, Presence::Unknown);
    world.looks(2);
    assert_eq!(world.words(), ["not-started", "Capture", "Thaw", "Start"]);
    let mut quiet = World::new(Limits { start_after_boot: false, ..Limits::default() });
    quiet.boot = Boot::Earlier;
    assert_eq!(quiet.looks(100), Verdict::Quiet(Quiet::NotStarted));
    assert_eq!(quiet.count("Start"), 0);
    let mut ended = self::world();
    (ended.boot, ended.lease.state) = (Boot::Earlier, State::Ended);
    assert_eq!(ended.looks(100), Verdict::Quiet(Quiet::Ended));
}

#[test]
fn a_torn_lease_is_unknown_and_a_lasting_one_is_judged_by_the_last_whole_one() {
    let mut world = world();
    world.look();
    world.reading = Some(Reading::Torn("it has no end".to_owned()));
    assert!(matches!(world.looks(30), Verdict::Unknown(_)));
    world.reading = None;
    assert!(matches!(world.looks(2), Verdict::Works { .. }));
    world.reading = Some(Reading::Torn("it has no end".to_owned()));
    world.process = Presence::Gone;
    assert!(matches!(world.looks(30), Verdict::Unknown(_)));
    world.looks(4);
    assert_eq!((world.count("dead"), world.count("Start")), (1, 1));
}

#[test]
fn what_was_never_understood_is_paged_and_never_touched() {
    for reading in [Reading::Torn("x".to_owned()), Reading::Foreign("version 2".to_owned())] {
        let mut world = world();
        world.reading = Some(reading);
        world.process = Presence::Gone;
        world.looks(2000);
        assert_eq!(world.count("Start") + world.count("Kill"), 0);
        assert_eq!((world.count("Down"), world.count("StillDown")), (1, 1));
        world.reading = None;
        world.process = Presence::Alive;
        world.looks(125);
        assert_eq!(world.count("Resolved"), 1);
    }
}

#[test]
fn a_loop_that_does_not_move_and_a_castellan_without_children_are_faults() {
    let mut world = world();
    world.look();
    world.lease.loop_age = Duration::from_secs(61);
    world.looks(2);
    assert_eq!(world.count("stuck"), 1);
    world.looks(3);
    world.lease.children = 0;
    world.looks(120);
    assert_eq!(world.count("childless"), 0, "it has a while");
    world.looks(3);
    assert_eq!((world.count("childless"), world.count("Kill")), (1, 2));
    let mut idle = self::world();
    (idle.lease.children, idle.lease.wanted) = (0, 0);
    assert!(matches!(idle.looks(1000), Verdict::Works { .. }), "it means to have none");
}

#[test]
fn a_full_disk_is_said_and_not_taken_for_a_dead_castellan() {
    let mut world = world();
    world.look();
    world.beats = false;
    world.disk_fault = Some("no space left".to_owned());
    world.looks(40);
    assert_eq!((world.count("Kill"), world.count("Down")), (0, 1));
    world.beats = true;
    world.looks(125);
    assert_eq!(world.count("Resolved"), 1);
}

#[test]
fn told_not_to_act_it_only_pages() {
    let mut world = World::new(Limits { act: false, ..Limits::default() });
    world.look();
    world.process = Presence::Gone;
    world.looks(100);
    assert_eq!((world.count("Start"), world.count("Down")), (0, 1));
}

#[test]
fn the_next_deadman_knows_of_the_page_and_of_the_budget() {
    let mut world = world();
    world.look();
    world.process = Presence::Gone;
    world.starts = false;
    world.looks(100);
    let durable = world.switch.durable().clone();
    assert_eq!((durable.restarts.len(), durable.incident.is_some()), (2, true));
    world.switch = Switch::new(Limits::default(), durable, world.time.awake);
    world.looks(60);
    assert_eq!((world.count("Start"), world.count("Down")), (2, 1));
    (world.process, world.beats) = (Presence::Alive, true);
    world.looks(125);
    assert_eq!(world.count("Resolved"), 1);
}

#[test]
fn a_glance_goes_by_the_moment_the_lease_was_written() {
    let Reading::Lease(lease) = crate::lease::parse(WHOLE) else { panic!("it is whole") };
    let glance = |age: u64, process| {
        let uptime = lease.at + Duration::from_secs(age);
        let look = Look {
            time: Time { awake: Duration::ZERO, uptime, wall_ms: 0 },
            reading: Reading::Lease(lease.clone()),
            process,
            launched: Presence::Gone,
            boot: Boot::This,
            disk_fault: None,
        };
        Switch::glance(Limits::default(), &look)
    };
    assert!(matches!(glance(20, Presence::Alive), Verdict::Works { .. }));
    assert!(matches!(glance(31, Presence::Alive), Verdict::Fault(Fault::Silent, _)));
    assert!(matches!(glance(1, Presence::Gone), Verdict::Fault(Fault::Dead, _)));
}

/// A small generator of random numbers, so that no crate is needed for it.
struct Dice(u64);

impl Dice {
    fn below(&mut self, sides: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % sides
    }
}

/// What holds whatever happens: nothing is started while castellan may be alive, nothing is done
/// to one that works, restarts stay in their budget, and pages come in their order.
#[test]
fn whatever_happens_no_second_castellan_is_started_and_pages_are_in_order() {
    for seed in 1..400 {
        let mut dice = Dice(0x9e37_79b9_7f4a_7c15 ^ seed);
        let mut world = world();
        let mut paged = false;
        let mut starts: Vec<Duration> = Vec::new();
        for _ in 0..400 {
            happen(&mut world, &mut dice);
            let (before, process) = (world.done.len(), world.process);
            let was_of_this_boot = world.boot == Boot::This;
            let verdict = world.look();
            let new = &world.done[before..];
            let killed = new.iter().any(|action| matches!(action, Action::Kill(_)));
            for action in new {
                match action {
                    Action::Start(_) => {
                        let dead = killed || process == Presence::Gone || !was_of_this_boot;
                        assert!(dead, "seed {seed}: started beside a living one");
                        starts.push(world.time.uptime);
                    }
                    Action::Kill(_) => assert!(!matches!(verdict, Verdict::Works { .. })),
                    Action::Page { news: News::Down, .. } => {
                        assert!(!std::mem::replace(&mut paged, true), "seed {seed}: paged twice");
                    }
                    Action::Page { news: News::StillDown, .. } => assert!(paged, "seed {seed}"),
                    Action::Page { news: News::Resolved | News::StoodDown, .. } => {
                        assert!(std::mem::replace(&mut paged, false), "seed {seed}: from nothing");
                    }
                    Action::Journal { .. } | Action::Capture { .. } | Action::Thaw => {}
                }
            }
            let hour = world.time.uptime.saturating_sub(BUDGET_INTERVAL);
            assert!(starts.iter().filter(|at| **at > hour).count() <= 10, "seed {seed}");
        }
    }
}

fn happen(world: &mut World, dice: &mut Dice) {
    let time = Duration::from_millis(dice.below(16_000));
    world.pass(time);
    match dice.below(24) {
        0 => world.process = Presence::Gone,
        1 => world.beats = false,
        2 => (world.process, world.beats) = (Presence::Alive, true),
        3 => world.reading = Some(Reading::Absent),
        4 => world.reading = Some(Reading::Torn("torn".to_owned())),
        5 => world.reading = Some(Reading::Foreign("foreign".to_owned())),
        6 | 7 => world.reading = None,
        8 => world.sleep(Duration::from_secs(dice.below(100_000))),
        9 => world.lease.state = State::Ended,
        10 | 11 => world.lease.state = State::Keeping,
        12 => world.lease.state = State::HandingOver,
        13 => world.starts = dice.below(2) == 0,
        14 => world.lease.children = dice.below(2),
        15 => world.lease.loop_age = Duration::from_secs(dice.below(120)),
        16 => world.disk_fault = (dice.below(2) == 0).then(|| "full".to_owned()),
        17 => (world.boot, world.process) = (Boot::Earlier, Presence::Gone),
        18 => world.lease.identity.pid += 1,
        _ => {}
    }
}
