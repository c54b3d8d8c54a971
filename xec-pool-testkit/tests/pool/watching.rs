//! Those who watch: in order, without a lock, and never at the cost of a caller.

use std::sync::{
    Arc, Mutex,
    atomic::{AtomicU64, Ordering},
};

use xec_pool_core::{
    Denied, DialRequest, Gate, GateLink, Interest, Observation, Observer, Outcome, Pass, Pool, PoolConfig, PoolEvent,
    Start, WeakPool,
};
use xec_pool_testkit::mock::{Hook, MockTransport, Step};

use super::{SECOND, at_most, world};

#[tokio::test(start_paused = true)]
async fn a_life_is_told_in_the_seeds_words() {
    let world = world(at_most(1));
    drop(world.lease().await);
    world.pool.close().await;
    let told: Vec<_> = world.recorder.events().iter().filter_map(PoolEvent::seed_name).collect();
    let states = "connection:state";
    assert_eq!(
        told,
        [
            states,
            "connection:create",
            states,
            "connection:acquire",
            "connection:release",
            states,
            states,
            states,
            "connection:destroy"
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn figures_come_at_their_interval() {
    let world = world(PoolConfig::builder().metrics_interval(5 * SECOND));
    let start = tokio::time::Instant::now();
    let event = world.recorder.wait_for(|event| matches!(event, PoolEvent::Metrics { .. })).await;
    assert_eq!((start.elapsed(), event.seed_name()), (5 * SECOND, Some("pool:metrics")));
}

#[tokio::test(start_paused = true)]
async fn unwise_configurations_are_warned_of_once() {
    let world = world(at_most(1_000).validate(false));
    world.lease().await.discard("used up");
    assert_eq!(world.recorder.count(|event| matches!(event, PoolEvent::Warning { .. })), 2);
}

#[tokio::test(start_paused = true)]
async fn failures_that_no_caller_hears_of_are_told() {
    let world = world(PoolConfig::builder().min_connections(1));
    world.handle.script(Hook::Connect, [Step::fail(xec_pool_core::FailureKind::Unreachable)]);
    let error = world.recorder.wait_for(|event| event.seed_name() == Some("pool:error")).await;
    assert!(matches!(error, PoolEvent::ConnectFailed { .. }));
}

/// Calls the pool from within, and panics now and then.
struct Meddler {
    pool: Arc<Mutex<Option<Pool<MockTransport>>>>,
    weak: Mutex<Option<WeakPool>>,
    heard: Arc<AtomicU64>,
}

impl Observer for Meddler {
    fn interest(&self) -> Interest {
        Interest::EVENTS
    }

    fn attach(&self, pool: WeakPool) -> Option<Arc<dyn Observer>> {
        *self.weak.lock().unwrap() = Some(pool);
        None
    }

    fn on_event(&self, event: &PoolEvent) {
        self.heard.fetch_add(1, Ordering::Relaxed);
        if let Some(pool) = &*self.pool.lock().unwrap() {
            drop(pool.try_acquire());
            assert!(pool.stats().max > 0);
        }
        assert!(self.weak.lock().unwrap().as_ref().and_then(WeakPool::stats).is_some());
        assert!(!matches!(event, PoolEvent::Created { .. }), "panics as planned");
    }
}

#[tokio::test(start_paused = true)]
async fn an_observer_may_call_the_pool_and_may_panic() {
    let (transport, _handle) = MockTransport::new();
    let (slot, heard) = (Arc::new(Mutex::new(None)), Arc::new(AtomicU64::new(0)));
    let meddler = Meddler { pool: Arc::clone(&slot), weak: Mutex::new(None), heard: Arc::clone(&heard) };
    let pool = Pool::builder(transport).observer(meddler).build().expect("valid");
    drop(pool.acquire().await.expect("its panic is not ours"));
    assert_eq!(pool.stats().observer_panics, 1);
    assert!(heard.load(Ordering::Relaxed) >= 3);
    *slot.lock().unwrap() = None;
}

/// Borrows once more for each of the first leases that come home, and writes down what it hears, and how deep.
struct Echo {
    pool: Arc<Mutex<Option<Pool<MockTransport>>>>,
    heard: Arc<Mutex<Vec<(u64, u32)>>>,
    depth: Mutex<u32>,
}

impl Observer for Echo {
    fn interest(&self) -> Interest {
        Interest::EVENTS
    }

    fn on_event(&self, event: &PoolEvent) {
        *self.depth.lock().unwrap() += 1;
        let lease = match event {
            PoolEvent::Acquired { lease, .. } => Some((lease.get(), false)),
            PoolEvent::Released { lease, .. } => Some((lease.get(), true)),
            _ => None,
        };
        if let Some((lease, home)) = lease {
            self.heard.lock().unwrap().push((lease, *self.depth.lock().unwrap()));
            let pool = self.pool.lock().unwrap().clone();
            pool.filter(|_| home && lease < 3).map(|pool| pool.try_acquire().map(drop));
        }
        *self.depth.lock().unwrap() -= 1;
    }
}

#[tokio::test(start_paused = true)]
async fn what_an_observer_causes_is_told_after_what_it_is_being_told() {
    let (transport, _handle) = MockTransport::new();
    let (slot, heard) = (Arc::new(Mutex::new(None)), Arc::new(Mutex::new(Vec::new())));
    let echo = Echo { pool: Arc::clone(&slot), heard: Arc::clone(&heard), depth: Mutex::new(0) };
    let pool = Pool::builder(transport).observer(echo).build().expect("valid");
    *slot.lock().unwrap() = Some(pool.clone());
    drop(pool.acquire().await.expect("the mock connects"));
    *slot.lock().unwrap() = None;
    assert_eq!(
        *heard.lock().unwrap(),
        [(1, 1), (1, 1), (2, 1), (2, 1), (3, 1), (3, 1)],
        "in order, never within another"
    );
}

#[tokio::test(start_paused = true)]
async fn a_slow_subscriber_slows_nobody_and_learns_what_it_missed() {
    let world = world(at_most(1));
    let mut events = world.pool.subscribe();
    for _ in 0..9_000 {
        drop(world.lease().await);
    }
    let Some(PoolEvent::Missed { count, .. }) = events.next().await else { panic!("more than fits happened") };
    assert!(count > 1_000, "{count}");
    drop(world);
    while events.next().await.is_some() {}
}

#[tokio::test(start_paused = true)]
async fn a_waker_that_panics_harms_nobody_but_its_owner() {
    struct Bad;
    impl std::task::Wake for Bad {
        fn wake(self: Arc<Self>) {
            panic!("bad waker");
        }
    }
    let world = world(at_most(1));
    let (mut theirs, mut ours) = (world.pool.subscribe(), world.pool.subscribe());
    let (bad, mut theirs) = (Arc::new(Bad).into(), std::pin::pin!(theirs.next()));
    assert!(theirs.as_mut().poll(&mut std::task::Context::from_waker(&bad)).is_pending());
    for round in 1..4 {
        drop(world.lease().await);
        assert!(ours.next().await.is_some(), "events go on");
        while ours.try_next().is_some() {}
        assert_eq!(world.recorder.count(|event| matches!(event, PoolEvent::Acquired { .. })), round);
    }
}

/// Watches many pools, by an observer for each.
#[derive(Clone, Default)]
struct Office(Arc<Mutex<Vec<String>>>);

struct Clerk {
    office: Office,
    pool: WeakPool,
}

impl Observer for Office {
    fn attach(&self, pool: WeakPool) -> Option<Arc<dyn Observer>> {
        assert!(pool.stats().is_none(), "it is being built");
        Some(Arc::new(Clerk { office: self.clone(), pool }))
    }

    fn on_event(&self, event: &PoolEvent) {
        panic!("the clerk's affair: {event:?}");
    }
}

impl Observer for Clerk {
    fn interest(&self) -> Interest {
        Interest::EVENTS
    }

    fn on_event(&self, event: &PoolEvent) {
        let (name, gated) = (self.pool.name(), self.pool.is_gated());
        self.office.0.lock().unwrap().push(format!("{name} {gated} {}", event.seed_name().unwrap_or_default()));
    }
}

/// Says that it is shut before it has been asked anything.
struct ShutFromTheStart;

impl Gate for ShutFromTheStart {
    fn attach(&self, link: GateLink) {
        link.emit(PoolEvent::circuit_opened(None, None));
    }

    fn admit(&self, _: &DialRequest) -> Result<Pass, Denied> {
        Err(Denied::shut(None, None))
    }
}

#[tokio::test(start_paused = true)]
async fn an_observer_of_many_pools_has_one_for_each_and_misses_no_first_word() {
    let office = Office::default();
    let build = |name: &str| Pool::builder(MockTransport::new().0).name(name).observer(office.clone());
    let (one, two) =
        (build("one").build().expect("valid"), build("two").gate(ShutFromTheStart).build().expect("valid"));
    drop(one.acquire().await.expect("the mock connects"));
    assert!(two.acquire().await.is_err());
    let told = office.0.lock().unwrap().clone();
    let expected =
        ["connection:create", "connection:acquire", "connection:release"].map(|name| format!("one false {name}"));
    assert_eq!(told[0], "two true circuit:open");
    assert_eq!(told[1..4], expected);
}

/// Wants to know of leases, and of nothing else.
#[derive(Default)]
struct LeaseWatcher(Arc<Mutex<Vec<&'static str>>>);

struct Watched(Arc<Mutex<Vec<&'static str>>>);

impl Observation for Watched {
    fn phase(&self, _: &str) {}

    fn end(&self, _: &Outcome<'_>) {
        self.0.lock().unwrap().push("ended");
    }

    fn as_any(&self) -> &dyn std::any::Any {
        self
    }
}

impl Observer for LeaseWatcher {
    fn interest(&self) -> Interest {
        Interest::SPANS
    }

    fn begin(&self, start: &Start<'_>, _: Option<&dyn Observation>) -> Option<Arc<dyn Observation>> {
        let Start::Lease { .. } = start else { return None };
        self.0.lock().unwrap().push("lent");
        Some(Arc::new(Watched(Arc::clone(&self.0))))
    }
}

#[tokio::test(start_paused = true)]
async fn leases_are_watched_also_by_those_who_watch_nothing_else() {
    let (watcher, (transport, _handle)) = (LeaseWatcher::default(), MockTransport::new());
    let told = Arc::clone(&watcher.0);
    let pool = Pool::builder(transport).observer(watcher).build().expect("valid");
    drop(pool.acquire().await.expect("connects"));
    drop(pool.try_acquire().expect("idle"));
    assert_eq!(*told.lock().unwrap(), ["lent", "ended", "lent", "ended"]);
}

#[tokio::test(start_paused = true)]
async fn a_callers_observation_ends_when_it_leaves_not_when_its_dial_does() {
    let world = world(at_most(1));
    world.handle.always(Hook::Connect, Step::hang());
    drop(tokio::time::timeout(SECOND, world.pool.acquire()).await);
    let tree = world.recorder.tree();
    assert!(tree.starts_with("acquire: cancelled"), "{tree}");
    assert_eq!(world.pool.stats().connecting, 1, "and the dial goes on");
}
