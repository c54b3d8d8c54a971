//! Evict: the end of a connection, in a task of the pool's, bounded by `close_timeout`.
//!
//! Order down: `Close`. Fact up: `Closed`.

use std::{sync::Arc, time::Duration};

use crate::{
    Cancelled, Cause, CloseReason, PoolEvent, Transport,
    flow::{Deed, cancel, caught},
    ledger::{Ledger, State},
    machine::{facts::Fact, slot::SlotId},
};

/// The end of a connection. Dropped before it is over (no runtime), the connection is dropped and its token
/// cancelled.
pub(crate) struct Ending<T: Transport> {
    ledger: Arc<Ledger<T>>,
    slot: SlotId,
    reason: CloseReason,
    connection: Option<Arc<T::Connection>>,
    token: Cancelled,
    timed_out: bool,
}

impl<T: Transport> Ledger<T> {
    /// Under the lock: takes the connection off the shelf.
    pub(super) fn close(self: &Arc<Self>, state: &mut State<T>, slot: SlotId, reason: CloseReason) -> Option<Deed<T>> {
        let connection = state.shelf.take(slot);
        if connection.is_none() {
            bug!("{slot:?} is to be closed, but is not here");
        }
        let (ledger, token) = (Arc::clone(self), state.shelf.token(slot));
        Some(Deed::Close(Ending { ledger, slot, reason, connection, token, timed_out: false }))
    }
}

impl<T: Transport> Ending<T> {
    pub(super) fn start(self) {
        if self.reason.is_failure() {
            // A dead one must not hold its place as long as it takes to say goodbye to nobody.
            cancel(&self.token);
        }
        let ledger = Arc::clone(&self.ledger);
        ledger.spawn(self.run());
    }

    async fn run(mut self) {
        if let Some(connection) = self.connection.take() {
            self.timed_out = !end(&self.ledger, connection, self.reason).await;
        }
    }

    /// What no caller hears of otherwise.
    fn trouble(&self, panicked: bool) -> Option<Cause> {
        let after = self.ledger.times.close;
        let trouble = if panicked { Unclosed::Panicked } else { Unclosed::TimedOut { after } };
        (self.timed_out || panicked).then(|| Arc::new(trouble) as Cause)
    }
}

impl<T: Transport> Drop for Ending<T> {
    fn drop(&mut self) {
        cancel(&self.token);
        let connection = self.connection.take();
        let panicked = caught(|| drop(connection)).is_none() || std::thread::panicking();
        let (slot, reason, trouble) = (self.slot, self.reason, self.trouble(panicked));
        self.ledger.act(|state, now| {
            if let Some(cause) = trouble {
                state.event(|| PoolEvent::BackgroundError { id: Some(slot.connection()), cause });
            }
            state.machine.take(Fact::Closed { slot, reason }, now);
        });
    }
}

/// Closes a connection that is in nobody's hands any more. `false`: not within its time.
pub(super) async fn end<T: Transport>(ledger: &Ledger<T>, connection: Arc<T::Connection>, reason: CloseReason) -> bool {
    let Some(connection) = Arc::into_inner(connection) else {
        bug!("a connection is closed while somebody holds it");
        return true;
    };
    // Past its time the future is dropped, and the connection with it: the transport promises that this ends it.
    tokio::time::timeout(ledger.times.close, ledger.transport.close(connection, reason)).await.is_ok()
}

/// How a close went wrong.
#[derive(Debug, thiserror::Error)]
enum Unclosed {
    #[error("closing took longer than {after:?} (close_timeout); the connection was dropped")]
    TimedOut { after: Duration },
    #[error("the transport panicked while closing, or its connection while it was dropped")]
    Panicked,
}
