//! What is a user's: hooks that panic, values whose destructors call the pool, transports behind a pointer.

use std::{
    fmt,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU32, Ordering},
    },
};

use xec_pool_core::{
    Check, CloseReason, ConnectContext, Endpoint, FailureKind, Interest, LostSignal, Observation, Observer, Pool,
    PoolConfig, PoolEvent, Start, Transport,
};
use xec_pool_testkit::mock::{Hook, MockTransport, Step};

use super::{MS, SECOND, at_most, world};

/// An error that holds half a connection: when it goes, it says so, as a connection may.
struct HalfOpen {
    lost: LostSignal,
    alive: Arc<AtomicU32>,
}

impl Drop for HalfOpen {
    fn drop(&mut self) {
        self.alive.fetch_sub(1, Ordering::Relaxed);
        self.lost.lost("the other half");
    }
}

impl fmt::Debug for HalfOpen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("HalfOpen")
    }
}

impl fmt::Display for HalfOpen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("half open")
    }
}

impl std::error::Error for HalfOpen {}

/// Fails so often, then connects. Counts the calls of each method.
#[derive(Default)]
struct Stubborn {
    failures: AtomicU32,
    alive: Arc<AtomicU32>,
    calls: Mutex<Vec<&'static str>>,
}

impl Stubborn {
    fn called(&self, method: &'static str) {
        self.calls.lock().unwrap().push(method);
    }
}

#[async_trait::async_trait]
impl Transport for Stubborn {
    type Connection = u64;
    type Error = HalfOpen;

    async fn connect(&self, cx: ConnectContext) -> Result<u64, HalfOpen> {
        self.called("connect");
        if self.failures.load(Ordering::Relaxed) == 0 {
            return Ok(cx.id().get());
        }
        self.failures.fetch_sub(1, Ordering::Relaxed);
        self.alive.fetch_add(1, Ordering::Relaxed);
        Err(HalfOpen { lost: cx.lost_signal().clone(), alive: Arc::clone(&self.alive) })
    }

    async fn validate(&self, _: &u64, _: Check) -> Result<(), HalfOpen> {
        self.called("validate");
        Ok(())
    }

    async fn close(&self, _: u64, _: CloseReason) {
        self.called("close");
    }

    fn is_broken(&self, _: &u64) -> bool {
        self.called("is_broken");
        false
    }

    fn classify(&self, _: &HalfOpen) -> FailureKind {
        self.called("classify");
        FailureKind::Throttled
    }

    fn name(&self) -> Option<String> {
        self.called("name");
        Some("stubborn".to_owned())
    }

    fn endpoint(&self) -> Option<Endpoint> {
        self.called("endpoint");
        Some(Endpoint::new("far", 22))
    }
}

#[tokio::test(start_paused = true)]
async fn a_users_value_is_never_dropped_under_the_lock() {
    // Every error that is replaced, forgotten or unread calls the pool when it goes: under its lock that is for ever.
    let transport = Stubborn { failures: AtomicU32::new(40), ..Stubborn::default() };
    let alive = Arc::clone(&transport.alive);
    let config = PoolConfig::builder().retry_attempts(1).retry_delay(MS).max_concurrent_connects(1);
    let pool = Pool::builder(transport).config(config.build().expect("valid")).build().expect("nothing unclaimed");
    let events = pool.subscribe();
    drop(tokio::time::timeout(MS, pool.warm(3)).await);
    drop(pool.warm(3).await);
    let mut never_fetched = Box::pin(pool.acquire());
    assert!(super::cut(never_fetched.as_mut(), 1).await.is_none());
    tokio::time::sleep(600 * SECOND).await; // sleep is the subject: it fails, is answered, and fetches nothing
    drop(never_fetched);
    while pool.acquire().await.is_err() {}
    drop(events);
    drop(pool.acquire().await.expect("it connects now"));
    assert_eq!(alive.load(Ordering::Relaxed), 0, "nobody keeps an error, nor a stream that nobody reads any more");
    pool.close().await;
}

#[tokio::test(start_paused = true)]
async fn a_transport_behind_pointers_is_asked_every_question() {
    let transport = Arc::new(Stubborn { failures: AtomicU32::new(1), ..Stubborn::default() });
    let object: Arc<dyn Transport<Connection = u64, Error = HalfOpen>> = Arc::clone(&transport) as _;
    let config = PoolConfig::builder().validate_on_return(true).retry_delay(MS).build().expect("valid");
    let pool = Pool::builder(Arc::new(object)).config(config).build().expect("nothing unclaimed");
    pool.acquire().await.expect("at the second dial").release().await;
    pool.close().await;
    assert_eq!((pool.name(), pool.endpoint()), ("stubborn", Some(&Endpoint::new("far", 22))));
    let calls = transport.calls.lock().unwrap();
    for method in ["connect", "validate", "close", "is_broken", "classify", "name", "endpoint"] {
        assert!(calls.contains(&method), "{method} was not forwarded: {calls:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_no_caller_hears_of_is_told() {
    let told = |hook, step, expected: &'static str| async move {
        let world = world(at_most(1).recreate_on_error(false));
        world.handle.script(hook, [step]);
        drop(world.pool.acquire().await);
        world.pool.drain(60 * SECOND).await;
        let of = |event| match event {
            PoolEvent::BackgroundError { cause, .. } => Some(cause.to_string()),
            _ => None,
        };
        let errors: Vec<_> = world.recorder.events().into_iter().filter_map(of).collect();
        assert!(errors.iter().any(|error| error == expected), "{expected}: {errors:?}");
    };
    told(Hook::Close, Step::panic(), "the transport panicked while closing, or its connection while it was dropped")
        .await;
    told(Hook::Close, Step::hang(), "closing took longer than 5s (close_timeout); the connection was dropped").await;
    told(Hook::IsBroken, Step::panic(), "the transport's is_broken panicked").await;
}

/// Panics when it is asked what it wants to hear; counts what it is told all the same.
struct Rude(Arc<AtomicU32>);

impl Observer for Rude {
    fn interest(&self) -> Interest {
        panic!("none of your business")
    }

    fn on_event(&self, _: &PoolEvent) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    fn begin(&self, _: &Start<'_>, _: Option<&dyn Observation>) -> Option<Arc<dyn Observation>> {
        self.0.fetch_add(1, Ordering::Relaxed);
        None
    }
}

#[tokio::test(start_paused = true)]
async fn an_observer_that_panics_when_asked_for_its_interest_hears_nothing() {
    let told = Arc::new(AtomicU32::new(0));
    let (transport, _handle) = MockTransport::new();
    let pool = Pool::builder(transport).observer(Rude(Arc::clone(&told))).build().expect("its panic is not ours");
    drop(pool.acquire().await.expect("nor its callers'"));
    pool.close().await;
    assert_eq!(told.load(Ordering::Relaxed), 0);
}
