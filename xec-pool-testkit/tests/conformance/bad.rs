//! A transport that breaks one promise at a time: the suite must say which.

use std::{
    future::pending,
    sync::{Arc, atomic::Ordering},
};

use xec_pool_testkit::conformance::{self, Environment, Peer};

use super::hands::{Bad, BadTransport, SECRET};

struct BadEnvironment {
    bad: Arc<Bad>,
    transport: Arc<BadTransport>,
}

impl BadEnvironment {
    fn new(breaks: &'static str) -> Self {
        let bad = Bad::new(breaks);
        Self { transport: Arc::new(BadTransport(Arc::clone(&bad))), bad }
    }
}

#[async_trait::async_trait]
impl Environment for BadEnvironment {
    type Transport = BadTransport;

    fn transport(&self) -> Arc<BadTransport> {
        Arc::clone(&self.transport)
    }

    async fn set_peer(&self, peer: Peer) {
        self.bad.frozen.store(peer == Peer::Frozen, Ordering::Relaxed);
        self.bad.honest.set_peer(peer).await;
    }

    async fn kill_connections(&self) {
        self.bad.honest.kill_connections().await;
    }

    async fn until_open(&self, count: usize) {
        if self.bad.leaked.load(Ordering::Relaxed) {
            pending::<()>().await;
        }
        self.bad.honest.until_open(count).await;
    }

    fn refused(&self) -> Option<Arc<BadTransport>> {
        self.bad.breaks("a refused login").then(|| Arc::new(BadTransport(Bad::new("the refused"))))
    }

    fn secrets(&self) -> Vec<String> {
        vec![SECRET.to_owned()]
    }
}

#[tokio::test(start_paused = true)]
async fn without_a_bad_deed_no_promise_is_broken() {
    assert_eq!(conformance::run(&BadEnvironment::new("none")).await, []);
}

#[tokio::test(start_paused = true)]
async fn a_secret_that_only_a_refused_login_shows_is_found() {
    let broken = conformance::run(&BadEnvironment::new("a refused login")).await;
    let [broken] = &broken[..] else { panic!("one promise is broken: {broken:?}") };
    assert_eq!((broken.promise, broken.how.contains(SECRET)), ("errors_hold_no_secret", false), "{broken}");
}

#[tokio::test(start_paused = true)]
async fn there_is_a_bad_deed_for_every_promise() {
    let environment = BadEnvironment::new("none");
    // Before a peer that is never as it should be no promise is kept.
    environment.bad.leaked.store(true, Ordering::Relaxed);
    let all = conformance::run(&environment).await;
    let deed = DEEDS.iter().copied();
    assert!(all.iter().map(|broken| broken.promise).eq(deed), "{DEEDS:#?} for {all:#?}");
}

/// One test for each promise: it is broken, and for the reason that it is broken by.
macro_rules! broken {
    ($($promise:ident: $how:literal)+) => {
        /// The promises for which there is a bad deed.
        const DEEDS: &[&str] = &[$(stringify!($promise)),+];

        $(
            #[tokio::test(start_paused = true)]
            async fn $promise() {
                broken!(by stringify!($promise), $promise, $how);
            }
        )+
    };
    (by $deed:expr, $promise:ident, $how:literal) => {
        let broken = conformance::$promise(&BadEnvironment::new($deed)).await.expect_err("it is broken");
        assert!(broken.how.contains($how), "{broken}");
    };
}

/// Some promises have two halves.
#[tokio::test(start_paused = true)]
async fn the_other_half_of_a_promise_is_asked_for_too() {
    broken!(by "connect is deaf on its way", connect_honours_its_token, "connect to a frozen peer ends, cancelled");
    broken!(by "connect leaks before a frozen peer", dropping_connect_leaves_nothing_open, "before a frozen peer");
    broken!(by "a check takes it back", is_broken_never_takes_it_back, "false after a check");
}

broken! {
    a_new_connection_passes_every_check: "the check Return fails"
    connect_honours_its_token: "cancelled before: not within 5s: the peer sees 0 open connections"
    dropping_connect_leaves_nothing_open: "connect, dropped after"
    a_peer_that_is_away_is_worth_a_retry: "which is never retried"
    an_idle_check_notices_silence: "the idle check passes although the peer says nothing"
    a_check_notices_death: "the idle check fails"
    dropping_a_check_leaves_it_closable: "after a check that was dropped after 1 polls: close for the reason"
    is_broken_never_takes_it_back: "it has been true and is false again"
    is_broken_asks_nobody: "it takes more than a millisecond a look"
    a_death_is_signalled: "nobody calls `lost` when the peer dies"
    the_token_ends_a_lent_connection: "the peer sees 0 open connections"
    connections_are_independent: "the peer sees 2 open connections"
    a_pool_of_them_recovers: "after all connections have died"
    errors_hold_no_secret: "a secret is shown"
    close_ends_it: "the peer sees 0 open connections"
    close_of_a_frozen_peer_is_bounded: "takes longer than 5s"
    close_of_a_dead_peer_is_bounded: "takes longer than 5s"
    dropping_close_ends_it: "close, dropped after"
    dropping_a_connection_ends_it: "the peer sees 0 open connections"
}
