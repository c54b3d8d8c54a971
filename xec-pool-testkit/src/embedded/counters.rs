//! What a server has seen.

use std::sync::{
    Mutex, MutexGuard, PoisonError,
    atomic::{AtomicU64, Ordering},
};

use tokio::sync::Notify;

/// What a server has seen since it was started.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Counters {
    /// Connections that came.
    pub accepted: u64,
    /// Of these, still open.
    pub open: u64,
    /// Connections dropped at once because of `max_startups`.
    pub refused: u64,
    /// Connections that logged in.
    pub authenticated: u64,
    /// Connections that the client ended after the server's identification line and before the first answer to a
    /// login. OpenSSH 9.8 and later penalises the client's address for each.
    pub aborted_handshakes: u64,
    /// Attempts to log in, in their order.
    pub auth_attempts: Vec<AuthAttempt>,
    /// Sessions opened.
    pub sessions: u64,
    /// Sessions refused because of `max_sessions`.
    pub sessions_refused: u64,
    /// Commands that came.
    pub commands: u64,
    /// Faults that were met, at any step; one in the middle of the output counts when its command comes.
    pub faults: u64,
}

/// One attempt to log in.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct AuthAttempt {
    /// As whom.
    pub user: String,
    /// How.
    pub method: AuthMethod,
    /// Whether it was let in.
    pub accepted: bool,
}

/// How a client tries to log in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum AuthMethod {
    /// With nothing, to hear what is possible.
    None,
    /// With a key.
    PublicKey,
    /// With a password.
    Password,
}

/// The server's books.
#[derive(Default)]
pub(super) struct Ledger {
    /// Counted apart, for it is all that the hot path counts.
    commands: AtomicU64,
    counters: Mutex<Counters>,
    changed: Notify,
}

impl Ledger {
    pub(super) fn change(&self, change: impl FnOnce(&mut Counters)) {
        change(&mut self.lock());
        self.changed.notify_waiters();
    }

    pub(super) fn command(&self) {
        self.commands.fetch_add(1, Ordering::Relaxed);
        self.changed.notify_waiters();
    }

    pub(super) fn counters(&self) -> Counters {
        let mut counters = self.lock().clone();
        counters.commands = self.commands.load(Ordering::Relaxed);
        counters
    }

    pub(super) async fn wait_until(&self, condition: impl Fn(&Counters) -> bool + Send + Sync) -> Counters {
        loop {
            let mut changed = std::pin::pin!(self.changed.notified());
            // Listening begins before looking, or a change in between would go unheard.
            changed.as_mut().enable();
            let counters = self.counters();
            if condition(&counters) {
                return counters;
            }
            changed.await;
        }
    }

    fn lock(&self) -> MutexGuard<'_, Counters> {
        self.counters.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
