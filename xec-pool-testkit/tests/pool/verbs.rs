//! Warm, drain, close, new limits, suspend and resume.

use xec_pool_core::{AcquireError, CloseReason, ConfigError, DrainReport, FailureKind, Phase, PoolEvent};
use xec_pool_testkit::mock::{Hook, Step};

use super::{MS, SECOND, at_most, world};

fn facts(report: DrainReport) -> (u64, u32, u32) {
    (report.closed, report.killed, report.still_held)
}

#[tokio::test(start_paused = true)]
async fn warm_opens_what_is_missing() {
    let world = world(at_most(5));
    let _held = world.lease().await;
    let report = world.pool.warm(3).await;
    assert_eq!((report.already_open, report.opened, report.open, report.failures.len()), (1, 2, 3, 0));
    assert_eq!(world.pool.warm(100).await.open, 5, "never over the maximum");
}

#[tokio::test(start_paused = true)]
async fn warm_ends_with_a_run_of_failures_and_tells_them() {
    let world = world(at_most(5).retry_attempts(1));
    world.handle.script(Hook::Connect, [Step::ok()]);
    world.handle.always(Hook::Connect, Step::fail(FailureKind::Unreachable));
    let report = world.pool.warm(5).await;
    // One came, two dials at once were allowed after it, and their run of two ended it.
    assert_eq!((report.opened, report.open), (1, 1));
    assert!(report.failures.len() >= 2, "{report:?}");
}

#[tokio::test(start_paused = true)]
async fn a_drain_waits_for_what_is_lent_and_refuses_the_rest() {
    let world = world(at_most(1));
    let held = world.lease().await;
    let (report, refused, ()) = tokio::join!(world.pool.drain(60 * SECOND), world.pool.acquire(), async {
        tokio::time::sleep(SECOND).await; // sleep is the subject: how long the holder works
        drop(held);
    });
    assert!(matches!(refused, Err(AcquireError::Draining { .. })));
    assert_eq!(facts(report), (1, 0, 0));
    assert_eq!(world.pool.stats().phase, Phase::Closed);
    assert!(matches!(world.pool.acquire().await, Err(AcquireError::Closed { .. })));
    world.handle.assert_each_closed_once();
}

#[tokio::test(start_paused = true)]
async fn at_its_end_a_drain_kills_what_is_lent_and_says_who_still_holds() {
    let world = world(at_most(2));
    let held = world.lease().await;
    drop(world.lease().await);
    let start = tokio::time::Instant::now();
    let report = world.pool.drain(3 * SECOND).await;
    assert_eq!(start.elapsed(), 3 * SECOND);
    assert_eq!((report.killed, report.still_held), (1, 1));
    assert_eq!(world.handle.is_cancelled(held.id().get()), Some(true), "its token was cancelled");
    drop(held);
    world.handle.called(Hook::Close, 1).await;
}

#[tokio::test(start_paused = true)]
async fn close_ends_dials_in_flight_and_is_idempotent() {
    let world = world(at_most(3));
    let held = world.lease().await;
    world.handle.always(Hook::Connect, Step::hang());
    let waiting = tokio::spawn({
        let pool = world.pool.clone();
        async move { pool.acquire().await.map(drop) }
    });
    world.handle.called(Hook::Connect, 2).await;
    let report = world.pool.close().await;
    assert_eq!((report.killed, report.still_held), (1, 1));
    assert!(matches!(waiting.await.expect("no panic"), Err(AcquireError::Draining { .. })));
    assert_eq!(world.pool.stats().connecting, 0, "no dial outlives it");
    drop(held);
    assert_eq!(world.pool.close().await.still_held, 0);
    world.handle.called(Hook::Close, 1).await;
    world.handle.assert_none_left();
}

#[tokio::test(start_paused = true)]
async fn a_close_that_hangs_is_bounded() {
    let world = world(at_most(1).close_timeout(2 * SECOND));
    world.handle.always(Hook::Close, Step::hang());
    drop(world.lease().await);
    let start = tokio::time::Instant::now();
    assert_eq!(facts(world.pool.drain(60 * SECOND).await), (1, 0, 0));
    assert_eq!(start.elapsed(), 2 * SECOND);
    world.handle.assert_none_left();
}

