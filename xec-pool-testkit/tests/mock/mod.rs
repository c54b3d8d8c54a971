//! The mock transport, by itself and under a pool.

use std::time::Duration;

use tokio::time::Instant;
use xec_pool_core::{
    AcquireError, Cancelled, Check, CloseReason, ConnectContext, DialError, Endpoint, FailureKind, Pool, PoolConfig,
    Transport,
};
use xec_pool_testkit::mock::{Call, Hook, MockConnection, MockHandle, MockTransport, Step};

const SECOND: Duration = Duration::from_secs(1);

fn pool(config: PoolConfig) -> (Pool<MockTransport>, MockHandle) {
    let (transport, handle) = MockTransport::new();
    (Pool::builder(transport).config(config).build().expect("nothing unclaimed"), handle)
}

fn at_most(max: u32) -> PoolConfig {
    let config = PoolConfig::builder().max_connections(max).recreate_on_error(false).retry_attempts(0);
    config.build().expect("valid")
}

async fn open(transport: &MockTransport) -> MockConnection {
    transport.connect(ConnectContext::detached()).await.expect("the script is empty")
}

#[tokio::test(start_paused = true)]
async fn a_script_is_followed_step_by_step_and_then_the_default() {
    let (transport, handle) = MockTransport::new();
    handle.script(Hook::Connect, [Step::fail(FailureKind::Unreachable), Step::ok()]);
    handle.always(Hook::Connect, Step::fail(FailureKind::Trust).slow(SECOND));
    let connect = async || transport.connect(ConnectContext::detached()).await;
    let error = connect().await.expect_err("first it fails");
    assert_eq!(transport.classify(&error), FailureKind::Unreachable);
    drop(connect().await.expect("then it works"));
    handle.script(Hook::Connect, [Step::ok(), Step::ok()]);
    drop(connect().await.expect("the script goes on"));
    handle.clear_script(Hook::Connect);
    for _ in 0..2 {
        let start = Instant::now();
        assert_eq!(connect().await.expect_err("then it fails for ever").kind(), FailureKind::Trust);
        assert_eq!(start.elapsed(), SECOND);
    }
    assert_eq!(handle.calls(Hook::Connect), 5);
    assert_eq!((handle.opened(), handle.live(), handle.most_live()), (2, 0, 1));
}

#[tokio::test(start_paused = true)]
async fn a_hanging_hook_never_ends() {
    let (pool, handle) = pool(at_most(1));
    handle.script(Hook::Connect, [Step::hang()]);
    let start = Instant::now();
    assert!(pool.acquire().await.expect_err("nobody answers").is_timeout());
    assert_eq!((start.elapsed(), handle.calls(Hook::Connect)), (10 * SECOND, 1));
}

#[tokio::test]
async fn a_panicking_hook_panics() {
    let (pool, handle) = pool(at_most(1));
    handle.script(Hook::Connect, [Step::panic()]);
    match pool.acquire().await {
        Err(AcquireError::Connect { cause, .. }) => assert!(matches!(*cause, DialError::Panicked), "{cause}"),
        other => panic!("{other:?}"),
    }
    let lease = pool.acquire().await.expect("the script is over");
    let id = lease.id().get();
    handle.script(Hook::IsBroken, [Step::panic()]);
    drop(lease);
    handle.until_live(0).await;
    assert_eq!(handle.log().last(), Some(&Call::Dropped { id }));
}

#[tokio::test]
async fn gated_steps_are_let_through_one_by_one() {
    let (pool, handle) = pool(at_most(3));
    handle.always(Hook::Connect, Step::ok().gated());
    let warming = {
        let pool = pool.clone();
        tokio::spawn(async move { pool.warm(3).await })
    };
    handle.called(Hook::Connect, 1).await;
    assert_eq!(handle.live(), 0);
    for count in 1..=3 {
        handle.release(Hook::Connect, 1);
        handle.until_live(count).await;
    }
    warming.await.expect("it does not panic");
    assert_eq!((handle.live_ids(), handle.most_live()), (vec![1, 2, 3], 3));
    assert!(handle.most_dialling() <= 3 && handle.most_dialling() >= 1);
    pool.close().await;
    handle.assert_each_closed_once();
}

