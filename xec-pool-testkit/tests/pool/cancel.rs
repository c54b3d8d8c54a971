//! Cancellation: acquire, warm, drain and release, dropped at every poll and at every moment of their way.

use std::time::Duration;

use tokio::time::timeout;
use xec_pool_core::{CloseReason, FailureKind, Lease, PoolConfig};
use xec_pool_testkit::mock::{Hook, MockTransport, Step};

use super::{MS, SECOND, World, at_most, cut, world};

/// Dials and checks take 4 ms each, so the moments are before, at, between and after all that happens.
const MOMENTS: [Duration; 8] = [
    Duration::ZERO,
    Duration::from_millis(1),
    Duration::from_millis(3),
    Duration::from_millis(4),
    Duration::from_millis(5),
    Duration::from_millis(8),
    Duration::from_millis(9),
    Duration::from_millis(60),
];

fn slow() -> World {
    let config = at_most(2).validate_bypass(Duration::ZERO).validate_on_return(true).retry_delay(8 * MS);
    let world = world(config);
    world.handle.always(Hook::Connect, Step::ok().slow(4 * MS));
    world.handle.always(Hook::Validate, Step::ok().slow(4 * MS));
    world
}

/// One idle connection, old enough to be checked before it is lent.
async fn warmed() -> World {
    let world = slow();
    drop(world.lease().await);
    tokio::time::advance(20 * MS).await;
    world
}

#[tokio::test(start_paused = true)]
async fn an_acquire_cut_at_any_poll_costs_nothing() {
    for polls in 0..6 {
        let cold = slow();
        drop(cut(cold.pool.acquire(), polls).await);
        cold.assert_whole().await;

        let warm = warmed().await;
        drop(cut(warm.pool.acquire(), polls).await);
        warm.assert_whole().await;
    }
}

#[tokio::test(start_paused = true)]
async fn an_acquire_cut_at_any_moment_costs_nothing() {
    for moment in MOMENTS {
        let cold = slow();
        drop(timeout(moment, cold.pool.acquire()).await);
        cold.assert_whole().await;

        let warm = warmed().await;
        drop(timeout(moment, warm.pool.acquire()).await);
        warm.assert_whole().await;
    }
}

