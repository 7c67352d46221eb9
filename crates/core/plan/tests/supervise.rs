//! The promises of supervision, held against any story that may be told.

#![expect(clippy::unwrap_used, reason = "a test panics where it cannot go on")]
use std::collections::BTreeSet;
use std::time::Duration;

use proptest::prelude::*;
use sanctum_model::{
    Command, Component, ExitCodes, Keeper, Life, Memory, Moment, Plane, Probe, Readiness, Restart,
    Watch,
};
use sanctum_plan::supervise::{
    Effect, Event, Exit, Fleet, Kind, Looks, Movement, Needs, Order, Patience, Phase, Recent, Seen,
};

fn component(name: &str, needs: &[&str]) -> Component {
    Component {
        name: name.parse().unwrap(),
        purpose: String::new(),
        plane: Plane::Host,
        keeper: Keeper::Own,
        command: Command::new(name),
        life: Life::Always,
        exit_codes: ExitCodes::default(),
        needs: needs.iter().map(|need| need.parse().unwrap()).collect(),
        ports: Vec::new(),
        readiness: Readiness {
            watch: Watch {
                timeout: Duration::from_secs(1),
                interval_ready: Duration::from_secs(5),
                start_max: Duration::from_secs(30),
                start_limit: Duration::from_mins(2),
                misses_max: 3,
                misses_of: 3,
                unhealthy_max: Duration::from_secs(10),
            },
            probe: Probe::Alive,
            interval_starting: Duration::from_millis(500),
        },
        restart: Restart::default(),
        stop_max: Duration::from_secs(10),
        memory: Memory::default(),
        log_bytes_max: 1 << 20,
        files: Vec::new(),
    }
}

const CRASH: Exit = Exit::Code(1);

fn patience() -> Patience {
    Patience::from(&component("x", &[]))
}

fn any_patience() -> impl Strategy<Value = Patience> {
    let kinds = [Kind::Always, Kind::UntilSuccess, Kind::Never, Kind::Once, Kind::Scheduled];
    let told = |seconds| Looks::Told { watchdog: Duration::from_secs(seconds) };
    let looks = [Looks::Alive, Looks::Outside, told(0), told(5)];
    (prop::sample::select(kinds.to_vec()), prop::sample::select(looks.to_vec()))
        .prop_map(|(kind, looks)| Patience { kind, looks, ..patience() })
}

fn at(seconds: u64) -> Moment {
    Moment::at(Duration::from_secs(seconds))
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        Just(Event::Start),
        Just(Event::Stop),
        Just(Event::Restart),
        Just(Event::Adopted),
        Just(Event::SpawnFailed),
        Just(Event::Ending),
        Just(Event::Refused),
        Just(Event::Leaving),
        Just(Event::Gone(CRASH)),
        Just(Event::Gone(Exit::Code(0))),
        Just(Event::Gone(Exit::Code(78))),
        Just(Event::Gone(Exit::Signal)),
        Just(Event::Gone(Exit::Unknown)),
        Just(Event::Looked(Seen::Unknown)),
        (0u64..100).prop_map(|seconds| Event::Extend(Duration::from_secs(seconds))),
        Just(Event::Judged(Movement::Some)),
        Just(Event::Judged(Movement::None)),
        (0u64..1000).prop_map(|seconds| Event::Due(Moment::at(Duration::from_secs(seconds)))),
        Just(Event::Woke),
        Just(Event::Looked(Seen::Good)),
        Just(Event::Looked(Seen::Bad)),
        Just(Event::Tick),
    ]
}

fn needs() -> impl Strategy<Value = Needs> {
    prop_oneof![3 => Just(Needs::Met), 1 => Just(Needs::Lost)]
}

