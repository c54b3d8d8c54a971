//! What those who watch, and the executors of others, cannot do to a caller.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Wake, Waker},
};

use xec_pool_core::{Interest, Observation, Observer, Outcome, Pool, PoolEvent, Start};
use xec_pool_testkit::mock::MockTransport;

use super::{at_most, cut, world};

/// A waker that says when it was woken.
#[derive(Default)]
struct Woken(AtomicBool);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::SeqCst);
    }
}

/// Looks, while a connection comes home, whether the next caller was woken.
struct Late {
    next: Arc<Woken>,
    saw_it_woken: Arc<AtomicBool>,
}

impl Observer for Late {
    fn interest(&self) -> Interest {
        Interest::EVENTS
    }

    fn on_event(&self, event: &PoolEvent) {
        if matches!(event, PoolEvent::Released { .. }) {
            self.saw_it_woken.store(self.next.0.load(Ordering::SeqCst), Ordering::SeqCst);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn the_next_caller_is_woken_before_anybody_is_told() {
    for others_listen in [false, true] {
        let (next, saw_it_woken) = (Arc::new(Woken::default()), Arc::new(AtomicBool::new(false)));
        let observer = Late { next: Arc::clone(&next), saw_it_woken: Arc::clone(&saw_it_woken) };
        let config = at_most(1).build().unwrap();
        let pool = Pool::builder(MockTransport::new().0).config(config).observer(observer).build().unwrap();
        let _events = others_listen.then(|| pool.subscribe());
        let held = pool.acquire().await.unwrap();
        let mut waiting = Box::pin(pool.acquire());
        let waker = Waker::from(Arc::clone(&next));
        assert!(waiting.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
        drop(held);
        assert!(saw_it_woken.load(Ordering::SeqCst), "others listen: {others_listen}");
        drop(waiting.await.unwrap());
    }
}

/// Panics when it is dropped, as all its observations do.
struct Fragile;

impl Observation for Fragile {
    fn phase(&self, _: &str) {}

    fn end(&self, _: &Outcome<'_>) {}

    fn as_any(&self) -> &dyn std::any::Any {
        self
    }
}

impl Drop for Fragile {
    fn drop(&mut self) {
        panic!("as it is dropped");
    }
}

struct Maker;

impl Observer for Maker {
    fn begin(&self, _: &Start<'_>, _: Option<&dyn Observation>) -> Option<Arc<dyn Observation>> {
        Some(Arc::new(Fragile))
    }
}

#[tokio::test(start_paused = true)]
async fn an_observation_that_panics_when_dropped_reaches_nobody() {
    let config = at_most(1).build().unwrap();
    let pool = Pool::builder(MockTransport::new().0).config(config).observer(Maker).build().unwrap();
    let held = pool.acquire().await.unwrap();
    assert!(cut(pool.acquire(), 1).await.is_none(), "one that leaves while it waits");
    drop(held);
    drop(pool.acquire().await.unwrap().detach().ok());
    pool.acquire().await.unwrap().release().await;
    pool.close().await;
    assert!(pool.acquire().await.is_err());
}

#[tokio::test(start_paused = true)]
async fn a_drain_whose_waker_panics_harms_only_itself() {
    struct Bad;
    impl Wake for Bad {
        fn wake(self: Arc<Self>) {
            panic!("bad waker");
        }
    }
    let world = world(at_most(1));
    let held = world.lease().await;
    let bad = Waker::from(Arc::new(Bad));
    let mut draining = Box::pin(world.pool.drain(super::SECOND));
    assert!(draining.as_mut().poll(&mut Context::from_waker(&bad)).is_pending());
    // The drain ends here and now, on the thread of one who has nothing to do with it.
    assert!(held.detach().is_ok());
    assert_eq!(draining.await.still_held, 0);
}
