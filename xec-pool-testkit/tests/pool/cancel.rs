//! Cancellation: acquire, warm, drain and release, dropped at every poll and at every moment of their way.

use std::time::Duration;

use tokio::time::timeout;
use xec_pool_core::{CloseReason, FailureKind, Lease, PoolConfig};
use xec_pool_testkit::mock::{Hook, MockTransport, Step};

use super::{MS, SECOND, World, at_most, cut, world};

/// No future here goes through more polls, or takes more milliseconds. Dials and checks take 4 ms each, so a cut each
/// millisecond is before, at, between and after all that happens.
const MOST_CUTS: u32 = 200;

/// Where a future is dropped.
#[derive(Clone, Copy, Debug)]
enum Cut {
    AfterPolls(u32),
    At(Duration),
}

impl Cut {
    /// Where nothing has begun yet.
    fn is_before_all(self) -> bool {
        matches!(self, Self::AfterPolls(0))
    }

    /// Whether the future came to its end before.
    async fn ends<F: Future>(self, future: F) -> bool {
        match self {
            Self::AfterPolls(polls) => cut(future, polls as usize).await.is_some(),
            Self::At(moment) => timeout(moment, future).await.is_ok(),
        }
    }
}

/// Tells a story over and over, each time with a later cut, until its future was not cut any more: so no longer way of
/// it goes unseen.
async fn at_every_cut(mut story: impl AsyncFnMut(Cut) -> bool) {
    for cut in [Cut::AfterPolls as fn(u32) -> Cut, |step| Cut::At(step * MS)] {
        let mut step = 0;
        while !story(cut(step)).await {
            step += 1;
            assert!(step < MOST_CUTS, "it does not come to its end: {:?}", cut(step));
        }
    }
}

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
async fn an_acquire_cut_anywhere_costs_nothing() {
    at_every_cut(async |cut| {
        let cold = slow();
        let ended = cut.ends(cold.pool.acquire()).await;
        cold.assert_whole().await;
        ended
    })
    .await;
    at_every_cut(async |cut| {
        let warm = warmed().await;
        let ended = cut.ends(warm.pool.acquire()).await;
        warm.assert_whole().await;
        ended
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn an_acquire_cut_while_dials_and_checks_fail_costs_nothing() {
    for failure in [Step::fail(FailureKind::Unreachable), Step::panic(), Step::fail(FailureKind::Throttled)] {
        at_every_cut(async |cut| {
            let cold = slow();
            cold.handle.script(Hook::Connect, [failure.clone().slow(4 * MS), failure.clone().slow(4 * MS)]);
            let ended = cut.ends(cold.pool.acquire()).await;
            cold.assert_whole().await;
            ended
        })
        .await;
        at_every_cut(async |cut| {
            let warm = warmed().await;
            warm.handle.script(Hook::Validate, [failure.clone().slow(4 * MS)]);
            let ended = cut.ends(warm.pool.acquire()).await;
            warm.assert_whole().await;
            ended
        })
        .await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_queued_acquire_cut_anywhere_leaves_the_queue_whole() {
    at_every_cut(async |cut| {
        let world = slow();
        let held = (world.lease().await, world.lease().await);
        let (ended, served) = tokio::join!(cut.ends(world.pool.acquire()), async {
            let next = world.pool.acquire();
            let back = async {
                tokio::time::sleep(8 * MS).await; // sleep is the subject: a return after the other was cut
                drop(held);
            };
            tokio::join!(next, back).0
        });
        drop(served.expect("it was not cut"));
        world.assert_whole().await;
        ended
    })
    .await;
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
async fn a_warm_cut_anywhere_lowers_what_is_wanted_and_keeps_the_dials() {
    at_every_cut(async |cut| {
        let cold = slow();
        let ended = cut.ends(cold.pool.warm(2)).await;
        cold.assert_whole().await;
        ended
    })
    .await;
    at_every_cut(async |cut| {
        let warm = warmed().await;
        let ended = cut.ends(warm.pool.warm(2)).await;
        warm.assert_whole().await;
        ended
    })
    .await;
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
async fn a_drain_cut_anywhere_goes_on() {
    for shape in Shape::ALL {
        at_every_cut(async |cut| {
            if cut.is_before_all() {
                return false;
            }
            let (world, held) = shape.build().await;
            let (ended, ()) = tokio::join!(cut.ends(world.pool.drain(400 * MS)), async {
                tokio::time::sleep(12 * MS).await; // sleep is the subject: a return while it is drained
                drop(held);
            });
            assert!(world.pool.acquire().await.is_err(), "no new callers, whatever became of the future");
            let report = world.pool.drain(400 * MS).await;
            assert_eq!((report.killed, report.still_held), (0, 0), "{shape:?}, {cut:?}");
            assert_ended(&world);
            ended
        })
        .await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_drain_cut_anywhere_still_kills_at_its_end() {
    for shape in Shape::ALL {
        at_every_cut(async |cut| {
            if cut.is_before_all() {
                return false;
            }
            let (world, held) = shape.build().await;
            let ended = cut.ends(world.pool.drain(6 * MS)).await;
            let lent = u32::from(held.is_some());
            let report = world.pool.drain(SECOND).await;
            assert_eq!((report.killed, report.still_held), (lent, lent), "{shape:?}, {cut:?}");
            let mut events = world.pool.subscribe();
            drop(held);
            while world.pool.stats().open() > 0 {
                events.next().await.expect("the pool is here");
            }
            assert_eq!(world.pool.stats().destroyed.by(CloseReason::Broken), 0, "it did not break, it was killed");
            assert_ended(&world);
            ended
        })
        .await;
    }
}

/// Nothing is left, and all that happened was told.
fn assert_ended(world: &World) {
    world.handle.assert_none_left();
    world.recorder.assert_legal_paths();
    world.recorder.assert_adds_up(&world.pool.stats());
}

#[tokio::test(start_paused = true)]
async fn a_release_cut_anywhere_still_gives_back() {
    at_every_cut(async |cut| {
        let world = slow();
        let lease = world.lease().await;
        let ended = cut.ends(lease.release()).await;
        world.assert_whole().await;
        ended
    })
    .await;
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