#[tokio::test(start_paused = true)]
async fn an_acquire_cut_while_dials_and_checks_fail_costs_nothing() {
    for moment in MOMENTS {
        for failure in [Step::fail(FailureKind::Unreachable), Step::panic(), Step::fail(FailureKind::Throttled)] {
            let cold = slow();
            cold.handle.script(Hook::Connect, [failure.clone().slow(4 * MS), failure.clone().slow(4 * MS)]);
            drop(timeout(moment, cold.pool.acquire()).await);
            cold.assert_whole().await;

            let warm = warmed().await;
            warm.handle.script(Hook::Validate, [failure.slow(4 * MS)]);
            drop(timeout(moment, warm.pool.acquire()).await);
            warm.assert_whole().await;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_queued_acquire_cut_at_any_moment_leaves_the_queue_whole() {
    for moment in MOMENTS {
        let world = slow();
        let held = (world.lease().await, world.lease().await);
        let (cut, served) = tokio::join!(timeout(moment, world.pool.acquire()), async {
            let next = world.pool.acquire();
            let back = async {
                tokio::time::sleep(8 * MS).await; // sleep is the subject: a return after the other was cut
                drop(held);
            };
            tokio::join!(next, back).0
        });
        drop((cut, served.expect("it was not cut")));
        world.assert_whole().await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_was_answered_but_never_fetched_goes_to_the_next() {
    let world = world(at_most(1));
    let held = world.lease().await;
    let mut never_fetched = Box::pin(world.pool.acquire());
    assert!(cut(never_fetched.as_mut(), 1).await.is_none());
    drop(held);
    // It is answered now: the answer lies there, and nobody polls.
    assert_eq!(world.pool.stats().active, 1);
    drop(never_fetched);
    let stats = world.pool.stats();
    assert_eq!((stats.active, stats.idle, stats.acquired, stats.released), (0, 1, 1, 1), "unclaimed is neither");
    world.assert_whole().await;
}

#[tokio::test(start_paused = true)]
async fn a_warm_cut_at_any_moment_lowers_what_is_wanted_and_keeps_the_dials() {
    for moment in MOMENTS {
        for polls in 0..4 {
            let world = slow();
            drop(timeout(moment, cut(world.pool.warm(2), polls)).await);
            world.assert_whole().await;
        }
        let world = warmed().await;
        drop(timeout(moment, world.pool.warm(2)).await);
        world.assert_whole().await;
    }
}

/// What there is when a drain begins.
#[derive(Clone, Copy, Debug)]
enum Shape {
    Nothing,
    LentAndIdle,
    Dialling,
    Checking,
}

impl Shape {
    const ALL: [Self; 4] = [Self::Nothing, Self::LentAndIdle, Self::Dialling, Self::Checking];

    async fn build(self) -> (World, Option<Lease<MockTransport>>) {
        let world = slow();
        world.handle.always(Hook::Close, Step::ok().slow(4 * MS));
        let held = match self {
            Self::Nothing => None,
            Self::LentAndIdle => {
                let held = world.lease().await;
                drop(world.lease().await);
                Some(held)
            }
            Self::Dialling => {
                drop(cut(world.pool.acquire(), 1).await);
                None
            }
            Self::Checking => {
                let held = world.lease().await;
                let _ended = cut(world.lease().await.release(), 1).await;
                Some(held)
            }
        };
        (world, held)
    }
}

#[tokio::test(start_paused = true)]
async fn a_drain_cut_at_any_moment_goes_on() {
    for shape in Shape::ALL {
        for (moment, polls) in MOMENTS.into_iter().flat_map(|moment| (1..4).map(move |polls| (moment, polls))) {
            let (world, held) = shape.build().await;
            drop(timeout(moment, cut(world.pool.drain(400 * MS), polls)).await);
            assert!(world.pool.acquire().await.is_err(), "no new callers, whatever became of the future");
            drop(held);
            let report = world.pool.drain(400 * MS).await;
            assert_eq!((report.killed, report.still_held), (0, 0), "{shape:?}");
            assert_ended(&world);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_drain_cut_at_any_moment_still_kills_at_its_end() {
    for shape in Shape::ALL {
        for moment in MOMENTS {
            let (world, held) = shape.build().await;
            drop(timeout(moment, cut(world.pool.drain(6 * MS), 1)).await);
            let lent = u32::from(held.is_some());
            let report = world.pool.drain(SECOND).await;
            assert_eq!((report.killed, report.still_held), (lent, lent), "{shape:?} at {moment:?}");
            let mut events = world.pool.subscribe();
            drop(held);
            while world.pool.stats().open() > 0 {
                events.next().await.expect("the pool is here");
            }
            assert_eq!(world.pool.stats().destroyed.by(CloseReason::Broken), 0, "it did not break, it was killed");
            assert_ended(&world);
        }
    }
}

/// Nothing is left, and all that happened was told.
fn assert_ended(world: &World) {
    world.handle.assert_none_left();
    world.recorder.assert_legal_paths();
    world.recorder.assert_adds_up(&world.pool.stats());
}

#[tokio::test(start_paused = true)]
async fn a_release_cut_at_any_moment_still_gives_back() {
    for moment in MOMENTS {
        for polls in 0..4 {
            let world = slow();
            let lease = world.lease().await;
            drop(timeout(moment, cut(lease.release(), polls)).await);
            world.assert_whole().await;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_release_waits_for_the_check_on_return() {
    let world = slow();
    let lease = world.lease().await;
    let before = tokio::time::Instant::now();
    lease.release().await;
    assert_eq!(before.elapsed(), 4 * MS);
    assert_eq!(world.pool.stats().idle, 1);
    world.assert_whole().await;
}

#[tokio::test(start_paused = true)]
async fn a_dial_outlives_the_caller_who_caused_it() {
    let world = world(PoolConfig::builder());
    world.handle.always(Hook::Connect, Step::ok().slow(30 * MS));
    for _ in 0..5 {
        // Shorter than a dial: a pool that threw the dial away would never connect.
        drop(timeout(10 * MS, world.pool.acquire()).await);
    }
    drop(world.lease().await);
    assert_eq!(world.handle.opened(), 1);
}