proptest! {
    #[test]
    fn no_second_child_is_spawned_while_one_may_be_alive(
        patience in any_patience(),
        script in prop::collection::vec((event(), needs(), 0u64..200), 0..200),
    ) {
        let (mut phase, mut now) = (Phase::Stopped, Moment::default());
        for (event, needs, seconds) in script {
            now = now + Duration::from_secs(seconds);
            let ended = matches!(event, Event::Gone(_) | Event::SpawnFailed | Event::Refused);
            let had_child = phase.has_child() && !ended;
            let (next, effect) = phase.on(event, needs, &patience, now);
            prop_assert!(!(had_child && effect == Some(Effect::Spawn)), "{phase:?} {event:?}");
            prop_assert!(effect != Some(Effect::Spawn) || next.has_child(), "{phase:?} {event:?}");
            phase = next;
        }
    }

    #[test]
    fn a_spawn_needs_its_needs(
        patience in any_patience(),
        script in prop::collection::vec((event(), needs(), 0u64..200), 0..200),
    ) {
        let (mut phase, mut now) = (Phase::Stopped, Moment::default());
        for (event, needs, seconds) in script {
            now = now + Duration::from_secs(seconds);
            let (next, effect) = phase.on(event, needs, &patience, now);
            prop_assert!(!(needs == Needs::Lost && effect == Some(Effect::Spawn)));
            phase = next;
        }
    }

    #[test]
    fn a_wanted_component_always_has_a_next_deadline_or_waits_for_a_need_or_a_look(
        patience in any_patience(),
        script in prop::collection::vec((event(), needs(), 0u64..200), 0..200),
    ) {
        let (mut phase, mut now) = (Phase::Stopped, Moment::default());
        for (event, needs, seconds) in script {
            now = now + Duration::from_secs(seconds);
            phase = phase.on(event, needs, &patience, now).0;
            let looking = matches!(phase, Phase::Ready { look_at: None, .. });
            let asked = matches!(phase, Phase::Scheduled { run_at: None, .. });
            let ended = matches!(phase, Phase::Done | Phase::GivenUp { retry_at: None, .. });
            let idle = matches!(phase, Phase::Stopped | Phase::Waiting { .. });
            prop_assert!(phase.deadline().is_some() || looking || asked || ended || idle, "{phase:?}");
        }
    }

    /// Any sequence of deaths, looks and orders over a chain with a side branch.
    #[test]
    fn in_a_fleet_nothing_starts_before_its_needs_and_nothing_stops_before_what_needs_it(
        script in prop::collection::vec((0usize..5, 0u8..8, 0u64..90), 0..200),
    ) {
        let mut fleet = fleet();
        let mut now = Moment::default();
        let mut alive = BTreeSet::new();
        for (index, what, seconds) in script {
            now = now + Duration::from_secs(seconds);
            let effects = match what {
                0 => fleet.order_all(Order::Up, now),
                1 => fleet.order_all(Order::Down, now),
                2 if alive.remove(&index) => fleet.on(index, Event::Gone(CRASH), now),
                3 => fleet.on(index, Event::Looked(Seen::Good), now),
                4 => fleet.on(index, Event::Looked(Seen::Bad), now),
                5 => fleet.order(index, Order::Down, now),
                6 if alive.contains(&index) => fleet.on(index, Event::Ending, now),
                _ => fleet.tick(now),
            };
            for (member, effect) in effects {
                match effect {
                    Effect::Spawn => prop_assert!(alive.insert(member), "a second child of {member}"),
                    Effect::Schedule => {}
                    Effect::Terminate | Effect::Kill | Effect::Look | Effect::Judge => {
                        prop_assert!(alive.contains(&member), "{effect:?} for the absent {member}");
                    }
                }
            }
            for (index, member) in fleet.members().iter().enumerate() {
                prop_assert_eq!(member.phase().has_child(), alive.contains(&index));
            }
        }
    }
}

fn fleet() -> Fleet {
    Fleet::new(&[
        component("openclaw", &["umbilical"]),
        component("umbilical", &["guest", "proxyd"]),
        component("guest", &[]),
        component("proxyd", &["seat"]),
        component("seat", &[]),
    ])
}

fn name(fleet: &Fleet, index: usize) -> String {
    fleet.members()[index].name().to_string()
}

fn named(fleet: &Fleet, effects: &[(usize, Effect)]) -> Vec<(String, Effect)> {
    effects.iter().map(|&(index, effect)| (name(fleet, index), effect)).collect()
}

fn position(fleet: &Fleet, name: &str) -> usize {
    fleet.position(&name.parse().unwrap()).unwrap()
}

/// Brings everything up and says in which order it was started.
fn bring_up(fleet: &mut Fleet, mut now: Moment) -> Vec<String> {
    let mut started = Vec::new();
    let mut effects = fleet.order_all(Order::Up, now);
    while !effects.is_empty() {
        let mut next = Vec::new();
        for (index, effect) in effects {
            assert_eq!(effect, Effect::Spawn);
            started.push(name(fleet, index));
            now = now + Duration::from_secs(1);
            next.extend(fleet.on(index, Event::Looked(Seen::Good), now));
        }
        effects = next;
    }
    started
}

