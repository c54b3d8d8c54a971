//! A stream of what happens in a pool.

use std::{
    collections::VecDeque,
    fmt,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, Waker},
};

use futures_core::Stream;

use crate::{
    PoolEvent,
    flow::{caught, wake},
};

/// Events that wait for a subscriber who is slow. Past that the oldest go, and are counted.
const MOST_WAITING: usize = 8_192;

/// What happens in a pool from now on, in order: [`Pool::subscribe`](crate::Pool::subscribe). Ends with the pool.
///
/// A slow reader slows nobody: past 8,192 unread events the oldest are dropped, and [`PoolEvent::Missed`] says how
/// many.
pub struct Events {
    subscriber: Arc<Subscriber>,
}

/// The pool's side.
#[derive(Default)]
pub(crate) struct Subscriber {
    letters: Mutex<Letters>,
}

#[derive(Default)]
struct Letters {
    waiting: VecDeque<PoolEvent>,
    missed: u64,
    closed: bool,
    waker: Option<Waker>,
}

impl Subscriber {
    fn lock(&self) -> MutexGuard<'_, Letters> {
        self.letters.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn push(&self, event: &PoolEvent) {
        // Events hold users' values: made before the lock, dropped after it.
        let event = event.clone();
        let mut letters = self.lock();
        let full = letters.waiting.len() >= MOST_WAITING;
        let oldest = if full { letters.waiting.pop_front() } else { None };
        letters.missed += u64::from(full);
        letters.waiting.push_back(event);
        let waker = letters.waker.take();
        drop(letters);
        caught(|| drop(oldest));
        waker.into_iter().for_each(wake);
    }

    /// Whether its reader is gone.
    pub(crate) fn is_gone(self: &Arc<Self>) -> bool {
        Arc::strong_count(self) == 1
    }

    pub(crate) fn close(&self) {
        let mut letters = self.lock();
        letters.closed = true;
        let waker = letters.waker.take();
        drop(letters);
        waker.into_iter().for_each(wake);
    }
}

impl Events {
    pub(crate) fn new(subscriber: Arc<Subscriber>) -> Self {
        Self { subscriber }
    }

    /// The next event; `None` once the pool is gone.
    ///
    /// # Cancel safety
    ///
    /// Safe to drop; no event is lost.
    #[expect(clippy::should_implement_trait, reason = "it is a stream's next, as everywhere in async Rust")]
    pub fn next(&mut self) -> impl Future<Output = Option<PoolEvent>> + Send + '_ {
        std::future::poll_fn(|cx| Pin::new(&mut *self).poll_next(cx))
    }

    /// The next event if there is one already.
    pub fn try_next(&mut self) -> Option<PoolEvent> {
        let mut letters = self.subscriber.lock();
        Self::pop(&mut letters)
    }

    fn pop(letters: &mut Letters) -> Option<PoolEvent> {
        if letters.missed > 0 {
            return Some(PoolEvent::Missed { count: std::mem::take(&mut letters.missed) });
        }
        letters.waiting.pop_front()
    }
}

impl Stream for Events {
    type Item = PoolEvent;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<PoolEvent>> {
        // Before the lock: how a waker is cloned is its owner's business.
        let waker = cx.waker().clone();
        let mut letters = self.subscriber.lock();
        if let Some(event) = Self::pop(&mut letters) {
            return Poll::Ready(Some(event));
        }
        if letters.closed {
            return Poll::Ready(None);
        }
        let old = letters.waker.replace(waker);
        // Not under the lock: the last of a task's wakers may take the task with it.
        drop(letters);
        drop(old);
        Poll::Pending
    }
}

impl fmt::Debug for Events {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Events")
    }
}
