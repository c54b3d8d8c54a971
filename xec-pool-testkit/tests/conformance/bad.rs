//! A transport that breaks one promise at a time: the suite must say which.

use std::{
    error::Error,
    fmt,
    future::pending,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU32, Ordering},
    },
    time::Duration,
};

use tokio::task::yield_now;
use xec_pool_core::{Cancelled, Check, CloseReason, ConnectContext, FailureKind, Transport};
use xec_pool_testkit::{
    MockTransport,
    conformance::{self, Environment, Peer},
    mock::MockConnection,
};

use super::mocked::Mocked;

const SECRET: &str = "hunter2";

/// An honest one in bad hands.
struct Bad {
    honest: Mocked,
    /// The promise it breaks.
    breaks: &'static str,
    frozen: AtomicBool,
    /// Connections that should have ended.
    hoard: Mutex<Vec<MockConnection>>,
    checking: AtomicBool,
    dials: AtomicU32,
    /// How often `is_broken` has told the truth.
    truths: AtomicU32,
    shared: Cancelled,
}

impl Bad {
    fn new(breaks: &'static str) -> Arc<Self> {
        Arc::new(Self {
            honest: Mocked::new(),
            breaks,
            frozen: AtomicBool::new(false),
            hoard: Mutex::default(),
            checking: AtomicBool::new(false),
            dials: AtomicU32::new(0),
            truths: AtomicU32::new(0),
            shared: Cancelled::new(),
        })
    }

    fn breaks(&self, promise: &str) -> bool {
        self.breaks == promise
    }

    fn transport(&self) -> Arc<MockTransport> {
        self.honest.transport()
    }

    /// What the honest one is told, spoilt.
    fn spoilt(&self, cx: &ConnectContext) -> ConnectContext {
        let (cancel, lost) = (cx.cancelled().clone(), cx.lost_signal().clone());
        match self.breaks {
            "connect_honours_its_token" | "the_token_ends_a_lent_connection" => {
                ConnectContext::detached_with(Cancelled::new(), move |why| lost.lost(why))
            }
            "a_death_is_signalled" => ConnectContext::detached_with(cancel, |_| {}),
            "connections_are_independent" => {
                let shared = self.shared.clone();
                tokio::spawn({
                    let shared = shared.clone();
                    async move {
                        cancel.wait().await;
                        shared.cancel();
                    }
                });
                ConnectContext::detached_with(shared, move |why| lost.lost(why))
            }
            _ => cx.clone(),
        }
    }
}

/// An honest connection in bad hands.
struct Held {
    inner: Option<MockConnection>,
    bad: Arc<Bad>,
}

impl Held {
    fn get(&self) -> &MockConnection {
        self.inner.as_ref().expect("it is taken at the end only")
    }

    fn hoard(mut self) {
        self.bad.hoard.lock().unwrap().extend(self.inner.take());
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        if self.bad.breaks("dropping_a_connection_ends_it") {
            self.bad.hoard.lock().unwrap().extend(self.inner.take());
        }
    }
}

#[derive(Debug)]
struct Excuse(String);

impl fmt::Display for Excuse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Error for Excuse {}

struct BadTransport(Arc<Bad>);

impl BadTransport {
    async fn dial(bad: Arc<Bad>, cx: ConnectContext) -> Result<Held, Excuse> {
        let cx = bad.spoilt(&cx);
        let dialled = bad.transport().connect(cx).await;
        let text = if bad.breaks("errors_hold_no_secret") { SECRET } else { "" };
        dialled.map(|inner| Held { inner: Some(inner), bad }).map_err(|error| Excuse(format!("{error} {text}")))
    }
}

#[async_trait::async_trait]
impl Transport for BadTransport {
    type Connection = Held;
    type Error = Excuse;

    async fn connect(&self, cx: ConnectContext) -> Result<Held, Excuse> {
        let bad = Arc::clone(&self.0);
        if bad.breaks("the refused") {
            return Err(Excuse(format!("wrong: {SECRET}")));
        }
        if bad.breaks("a_pool_of_them_recovers") && bad.dials.fetch_add(1, Ordering::Relaxed) >= 2 {
            return Err(Excuse("two are enough".to_owned()));
        }
        if bad.breaks("dropping_connect_leaves_nothing_open") {
            // Nobody waits for it any more, and it does not know.
            let (held, gone) = tokio::sync::oneshot::channel();
            tokio::spawn(async move {
                if let Err(Ok(held)) = held.send(Self::dial(bad, cx).await) {
                    held.hoard();
                }
            });
            return gone.await.unwrap();
        }
        Self::dial(bad, cx).await
    }

    async fn validate(&self, connection: &Held, check: Check) -> Result<(), Excuse> {
        let bad = &self.0;
        match (bad.breaks, check) {
            ("a_new_connection_passes_every_check", Check::Return) => return Err(Excuse(String::new())),
            ("a_check_notices_death", _) => return Ok(()),
            ("an_idle_check_notices_silence", Check::Idle) if bad.frozen.load(Ordering::Relaxed) => return Ok(()),
            ("dropping_a_check_leaves_it_closable", _) => {
                bad.checking.store(true, Ordering::Relaxed);
                yield_now().await;
                bad.checking.store(false, Ordering::Relaxed);
            }
            _ => {}
        }
        bad.transport().validate(connection.get(), check).await.map_err(|error| Excuse(error.to_string()))
    }

    async fn close(&self, connection: Held, _: CloseReason) {
        let bad = &self.0;
        match bad.breaks {
            "close_ends_it" => connection.hoard(),
            "close_of_a_frozen_peer_is_bounded" if bad.frozen.load(Ordering::Relaxed) => pending().await,
            "close_of_a_dead_peer_is_bounded" if self.is_broken(&connection) => pending().await,
            "dropping_a_check_leaves_it_closable" if bad.checking.load(Ordering::Relaxed) => pending().await,
            "dropping_close_ends_it" => {
                connection.hoard();
                yield_now().await;
                bad.hoard.lock().unwrap().clear();
            }
            _ => {}
        }
    }

    fn is_broken(&self, connection: &Held) -> bool {
        let bad = &self.0;
        let broken = bad.transport().is_broken(connection.get());
        match bad.breaks {
            "is_broken_asks_nobody" if bad.frozen.load(Ordering::Relaxed) => {
                std::thread::sleep(Duration::from_millis(2)); // sleep is the subject
                broken
            }
            "is_broken_never_takes_it_back" => broken && bad.truths.fetch_add(1, Ordering::Relaxed) < 10,
            _ => broken,
        }
    }

    fn classify(&self, _: &Excuse) -> FailureKind {
        match self.0.breaks {
            "a_peer_that_is_away_is_worth_a_retry" | "a_pool_of_them_recovers" => FailureKind::Credentials,
            _ => FailureKind::Unreachable,
        }
    }
}

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

/// One test for each promise: it is broken, and for the reason that it is broken by.
macro_rules! broken {
    ($($promise:ident: $how:literal)+) => {
        $(
            #[tokio::test(start_paused = true)]
            async fn $promise() {
                let environment = BadEnvironment::new(stringify!($promise));
                let broken = conformance::$promise(&environment).await.expect_err("it is broken");
                assert!(broken.how.contains($how), "{broken}");
            }
        )+
    };
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