#[test]
fn each_starts_after_what_it_needs_is_ready() {
    let mut fleet = fleet();
    assert_eq!(bring_up(&mut fleet, at(0)), ["guest", "seat", "proxyd", "umbilical", "openclaw"]);
    assert!(fleet.members().iter().all(|member| member.phase().is_ready()));
}

#[test]
fn all_stop_in_the_reverse_order() {
    let mut fleet = fleet();
    bring_up(&mut fleet, at(0));
    let mut stopped = Vec::new();
    let mut effects = fleet.order_all(Order::Down, at(10));
    while !effects.is_empty() {
        let mut next = Vec::new();
        for (index, effect) in effects {
            assert_eq!(effect, Effect::Terminate);
            stopped.push(name(&fleet, index));
            next.extend(fleet.on(index, Event::Gone(CRASH), at(11)));
        }
        effects = next;
    }
    assert_eq!(stopped, ["openclaw", "umbilical", "guest", "proxyd", "seat"]);
    assert!(fleet.is_down());
}

#[test]
fn what_falls_with_its_need_waits_for_it_and_is_not_blamed() {
    let mut fleet = fleet();
    bring_up(&mut fleet, at(0));
    let (guest, umbilical, openclaw) =
        (position(&fleet, "guest"), position(&fleet, "umbilical"), position(&fleet, "openclaw"));
    let effects = fleet.on(guest, Event::Gone(CRASH), at(100));
    assert_eq!(named(&fleet, &effects), [("guest".to_owned(), Effect::Spawn)]);
    fleet.on(umbilical, Event::Gone(CRASH), at(100));
    fleet.on(openclaw, Event::Gone(CRASH), at(100));
    assert!(matches!(fleet.members()[umbilical].phase(), Phase::Waiting { crashes: 0 }));
    assert!(matches!(fleet.members()[openclaw].phase(), Phase::Waiting { crashes: 0 }));
    assert_eq!(fleet.chain(openclaw), [umbilical, guest]);
    assert_eq!(fleet.root_cause(openclaw), Some(guest));
    let effects = fleet.on(guest, Event::Looked(Seen::Good), at(130));
    assert_eq!(named(&fleet, &effects), [("umbilical".to_owned(), Effect::Spawn)]);
    let effects = fleet.on(umbilical, Event::Looked(Seen::Good), at(131));
    assert_eq!(named(&fleet, &effects), [("openclaw".to_owned(), Effect::Spawn)]);
}

#[test]
fn what_falls_while_its_need_is_still_being_cleared_away_is_not_blamed() {
    let mut fleet = fleet();
    bring_up(&mut fleet, at(0));
    let (guest, umbilical) = (position(&fleet, "guest"), position(&fleet, "umbilical"));
    assert_eq!(fleet.on(guest, Event::Ending, at(7)), [(guest, Effect::Kill)]);
    fleet.on(umbilical, Event::Gone(CRASH), at(7));
    assert!(matches!(fleet.members()[umbilical].phase(), Phase::Waiting { crashes: 0 }));
    assert_eq!(fleet.root_cause(umbilical), Some(guest));
    fleet.on(guest, Event::Gone(CRASH), at(7));
    let crashes = [guest, umbilical].map(|index| fleet.members()[index].crashes_total());
    assert_eq!(crashes, [1, 0]);
}

#[test]
fn a_component_that_keeps_crashing_is_given_up_and_retried_slowly() {
    let patience = patience();
    let mut now = at(0);
    let (mut phase, _) = Phase::Stopped.on(Event::Start, Needs::Met, &patience, now);
    let (mut waits, mut starts) = (Vec::new(), Vec::new());
    loop {
        starts.push(now);
        let (next, effect) = phase.on(Event::Gone(CRASH), Needs::Met, &patience, now);
        phase = next;
        if effect == Some(Effect::Spawn) {
            waits.push(Duration::ZERO);
            continue;
        }
        let retry_at = phase.next_try().unwrap();
        waits.push(retry_at - now);
        if matches!(phase, Phase::GivenUp { .. }) {
            break;
        }
        now = retry_at;
        let (next, effect) = phase.on(Event::Tick, Needs::Met, &patience, now);
        assert_eq!(effect, Some(Effect::Spawn));
        phase = next;
    }
    let minute = 60_000;
    let meant = [0, 500, 1000, 2000, 4000, 8000, 16000, 32000, minute, minute, 10 * minute];
    assert_eq!(waits.len(), meant.len());
    for (wait, meant) in waits.iter().zip(meant) {
        let (least, most) = (meant * 3 / 4, meant * 5 / 4);
        assert!((least..=most).contains(&wait.as_millis()), "{waits:?}");
    }
    let first_minutes = starts.iter().filter(|start| **start < at(300)).count();
    assert!(first_minutes <= 12, "{first_minutes} starts in the first five minutes");
    let (next, effect) = phase.on(Event::Tick, Needs::Met, &patience, phase.next_try().unwrap());
    assert_eq!(effect, Some(Effect::Spawn), "it is retried for ever");
    assert!(matches!(next, Phase::Starting { crashes: 11, .. }));
}