#[tokio::test(start_paused = true)]
async fn limits_change_at_run_time() {
    let world = world(at_most(1));
    let held = world.lease().await;
    let (second, ()) = tokio::join!(world.pool.acquire(), async {
        world.pool.set_limits(0, 2).expect("valid");
    });
    drop((held, second.expect("there is room now")));
    world.pool.set_limits(0, 1).expect("valid");
    world.handle.called(Hook::Close, 1).await;
    assert_eq!(world.pool.stats().destroyed.by(CloseReason::Shrunk), 1);
    assert!(matches!(world.pool.set_limits(3, 2), Err(ConfigError::MinAboveMax { min: 3, max: 2, .. })));
    assert!(matches!(world.pool.set_limits(0, 0), Err(ConfigError::Zero { field: "max_connections", .. })));
    world.assert_whole().await;
}

#[tokio::test(start_paused = true)]
async fn suspended_nobody_is_served_until_resumed() {
    let world = world(at_most(2));
    drop(world.lease().await);
    world.pool.suspend();
    assert!(world.pool.try_acquire().is_err() && world.pool.stats().suspended);
    let start = tokio::time::Instant::now();
    let (lease, ()) = tokio::join!(world.pool.acquire(), async {
        tokio::time::sleep(100 * MS).await; // sleep is the subject: how long it is suspended
        world.pool.resume();
    });
    drop(lease.expect("resumed in time"));
    assert_eq!(start.elapsed(), 100 * MS);
    world.assert_whole().await;
}

#[tokio::test(start_paused = true)]
async fn what_a_drain_kills_is_destroyed_by_the_drain() {
    let world = world(at_most(2).validate_on_return(true));
    let (held, checked) = (world.lease().await, world.lease().await);
    world.handle.script(Hook::Validate, [Step::hang()]);
    drop(checked);
    world.handle.called(Hook::Validate, 1).await;
    assert_eq!(world.pool.close().await.killed, 1);
    // It is dead now, and that is no failure of its own.
    drop(held);
    world.handle.called(Hook::Close, 2).await;
    world.pool.close().await;
    assert_eq!(world.pool.stats().destroyed.by(CloseReason::Drained), 2, "{:?}", world.pool.stats().destroyed);
    world.recorder.assert_adds_up(&world.pool.stats());
}

#[tokio::test(start_paused = true)]
async fn who_asks_a_closed_pool_is_told_and_counted() {
    let world = world(at_most(1));
    world.pool.close().await;
    assert!(matches!(world.pool.try_acquire(), Err(AcquireError::Closed { .. })));
    assert!(matches!(world.pool.acquire().await, Err(AcquireError::Closed { .. })));
    assert_eq!(world.pool.stats().rejected, 2);
    world.recorder.assert_adds_up(&world.pool.stats());
}

#[tokio::test(start_paused = true)]
async fn a_warm_does_not_count_what_is_closing_as_open() {
    let world = world(at_most(2).recreate_on_error(false));
    world.handle.script(Hook::Close, [Step::hang()]);
    world.lease().await.discard("spoilt");
    assert_eq!(world.pool.stats().closing, 1);
    let report = world.pool.warm(1).await;
    assert_eq!((report.already_open, report.opened, report.open), (0, 1, 1));
}

#[tokio::test(start_paused = true)]
async fn a_warm_makes_its_own_attempts_whatever_failed_before_it() {
    let world = world(at_most(2).min_connections(1).retry_attempts(2));
    world.handle.always(Hook::Connect, Step::fail(FailureKind::Unreachable));
    world.handle.called(Hook::Connect, 20).await;
    let before = world.handle.calls(Hook::Connect);
    let report = world.pool.warm(2).await;
    assert_eq!((report.failures.len(), world.handle.calls(Hook::Connect) - before), (3, 3));
}

#[tokio::test(start_paused = true)]
async fn limits_that_are_unwise_are_warned_of_as_at_the_start() {
    let world = world(at_most(1));
    world.pool.set_limits(0, 1_000).expect("allowed");
    assert_eq!(world.recorder.count(|event| matches!(event, PoolEvent::Warning { .. })), 1);
}
