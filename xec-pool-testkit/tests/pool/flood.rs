//! More events than an observer hears: nobody waits for it, the oldest are kept, and it learns how many it missed.

use std::{
    sync::{
        Mutex,
        mpsc::{Receiver, Sender, channel},
    },
    thread::ThreadId,
};

use xec_pool_core::{Interest, Observer, Pool, PoolEvent};
use xec_pool_testkit::mock::MockTransport;

use super::{SECOND, at_most, promises};

/// What waits for an observer at most.
const MOST_WAITING: u64 = 8_192;

/// What one delivers at most who has other things to do.
const MOST_AT_ONCE: usize = 256;

/// Tells what it hears, and on which thread. It stands still in its first loan until it is let go.
struct Slow {
    stands: Mutex<Sender<()>>,
    let_go: Mutex<Receiver<()>>,
    heard: Mutex<Sender<(ThreadId, PoolEvent)>>,
}

impl Observer for Slow {
    fn interest(&self) -> Interest {
        Interest::EVENTS
    }

    fn on_event(&self, event: &PoolEvent) {
        if matches!(event, PoolEvent::Acquired { lease, .. } if lease.get() == 1) {
            self.stands.lock().unwrap().send(()).unwrap();
            // `Err`: the test has failed, and waits for nothing.
            let _let_go = self.let_go.lock().unwrap().recv();
        }
        let _heard = self.heard.lock().unwrap().send((std::thread::current().id(), event.clone()));
    }
}

fn is_of_a_lease(event: &PoolEvent) -> bool {
    matches!(event, PoolEvent::Acquired { .. } | PoolEvent::Released { .. })
}

#[test]
fn an_observer_that_stands_still_misses_the_newest_and_holds_nobody_up() {
    promises::watch();
    let ((stands, stood), (go, let_go), (heard, told)) = (channel(), channel(), channel());
    let (stands, let_go, heard) = (Mutex::new(stands), Mutex::new(let_go), Mutex::new(heard));
    let config = at_most(2).validate_on_borrow(false).validate_interval(None).idle_timeout(None).build().unwrap();
    let builder = Pool::builder(MockTransport::new().0).config(config).observer(Slow { stands, let_go, heard });
    let pool = builder.build().unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    runtime.block_on(pool.warm(2));
    let next = || told.recv_timeout(60 * SECOND).expect("it is told");
    assert!([next(), next()].iter().all(|(_, event)| matches!(event, PoolEvent::Created { .. })));

    // One is told of its own loan, for ever it seems. All others go on, and what they do waits.
    let held = {
        let pool = pool.clone();
        std::thread::spawn(move || pool.try_acquire().unwrap())
    };
    let teller = held.thread().id();
    stood.recv_timeout(60 * SECOND).expect("it is told of the first loan");
    for _ in 0..5_000 {
        drop(pool.try_acquire().unwrap());
    }
    assert!(told.try_recv().is_err(), "nothing overtakes what it stands in");
    go.send(()).unwrap();

    // The one whose loan that was tells a part of the others, then somebody whose work it is goes on.
    let held = held.join().unwrap();
    for at in 0..=MOST_WAITING {
        let (thread, event) = next();
        assert!(is_of_a_lease(&event), "{at}: {event:?}");
        assert_eq!(thread == teller, at <= MOST_AT_ONCE as u64, "{at}: {event:?}");
        assert!(thread != std::thread::current().id(), "{at}: and not whoever has nothing to tell");
    }
    assert!(told.try_recv().is_err(), "the newest are missed");
    drop(held);
    let (_, missed) = next();
    let PoolEvent::Missed { count, .. } = missed else { panic!("{missed:?}") };
    assert_eq!(count, 10_000 - MOST_WAITING);
    assert!(matches!(next().1, PoolEvent::Released { lease, .. } if lease.get() == 1), "and it hears again");
    assert_eq!(pool.stats().acquired, 5_001);
}
