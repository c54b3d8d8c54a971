//! An observer that keeps everything in its order, and checks that it makes sense.
//!
//! # Examples
//!
//! ```
//! use xec_pool_core::Pool;
//! use xec_pool_testkit::{MockTransport, Recorder};
//!
//! # #[tokio::main(flavor = "current_thread")] async fn main() {
//! let recorder = Recorder::new();
//! let pool = Pool::builder(MockTransport::new().0).observer(recorder.clone()).build().expect("valid");
//! drop(pool.acquire().await.expect("the mock connects"));
//! pool.close().await;
//! recorder.assert_legal_paths();
//! recorder.assert_adds_up(&pool.stats());
//! assert_eq!(recorder.tree(), "\
//! acquire: acquired connection 1
//!   connect 1: dial, connected
//!   lease 1: released
//! ");
//! # }
//! ```

use std::{
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::sync::Notify;
use xec_pool_core::{Observation, Observer, PoolEvent, Start, Stats, WeakPool};

// Do each connection's events form a legal path?
mod paths;

// Do the events add up to the stats?
mod sums;

// What takes a while, as a tree.
mod spans;

use self::spans::{Span, Spans};

/// Records one pool. Clones are the same recorder: give one to the pool, keep one.
#[derive(Clone, Default)]
pub struct Recorder {
    inner: Arc<Inner>,
}

#[derive(Default)]
struct Inner {
    tape: Mutex<Tape>,
    spans: Arc<Mutex<Spans>>,
    changed: Notify,
}

#[derive(Default)]
struct Tape {
    events: Vec<PoolEvent>,
    pools: u32,
}

impl Recorder {
    /// A recorder that has heard nothing.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// All events so far, in their order.
    #[must_use]
    pub fn events(&self) -> Vec<PoolEvent> {
        self.tape().events.clone()
    }

    /// How many events so far satisfy `condition`.
    #[must_use]
    pub fn count(&self, condition: impl Fn(&PoolEvent) -> bool) -> usize {
        self.tape().events.iter().filter(|event| condition(event)).count()
    }

    /// Waits for an event that satisfies `condition`; one that was already is fine. No polling.
    ///
    /// # Cancel safety
    ///
    /// Safe to drop.
    pub async fn wait_for(&self, condition: impl Fn(&PoolEvent) -> bool + Send + Sync) -> PoolEvent {
        loop {
            let mut changed = std::pin::pin!(self.inner.changed.notified());
            // Listening begins before looking, or an event in between would go unheard.
            changed.as_mut().enable();
            if let Some(event) = self.tape().events.iter().find(|event| condition(event)) {
                return event.clone();
            }
            changed.await;
        }
    }

    /// What took a while: one line each, with its phases and its end, under its parent.
    #[must_use]
    pub fn tree(&self) -> String {
        self.inner.spans.lock().unwrap_or_else(PoisonError::into_inner).tree()
    }

    /// Checks that each connection took only legal steps, was created and destroyed at most once and in that order,
    /// and that its leases begin and end in pairs, while it is lent.
    ///
    /// # Panics
    ///
    /// If not, naming the connection and telling its whole path. Also if the recorder watched several pools (their
    /// connections have the same numbers) or missed events.
    #[track_caller]
    pub fn assert_legal_paths(&self) {
        let tape = self.tape();
        tape.assert_whole();
        if let Err(why) = paths::check(&tape.events) {
            panic!("{why}");
        }
    }

    /// Checks that the events add up to `stats`. To be asked when nothing moves: nobody acquires, dials or closes;
    /// where several threads were at it, after [`until_adds_up`](Self::until_adds_up).
    ///
    /// # Panics
    ///
    /// If not, naming all figures that differ. Also if the recorder watched several pools or missed events.
    #[track_caller]
    pub fn assert_adds_up(&self, stats: &Stats) {
        let tape = self.tape();
        tape.assert_whole();
        let differ = sums::differences(&tape.events, stats);
        assert!(differ.is_empty(), "events and stats do not add up: {}", differ.join("; "));
    }

    /// Waits until the events add up to `stats`: whoever delivers events may be another thread, and not done yet.
    ///
    /// # Cancel safety
    ///
    /// Safe to drop.
    pub async fn until_adds_up(&self, stats: &Stats) {
        loop {
            let mut changed = std::pin::pin!(self.inner.changed.notified());
            changed.as_mut().enable();
            if sums::differences(&self.tape().events, stats).is_empty() {
                return;
            }
            changed.await;
        }
    }

    fn tape(&self) -> MutexGuard<'_, Tape> {
        self.inner.tape.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Tape {
    #[track_caller]
    fn assert_whole(&self) {
        assert!(self.pools <= 1, "a recorder watches one pool, this one watched {}", self.pools);
        let missed = self.events.iter().any(|event| matches!(event, PoolEvent::Missed { .. }));
        assert!(!missed, "events were missed, so nothing can be said");
    }
}

impl Observer for Recorder {
    fn attach(&self, _: WeakPool) -> Option<Arc<dyn Observer>> {
        self.tape().pools += 1;
        None
    }

    fn on_event(&self, event: &PoolEvent) {
        self.tape().events.push(event.clone());
        self.inner.changed.notify_waiters();
    }

    fn begin(&self, start: &Start<'_>, parent: Option<&dyn Observation>) -> Option<Arc<dyn Observation>> {
        Some(Span::begin(&self.inner.spans, start, parent))
    }
}

impl fmt::Debug for Recorder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Recorder").field("events", &self.tape().events.len()).finish_non_exhaustive()
    }
}
