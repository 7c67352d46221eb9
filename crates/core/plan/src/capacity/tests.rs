//! Room for one more, and what is stopped when there is none.
use core::time::Duration;

use alloc::string::ToString as _;
use proptest::prelude::*;
use sanctum_model::Moment;

use super::*;

const GIB: u64 = 1 << 30;
const MIB: u64 = 1 << 20;

fn claim(name: &str, peak: u64, measured: u64, priority: u8, eviction: Eviction) -> Claim {
    let name = name.parse().unwrap();
    Claim { name, peak_bytes: peak, measured_bytes: measured, priority, eviction }
}

fn wanted(bytes: u64) -> Claim {
    claim("seat-a", bytes, 0, 50, Eviction::Spared)
}

const POOL: Pool = Pool { physical: 8 * GIB, reserved: GIB, safety: GIB };

#[test]
fn what_is_kept_back_follows_the_machine() {
    for (physical, pool) in [(GIB, 460 * MIB), (8 * GIB, 5734 * MIB), (16 * GIB, 11468 * MIB)] {
        assert_eq!(Pool::of(physical).bytes() / MIB, pool / MIB, "{physical}");
    }
    assert_eq!(Pool::of(256 * GIB).reserved, RESERVED_BYTES_MAX);
    assert_eq!(Pool::of(0).bytes(), 0);
}

#[test]
fn a_refusal_names_who_takes_the_room_and_who_could_give_it() {
    let running = [
        claim("x", 2 * GIB, GIB, 10, Eviction::Allowed),
        claim("y", GIB, 2 * GIB + 819 * MIB, 90, Eviction::Spared),
    ];
    assert_eq!(admit(POOL, &running, &wanted(GIB)), Ok(()));
    let refusal = admit(POOL, &running, &wanted(3 * GIB)).unwrap_err();
    assert_eq!(
        refusal.to_string(),
        "`seat-a` needs 3 GiB, 1.2 GiB are free of 6 GiB; stopping `x` (2 GiB) would make room"
    );
    assert_eq!(refusal.mend(), "sanctum stop x");
    let names: Vec<&str> = refusal.blockers.iter().map(|blocker| blocker.name.as_str()).collect();
    assert_eq!(names, ["y", "x"]);
}

#[test]
fn what_is_more_than_the_pool_can_never_fit() {
    let refusal = admit(POOL, &[], &wanted(7 * GIB)).unwrap_err();
    assert_eq!(
        refusal.to_string(),
        "`seat-a` needs 7 GiB, and components may take 6 GiB of this machine together: it can never fit"
    );
}

#[test]
fn several_are_named_when_one_is_not_enough_and_none_in_vain() {
    let running = [
        claim("small", GIB / 4, 0, 1, Eviction::Allowed),
        claim("a", 2 * GIB, 0, 10, Eviction::Allowed),
        claim("b", 3 * GIB, 0, 20, Eviction::Allowed),
    ];
    let refusal = admit(POOL, &running, &wanted(5 * GIB)).unwrap_err();
    assert!(
        refusal.to_string().ends_with("stopping `a` (2 GiB) and `b` (3 GiB) would make room"),
        "{refusal}"
    );
}

#[test]
fn what_declares_nothing_or_runs_already_is_not_refused() {
    let full = [claim("seat-a", 5 * GIB, 5 * GIB, 50, Eviction::Spared)];
    assert_eq!(admit(POOL, &full, &wanted(5 * GIB)), Ok(()));
    let fuller = [claim("b", 9 * GIB, 0, 50, Eviction::Spared)];
    assert_eq!(admit(POOL, &fuller, &wanted(0)), Ok(()));
    assert!(admit(POOL, &fuller, &wanted(1)).is_err());
}

fn at(seconds: u64) -> Moment {
    Moment::at(Duration::from_secs(seconds))
}

/// Goes through looks; gives what was done besides nothing.
fn sheds(looks: &[(u64, Pressure)], running: &[Claim]) -> Vec<(u64, ShedStep)> {
    let mut shed = Shed::default();
    let mut done = Vec::new();
    for (seconds, pressure) in looks {
        let (next, step) = shed.on(*pressure, running, at(*seconds));
        shed = next;
        if step != ShedStep::Nothing {
            done.push((*seconds, step));
        }
    }
    done
}

fn two() -> [Claim; 4] {
    [
        claim("spared", 0, 9 * GIB, 0, Eviction::Spared),
        claim("small", 0, GIB, 10, Eviction::Allowed),
        claim("big", 0, 2 * GIB, 10, Eviction::Allowed),
        claim("worthy", 0, 5 * GIB, 11, Eviction::Allowed),
    ]
}

#[test]
fn the_least_worth_is_stopped_after_two_looks_and_no_more_if_it_does_not_help() {
    let looks: Vec<_> = (0..60).map(|index| (index * 5, Pressure::Pressed)).collect();
    let big: ComponentName = "big".parse().unwrap();
    assert_eq!(
        sheds(&looks, &two()),
        [(5, ShedStep::Stop(big.clone())), (25, ShedStep::SayInVain(big))]
    );
}

#[test]
fn one_look_or_two_far_apart_stop_nothing() {
    use Pressure::{Calm, Pressed, Unknown};
    let looks =
        [(0, Pressed), (5, Calm), (10, Pressed), (15, Unknown), (20, Pressed), (60, Pressed)];
    assert_eq!(sheds(&looks, &two()), []);
}

