//! Random lives: any facts in any order that a real flow could report, every promise checked after each. The clock
//! goes from alarm to alarm, as the housekeeper's does, so an alarm that is set too late shows.

use std::time::Duration;

use proptest::{prelude::*, test_runner::Config};

// What is under way outside the machine.
mod world;

use self::world::World;
use super::limits::Limits;

/// What the world does next. The numbers pick among what is possible.
#[derive(Clone, Debug)]
enum Step {
    Ask(Option<u16>),
    TryAsk,
    GiveUp(usize),
    Connect(usize, bool),
    FailDial(usize, u8, u16),
    Deny(usize, Option<u16>, bool),
    Shut(Option<u16>),
    Reopen,
    EndCheck(usize, bool),
    ComeHome(usize, Homecoming),
    Lose(usize),
    EndClose(usize),
    Wait(u32),
    Decree(Decree),
}

/// How a lease ends.
#[derive(Clone, Debug)]
enum Homecoming {
    Return(u8),
    Unclaim(bool),
    Detach,
}

/// What a user decrees.
#[derive(Clone, Debug)]
enum Decree {
    Warm(u8),
    Unwarm(usize),
    Limits(u8, u8),
    Suspend,
    Resume,
    Drain(Option<u16>),
}

fn step() -> impl Strategy<Value = Step> {
    let pick = 0..64_usize;
    prop_oneof![
        12 => prop::option::weighted(0.2, 0..20_000_u16).prop_map(Step::Ask),
        2 => Just(Step::TryAsk),
        4 => pick.clone().prop_map(Step::GiveUp),
        12 => (pick.clone(), any::<bool>()).prop_map(|(n, mortal)| Step::Connect(n, mortal)),
        4 => (pick.clone(), 0..5_u8, 0..4_000_u16).prop_map(|(n, kind, wait)| Step::FailDial(n, kind, wait)),
        2 => (pick.clone(), prop::option::of(0..9_000_u16), prop::bool::weighted(0.2))
            .prop_map(|(n, wait, outdated)| Step::Deny(n, wait, outdated)),
        1 => prop::option::weighted(0.9, 0..9_000_u16).prop_map(Step::Shut),
        1 => Just(Step::Reopen),
        8 => (pick.clone(), prop::bool::weighted(0.7)).prop_map(|(n, passed)| Step::EndCheck(n, passed)),
        14 => (pick.clone(), 0..10_u8).prop_map(|(n, fate)| Step::ComeHome(n, Homecoming::Return(fate))),
        2 => (pick.clone(), any::<bool>()).prop_map(|(n, broken)| Step::ComeHome(n, Homecoming::Unclaim(broken))),
        1 => pick.clone().prop_map(|n| Step::ComeHome(n, Homecoming::Detach)),
        3 => pick.clone().prop_map(Step::Lose),
        8 => pick.clone().prop_map(Step::EndClose),
        8 => prop_oneof![0..900_u32, 0..70_000_u32].prop_map(Step::Wait),
        7 => decree().prop_map(Step::Decree),
    ]
}

fn decree() -> impl Strategy<Value = Decree> {
    prop_oneof![
        1 => (0..6_u8).prop_map(Decree::Warm),
        1 => (0..64_usize).prop_map(Decree::Unwarm),
        1 => (0..3_u8, 1..6_u8).prop_map(|(min, max)| Decree::Limits(min, max)),
        1 => Just(Decree::Suspend),
        2 => Just(Decree::Resume),
        1 => prop::option::of(0..9_000_u16).prop_map(Decree::Drain),
    ]
}

fn limits() -> impl Strategy<Value = Limits> {
    let flags = (any::<bool>(), prop::bool::weighted(0.8), any::<bool>(), any::<bool>(), any::<bool>());
    let bypass = prop_oneof![Just(Duration::ZERO), Just(Duration::from_millis(500))];
    let sizes = (0..3_u32, 1..6_u32, 0..5_u32, 0..3_u32, 1..5_u32);
    (flags, sizes, bypass).prop_map(|((lifo, check, borrow, back, recreate), sizes, bypass)| {
        let (min, max, queue, attempts, dials) = sizes;
        Limits {
            validate_bypass: bypass.into(),
            min: min.min(max),
            max,
            queue_capacity: queue,
            newest_first: lifo,
            validate: check,
            validate_on_borrow: borrow,
            validate_on_return: back,
            retry_attempts: attempts,
            recreate_on_error: recreate,
            max_concurrent_connects: dials,
            ..super::stories::limits(0, 1)
        }
    })
}

/// Found by 100,000 lives.
#[test]
fn a_caller_who_asks_again_when_its_time_is_up_is_told_at_once() {
    let limits = Limits { queue_capacity: 0, ..super::stories::limits(0, 2) };
    let mut world = World::new(limits);
    let dead_in_the_hand = Step::ComeHome(0, Homecoming::Unclaim(true));
    for step in [
        Step::Ask(None),
        Step::Wait(10_000),
        Step::Connect(0, false),
        Step::Ask(None),
        Step::Ask(None),
        Step::Wait(10_000),
        dead_in_the_hand,
        Step::Wait(0),
    ] {
        world.live(&step);
    }
    assert!(world.waiting.is_empty(), "{:?}", world.waiting);
}

fn lives() -> u32 {
    std::env::var("XEC_POOL_LIVES").ok().and_then(|text| text.parse().ok()).unwrap_or(2_000)
}

proptest! {
    #![proptest_config(Config { cases: lives(), max_shrink_iters: 20_000, failure_persistence: None, ..Config::default() })]

    #[test]
    fn every_promise_holds_in_every_life(limits in limits(), steps in prop::collection::vec(step(), 1..160)) {
        let mut world = World::new(limits);
        world.machine.notes.events = true;
        for step in &steps {
            world.live(step);
        }
        world.come_to_rest();
    }
}
