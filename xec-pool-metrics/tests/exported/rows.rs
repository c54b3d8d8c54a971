//! Each row of the table that counts or times what happens: success, and each failure.

use std::{
    pin::pin,
    task::{Context, Poll, Waker},
};

use xec_pool_core::{AcquireOptions, CloseReason, FailureKind};
use xec_pool_metrics::names;
use xec_pool_testkit::mock::{Hook, Step};

use super::{
    lab::{Lab, series},
    scenes::{self, KINDS, MS, SECOND, at_most, gated_pool, pool},
};

#[tokio::test(start_paused = true)]
async fn dials_are_timed_whether_they_connect_or_how_they_fail() {
    let lab = Lab::new();
    scenes::dials(&lab.telemetry).await;
    let dials = lab.series(&names::CREATE_TIME);
    let failed = KINDS.map(|kind| (format!("error.type={kind}"), 1.0));
    assert_eq!(dials, failed.into_iter().chain([(String::new(), 8.0)]).collect());
    assert!((lab.seconds(&names::CREATE_TIME) - 16.0 * 0.02).abs() < 1e-9);
    let retried = KINDS.into_iter().filter(|kind| kind.is_retried()).map(|kind| (format!("error.type={kind}"), 1.0));
    assert_eq!(lab.series(&names::RETRIES), retried.collect());
}

#[tokio::test(start_paused = true)]
async fn waits_are_timed_and_use_as_well() {
    let lab = Lab::new();
    let (pool, handle) = pool(&lab.telemetry, at_most(1));
    handle.always(Hook::Connect, Step::ok().slow(30 * MS));
    let lease = pool.acquire().await.unwrap();
    tokio::time::advance(2 * SECOND).await;
    drop(lease);
    drop(pool.acquire().await.unwrap());
    assert_eq!(lab.series(&names::WAIT_TIME), series([("", 2.0)]));
    assert!((lab.seconds(&names::WAIT_TIME) - 0.03).abs() < 1e-9, "the first waited for a dial, the second did not");
    assert_eq!(lab.series(&names::USE_TIME), series([("", 2.0)]));
    assert!((lab.seconds(&names::USE_TIME) - 2.0).abs() < 1e-9);
}

#[tokio::test(start_paused = true)]
async fn who_gets_nothing_is_told_apart_by_the_reason() {
    let lab = Lab::new();
    scenes::refusals(&lab.telemetry).await;
    let waits = lab.series(&names::WAIT_TIME);
    let errors = ["timed_out", "cancelled", "draining", "closed", "queue_full", "circuit_open"];
    let expected = errors.map(|error| (format!("error.type={error}"), 1.0));
    assert_eq!(waits, expected.into_iter().chain([(String::new(), 2.0)]).collect());
    assert_eq!(lab.series(&names::TIMEOUTS), series([("", 1.0)]));
    assert_eq!(lab.series(&names::BREAKER_REJECTIONS), series([("", 1.0)]));
}

#[tokio::test(start_paused = true)]
async fn who_gets_nothing_because_dialling_failed_is_told_how_it_did() {
    let lab = Lab::new();
    for kind in KINDS {
        let (pool, handle) = pool(&lab.telemetry, at_most(1).retry_attempts(0));
        handle.always(Hook::Connect, Step::fail(kind));
        let error = pool.acquire_with(AcquireOptions::new().timeout(MS)).await.unwrap_err();
        assert_eq!(error.kind().is_some(), kind != FailureKind::Throttled, "that is no attempt: {error}");
    }
    let kinds = KINDS.into_iter().filter(|kind| *kind != FailureKind::Throttled);
    let expected = kinds.map(|kind| (format!("error.type=connect_{kind}"), 1.0));
    assert_eq!(lab.series(&names::WAIT_TIME), expected.chain([("error.type=timed_out".to_owned(), 1.0)]).collect());
}

#[test]
fn who_waits_outside_of_any_runtime_is_told_as_well() {
    let lab = Lab::new();
    let (pool, _handle) = pool(&lab.telemetry, at_most(1));
    let refused = pin!(pool.acquire()).poll(&mut Context::from_waker(Waker::noop()));
    assert!(matches!(refused, Poll::Ready(Err(_))));
    assert_eq!(lab.series(&names::WAIT_TIME), series([("error.type=no_runtime", 1.0)]));
}

#[tokio::test(start_paused = true)]
async fn lives_are_timed_by_how_they_end() {
    let lab = Lab::new();
    let _pools = scenes::lives(&lab.telemetry).await;
    let expected = CloseReason::ALL.map(|reason| (format!("xec.pool.connection.close.reason={reason}"), 1.0));
    assert_eq!(lab.series(&names::LIFETIME), expected.into());
    let seconds = lab.seconds(&names::LIFETIME);
    assert!((seconds - (7.0 * 3.0 + 8.0 + 5.0)).abs() < 0.1, "{seconds}");
}

#[tokio::test(start_paused = true)]
async fn checks_are_counted_with_what_came_of_them() {
    let lab = Lab::new();
    scenes::checks(&lab.telemetry).await;
    assert_eq!(lab.series(&names::VALIDATIONS), series([("", 2.0), ("error.type=validation_failed", 1.0)]));
}

#[tokio::test(start_paused = true)]
async fn a_breaker_is_in_one_state_at_a_time_and_its_ways_are_counted() {
    let lab = Lab::new();
    let (_ungated, _) = pool(&lab.telemetry, at_most(1));
    let (pool, doorman) = gated_pool(&lab.telemetry);
    let state = || {
        let status = lab.series(&names::BREAKER_STATUS);
        assert_eq!(status.values().sum::<f64>(), 1.0, "in one state, and a pool without a gate has none: {status:?}");
        let (labels, _) = status.into_iter().find(|(_, value)| *value == 1.0).unwrap();
        labels.strip_prefix("xec.pool.breaker.state=").unwrap().to_owned()
    };
    assert_eq!(state(), "closed");
    doorman.opens_circuit(Some(SECOND));
    doorman.opens_circuit(Some(SECOND));
    assert_eq!(state(), "open");
    assert!(pool.acquire().await.is_err());
    doorman.half_opens();
    assert_eq!(state(), "half_open");
    doorman.opens_circuit(None);
    assert_eq!(state(), "forced_open");
    doorman.closes_circuit();
    assert_eq!(state(), "closed");
    let ways = lab.series(&names::BREAKER_TRANSITIONS);
    let way = |from, to| format!("xec.pool.breaker.from={from} xec.pool.breaker.to={to}");
    let expected = [("closed", "open"), ("open", "half_open"), ("half_open", "forced_open"), ("forced_open", "closed")];
    assert_eq!(ways, expected.map(|(from, to)| (way(from, to), 1.0)).into());
}

#[tokio::test(start_paused = true)]
async fn what_could_not_be_counted_is_counted_as_missed() {
    let lab = Lab::new();
    let pools = scenes::flood(&lab.telemetry).await;
    let (counted, missed) = (lab.series(&names::WAIT_TIME)[""], lab.series(&names::MISSED)[""]);
    let (stats, used) = (pools[0].stats(), lab.series(&names::USE_TIME)[""]);
    assert!(missed > 0.0, "{stats}");
    assert_eq!(counted + used + missed, (stats.acquired + stats.released) as f64, "nothing is lost unnoticed");
}
