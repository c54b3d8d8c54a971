//! What a test holds of a mock transport.

use std::{fmt, future::poll_fn, pin::pin, sync::Arc, task::Poll};

use xec_pool_core::LostSignal;

use super::{
    Call, Hook, Step,
    world::{Books, Life, World},
};

/// Tells a [`MockTransport`](super::MockTransport) what to do, and knows what it did. Clones are the same handle.
#[derive(Clone)]
pub struct MockHandle {
    world: Arc<World>,
}

impl MockHandle {
    pub(super) fn new(world: Arc<World>) -> Self {
        Self { world }
    }

    /// The next calls of `hook` do this, one step each, after those already in its script.
    pub fn script(&self, hook: Hook, steps: impl IntoIterator<Item = Step>) {
        self.world.books().push(hook, steps);
    }

    /// Forgets what is left of a hook's script. What it does [always](Self::always) stays.
    pub fn clear_script(&self, hook: Hook) {
        self.world.books().clear(hook);
    }

    /// Whenever its script is used up, `hook` does this. At first: [`Step::ok`].
    pub fn always(&self, hook: Hook, step: Step) {
        self.world.books().always(hook, step);
    }

    /// Lets `count` calls of a [gated](Step::gated) step of `hook` through, those that wait and those to come.
    pub fn release(&self, hook: Hook, count: usize) {
        self.world.leave[hook as usize].add_permits(count);
    }

    /// How often `hook` was called.
    #[must_use]
    pub fn calls(&self, hook: Hook) -> usize {
        self.world.books().calls(hook)
    }

    /// All calls but the looks of `is_broken`, and the ends of connections, in their order.
    #[must_use]
    pub fn log(&self) -> Vec<Call> {
        self.world.books().log.clone()
    }

    /// Connections opened so far.
    #[must_use]
    pub fn opened(&self) -> usize {
        self.world.books().lives.len()
    }

    /// Connections that are open: not yet dropped.
    #[must_use]
    pub fn live(&self) -> usize {
        self.world.books().live
    }

    /// Their numbers in the pool, the oldest first.
    #[must_use]
    pub fn live_ids(&self) -> Vec<u64> {
        self.world.books().lives.values().filter(|life| !life.gone).map(|life| life.id).collect()
    }

    /// The most connections that were ever open at once.
    #[must_use]
    pub fn most_live(&self) -> usize {
        self.world.books().most_live
    }

    /// The most dials that ever ran at once.
    #[must_use]
    pub fn most_dialling(&self) -> usize {
        self.world.books().most_dialling
    }

    /// From now on [`is_broken`](xec_pool_core::Transport::is_broken) is true of this connection and its checks fail;
    /// nobody is told. `false` if there is no such open connection.
    pub fn break_connection(&self, id: u64) -> bool {
        self.kill(id).is_some()
    }

    /// The same, and the pool is told at once ([`LostSignal`]). `false` if there is no such open connection.
    pub fn lose(&self, id: u64, why: &str) -> bool {
        // After the lock: the pool may ask us something at once.
        self.kill(id).map(|lost| lost.lost(why)).is_some()
    }

    /// Loses every open connection, and returns how many.
    pub fn lose_all(&self, why: &str) -> usize {
        let signals: Vec<LostSignal> = {
            let mut books = self.world.books();
            let well = books.lives.values_mut().filter(|life| !life.gone && !life.broken);
            well.map(|life| {
                life.broken = true;
                life.lost.clone()
            })
            .collect()
        };
        // After the lock, as above.
        signals.iter().for_each(|signal| signal.lost(why));
        self.world.changed.notify_waiters();
        signals.len()
    }

    /// Whether the pool has told this connection to end at once; `None` if it never was.
    #[must_use]
    pub fn is_cancelled(&self, id: u64) -> Option<bool> {
        let books = self.world.books();
        books.lives.values().rev().find(|life| life.id == id).map(|life| life.cancel.is_cancelled())
    }

    /// Waits until `hook` was called `count` times in all. No polling.
    ///
    /// # Cancel safety
    ///
    /// Safe to drop.
    pub async fn called(&self, hook: Hook, count: usize) {
        self.until(|books| books.calls(hook) >= count).await;
    }

    /// Waits until exactly `count` connections are open. No polling.
    ///
    /// # Cancel safety
    ///
    /// Safe to drop.
    pub async fn until_live(&self, count: usize) {
        self.until(|books| books.live == count).await;
    }

    /// Waits until a peer would see exactly so many open connections: not those that are broken, and not those whose
    /// token is cancelled, whoever still holds them. No polling.
    ///
    /// # Cancel safety
    ///
    /// Safe to drop.
    pub async fn until_open(&self, count: usize) {
        loop {
            let mut changed = pin!(self.world.changed.notified());
            changed.as_mut().enable();
            let mut ends = self.world.books().ends();
            if ends.len() == count {
                return;
            }
            poll_fn(|cx| {
                let ended = ends.iter_mut().any(|end| end.as_mut().poll(cx).is_ready());
                if ended || changed.as_mut().poll(cx).is_ready() { Poll::Ready(()) } else { Poll::Pending }
            })
            .await;
        }
    }

    /// Checks that no connection is left, and that each was closed by [`close`](xec_pool_core::Transport::close),
    /// once. Not for tests that detach connections or end without a runtime: those are dropped instead.
    ///
    /// # Panics
    ///
    /// If not, naming those that were not.
    #[track_caller]
    pub fn assert_each_closed_once(&self) {
        self.assert_none(|life| !life.gone || life.closed != 1, "not closed exactly once");
    }

    /// Checks that no connection is left, and that none was closed twice.
    ///
    /// # Panics
    ///
    /// If not, naming those.
    #[track_caller]
    pub fn assert_none_left(&self) {
        self.assert_none(|life| !life.gone || life.closed > 1, "still there, or closed twice");
    }

    #[track_caller]
    fn assert_none(&self, wrong: impl Fn(&Life) -> bool, what: &str) {
        let tell = |life: &Life| format!("connection {} (closed {} times, gone: {})", life.id, life.closed, life.gone);
        let found: Vec<_> = self.world.books().lives.values().filter(|life| wrong(life)).map(tell).collect();
        assert!(found.is_empty(), "{what}: {}", found.join(", "));
    }

    fn kill(&self, id: u64) -> Option<LostSignal> {
        let mut books = self.world.books();
        let life = books.lives.values_mut().rev().find(|life| life.id == id && !life.gone)?;
        life.broken = true;
        Some(life.lost.clone())
    }

    async fn until(&self, condition: impl Fn(&Books) -> bool + Send + Sync) {
        loop {
            let mut changed = std::pin::pin!(self.world.changed.notified());
            // Listening begins before looking, or a change in between would go unheard.
            changed.as_mut().enable();
            if condition(&self.world.books()) {
                return;
            }
            changed.await;
        }
    }
}

impl fmt::Debug for MockHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MockHandle").field("live", &self.live()).finish_non_exhaustive()
    }
}
