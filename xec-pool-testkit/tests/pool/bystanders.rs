//! What those who watch, and the executors of others, cannot do to a caller.

use std::{
    sync::{
        Arc, Mutex, OnceLock,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Wake, Waker},
};

use xec_pool_core::{
    Denied, DialRequest, Gate, Interest, Observation, Observer, Pass, Pool, PoolEvent, Start, WeakPool,
};
use xec_pool_testkit::mock::MockTransport;

use super::{Silent, at_most, cut, world};

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

impl Drop for Fragile {
    fn drop(&mut self) {
        panic!("as it is dropped");
    }
}

struct Maker;

impl Observer for Maker {
    fn begin(&self, _: &Start<'_>, _: Option<&dyn Observation>) -> Option<Arc<dyn Observation>> {
        Some(Arc::new(Silent(Fragile)))
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

struct Bad;

impl Wake for Bad {
    fn wake(self: Arc<Self>) {
        panic!("bad waker");
    }
}

#[tokio::test(start_paused = true)]
async fn a_drain_whose_waker_panics_harms_only_itself() {
    let world = world(at_most(1));
    let held = world.lease().await;
    let bad = Waker::from(Arc::new(Bad));
    let mut draining = Box::pin(world.pool.drain(super::SECOND));
    assert!(draining.as_mut().poll(&mut Context::from_waker(&bad)).is_pending());
    // The drain ends here and now, on the thread of one who has nothing to do with it.
    assert!(held.detach().is_ok());
    assert_eq!(draining.await.still_held, 0);
}

#[tokio::test(start_paused = true)]
async fn a_drain_whose_waker_panics_keeps_no_other_from_hearing() {
    let world = world(at_most(1));
    let held = world.lease().await;
    let (bad, good) = (Waker::from(Arc::new(Bad)), Arc::new(Woken::default()));
    let mut drains = [Box::pin(world.pool.drain(super::SECOND)), Box::pin(world.pool.drain(super::SECOND))];
    for (drain, waker) in drains.iter_mut().zip([bad, Waker::from(Arc::clone(&good))]) {
        assert!(drain.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
    }
    assert!(held.detach().is_ok());
    assert!(good.0.load(Ordering::SeqCst), "it was told after the bad one");
}

/// Denies every dial, and takes a caller along while it is asked.
struct Taker(Arc<Mutex<Option<Taken>>>);

type Taken = Box<dyn FnOnce() + Send>;

impl Gate for Taker {
    fn admit(&self, _: &DialRequest) -> Result<Pass, Denied> {
        let taken = self.0.lock().unwrap().take();
        taken.into_iter().for_each(|leave| leave());
        Err(Denied::Busy)
    }
}

#[test]
fn the_observation_of_one_who_left_while_the_gate_was_asked_reaches_nobody() {
    let (config, taken) = (at_most(1).build().unwrap(), Arc::new(Mutex::new(None)));
    let builder = Pool::builder(MockTransport::new().0).config(config).observer(Maker).gate(Taker(Arc::clone(&taken)));
    let pool: &'static Pool<_> = Box::leak(Box::new(builder.build().unwrap()));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let _inside = runtime.enter();
    pool.suspend();
    let mut waiting = Box::pin(pool.acquire());
    assert!(waiting.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
    *taken.lock().unwrap() = Some(Box::new(move || drop(waiting)));
    // Asks the gate, on this thread.
    pool.resume();
    assert_eq!((pool.stats().waiting, pool.stats().connecting), (0, 0));
}

/// Looks at the pool when it is dropped, as an exporter may.
struct Looker(WeakPool);

impl Drop for Looker {
    fn drop(&mut self) {
        let _stats = self.0.stats();
    }
}

/// Knows the pool once it is built.
#[derive(Default)]
struct Lookers(OnceLock<WeakPool>);

impl Observer for Lookers {
    fn attach(&self, pool: WeakPool) -> Option<Arc<dyn Observer>> {
        let _first = self.0.set(pool);
        None
    }

    fn begin(&self, _: &Start<'_>, _: Option<&dyn Observation>) -> Option<Arc<dyn Observation>> {
        Some(Arc::new(Silent(Looker(self.0.get()?.clone()))))
    }
}

#[test]
fn an_observation_is_never_dropped_under_the_lock() {
    const TIMES: usize = 20_000;
    let config = at_most(1).build().unwrap();
    let pool = Pool::builder(MockTransport::new().0).config(config).observer(Lookers::default()).build().unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    // Never dropped: a thread that stood still would keep that from ending, and the test from failing.
    let runtime: &'static _ = Box::leak(Box::new(runtime));
    let (done, ended) = std::sync::mpsc::channel();
    // Gives back, and so answers whoever waits, while another thread lets its callers go.
    let lender = {
        let (pool, runtime, done) = (pool.clone(), runtime.handle().clone(), done.clone());
        move || {
            (0..TIMES).for_each(|_| _ = runtime.block_on(pool.acquire()).map(drop));
            done.send(()).unwrap();
        }
    };
    let leaver = {
        let runtime = runtime.handle().clone();
        move || {
            let _inside = runtime.enter();
            for _ in 0..TIMES {
                let mut waiting = Box::pin(pool.acquire());
                let _polled = waiting.as_mut().poll(&mut Context::from_waker(Waker::noop()));
                drop(waiting);
            }
            done.send(()).unwrap();
        }
    };
    std::thread::spawn(lender);
    std::thread::spawn(leaver);
    for _ in 0..2 {
        ended.recv_timeout(60 * super::SECOND).expect("nobody stands still for ever");
    }
}
