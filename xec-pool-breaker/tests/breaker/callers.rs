//! What the callers of a pool see of its breaker.

use std::{error::Error, sync::Barrier, time::Duration};

use tokio::time::Instant;
use xec_pool_breaker::BreakerState;
use xec_pool_core::{AcquireError, AcquireOptions, Denied, FailureKind, Gate, PoolConfig};
use xec_pool_testkit::mock::{Hook, Step};

use super::{MS, SECOND, breaker, exact, hasty, heard, pool, request};

/// Fails as many callers as open the circuit.
async fn open(pool: &xec_pool_core::Pool<xec_pool_testkit::MockTransport>, failures: u32) {
    for _ in 0..failures {
        pool.acquire().await.expect_err("the host is down");
    }
}

#[tokio::test(start_paused = true)]
async fn five_failures_open_it_then_callers_fail_at_once_until_a_probe_has_closed_it() {
    let breaker = breaker(exact());
    let (pool, host) = pool(hasty(), breaker.clone());
    let mut events = pool.subscribe();
    host.always(Hook::Connect, Step::fail(FailureKind::Unreachable).slow(10 * MS));
    open(&pool, 4).await;
    assert_eq!((breaker.state(), breaker.snapshot().failures), (BreakerState::Closed, 4));
    open(&pool, 1).await;
    assert_eq!(heard(&mut events), ["circuit:open (30s)"]);

    let begin = Instant::now();
    for _ in 0..100 {
        let error = pool.acquire().await.expect_err("open");
        let AcquireError::CircuitOpen { retry_after: Some(after), .. } = &error else { panic!("{error}") };
        assert_eq!(*after, 30 * SECOND);
        assert_eq!(error.source().unwrap().to_string(), "failed as the script says (unreachable)");
    }
    assert_eq!((begin.elapsed(), host.calls(Hook::Connect)), (Duration::ZERO, 5));

    host.always(Hook::Connect, Step::ok().slow(10 * MS));
    tokio::time::advance(30 * SECOND).await;
    drop(pool.acquire().await.expect("the host is back"));
    assert_eq!(heard(&mut events), ["circuit:half-open", "circuit:close"]);
    assert_eq!((breaker.state(), host.calls(Hook::Connect)), (BreakerState::Closed, 6));
}

#[tokio::test(start_paused = true)]
async fn who_waits_out_a_back_off_is_told_when_the_circuit_opens_not_when_the_wait_is_over() {
    let (pool, host) = pool(PoolConfig::builder().retry_attempts(9), breaker(exact().failure_threshold(2)));
    host.always(Hook::Connect, Step::fail(FailureKind::Unreachable));
    let begin = Instant::now();
    let error = pool.acquire().await.expect_err("retries are cut short");
    assert!(matches!(error, AcquireError::CircuitOpen { .. }), "{error}");
    // One back-off, of at most a second: between the first dial and the second.
    assert!(begin.elapsed() < SECOND && host.calls(Hook::Connect) == 2, "{:?}", begin.elapsed());
}

#[tokio::test(start_paused = true)]
async fn while_open_idle_connections_flow_and_callers_wait_for_those_that_are_lent() {
    let breaker = breaker(exact());
    let (pool, host) = pool(hasty().max_connections(2), breaker.clone());
    let lease = pool.acquire().await.expect("closed");
    breaker.force_open();
    let (waited, ()) = tokio::join!(pool.acquire(), async {
        tokio::time::sleep(SECOND).await; // sleep is the subject: how long the connection is held
        drop(lease);
    });
    drop(waited.expect("the lent one served it"));
    drop(pool.acquire().await.expect("an idle one flows"));
    assert_eq!(host.calls(Hook::Connect), 1);
}

