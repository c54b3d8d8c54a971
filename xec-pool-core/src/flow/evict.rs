//! Evict: the end of a connection, in a task of the pool's, bounded by `close_timeout`.
//!
//! Order down: `Close`. Fact up: `Closed`.

use std::sync::Arc;

use crate::{
    Cancelled, CloseReason, Transport,
    flow::Deed,
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
}

impl<T: Transport> Ledger<T> {
    /// Under the lock: takes the connection off the shelf.
    pub(super) fn close(self: &Arc<Self>, state: &mut State<T>, slot: SlotId, reason: CloseReason) -> Option<Deed<T>> {
        let connection = state.shelf.take(slot);
        debug_assert!(connection.is_some(), "{slot:?} is to be closed, but is not here");
        let (ledger, token) = (Arc::clone(self), state.shelf.token(slot));
        Some(Deed::Close(Ending { ledger, slot, reason, connection, token }))
    }
}

impl<T: Transport> Ending<T> {
    pub(super) fn start(self) {
        if self.reason.is_failure() {
            // A dead one must not hold its place as long as it takes to say goodbye to nobody.
            self.token.cancel();
        }
        let ledger = Arc::clone(&self.ledger);
        ledger.spawn(self.run());
    }

    async fn run(mut self) {
        if let Some(connection) = self.connection.take() {
            end(&self.ledger, connection, self.reason).await;
        }
    }
}

impl<T: Transport> Drop for Ending<T> {
    fn drop(&mut self) {
        self.token.cancel();
        drop(self.connection.take());
        let (slot, reason) = (self.slot, self.reason);
        self.ledger.act(|state, now| state.machine.take(Fact::Closed { slot, reason }, now));
    }
}

/// Closes a connection that is in nobody's hands any more.
pub(super) async fn end<T: Transport>(ledger: &Ledger<T>, connection: Arc<T::Connection>, reason: CloseReason) {
    let Some(connection) = Arc::into_inner(connection) else {
        debug_assert!(false, "a connection is closed while somebody holds it");
        return;
    };
    // Past its time the future is dropped, and the connection with it: the transport promises that this ends it.
    let _ = tokio::time::timeout(ledger.times.close, ledger.transport.close(connection, reason)).await;
}
