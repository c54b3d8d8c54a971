//! One breaker for several pools, and one for each endpoint.

use std::sync::Arc;

use xec_pool_breaker::{Breaker, BreakerConfig, BreakerState, Breakers};
use xec_pool_core::{AcquireError, Endpoint, FailureKind, Gate, Pool, PoolEvent, Settlement};
use xec_pool_testkit::{
    Recorder,
    mock::{Hook, MockTransport, Step},
};

use super::{MS, SECOND, breaker, exact, hasty, heard, in_the_seed_s_words, pool, request};

#[tokio::test(start_paused = true)]
async fn one_pool_s_failures_shut_them_all_out_and_one_probe_is_sent_for_all() {
    let breaker = breaker(exact().failure_threshold(2));
    let (a, to_a) = pool(hasty(), breaker.clone());
    let (b, to_b) = pool(hasty(), breaker.clone());
    let (mut heard_by_a, mut heard_by_b) = (a.subscribe(), b.subscribe());
    to_a.always(Hook::Connect, Step::fail(FailureKind::Unreachable));
    a.acquire().await.expect_err("down");
    a.acquire().await.expect_err("down");
    let error = b.acquire().await.expect_err("the same host");
    assert!(matches!(error, AcquireError::CircuitOpen { .. }), "{error}");

    to_a.always(Hook::Connect, Step::ok().gated());
    tokio::time::advance(30 * SECOND).await;
    let (first, second, ()) = tokio::join!(a.acquire(), b.acquire(), async {
        to_a.called(Hook::Connect, 3).await;
        tokio::time::sleep(SECOND).await; // sleep is the subject: the probe is out
        assert_eq!(
            (to_a.calls(Hook::Connect), to_b.calls(Hook::Connect)),
            (3, 0),
            "one probe, and who waits is not refused"
        );
        to_a.release(Hook::Connect, 1);
    });
    drop((first.expect("its own probe"), second.expect("and after it its own dial")));
    let all = ["circuit:open (30s)", "circuit:half-open", "circuit:close"];
    assert_eq!(
        (heard(&mut heard_by_a), heard(&mut heard_by_b)),
        (all.map(str::to_owned).into(), all.map(str::to_owned).into())
    );
}

#[tokio::test(start_paused = true)]
async fn when_a_probe_ends_without_a_verdict_the_next_pool_s_goes_at_once() {
    let breaker = breaker(exact().failure_threshold(1));
    let (a, to_a) = pool(hasty(), breaker.clone());
    let (b, to_b) = pool(hasty(), breaker.clone());
    to_a.script(Hook::Connect, [Step::fail(FailureKind::Unreachable), Step::hang()]);
    a.acquire().await.expect_err("down");
    tokio::time::advance(30 * SECOND).await;
    let begin = tokio::time::Instant::now();
    let (_, served, ()) = tokio::join!(a.acquire(), b.acquire(), async {
        to_a.called(Hook::Connect, 2).await;
        tokio::time::sleep(SECOND).await; // sleep is the subject: the probe is out
        a.close().await;
    });
    drop(served.expect("its probe went when the other one was stopped"));
    assert_eq!((begin.elapsed(), to_b.calls(Hook::Connect)), (SECOND, 1));
    assert_eq!(breaker.state(), BreakerState::Closed);
}

#[tokio::test(start_paused = true)]
async fn when_a_probe_fails_those_who_waited_for_it_elsewhere_are_told_at_once() {
    let breaker = breaker(exact().failure_threshold(1));
    let (a, to_a) = pool(hasty(), breaker.clone());
    let (b, _) = pool(hasty(), breaker);
    to_a.always(Hook::Connect, Step::fail(FailureKind::Unreachable).slow(SECOND));
    a.acquire().await.expect_err("down");
    tokio::time::advance(30 * SECOND).await;
    let begin = tokio::time::Instant::now();
    let (_, refused) = tokio::join!(a.acquire(), b.acquire());
    let error = refused.expect_err("still down");
    assert!(matches!(error, AcquireError::CircuitOpen { .. }), "{error}");
    assert_eq!(begin.elapsed(), SECOND);
}