#[tokio::test(start_paused = true)]
async fn the_minimum_and_a_warm_go_through_the_gate_and_the_pool_itself_sends_the_probe() {
    let breaker = breaker(exact().failure_threshold(1));
    let (pool, host) = pool(hasty().min_connections(3), breaker.clone());
    let mut events = pool.subscribe();
    host.script(Hook::Connect, [Step::fail(FailureKind::Unreachable)]);
    host.always(Hook::Connect, Step::ok().gated());
    host.called(Hook::Connect, 1).await;
    let report = pool.warm(3).await;
    assert_eq!((report.opened, host.calls(Hook::Connect)), (0, 1), "no warm goes round the gate");
    tokio::time::sleep(29 * SECOND).await; // sleep is the subject: the circuit is open
    assert_eq!(host.calls(Hook::Connect), 1, "nor does the minimum");

    host.called(Hook::Connect, 2).await;
    tokio::time::sleep(SECOND).await; // sleep is the subject: the probe is out
    assert_eq!((host.calls(Hook::Connect), breaker.state()), (2, BreakerState::HalfOpen), "one probe, unasked");
    host.release(Hook::Connect, 10);
    host.until_live(3).await;
    assert_eq!(heard(&mut events), ["circuit:open (30s)", "circuit:half-open", "circuit:close"]);
}

#[tokio::test(start_paused = true)]
async fn a_caller_that_waits_for_a_lent_connection_gets_the_probe_s_when_its_time_comes() {
    let breaker = breaker(exact().failure_threshold(1).open_for(2 * SECOND));
    let (pool, host) = pool(hasty().max_connections(2), breaker);
    let lease = pool.acquire().await.expect("closed");
    host.script(Hook::Connect, [Step::fail(FailureKind::Unreachable)]);
    let begin = Instant::now();
    let second = pool.acquire().await.expect("it waited for the lent one, and the host came back");
    assert_eq!(begin.elapsed(), 2 * SECOND);
    assert_eq!(host.calls(Hook::Connect), 3);
    drop((lease, second));
}

#[tokio::test(start_paused = true)]
async fn fifty_callers_at_half_open_make_one_dial_and_all_are_served() {
    let breaker = breaker(exact().failure_threshold(1));
    let (pool, host) = pool(hasty().max_connections(50), breaker.clone());
    host.script(Hook::Connect, [Step::fail(FailureKind::Unreachable)]);
    open(&pool, 1).await;
    tokio::time::advance(30 * SECOND).await;
    host.always(Hook::Connect, Step::ok().gated());
    let callers: Vec<_> = (0..50)
        .map(|_| {
            tokio::spawn({
                let pool = pool.clone();
                async move { pool.acquire().await }
            })
        })
        .collect();
    host.called(Hook::Connect, 2).await;
    tokio::time::sleep(SECOND).await; // sleep is the subject: the probe is out
    assert_eq!(host.calls(Hook::Connect), 2, "one dial, not one a caller");
    assert_eq!((pool.stats().waiting, breaker.snapshot().probes), (50, 1));
    host.release(Hook::Connect, 50);
    for caller in callers {
        drop(caller.await.unwrap().expect("the host is back"));
    }
}

