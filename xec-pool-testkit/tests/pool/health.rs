//! Checks: before a loan, on return, while idle; broken and lost connections; time-outs of idleness and of life.

use xec_pool_core::{AcquireError, Check, CloseReason, DialError, FailureKind, PoolConfig, PoolEvent};
use xec_pool_testkit::mock::{Hook, Step};

use super::{MS, SECOND, at_most, world};

#[tokio::test(start_paused = true)]
async fn a_connection_proven_a_moment_ago_is_lent_unchecked_and_an_older_one_is_checked() {
    let world = world(at_most(1));
    drop(world.lease().await);
    drop(world.lease().await);
    assert_eq!(world.handle.calls(Hook::Validate), 0);
    tokio::time::advance(501 * MS).await;
    assert!(world.lease().await.reused());
    assert_eq!(world.handle.calls(Hook::Validate), 1);
    world.assert_whole().await;
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_fails_its_check_is_replaced_without_the_caller_noticing() {
    for failure in [Step::fail(FailureKind::Lost), Step::hang(), Step::panic()] {
        let world = world(at_most(1));
        drop(world.lease().await);
        tokio::time::advance(SECOND).await;
        world.handle.script(Hook::Validate, [failure]);
        let lease = world.lease().await;
        assert_eq!((lease.id().get(), lease.reused()), (2, false));
        drop(lease);
        assert_eq!(world.pool.stats().destroyed.by(CloseReason::ValidationFailed), 1);
        world.assert_whole().await;
    }
}

#[tokio::test(start_paused = true)]
async fn eight_dead_idle_connections_cost_a_caller_one_check_not_eight() {
    let world = world(at_most(8).validate_timeout(200 * MS).recreate_on_error(false));
    world.pool.warm(8).await;
    tokio::time::advance(SECOND).await;
    world.handle.always(Hook::Validate, Step::hang());
    let start = tokio::time::Instant::now();
    drop(world.lease().await);
    assert!(start.elapsed() <= 401 * MS, "{:?}", start.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_broken_connection_is_never_lent_and_costs_the_caller_no_turn() {
    let world = world(at_most(2).recreate_on_error(false));
    world.pool.warm(2).await;
    world.handle.live_ids().into_iter().for_each(|id| assert!(world.handle.break_connection(id)));
    let lease = world.lease().await;
    assert_eq!(lease.id().get(), 3);
    drop(lease);
    assert_eq!(world.pool.stats().destroyed.by(CloseReason::Broken), 2);
    world.assert_whole().await;
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_says_it_is_lost_is_replaced_at_once() {
    let world = world(at_most(2));
    drop(world.lease().await);
    assert!(world.handle.lose(1, "cable pulled"));
    let replaced = |event: &PoolEvent| matches!(event, PoolEvent::Created { id, .. } if id.get() == 2);
    world.recorder.wait_for(replaced).await;
    assert_eq!(world.pool.stats().idle, 1);
    world.assert_whole().await;
}

#[tokio::test(start_paused = true)]
async fn a_connection_lost_while_connecting_is_a_failed_dial() {
    // Once it is there all the same, once it never comes.
    for (end, closed) in [(Step::ok(), 1), (Step::hang(), 0)] {
        let world = world(PoolConfig::builder().retry_attempts(0).recreate_on_error(false));
        world.handle.script(Hook::Connect, [end.die_connecting()]);
        let error = world.pool.acquire().await.expect_err("the dial has failed");
        let AcquireError::Connect { kind: FailureKind::Lost, cause, .. } = error else { panic!("{error}") };
        assert!(matches!(*cause, DialError::Lost), "{cause}");
        assert_eq!(world.handle.calls(Hook::Close), closed);
        let stats = world.pool.stats();
        assert_eq!((stats.created, stats.open(), stats.connecting), (0, 0, 0), "{stats}");
        tokio::time::advance(60 * SECOND).await;
        world.assert_whole().await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_failed_check_tells_its_cause() {
    let told = [
        (Step::fail(FailureKind::Lost), "failed as the script says (lost)"),
        (Step::hang(), "the check did not end within 3s (validate_timeout)"),
        (Step::panic(), "the check panicked"),
    ];
    for (failure, expected) in told {
        let world = world(at_most(1));
        drop(world.lease().await);
        tokio::time::advance(SECOND).await;
        world.handle.script(Hook::Validate, [failure]);
        drop(world.lease().await);
        let causes = world.recorder.events().into_iter().filter_map(|event| match event {
            PoolEvent::Validated { passed: false, cause, .. } => Some(cause.expect("somebody said why").to_string()),
            _ => None,
        });
        assert_eq!(causes.collect::<Vec<_>>(), [expected]);
    }
}

#[tokio::test(start_paused = true)]
async fn idle_connections_are_checked_at_an_interval_and_the_dead_are_found() {
    let world = world(at_most(2).min_connections(1));
    world.recorder.wait_for(|event| matches!(event, PoolEvent::Created { .. })).await;
    world.handle.script(Hook::Validate, [Step::ok(), Step::fail(FailureKind::Lost)]);
    let failed = |event: &PoolEvent| matches!(event, PoolEvent::Validated { check: Check::Idle, passed: false, .. });
    world.recorder.wait_for(failed).await;
    world.recorder.wait_for(|event| matches!(event, PoolEvent::Created { id, .. } if id.get() == 2)).await;
    world.assert_whole().await;
}

#[tokio::test(start_paused = true)]
async fn surplus_idle_connections_end_and_the_minimum_stays() {
    let world = world(at_most(4).min_connections(1).idle_timeout(5 * SECOND));
    world.pool.warm(4).await;
    for _ in 0..3 {
        world.recorder.wait_for(|event| matches!(event, PoolEvent::Destroyed { .. })).await;
    }
    tokio::time::sleep(60 * SECOND).await; // sleep is the subject: the minimum outlasts any idleness
    let stats = world.pool.stats();
    assert_eq!((stats.idle, stats.destroyed.by(CloseReason::IdleTimeout)), (1, 3));
    world.assert_whole().await;
}

#[tokio::test(start_paused = true)]
async fn a_connection_past_its_lifetime_is_replaced_before_it_ends() {
    let world = world(at_most(2).min_connections(1).max_lifetime(5 * SECOND).lifetime_jitter(0.0));
    world.recorder.wait_for(|event| matches!(event, PoolEvent::Destroyed { .. })).await;
    let order: Vec<_> = world
        .recorder
        .events()
        .iter()
        .filter_map(|event| match event {
            PoolEvent::Created { id, .. } => Some(("created", id.get())),
            PoolEvent::Destroyed { id, reason: CloseReason::MaxLifetime, .. } => Some(("destroyed", id.get())),
            _ => None,
        })
        .collect();
    assert_eq!(order, [("created", 1), ("created", 2), ("destroyed", 1)]);
}

#[tokio::test(start_paused = true)]
async fn jitter_shortens_each_lifetime_by_another_part_of_what_it_may() {
    let config = at_most(16).max_concurrent_connects(16).max_lifetime(100 * SECOND).lifetime_jitter(0.5);
    let world = world(config.idle_timeout(None));
    world.pool.warm(16).await;
    let age = |event: &PoolEvent| match event {
        PoolEvent::Destroyed { reason: CloseReason::MaxLifetime, age, .. } => Some(*age),
        _ => None,
    };
    tokio::time::sleep(101 * SECOND).await; // sleep is the subject: nothing outlives its time
    let mut ages: Vec<_> = world.recorder.events().iter().filter_map(age).collect();
    // The alarm may ring a millisecond late, because it never rings for what is past.
    assert!(ages.iter().all(|age| (50 * SECOND..=100 * SECOND + 2 * MS).contains(age)), "{ages:?}");
    ages.sort();
    assert_eq!(ages.len(), 16);
    // All of them in 30 % of the range: once in six million runs by chance.
    assert!(ages[15] - ages[0] > 15 * SECOND, "each has a lifetime of its own: {ages:?}");
}
