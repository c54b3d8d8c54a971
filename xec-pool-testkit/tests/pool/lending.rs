//! Leases: what a holder may do, and what callers are told who get none.

use xec_pool_core::{
    AcquireError, AcquireOptions, CloseReason, Discipline, PoolConfig, PoolConfigBuilder, PoolEvent, TimedOutStage,
};

use super::{MS, SECOND, at_most, world};

/// Four callers come one after the other while the one connection is lent; says in which order they got it.
async fn turns(config: PoolConfigBuilder) -> Vec<u32> {
    let world = world(config.max_connections(1));
    let held = world.lease().await;
    let order = std::sync::Mutex::new(Vec::new());
    let caller = async |number: u32| {
        let lease = world.lease().await;
        order.lock().unwrap().push(number);
        tokio::task::yield_now().await;
        drop(lease);
    };
    tokio::join!(caller(1), caller(2), caller(3), caller(4), async { drop(held) });
    world.assert_whole().await;
    order.into_inner().unwrap()
}

#[tokio::test(start_paused = true)]
async fn callers_are_served_in_the_order_they_came() {
    assert_eq!(turns(PoolConfig::builder()).await, [1, 2, 3, 4]);
}

#[tokio::test(start_paused = true)]
async fn or_where_it_is_configured_whoever_came_last_is_first() {
    assert_eq!(turns(PoolConfig::builder().queue_discipline(Discipline::Lifo)).await, [4, 3, 2, 1]);
}

#[tokio::test(start_paused = true)]
async fn a_full_queue_refuses_with_its_length() {
    let world = world(at_most(1).queue_capacity(1));
    let _held = world.lease().await;
    let waiting = world.pool.acquire();
    tokio::pin!(waiting);
    assert!(super::cut(waiting.as_mut(), 1).await.is_none());
    let error = world.pool.acquire().await.expect_err("full");
    assert!(matches!(error, AcquireError::QueueFull { waiting: 1, .. }) && error.is_overload(), "{error}");
}

#[tokio::test(start_paused = true)]
async fn a_time_out_says_what_the_time_went_on() {
    let world = world(at_most(1).queue_timeout(2 * SECOND));
    let _held = world.lease().await;
    let AcquireError::TimedOut(error) = world.pool.acquire().await.expect_err("held") else { panic!() };
    assert_eq!((error.stage(), error.limit(), error.stats().active), (TimedOutStage::Queue, 2 * SECOND, 1));
    let text = error.to_string();
    assert!(text.contains("no connection within 2s: all were lent (1 active"), "{text}");

    world.pool.suspend();
    let options = AcquireOptions::new().timeout(7 * MS);
    let AcquireError::TimedOut(error) = world.pool.acquire_with(options).await.expect_err("held") else { panic!() };
    assert_eq!((error.stage(), error.limit()), (TimedOutStage::Suspended, 7 * MS));
}

#[tokio::test(start_paused = true)]
async fn try_acquire_neither_waits_nor_dials() {
    let world = world(at_most(1));
    assert!(matches!(world.pool.try_acquire(), Err(AcquireError::NoneIdle { .. })));
    drop(world.lease().await);
    let lease = world.pool.try_acquire().expect("idle, and proven a moment ago");
    assert!(world.pool.try_acquire().is_err());
    drop(lease);
    world.handle.live_ids().into_iter().for_each(|id| assert!(world.handle.break_connection(id)));
    assert!(world.pool.try_acquire().is_err(), "a broken one is not lent");
}

#[tokio::test(start_paused = true)]
async fn with_borrows_for_one_closure_and_throws_away_after_a_panic() {
    let world = world(at_most(1));
    assert_eq!(world.pool.with(async |connection| connection.id()).await.expect("connects"), 1);
    assert_eq!(world.pool.stats().idle, 1);
    let pool = world.pool.clone();
    let crash = tokio::spawn(async move { pool.with(async |_| panic!("as planned")).await.map(|(): ()| ()) });
    assert!(crash.await.expect_err("it panicked").is_panic());
    let lease = world.lease().await;
    assert_eq!(lease.id().get(), 2);
    drop(lease);
    assert_eq!(world.pool.stats().destroyed.by(CloseReason::Discarded), 1);
    world.assert_whole().await;
}

#[tokio::test(start_paused = true)]
async fn a_lease_can_be_changed_thrown_away_and_kept() {
    let world = world(at_most(2));
    let mut lease = world.lease().await;
    assert!(lease.get_mut().is_some(), "nobody shares it");
    lease.discard("spoilt");
    let kept = world.lease().await.detach().expect("nobody shares it");
    let stats = world.pool.stats();
    assert_eq!(stats.destroyed.by(CloseReason::Detached), 1);
    assert_eq!((stats.active, stats.leases), (0, 0), "a kept connection no longer counts");
    world.pool.close().await;
    assert!(world.handle.live_ids().contains(&kept.id()), "and the pool does not close it");
}

#[tokio::test(start_paused = true)]
async fn a_lease_outlives_its_pool() {
    let world = world(at_most(1));
    let lease = world.lease().await;
    let handle = world.handle.clone();
    drop(world);
    assert_eq!((lease.id().get(), handle.live()), (1, 1));
    drop(lease);
    handle.called(xec_pool_testkit::mock::Hook::Close, 1).await;
    handle.assert_each_closed_once();
}

#[tokio::test(start_paused = true)]
async fn try_acquire_finds_the_one_that_a_check_has_just_proven() {
    let world = world(at_most(2).validate_interval(3 * SECOND));
    let (first, second) = (world.lease().await, world.lease().await);
    drop(first);
    tokio::time::advance(2 * SECOND).await;
    drop(second);
    // The first is checked now; the second came home last, and was proven when it was opened.
    let checked = |event: &PoolEvent| matches!(event, PoolEvent::Validated { id, .. } if id.get() == 1);
    world.recorder.wait_for(checked).await;
    assert_eq!(world.pool.try_acquire().expect("the first needs no check").id().get(), 1);
    world.assert_whole().await;
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_nobody_received_is_not_reused() {
    let world = world(at_most(1));
    let mut never_fetched = Box::pin(world.pool.acquire());
    assert!(super::cut(never_fetched.as_mut(), 1).await.is_none());
    world.recorder.wait_for(|event| matches!(event, PoolEvent::Created { .. })).await;
    drop(never_fetched);
    assert!(!world.lease().await.reused());
    assert!(world.lease().await.reused());
}
