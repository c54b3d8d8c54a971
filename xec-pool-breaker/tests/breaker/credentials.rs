//! Refused credentials: the pool they belong to is shut out at once and for good; nobody else is.

use std::sync::Arc;

use xec_pool_breaker::{Breaker, BreakerState};
use xec_pool_core::{AcquireError, Cause, DialError, FailureKind, Gate, Pass, Settlement};
use xec_pool_testkit::mock::{Hook, Step};

use super::{MS, SECOND, breaker, exact, hasty, heard, pool, request};

const HOUR: std::time::Duration = std::time::Duration::from_secs(3_600);

fn refused() -> Settlement {
    Settlement::Failure(FailureKind::Credentials, Arc::new(std::io::Error::other("wrong password")))
}

fn dial(breaker: &Breaker, pool: u64) -> Pass {
    breaker.admit(&request(pool)).expect("nothing is shut")
}

#[tokio::test(start_paused = true)]
async fn a_wrong_password_is_tried_once_until_a_reset_whoever_asks() {
    for kind in [FailureKind::Credentials, FailureKind::Trust, FailureKind::Config] {
        let breaker = breaker(exact());
        let (pool, host) = pool(hasty().min_connections(2).max_connections(4), breaker.clone());
        let mut events = pool.subscribe();
        host.always(Hook::Connect, Step::fail(kind).slow(10 * MS));
        let (a, b, c) = tokio::join!(pool.acquire(), pool.acquire(), pool.acquire());
        let causes = [a, b, c].map(|result| match result.expect_err("refused") {
            AcquireError::Connect { cause, kind: told, .. } if told == kind => cause,
            other => panic!("{other}"),
        });
        assert!(causes.iter().all(|cause| Arc::ptr_eq(cause, &causes[0])), "all who wait get that cause");
        assert_eq!(heard(&mut events), ["circuit:open"]);

        let error = pool.acquire().await.expect_err("shut out");
        let AcquireError::CircuitOpen { retry_after: None, cause: Some(cause), .. } = &error else { panic!("{error}") };
        assert!(cause.downcast_ref::<DialError<xec_pool_testkit::mock::MockError>>().is_some(), "{cause}");
        assert_eq!(pool.warm(2).await.opened, 0);
        tokio::time::sleep(HOUR).await; // sleep is the subject: no time heals a wrong password
        assert_eq!((host.calls(Hook::Connect), breaker.snapshot().credentials), (1, vec![pool.id()]));

        host.always(Hook::Connect, Step::ok());
        breaker.reset();
        host.until_live(2).await;
        assert_eq!(heard(&mut events), ["circuit:close"], "and the minimum is dialled without being asked for");
        assert!(breaker.snapshot().credentials.is_empty());
    }
}

#[tokio::test(start_paused = true)]
async fn another_users_pool_behind_the_same_breaker_goes_on() {
    let breaker = breaker(exact().failure_threshold(1));
    let (alice, alices) = pool(hasty(), breaker.clone());
    let (bob, bobs) = pool(hasty(), breaker.clone());
    let mut heard_by_bob = bob.subscribe();
    alices.always(Hook::Connect, Step::fail(FailureKind::Credentials));
    alice.acquire().await.expect_err("a wrong password");
    alice.acquire().await.expect_err("shut out");
    drop(bob.acquire().await.expect("his is right"));
    assert_eq!((alices.calls(Hook::Connect), bobs.calls(Hook::Connect)), (1, 1));
    assert_eq!((breaker.state(), heard(&mut heard_by_bob)), (BreakerState::Closed, Vec::new()));
}

#[tokio::test(start_paused = true)]
async fn a_host_that_comes_back_is_no_reason_to_try_a_wrong_password_again() {
    let breaker = breaker(exact().failure_threshold(1));
    let (alice, alices) = pool(hasty().min_connections(1), breaker.clone());
    let (bob, bobs) = pool(hasty(), breaker.clone());
    alices.always(Hook::Connect, Step::fail(FailureKind::Credentials));
    alices.called(Hook::Connect, 1).await;
    bobs.script(Hook::Connect, [Step::fail(FailureKind::Unreachable)]);
    bob.acquire().await.expect_err("the host is down");
    tokio::time::sleep(30 * SECOND).await; // sleep is the subject: until half-open
    drop(bob.acquire().await.expect("and back"));
    let error = alice.acquire().await.expect_err("shut out");
    assert!(matches!(error, AcquireError::CircuitOpen { retry_after: None, .. }), "{error}");
    breaker.force_close();
    alice.acquire().await.expect_err("shut out, though the circuit is held closed");
    assert_eq!(alices.calls(Hook::Connect), 1);
}