#[test]
fn relief_is_said_and_followed_by_a_rest() {
    use Pressure::{Calm, Pressed};
    let big: ComponentName = "big".parse().unwrap();
    let looks = [
        (0, Pressed),
        (5, Pressed),
        (10, Calm),
        (30, Calm),
        (35, Pressed),
        (80, Pressed),
        (91, Pressed),
        (95, Pressed),
    ];
    assert_eq!(
        sheds(&looks, &two()),
        [(5, ShedStep::Stop(big.clone())), (30, ShedStep::SayRelieved), (95, ShedStep::Stop(big))]
    );
}

#[test]
fn where_nothing_may_be_stopped_that_is_said_once() {
    let looks: Vec<_> = (0..20).map(|index| (index * 5, Pressure::Pressed)).collect();
    assert_eq!(sheds(&looks, &two()[..1]), [(5, ShedStep::SayNothingToStop)]);
}

#[test]
fn the_figures_of_a_system_are_read_as_one_of_four() {
    assert_eq!(Pressure::of_stalls(0, 0), Pressure::Calm);
    assert_eq!(Pressure::of_stalls(10_00, 0), Pressure::Tight);
    assert_eq!(Pressure::of_stalls(20_00, 0), Pressure::Pressed);
    assert_eq!(Pressure::of_stalls(0, 5_00), Pressure::Pressed);
    let levels = [1, 2, 4, 3].map(Pressure::of_level);
    assert_eq!(levels, [Pressure::Calm, Pressure::Tight, Pressure::Pressed, Pressure::Unknown]);
}

fn pressure() -> impl Strategy<Value = Pressure> {
    prop_oneof![
        4 => Just(Pressure::Pressed),
        1 => Just(Pressure::Calm),
        1 => Just(Pressure::Tight),
        1 => Just(Pressure::Unknown),
    ]
}

fn claims() -> impl Strategy<Value = Vec<Claim>> {
    let one = (0..8_u8, 0..4 * GIB, 0..4 * GIB, 0..3_u8, any::<bool>());
    prop::collection::vec(one, 0..8).prop_map(|all| {
        let mut claims: Vec<Claim> = all
            .into_iter()
            .map(|(name, peak, measured, priority, is_allowed)| {
                let eviction = if is_allowed { Eviction::Allowed } else { Eviction::Spared };
                claim(&format!("c{name}"), peak, measured, priority, eviction)
            })
            .collect();
        claims.sort_by(|one, other| one.name.cmp(&other.name));
        claims.dedup_by(|one, other| one.name == other.name);
        claims
    })
}

#[test]
fn who_gave_way_comes_back_when_it_is_calm_and_each_time_later() {
    let at = |seconds| Moment::at(Duration::from_secs(seconds));
    let first = Evicted::again(None, at(0));
    assert!(!first.may_return(Pressure::Calm, at(299)));
    assert!(first.may_return(Pressure::Calm, at(300)));
    assert!(!first.may_return(Pressure::Tight, at(3000)));
    assert!(first.may_return(Pressure::Unknown, at(300)), "what cannot be told keeps nobody out");
    let mut again = first;
    let rests: Vec<u64> = (1..=5)
        .map(|time| {
            again = Evicted::again(Some(again), at(time * 1000));
            again.rest().as_secs() / 60
        })
        .collect();
    assert_eq!(rests, [10, 20, 40, 60, 60]);
    assert_eq!(Evicted::again(Some(again), at(30_000)).rest(), REST_MIN, "long ago");
}

proptest! {
    #[test]
    fn what_is_shed_may_be_shed_is_least_worth_and_waits_for_its_proof(
        script in prop::collection::vec((pressure(), claims(), 0..40_u64), 0..100),
    ) {
        let (mut shed, mut now) = (Shed::default(), Moment::default());
        let mut stopped_at: Option<Moment> = None;
        let mut looks_pressed = 0;
        let mut is_given_up = false;
        for (pressure, running, seconds) in script {
            now = now + Duration::from_secs(seconds);
            looks_pressed = if pressure == Pressure::Pressed { looks_pressed + 1 } else { 0 };
            let (next, step) = shed.on(pressure, &running, now);
            if let ShedStep::Stop(name) = &step {
                let chosen = running.iter().find(|claim| claim.name == *name).unwrap();
                prop_assert_eq!(chosen.eviction, Eviction::Allowed);
                for other in running.iter().filter(|other| other.eviction == Eviction::Allowed) {
                    prop_assert!(other.priority >= chosen.priority);
                }
                prop_assert!(looks_pressed >= u32::from(CONFIRMATIONS));
                prop_assert!(stopped_at.is_none_or(|before| now - before >= VERIFY_AFTER));
                prop_assert!(!is_given_up, "no more is stopped after one in vain");
                stopped_at = Some(now);
            }
            match step {
                ShedStep::SayInVain(_) | ShedStep::SayNothingToStop => is_given_up = true,
                ShedStep::SayRelieved => is_given_up = false,
                ShedStep::Nothing | ShedStep::Stop(_) => {}
            }
            shed = next;
        }
    }

    #[test]
    fn who_is_admitted_fits_and_who_is_refused_would_fit_after_the_remedy(
        running in claims(),
        bytes in 0..8 * GIB,
    ) {
        match admit(POOL, &running, &wanted(bytes)) {
            Ok(()) => prop_assert!(bytes == 0 || given(&running) + bytes <= POOL.bytes()),
            Err(Refusal { remedy: Remedy::NeverFits, .. }) => prop_assert!(bytes > POOL.bytes()),
            Err(Refusal { remedy: Remedy::Stop(chosen), .. }) => {
                let freed: u64 = chosen.iter().map(|blocker| blocker.bytes).sum();
                prop_assert!(given(&running) - freed + bytes <= POOL.bytes());
                for one in &chosen {
                    let less = given(&running) - freed + one.bytes + bytes;
                    prop_assert!(less > POOL.bytes(), "none is stopped in vain");
                }
            }
        }
    }
}