#[test]
fn the_same_crash_of_two_components_is_not_tried_again_at_the_same_moment() {
    let retry = |name: &str| {
        let patience = Patience::from(&component(name, &[]));
        let ready = Phase::Starting { since: at(0), look_at: None, judge_at: at(30), crashes: 5 };
        ready.on(Event::Gone(CRASH), Needs::Met, &patience, at(1)).0.next_try().unwrap()
    };
    assert_ne!(retry("proxyd"), retry("guest"));
}

#[test]
fn a_long_run_forgets_earlier_crashes() {
    let patience = patience();
    let ready = Phase::Ready { since: at(0), look_at: None, recent: Recent::default(), crashes: 5 };
    let (early, _) = ready.on(Event::Gone(CRASH), Needs::Met, &patience, at(59));
    let (late, _) = ready.on(Event::Gone(CRASH), Needs::Met, &patience, at(60));
    assert!(matches!(early, Phase::BackingOff { crashes: 6, .. }));
    assert!(matches!(late, Phase::Starting { crashes: 1, .. }), "restarted at once");
}

#[test]
fn a_child_that_ignores_sigterm_is_killed_when_the_grace_is_over() {
    let patience = patience();
    let ready = Phase::Ready { since: at(0), look_at: None, recent: Recent::default(), crashes: 0 };
    let (phase, effect) = ready.on(Event::Stop, Needs::Met, &patience, at(5));
    assert_eq!(effect, Some(Effect::Terminate));
    assert_eq!(phase.deadline(), Some(at(15)));
    assert_eq!(phase.on(Event::Tick, Needs::Met, &patience, at(14)).1, None);
    let (phase, effect) = phase.on(Event::Tick, Needs::Met, &patience, at(15));
    assert_eq!(effect, Some(Effect::Kill));
    assert_eq!(phase.on(Event::Gone(CRASH), Needs::Met, &patience, at(15)).0, Phase::Stopped);
}

#[test]
fn one_missed_look_is_not_an_illness_and_three_are() {
    let patience = patience();
    let mut phase =
        Phase::Ready { since: at(0), look_at: None, recent: Recent::default(), crashes: 0 };
    for second in 1..3 {
        phase = phase.on(Event::Looked(Seen::Bad), Needs::Met, &patience, at(second)).0;
        assert!(phase.is_ready());
    }
    phase = phase.on(Event::Looked(Seen::Bad), Needs::Met, &patience, at(3)).0;
    assert!(matches!(phase, Phase::Unhealthy { .. }));
    let (phase, effect) = phase.on(Event::Tick, Needs::Met, &patience, at(13));
    assert_eq!(effect, Some(Effect::Terminate));
    assert!(matches!(phase, Phase::Stopping { .. }));
}

#[test]
fn an_unhealthy_casualty_is_left_alone() {
    let patience = patience();
    let phase = Phase::Unhealthy { since: at(0), look_at: None, restart_at: at(10), crashes: 0 };
    let (phase, effect) = phase.on(Event::Tick, Needs::Lost, &patience, at(10));
    assert_eq!(effect, None);
    assert!(matches!(phase, Phase::Unhealthy { .. }));
}