#[tokio::test]
async fn a_broken_connection_is_found_at_the_next_look_and_a_lost_one_at_once() {
    let (pool, handle) = pool(at_most(2));
    let lease = pool.acquire().await.expect("it connects");
    let id = lease.id().get();
    drop(lease);
    assert!(handle.break_connection(id) && handle.live() == 1, "nobody was told");
    let lease = pool.acquire().await.expect("it connects again");
    assert_ne!(lease.id().get(), id);
    let id = lease.id().get();
    drop(lease);
    assert!(handle.lose(id, "the cat"));
    handle.until_live(0).await;
    assert!(!handle.lose(id, "again") && !handle.break_connection(id), "it is gone");
    let reasons: Vec<_> = handle.log().into_iter().filter_map(reason).collect();
    assert_eq!(reasons, [CloseReason::Broken, CloseReason::Lost]);
    pool.close().await;
    handle.assert_each_closed_once();
}

fn reason(call: Call) -> Option<CloseReason> {
    if let Call::Close { reason, .. } = call { Some(reason) } else { None }
}

#[tokio::test(start_paused = true)]
async fn a_connection_may_die_by_itself() {
    let (pool, handle) = pool(at_most(1));
    handle.script(Hook::Connect, [Step::ok().die_after(3 * SECOND)]);
    let start = Instant::now();
    drop(pool.acquire().await.expect("it connects"));
    handle.until_live(0).await;
    assert_eq!(start.elapsed(), 3 * SECOND);
}

#[tokio::test]
async fn checks_fail_by_script_and_on_a_dead_connection() {
    let (transport, handle) = MockTransport::new();
    let connection = open(&transport).await;
    handle.script(Hook::Validate, [Step::fail(FailureKind::TimedOut)]);
    let failed = transport.validate(&connection, Check::Idle).await.expect_err("the script says so");
    assert_eq!(failed.kind(), FailureKind::TimedOut);
    transport.validate(&connection, Check::Borrow).await.expect("the script is over");
    assert!(handle.break_connection(connection.id()));
    let failed = transport.validate(&connection, Check::Return).await.expect_err("it is dead");
    assert_eq!(failed.kind(), FailureKind::Lost);
    assert!(transport.is_broken(&connection));
    let checks = [Check::Idle, Check::Borrow, Check::Return].map(|check| Call::Validate { id: 1, check });
    assert_eq!(handle.log()[1..], checks);
}

#[tokio::test]
async fn a_cancelled_connection_is_dead() {
    let (transport, handle) = MockTransport::new();
    let cancel = Cancelled::new();
    let cx = ConnectContext::detached_with(cancel.clone(), |_| {});
    let connection = transport.connect(cx).await.expect("the script is empty");
    assert_eq!((transport.is_broken(&connection), handle.is_cancelled(1)), (false, Some(false)));
    cancel.cancel();
    assert_eq!((transport.is_broken(&connection), handle.is_cancelled(1)), (true, Some(true)));
    handle.script(Hook::IsBroken, [Step::fail(FailureKind::Other)]);
    assert_eq!(handle.is_cancelled(7), None);
}

#[tokio::test]
#[should_panic(expected = "not closed exactly once: connection 1 (closed 0 times, gone: true)")]
async fn a_connection_that_was_only_dropped_is_noticed() {
    let (transport, handle) = MockTransport::new();
    drop(open(&transport).await);
    handle.assert_none_left();
    handle.assert_each_closed_once();
}

#[tokio::test]
#[should_panic(expected = "still there, or closed twice: connection 1")]
async fn a_connection_that_is_left_is_noticed() {
    let (transport, handle) = MockTransport::new();
    let _connection = open(&transport).await;
    handle.assert_none_left();
}

#[test]
fn it_says_its_name_and_endpoint() {
    let transport = MockTransport::new().0.named("db").at(Endpoint::new("db.example", 5432));
    assert_eq!(transport.name().as_deref(), Some("db"));
    assert_eq!(transport.endpoint(), Some(Endpoint::new("db.example", 5432)));
}
