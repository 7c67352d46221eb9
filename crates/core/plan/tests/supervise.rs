//! The promises of supervision, held against any story that may be told.

#![expect(clippy::unwrap_used, reason = "a test panics where it cannot go on")]
use std::collections::BTreeSet;
use std::time::Duration;

use proptest::prelude::*;
use sanctum_model::{
    Command, Component, ExitCodes, Keeper, Life, Memory, Moment, Plane, Probe, Readiness, Restart,
};
use sanctum_plan::supervise::{Effect, Event, Fleet, Needs, Order, Patience, Phase, Seen};

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
            probe: Probe::Alive,
            timeout: Duration::from_secs(1),
            interval_starting: Duration::from_millis(500),
            interval_ready: Duration::from_secs(5),
            start_max: Duration::from_secs(30),
            start_limit: Duration::from_secs(120),
            misses_max: 3,
            misses_of: 3,
            unhealthy_max: Duration::from_secs(10),
        },
        restart: Restart::default(),
        stop_max: Duration::from_secs(10),
        memory: Memory::default(),
        log_bytes_max: 1 << 20,
        files: Vec::new(),
    }
}

fn patience() -> Patience {
    Patience::from(&component("x", &[]))
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
        Just(Event::Gone),
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
        script in prop::collection::vec((event(), needs(), 0u64..200), 0..200),
    ) {
        let (mut phase, mut now) = (Phase::Stopped, Moment::default());
        for (event, needs, seconds) in script {
            now = now + Duration::from_secs(seconds);
            let ended = matches!(event, Event::Gone | Event::SpawnFailed);
            let had_child = phase.has_child() && !ended;
            let (next, effect) = phase.on(event, needs, &patience(), now);
            prop_assert!(!(had_child && effect == Some(Effect::Spawn)), "{phase:?} {event:?}");
            prop_assert!(effect != Some(Effect::Spawn) || next.has_child(), "{phase:?} {event:?}");
            phase = next;
        }
    }

    #[test]
    fn a_spawn_needs_its_needs(
        script in prop::collection::vec((event(), needs(), 0u64..200), 0..200),
    ) {
        let (mut phase, mut now) = (Phase::Stopped, Moment::default());
        for (event, needs, seconds) in script {
            now = now + Duration::from_secs(seconds);
            let (next, effect) = phase.on(event, needs, &patience(), now);
            prop_assert!(!(needs == Needs::Lost && effect == Some(Effect::Spawn)));
            phase = next;
        }
    }

    #[test]
    fn a_wanted_component_always_has_a_next_deadline_or_waits_for_a_need_or_a_look(
        script in prop::collection::vec((event(), needs(), 0u64..200), 0..200),
    ) {
        let (mut phase, mut now) = (Phase::Stopped, Moment::default());
        for (event, needs, seconds) in script {
            now = now + Duration::from_secs(seconds);
            phase = phase.on(event, needs, &patience(), now).0;
            let looking = matches!(phase, Phase::Ready { look_at: None, .. });
            let idle = matches!(phase, Phase::Stopped | Phase::Waiting { .. });
            prop_assert!(phase.deadline().is_some() || looking || idle, "{phase:?}");
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
                2 if alive.remove(&index) => fleet.on(index, Event::Gone, now),
                3 => fleet.on(index, Event::Looked(Seen::Good), now),
                4 => fleet.on(index, Event::Looked(Seen::Bad), now),
                5 => fleet.order(index, Order::Down, now),
                6 if alive.contains(&index) => fleet.on(index, Event::Ending, now),
                _ => fleet.tick(now),
            };
            for (member, effect) in effects {
                match effect {
                    Effect::Spawn => prop_assert!(alive.insert(member), "a second child of {member}"),
                    Effect::Terminate | Effect::Kill | Effect::Look => {
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
            next.extend(fleet.on(index, Event::Gone, at(11)));
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
    fleet.on(guest, Event::Gone, at(100));
    fleet.on(umbilical, Event::Gone, at(100));
    fleet.on(openclaw, Event::Gone, at(100));
    assert!(matches!(fleet.members()[umbilical].phase(), Phase::Waiting { crashes: 0 }));
    assert!(matches!(fleet.members()[openclaw].phase(), Phase::Waiting { crashes: 0 }));
    assert_eq!(fleet.root_cause(openclaw), Some(guest));
    let mut effects = fleet.tick(at(100));
    effects.retain(|(_, effect)| *effect != Effect::Look);
    assert_eq!(named(&fleet, &effects), [("guest".to_owned(), Effect::Spawn)]);
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
    assert_eq!(fleet.on(guest, Event::Ending, at(7)), []);
    fleet.on(umbilical, Event::Gone, at(7));
    assert!(matches!(fleet.members()[umbilical].phase(), Phase::Waiting { crashes: 0 }));
    assert_eq!(fleet.root_cause(umbilical), Some(guest));
    fleet.on(guest, Event::Gone, at(7));
    let crashes = [guest, umbilical].map(|index| fleet.members()[index].crashes_total());
    assert_eq!(crashes, [1, 0]);
}

#[test]
fn a_component_that_keeps_crashing_is_given_up_and_retried_slowly() {
    let patience = patience();
    let mut now = at(0);
    let (mut phase, _) = Phase::Stopped.on(Event::Start, Needs::Met, &patience, now);
    let mut waits = Vec::new();
    loop {
        phase = phase.on(Event::Gone, Needs::Met, &patience, now).0;
        let retry_at = phase.deadline().unwrap();
        waits.push((retry_at - now).as_millis());
        if matches!(phase, Phase::GivenUp { .. }) {
            break;
        }
        now = retry_at;
        let (next, effect) = phase.on(Event::Tick, Needs::Met, &patience, now);
        assert_eq!(effect, Some(Effect::Spawn));
        phase = next;
    }
    let minute = 60_000;
    assert_eq!(waits, [0, 500, 1000, 2000, 4000, 8000, 16000, 32000, minute, minute, 10 * minute]);
}

#[test]
fn a_long_run_forgets_earlier_crashes() {
    let patience = patience();
    let ready = Phase::Ready { since: at(0), look_at: None, misses: 0, crashes: 5 };
    let (early, _) = ready.on(Event::Gone, Needs::Met, &patience, at(59));
    let (late, _) = ready.on(Event::Gone, Needs::Met, &patience, at(60));
    assert!(matches!(early, Phase::BackingOff { crashes: 6, .. }));
    assert!(matches!(late, Phase::BackingOff { crashes: 1, .. }));
}

#[test]
fn a_child_that_ignores_sigterm_is_killed_when_the_grace_is_over() {
    let patience = patience();
    let ready = Phase::Ready { since: at(0), look_at: None, misses: 0, crashes: 0 };
    let (phase, effect) = ready.on(Event::Stop, Needs::Met, &patience, at(5));
    assert_eq!(effect, Some(Effect::Terminate));
    assert_eq!(phase.deadline(), Some(at(15)));
    assert_eq!(phase.on(Event::Tick, Needs::Met, &patience, at(14)).1, None);
    let (phase, effect) = phase.on(Event::Tick, Needs::Met, &patience, at(15));
    assert_eq!(effect, Some(Effect::Kill));
    assert_eq!(phase.on(Event::Gone, Needs::Met, &patience, at(15)).0, Phase::Stopped);
}

#[test]
fn one_missed_look_is_not_an_illness_and_three_are() {
    let patience = patience();
    let mut phase = Phase::Ready { since: at(0), look_at: None, misses: 0, crashes: 0 };
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
