//! Dials: retried or not, backed off, bounded, and told to those who wait.

use std::error::Error;

use tokio::time::Instant;
use xec_pool_core::{AcquireError, AcquireOptions, DialError, FailureKind, PoolConfig, PoolEvent, TimedOutStage};
use xec_pool_testkit::mock::{Hook, Step};

use super::{MS, SECOND, at_most, world};

#[tokio::test(start_paused = true)]
async fn a_failed_dial_is_repeated_and_then_told_with_its_cause() {
    let world = world(PoolConfig::builder().retry_attempts(2).retry_delay(100 * MS));
    world.handle.always(Hook::Connect, Step::fail(FailureKind::Unreachable));
    let error = world.pool.acquire().await.expect_err("nobody is there");
    let AcquireError::Connect { attempts, kind, cause, .. } = &error else { panic!("{error}") };
    assert_eq!((*attempts, *kind, world.handle.calls(Hook::Connect)), (3, FailureKind::Unreachable, 3));
    assert!(matches!(**cause, DialError::Transport(_)));
    assert!(error.source().is_some() && error.is_retryable() && !error.is_timeout());
    assert!(error.to_string().contains("cannot connect (3 attempts, unreachable)"), "{error}");
    let told = world.recorder.events().into_iter().find_map(|event| match event {
        PoolEvent::AcquireFailed { error, kind, .. } => Some((error, kind)),
        _ => None,
    });
    assert_eq!(told, Some(("connect", Some(FailureKind::Unreachable))));
    let delays: Vec<_> = world
        .recorder
        .events()
        .into_iter()
        .filter_map(|event| match event {
            PoolEvent::RetryScheduled { delay, .. } => Some(delay),
            _ => None,
        })
        .collect();
    assert!(delays[0] >= 50 * MS && delays[0] < 100 * MS, "half to all of 100 ms: {delays:?}");
    assert!(delays[1] >= 100 * MS && delays[1] < 200 * MS, "doubled: {delays:?}");
}

#[tokio::test(start_paused = true)]
async fn a_wrong_password_is_asked_once_and_all_who_wait_are_told_the_same() {
    for kind in [FailureKind::Credentials, FailureKind::Trust, FailureKind::Config] {
        let world = world(at_most(4).min_connections(2));
        world.handle.always(Hook::Connect, Step::fail(kind).slow(10 * MS));
        let (a, b, c) = tokio::join!(world.pool.acquire(), world.pool.acquire(), world.pool.acquire());
        let causes = [a, b, c].map(|result| match result.expect_err("refused") {
            AcquireError::Connect { cause, kind: told, .. } if told == kind => cause,
            other => panic!("{other}"),
        });
        assert!(causes.iter().all(|cause| std::sync::Arc::ptr_eq(cause, &causes[0])), "one failure, one cause");
        tokio::time::sleep(600 * SECOND).await; // sleep is the subject: nothing is retried, however long it takes
        assert_eq!(world.handle.calls(Hook::Connect), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn a_caller_takes_a_return_while_its_dial_is_slow() {
    let world = world(at_most(2));
    let held = world.lease().await;
    world.handle.always(Hook::Connect, Step::ok().slow(SECOND));
    let start = Instant::now();
    let (lease, ()) = tokio::join!(world.lease(), async {
        tokio::time::sleep(10 * MS).await; // sleep is the subject: a return before the dial ends
        drop(held);
    });
    assert_eq!(start.elapsed(), 10 * MS);
    drop(lease);
    world.assert_whole().await;
}

#[tokio::test(start_paused = true)]
async fn no_more_dials_at_once_than_allowed_and_none_that_nobody_needs() {
    let world = world(at_most(50).max_concurrent_connects(3));
    world.handle.always(Hook::Connect, Step::ok().slow(10 * MS));
    let mut crew = tokio::task::JoinSet::new();
    for _ in 0..50 {
        let pool = world.pool.clone();
        crew.spawn(async move { drop(pool.acquire().await.expect("connects")) });
    }
    crew.join_all().await;
    assert!(world.handle.most_dialling() <= 3, "{}", world.handle.most_dialling());
    assert!(world.handle.opened() <= 4, "the first ones serve all: {}", world.handle.opened());
}

#[tokio::test(start_paused = true)]
async fn a_dial_that_never_ends_is_ended_by_connect_timeout_and_the_caller_by_its_own() {
    let world = world(PoolConfig::builder().connect_timeout(2 * SECOND).retry_attempts(0).acquire_timeout(9 * SECOND));
    world.handle.always(Hook::Connect, Step::hang());
    let start = Instant::now();
    let error = world.pool.acquire().await.expect_err("black hole");
    assert_eq!(start.elapsed(), 2 * SECOND);
    let AcquireError::Connect { kind: FailureKind::TimedOut, cause, .. } = &error else { panic!("{error}") };
    assert!(matches!(**cause, DialError::TimedOut { after, .. } if after == 2 * SECOND));
    assert_eq!(world.handle.live(), 0, "the dropped dial took its socket with it");

    let start = Instant::now();
    let options = AcquireOptions::new().timeout(SECOND);
    let error = world.pool.acquire_with(options).await.expect_err("black hole");
    assert_eq!(start.elapsed(), SECOND);
    let AcquireError::TimedOut(timed_out) = error else { panic!("{error}") };
    assert!(matches!(timed_out.stage(), TimedOutStage::Connect | TimedOutStage::BackOff), "{timed_out}");
    assert!(timed_out.last_error().is_some(), "and it says why: {timed_out}");
    assert_eq!((timed_out.limit(), timed_out.waited()), (SECOND, SECOND));
}

#[tokio::test(start_paused = true)]
async fn a_panicking_transport_is_a_failed_dial() {
    let world = world(PoolConfig::builder().retry_attempts(0));
    world.handle.script(Hook::Connect, [Step::panic()]);
    let error = world.pool.acquire().await.expect_err("it panicked");
    let AcquireError::Connect { cause, .. } = &error else { panic!("{error}") };
    assert!(matches!(**cause, DialError::Panicked), "{cause}");
    tokio::time::advance(60 * SECOND).await;
    world.assert_whole().await;
}

#[tokio::test(start_paused = true)]
async fn throttled_is_no_attempt() {
    let world = world(PoolConfig::builder().retry_attempts(0).retry_delay(100 * MS));
    world.handle.script(Hook::Connect, vec![Step::fail(FailureKind::Throttled); 3]);
    drop(world.lease().await);
    assert_eq!(world.handle.calls(Hook::Connect), 4);
}