/// Alice's password is wrong; then the host is down for Bob, who shares her breaker.
#[tokio::test(start_paused = true)]
async fn what_becomes_of_the_host_is_no_news_to_a_pool_that_is_shut_out() {
    let breaker = breaker(exact().failure_threshold(1));
    let (alice, alices) = pool(hasty(), breaker.clone());
    let (bob, bobs) = pool(hasty(), breaker.clone());
    let (mut heard_by_alice, mut heard_by_bob) = (alice.subscribe(), bob.subscribe());
    alices.always(Hook::Connect, Step::fail(FailureKind::Credentials));
    let error = alice.acquire().await.expect_err("a wrong password");
    let AcquireError::Connect { cause: hers, .. } = error else { panic!("{error}") };
    assert_eq!(heard(&mut heard_by_alice), ["circuit:open"]);

    bobs.script(Hook::Connect, [Step::fail(FailureKind::Unreachable)]);
    bob.acquire().await.expect_err("the host is down");
    let error = alice.acquire().await.expect_err("shut out");
    let AcquireError::CircuitOpen { retry_after: None, cause: Some(cause), .. } = error else { panic!("{error}") };
    assert!(Arc::ptr_eq(&cause, &(hers as Cause)), "not Bob's: {cause}");

    tokio::time::sleep(30 * SECOND).await; // sleep is the subject: until half-open
    drop(bob.acquire().await.expect("the host is back"));
    breaker.force_open();
    assert_eq!(heard(&mut heard_by_alice), Vec::<String>::new(), "all the same to her");
    breaker.reset();
    assert_eq!(heard(&mut heard_by_alice), ["circuit:close"], "once");
    let told = ["circuit:open (30s)", "circuit:half-open", "circuit:close", "circuit:open", "circuit:close"];
    assert_eq!(heard(&mut heard_by_bob), told);
}

#[test]
fn a_probe_whose_credentials_are_refused_frees_its_place_for_others() {
    let breaker = breaker(exact().failure_threshold(1));
    breaker.force_open();
    breaker.reset();
    let pass = dial(&breaker, 1);
    pass.settle(refused());
    assert_eq!(breaker.snapshot().credentials, [request(1).pool]);
    breaker.admit(&request(1)).expect_err("shut out");
    drop(dial(&breaker, 2));
}

#[test]
fn a_refusal_counts_however_the_circuit_has_changed_since_but_not_if_it_was_reset() {
    let breaker = breaker(exact());
    let before = dial(&breaker, 1);
    breaker.force_open();
    breaker.force_close();
    before.settle(refused());
    breaker.admit(&request(1)).expect_err("the password is as wrong as it was");

    breaker.reset();
    let before = dial(&breaker, 1);
    breaker.reset();
    before.settle(refused());
    drop(dial(&breaker, 1));
}

#[tokio::test(start_paused = true)]
async fn a_pool_that_is_gone_is_forgotten() {
    let breaker = breaker(exact());
    let (first, host) = pool(hasty(), breaker.clone());
    host.always(Hook::Connect, Step::fail(FailureKind::Credentials));
    first.acquire().await.expect_err("a wrong password");
    let mut events = first.subscribe();
    drop(first);
    while events.next().await.is_some() {}
    let (second, host) = pool(hasty(), breaker.clone());
    assert!(breaker.snapshot().credentials.is_empty());
    host.always(Hook::Connect, Step::fail(FailureKind::Credentials));
    second.acquire().await.expect_err("a wrong password");
    let (_third, _host) = pool(hasty(), breaker.clone());
    assert_eq!(breaker.snapshot().credentials, [second.id()], "one that comes changes nothing for those who are there");
}