#[tokio::test(start_paused = true)]
async fn of_fifty_threads_that_ask_at_half_open_one_passes() {
    let breaker = breaker(exact().failure_threshold(1));
    let pass = breaker.admit(&request(1)).expect("closed");
    pass.settle(xec_pool_core::Settlement::Failure(
        FailureKind::TimedOut,
        std::sync::Arc::new(std::io::Error::other("late")),
    ));
    tokio::time::advance(30 * SECOND).await;
    // The threads know no paused clock: whoever looks first makes it half-open for all, and gives its pass back.
    drop(breaker.admit(&request(1)).expect("half-open"));
    let start = Barrier::new(50);
    let answers: Vec<_> = std::thread::scope(|scope| {
        let ask = |pool| {
            let (breaker, start) = (&breaker, &start);
            scope.spawn(move || {
                start.wait();
                breaker.admit(&request(pool))
            })
        };
        let threads: Vec<_> = (0..50).map(ask).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    assert_eq!(answers.iter().filter(|answer| answer.is_ok()).count(), 1);
    assert_eq!(answers.iter().filter(|answer| matches!(answer, Err(Denied::Busy))).count(), 49);
}

#[tokio::test(start_paused = true)]
async fn nobody_waits_past_its_deadline_for_a_probe_that_hangs() {
    let breaker = breaker(exact().failure_threshold(1));
    let (pool, host) = pool(hasty().connect_timeout(15 * SECOND), breaker.clone());
    host.script(Hook::Connect, [Step::fail(FailureKind::Unreachable)]);
    host.always(Hook::Connect, Step::hang());
    open(&pool, 1).await;
    tokio::time::advance(30 * SECOND).await;
    let begin = Instant::now();
    let error = pool.acquire_with(AcquireOptions::new().timeout(2 * SECOND)).await.expect_err("a black hole");
    assert!(error.is_timeout() && begin.elapsed() == 2 * SECOND, "{error} after {:?}", begin.elapsed());
    // Its caller is gone; the probe goes on, and its end is a verdict.
    tokio::time::sleep(14 * SECOND).await; // sleep is the subject: past connect_timeout
    assert_eq!((breaker.state(), host.calls(Hook::Connect)), (BreakerState::Open, 2));
    assert_eq!(breaker.snapshot().openings, 2);
}

#[tokio::test(start_paused = true)]
async fn each_kind_of_failure_counts_as_it_should() {
    let cases = [
        (FailureKind::Unreachable, BreakerState::Open, 0),
        (FailureKind::TimedOut, BreakerState::Open, 0),
        (FailureKind::Lost, BreakerState::Open, 0),
        (FailureKind::Other, BreakerState::Open, 0),
        (FailureKind::Throttled, BreakerState::Closed, 0),
        (FailureKind::Credentials, BreakerState::Closed, 1),
        (FailureKind::Trust, BreakerState::Closed, 1),
        (FailureKind::Config, BreakerState::Closed, 1),
    ];
    for (kind, state, shut_out) in cases {
        let breaker = breaker(exact().failure_threshold(1));
        let (pool, host) = pool(hasty(), breaker.clone());
        host.script(Hook::Connect, [Step::fail(kind), Step::hang()]);
        drop(tokio::time::timeout(MS, pool.acquire()).await);
        let snapshot = breaker.snapshot();
        assert_eq!((snapshot.state, snapshot.credentials.len()), (state, shut_out), "{kind}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_dies_later_is_no_failure_of_its_dial() {
    let breaker = breaker(exact().failure_threshold(1));
    let (pool, host) = pool(hasty(), breaker.clone());
    for _ in 0..10 {
        let lease = pool.acquire().await.expect("the host is up");
        host.lose(lease.id().get(), "reboot");
    }
    assert_eq!(breaker.snapshot().opened, 0);
}

#[tokio::test(start_paused = true)]
async fn a_snapshot_says_how_things_stand_and_changes_nothing() {
    let breaker = breaker(exact().failure_threshold(1));
    let (pool, host) = pool(hasty(), breaker.clone());
    let mut events = pool.subscribe();
    host.script(Hook::Connect, [Step::fail(FailureKind::Unreachable)]);
    open(&pool, 1).await;
    breaker.admit(&request(9)).expect_err("open");
    tokio::time::advance(10 * SECOND).await;
    let snapshot = breaker.snapshot();
    assert_eq!((snapshot.state, snapshot.retry_after), (BreakerState::Open, Some(20 * SECOND)));
    assert_eq!((snapshot.opened, snapshot.openings, snapshot.refused), (1, 1, 1));
    assert!(snapshot.cause.unwrap().to_string().contains("unreachable"));
    assert!(format!("{breaker:?}").contains("Open"));
    drop(heard(&mut events));
    tokio::time::advance(20 * SECOND).await;
    assert_eq!((breaker.state(), breaker.snapshot().retry_after), (BreakerState::HalfOpen, None));
    assert!(heard(&mut events).is_empty(), "looking is no reason for an event");
}