#[test]
fn a_slow_start_is_given_time_as_long_as_something_moves_and_no_longer_than_its_limit() {
    let patience = patience();
    let (mut phase, _) = Phase::Stopped.on(Event::Start, Needs::Met, &patience, at(0));
    let mut judged = Vec::new();
    loop {
        phase = phase.on(Event::Looked(Seen::Bad), Needs::Met, &patience, at(0)).0;
        let Phase::Starting { judge_at, .. } = phase else { break };
        let (next, effect) = phase.on(Event::Tick, Needs::Met, &patience, judge_at);
        phase = next;
        if effect == Some(Effect::Judge) {
            judged.push(judge_at);
            phase = phase.on(Event::Judged(Movement::Some), Needs::Met, &patience, judge_at).0;
        } else {
            assert_eq!((effect, judge_at), (Some(Effect::Terminate), at(120)));
        }
    }
    assert_eq!(judged, [at(30), at(60), at(90)]);
}

#[test]
fn a_start_in_which_nothing_moves_is_hung() {
    let patience = patience();
    let (phase, _) = Phase::Stopped.on(Event::Start, Needs::Met, &patience, at(0));
    let (phase, effect) = phase.on(Event::Tick, Needs::Met, &patience, at(30));
    assert_eq!(effect, Some(Effect::Judge));
    let (phase, effect) = phase.on(Event::Judged(Movement::None), Needs::Met, &patience, at(30));
    assert_eq!(effect, Some(Effect::Terminate));
    let (phase, _) = phase.on(Event::Gone(Exit::Signal), Needs::Met, &patience, at(31));
    assert_eq!(phase.crashes(), 1);
}

#[test]
fn what_asks_for_more_time_gets_it_up_to_a_limit() {
    let patience = patience();
    let more = Event::Extend(Duration::from_secs(50));
    let (phase, _) = Phase::Stopped.on(Event::Start, Needs::Met, &patience, at(0));
    let deadline = |phase: Phase, now| {
        let (next, _) = phase.on(more, Needs::Met, &patience, now);
        let Phase::Starting { judge_at, .. } = next else { return next.deadline().unwrap() };
        judge_at
    };
    assert_eq!(deadline(phase, at(10)), at(60));
    assert_eq!(deadline(phase, at(110)), at(120), "the limit of a start");
    let (stopping, _) = phase.on(Event::Stop, Needs::Met, &patience, at(20));
    assert_eq!(deadline(stopping, at(21)), at(71));
    assert_eq!(deadline(stopping, at(100)), at(120), "ten times its grace");
}

#[test]
fn a_clean_end_and_a_fatal_one_are_read_by_the_life_it_leads() {
    let running =
        Phase::Ready { since: at(0), look_at: None, recent: Recent::default(), crashes: 0 };
    let end = |kind, code| {
        let patience = Patience { kind, ..patience() };
        running.on(Event::Gone(Exit::Code(code)), Needs::Met, &patience, at(1)).0
    };
    for kind in [Kind::UntilSuccess, Kind::Never, Kind::Once] {
        assert_eq!(end(kind, 0), Phase::Done, "{kind:?}");
    }
    assert!(matches!(end(Kind::Always, 0), Phase::Starting { .. }));
    assert!(matches!(end(Kind::Scheduled, 0), Phase::Scheduled { crashes: 0, .. }));
    assert!(matches!(end(Kind::Scheduled, 1), Phase::Scheduled { crashes: 1, .. }));
    assert!(matches!(end(Kind::Never, 1), Phase::GivenUp { retry_at: None, .. }));
    for kind in [Kind::Always, Kind::UntilSuccess, Kind::Once] {
        let given_up = Phase::GivenUp { retry_at: None, crashes: 1 };
        assert_eq!(end(kind, 78), given_up, "another start is of no use for {kind:?}");
        assert!(matches!(end(kind, 1), Phase::Starting { crashes: 1, .. }));
    }
}

#[test]
fn clean_ends_at_once_again_and_again_are_backed_off_too_but_are_no_crashes() {
    let mut fleet = Fleet::new(&[component("x", &[])]);
    let mut now = at(0);
    fleet.order_all(Order::Up, now);
    for _ in 0..11 {
        fleet.on(0, Event::Gone(Exit::Code(0)), now);
        now = fleet.deadline().unwrap().max(now);
        fleet.tick(now);
    }
    assert!(fleet.members()[0].phase().crashes() >= 11);
    assert!(now - at(0) > Duration::from_mins(1), "no storm");
    assert_eq!(fleet.members()[0].crashes_total(), 0);
}

