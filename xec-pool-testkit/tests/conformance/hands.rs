//! An honest transport in bad hands: every deed breaks one promise, and is called like it where one is enough.

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
use xec_pool_testkit::{MockTransport, conformance::Environment as _, mock::MockConnection};

use super::mocked::Mocked;

pub(super) const SECRET: &str = "hunter2";

/// An honest one in bad hands.
pub(super) struct Bad {
    pub(super) honest: Mocked,
    /// The promise it breaks.
    breaks: &'static str,
    pub(super) frozen: AtomicBool,
    /// Connections that should have ended.
    hoard: Mutex<Vec<MockConnection>>,
    checking: AtomicBool,
    dials: AtomicU32,
    /// How often `is_broken` has told the truth.
    truths: AtomicU32,
    shared: Cancelled,
    /// A connection is left that nobody can end any more.
    pub(super) leaked: AtomicBool,
    /// A check has made a broken one whole again, it says.
    healed: AtomicBool,
}

impl Bad {
    pub(super) fn new(breaks: &'static str) -> Arc<Self> {
        Arc::new(Self {
            honest: Mocked::new(),
            breaks,
            frozen: AtomicBool::new(false),
            hoard: Mutex::default(),
            checking: AtomicBool::new(false),
            dials: AtomicU32::new(0),
            truths: AtomicU32::new(0),
            shared: Cancelled::new(),
            leaked: AtomicBool::new(false),
            healed: AtomicBool::new(false),
        })
    }

    pub(super) fn breaks(&self, promise: &str) -> bool {
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
            // It looks at its token before it begins, and never again.
            "connect is deaf on its way" if !cancel.is_cancelled() => {
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
pub(super) struct Held {
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
pub(super) struct Excuse(String);

impl fmt::Display for Excuse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Error for Excuse {}

/// Dropped, it leaves a connection open.
struct Leak(Arc<Bad>);

impl Drop for Leak {
    fn drop(&mut self) {
        self.0.leaked.store(true, Ordering::Relaxed);
    }
}

pub(super) struct BadTransport(pub(super) Arc<Bad>);

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
        let leaks = bad.breaks("connect leaks before a frozen peer") && bad.frozen.load(Ordering::Relaxed);
        let _leak = leaks.then(|| Leak(Arc::clone(&bad)));
        Self::dial(bad, cx).await
    }

    async fn validate(&self, connection: &Held, check: Check) -> Result<(), Excuse> {
        let bad = &self.0;
        match (bad.breaks, check) {
            ("a_new_connection_passes_every_check", Check::Return) => return Err(Excuse(String::new())),
            ("a_check_notices_death", _) => return Ok(()),
            ("an_idle_check_notices_silence", Check::Idle) if bad.frozen.load(Ordering::Relaxed) => return Ok(()),
            ("a check takes it back", Check::Idle) if bad.truths.load(Ordering::Relaxed) > 0 => {
                bad.healed.store(true, Ordering::Relaxed);
            }
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
            "a check takes it back" if broken => {
                bad.truths.fetch_add(1, Ordering::Relaxed);
                !bad.healed.load(Ordering::Relaxed)
            }
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