#[tokio::test(start_paused = true)]
async fn what_a_watcher_does_to_the_breaker_comes_after_what_it_heard() {
    struct Meddler(Breaker);
    impl xec_pool_core::Observer for Meddler {
        fn on_event(&self, event: &PoolEvent) {
            if event.seed_name() == Some("circuit:open") {
                self.0.reset();
            }
        }
    }
    let breaker = breaker(exact().failure_threshold(1));
    let (transport, host) = MockTransport::new();
    let config = hasty().build().unwrap();
    let builder = Pool::builder(transport).config(config).gate(breaker.clone()).observer(Meddler(breaker.clone()));
    let pool = builder.build().unwrap();
    let mut events = pool.subscribe();
    host.script(Hook::Connect, [Step::fail(FailureKind::Unreachable)]);
    pool.acquire().await.expect_err("down");
    assert_eq!(heard(&mut events), ["circuit:open (30s)", "circuit:close"]);
    drop(pool.acquire().await.expect("closed, and the pool knows"));
}

/// What the watcher of a pool heard that came while the breaker was as it is.
fn newcomer(breaker: &Breaker) -> (Pool<MockTransport>, Recorder) {
    let recorder = Recorder::new();
    let builder = Pool::builder(MockTransport::new().0).config(hasty().build().unwrap());
    (builder.gate(breaker.clone()).observer(recorder.clone()).build().unwrap(), recorder)
}

fn told(recorder: &Recorder) -> Vec<String> {
    recorder.events().iter().filter_map(in_the_seed_s_words).collect()
}

#[tokio::test(start_paused = true)]
async fn a_pool_that_comes_late_is_told_how_things_are() {
    let breaker = breaker(exact().failure_threshold(1));
    let (_pool, at_first) = newcomer(&breaker);
    assert_eq!(told(&at_first), Vec::<String>::new(), "nothing, while it is closed");

    let fails = breaker.admit(&request(1)).expect("closed");
    fails.settle(Settlement::Failure(FailureKind::Unreachable, Arc::new(std::io::Error::other("nobody is there"))));
    tokio::time::advance(10 * SECOND).await;
    let (late, while_open) = newcomer(&breaker);
    assert_eq!(told(&while_open), ["circuit:open (20s)"]);
    let event = while_open.events().pop().expect("the one");
    let PoolEvent::CircuitOpened { cause: Some(cause), .. } = event else { panic!("{event:?}") };
    assert_eq!(cause.to_string(), "nobody is there");
    late.acquire().await.expect_err("it is refused, as the others are");

    tokio::time::advance(20 * SECOND).await;
    let _probe = breaker.admit(&request(1)).expect("half-open");
    let (_pool, while_half_open) = newcomer(&breaker);
    assert_eq!(told(&while_half_open), ["circuit:half-open"]);

    breaker.force_open();
    let (_pool, while_held) = newcomer(&breaker);
    breaker.reset();
    assert_eq!(told(&while_held), ["circuit:open", "circuit:close"]);
    assert_eq!(told(&while_half_open), ["circuit:half-open", "circuit:open", "circuit:close"], "nothing twice");
}

#[tokio::test(start_paused = true)]
async fn a_pool_that_comes_when_its_time_is_over_hears_that_and_nobody_hears_it_twice() {
    let breaker = breaker(exact().failure_threshold(1));
    let (_pool, at_first) = newcomer(&breaker);
    let fails = breaker.admit(&request(1)).expect("closed");
    fails.settle(Settlement::Failure(FailureKind::Unreachable, Arc::new(std::io::Error::other("nobody is there"))));
    tokio::time::advance(30 * SECOND).await;
    let (_pool, when_over) = newcomer(&breaker);
    assert_eq!(breaker.state(), BreakerState::HalfOpen);
    assert_eq!(told(&when_over), ["circuit:half-open"]);
    let _probe = breaker.admit(&request(1)).expect("half-open");
    assert_eq!(told(&when_over), ["circuit:half-open"]);
    assert_eq!(told(&at_first), ["circuit:open (30s)", "circuit:half-open"]);
}

#[tokio::test(start_paused = true)]
async fn who_was_there_and_who_comes_hear_the_same_of_an_open_one_that_is_held_open() {
    let breaker = breaker(exact().failure_threshold(1));
    let (_pool, at_first) = newcomer(&breaker);
    let fails = breaker.admit(&request(1)).expect("closed");
    fails.settle(Settlement::Failure(FailureKind::Unreachable, Arc::new(std::io::Error::other("nobody is there"))));
    breaker.force_open();
    let (_pool, while_held) = newcomer(&breaker);
    assert_eq!(told(&while_held), ["circuit:open"]);
    assert_eq!(told(&at_first), ["circuit:open (30s)", "circuit:open"], "its date is gone");
}