#[test]
fn a_task_is_run_when_it_is_due_and_asked_for_its_next_run_when_it_has_ended() {
    let mut task = component("sweep", &[]);
    task.life = Life::Every(Duration::from_mins(10));
    let mut fleet = Fleet::new(&[task]);
    assert_eq!(fleet.order_all(Order::Up, at(0)), [(0, Effect::Schedule)]);
    assert_eq!(fleet.on(0, Event::Due(at(60)), at(0)), []);
    assert_eq!(fleet.deadline(), Some(at(60)));
    assert_eq!(fleet.tick(at(60)), [(0, Effect::Spawn)]);
    assert_eq!(fleet.on(0, Event::Gone(Exit::Code(0)), at(61)), [(0, Effect::Schedule)]);
    assert!(fleet.members()[0].phase().is_ready());
}

#[test]
fn what_there_is_no_room_for_is_tried_again_when_something_ends() {
    let mut fleet = Fleet::new(&[component("big", &[]), component("other", &[])]);
    fleet.order_all(Order::Up, at(0));
    fleet.on(0, Event::Refused, at(0));
    assert_eq!(fleet.members()[0].phase(), Phase::Refused { retry_at: at(5), crashes: 0 });
    let effects = fleet.on(1, Event::Gone(Exit::Code(0)), at(4));
    assert!(effects.contains(&(0, Effect::Spawn)), "{effects:?}");
    assert_eq!(fleet.members()[0].crashes_total(), 0);
}

#[test]
fn after_a_sleep_what_was_missed_before_it_is_forgotten() {
    let patience = patience();
    let mut phase =
        Phase::Ready { since: at(0), look_at: Some(at(9)), recent: Recent::default(), crashes: 0 };
    for second in [1, 2] {
        phase = phase.on(Event::Looked(Seen::Bad), Needs::Met, &patience, at(second)).0;
    }
    phase = phase.on(Event::Woke, Needs::Met, &patience, at(30_000)).0;
    assert_eq!(phase.deadline(), Some(at(30_000)), "looked at anew, at once");
    phase = phase.on(Event::Looked(Seen::Bad), Needs::Met, &patience, at(30_001)).0;
    assert!(phase.is_ready());
}

#[test]
fn a_look_that_could_not_be_taken_says_nothing() {
    let patience = patience();
    let mut phase =
        Phase::Ready { since: at(0), look_at: None, recent: Recent::default(), crashes: 0 };
    for second in 1..20 {
        phase = phase.on(Event::Looked(Seen::Unknown), Needs::Met, &patience, at(second)).0;
        assert!(phase.is_ready());
    }
}

#[test]
fn a_changed_manifest_touches_what_differs_and_waits_for_what_it_removes() {
    let mut fleet = fleet();
    bring_up(&mut fleet, at(0));
    let seat = position(&fleet, "seat");
    let changed = [
        component("guest", &[]),
        component("proxyd", &["seat-b"]),
        component("umbilical", &["guest", "proxyd"]),
        component("openclaw", &["umbilical"]),
        component("seat-b", &[]),
    ];
    let effects = fleet.replan(&changed, at(10));
    assert_eq!(effects, [(seat, Effect::Terminate)], "nothing starts while the old one runs");
    let new = position(&fleet, "seat-b");
    let effects = fleet.on(seat, Event::Gone(Exit::Code(0)), at(11));
    assert_eq!(effects, [(new, Effect::Spawn)]);
    assert!(fleet.members()[seat].is_vacant());
    let names: Vec<String> = fleet.sequence().map(|index| name(&fleet, index)).collect();
    assert_eq!(names, ["guest", "seat-b", "proxyd", "umbilical", "openclaw"]);
    fleet.replan(&[component("late", &[])], at(12));
    assert_eq!(position(&fleet, "late"), seat, "its place is taken again");
}

#[test]
fn two_hundred_casualties_of_one_have_one_root() {
    let mut all = vec![component("guest", &[])];
    let names: Vec<String> = (0..200).map(|number| format!("c{number}")).collect();
    all.extend(names.iter().map(|name| component(name, &["guest"])));
    let mut fleet = Fleet::new(&all);
    bring_up(&mut fleet, at(0));
    let guest = position(&fleet, "guest");
    fleet.on(guest, Event::Gone(Exit::Code(78)), at(100));
    let casualties = (0..201).filter(|index| fleet.root_cause(*index) == Some(guest)).count();
    assert_eq!(casualties, 200);
    assert_eq!(fleet.root_cause(guest), None);
}