#[test]
fn results_that_come_too_late_are_counted_apart() {
    let breaker = breaker(exact().failure_threshold(1));
    let [in_time, late, later] = [1, 1, 2].map(|pool| breaker.admit(&request(pool)).expect("closed"));
    in_time.settle(Settlement::Success);
    assert_eq!(breaker.snapshot().stale, 0);
    breaker.force_open();
    late.settle(Settlement::Success);
    drop(later);
    assert_eq!(breaker.snapshot().stale, 2);
}

/// A user's value that does not go quietly.
#[derive(Debug, thiserror::Error)]
#[error("as planned")]
struct Bomb;

impl Drop for Bomb {
    fn drop(&mut self) {
        assert!(std::thread::panicking(), "as planned");
    }
}

#[tokio::test(start_paused = true)]
async fn a_cause_that_panics_when_it_is_dropped_keeps_no_news_from_anybody() {
    let breaker = breaker(exact());
    let (watched, _host) = pool(hasty(), breaker.clone());
    let mut events = watched.subscribe();
    let refused = breaker.admit(&request(1)).expect("closed");
    refused.settle(Settlement::Failure(FailureKind::Credentials, Arc::new(Bomb)));
    breaker.force_open();
    std::panic::catch_unwind(|| breaker.reset()).expect_err("the cause goes off");
    assert_eq!(heard(&mut events), ["circuit:open", "circuit:close"]);
    breaker.force_open();
    assert_eq!(heard(&mut events), ["circuit:open"]);
}

fn breakers() -> Breakers {
    Breakers::new(|_: &Endpoint| Breaker::new(BreakerConfig::builder().failure_threshold(1).build().unwrap()))
}

fn pool_at(endpoint: Option<&Endpoint>, gate: &Breakers) -> (Pool<MockTransport>, xec_pool_testkit::MockHandle) {
    let (transport, handle) = MockTransport::new();
    let transport = endpoint.map_or(transport.clone(), |endpoint| transport.at(endpoint.clone()));
    let config = hasty().build().unwrap();
    (Pool::builder(transport).config(config).gate(gate.clone()).build().unwrap(), handle)
}

#[tokio::test(start_paused = true)]
async fn a_factory_makes_one_for_each_endpoint() {
    let (breakers, web, db) = (breakers(), Endpoint::new("web", 22), Endpoint::new("db", 22));
    let (first, down) = pool_at(Some(&web), &breakers);
    let (same, _) = pool_at(Some(&web), &breakers);
    let (other, _) = pool_at(Some(&db), &breakers);
    down.script(Hook::Connect, [Step::fail(FailureKind::Unreachable)]);
    first.acquire().await.expect_err("down");
    same.acquire().await.expect_err("the same host");
    drop(other.acquire().await.expect("another host"));
    assert_eq!((breakers.of(&web).state(), breakers.of(&db).state()), (BreakerState::Open, BreakerState::Closed));
    assert_eq!(breakers.count(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_pool_that_tells_no_endpoint_has_one_of_its_own() {
    let breakers = breakers();
    let (first, down) = pool_at(None, &breakers);
    let (other, _) = pool_at(None, &breakers);
    down.script(Hook::Connect, [Step::fail(FailureKind::Unreachable)]);
    first.acquire().await.expect_err("down");
    drop(other.acquire().await.expect("nobody can say that it is the same host"));
    assert_eq!(breakers.of(&Endpoint::new(first.name(), 0)).state(), BreakerState::Open);
}

#[tokio::test(start_paused = true)]
async fn endpoints_that_nobody_dials_to_any_more_are_forgotten_but_for_what_is_open() {
    let breakers = breakers();
    let (used, down) = pool_at(Some(&Endpoint::new("down", 22)), &breakers);
    down.script(Hook::Connect, [Step::fail(FailureKind::Unreachable)]);
    used.acquire().await.expect_err("down");
    let held = breakers.of(&Endpoint::new("held", 22));
    let (kept, _) = pool_at(Some(&Endpoint::new("kept", 22)), &breakers);
    let mut events = used.subscribe();
    drop(used);
    while events.next().await.is_some() {}
    for n in 0..10_000 {
        let _unused = breakers.of(&Endpoint::new(format!("web{n}"), 22));
        assert!(breakers.count() <= 67, "{} are kept", breakers.count());
    }
    assert_eq!(breakers.of(&Endpoint::new("down", 22)).state(), BreakerState::Open, "it remembers");
    held.force_open();
    assert_eq!(breakers.of(&Endpoint::new("held", 22)).state(), BreakerState::ForcedOpen, "it is still the same");
    drop(tokio::time::timeout(MS, kept.acquire()).await.unwrap().expect("it goes on"));
}
