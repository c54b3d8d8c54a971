//! Validate: one check of one connection, in a task of the pool's, bounded by `validate_timeout`.
//!
//! Order down: `Validate`. Facts up: `Passed`, `Failed`.

use std::{convert::Infallible, sync::Arc};

use tokio::sync::oneshot;

use crate::{
    Cancelled, Check, PoolEvent, Transport,
    flow::Deed,
    ledger::{Ledger, State},
    machine::{facts::Fact, moment::Moment, slot::SlotId},
};

/// A check. Dropped before its end, it has failed.
pub(crate) struct Checking<T: Transport> {
    ledger: Arc<Ledger<T>>,
    slot: SlotId,
    check: Check,
    connection: Option<Arc<T::Connection>>,
    token: Cancelled,
    began: Moment,
}

impl<T: Transport> Ledger<T> {
    /// Under the lock: takes the connection off the shelf.
    pub(super) fn validate(self: &Arc<Self>, state: &mut State<T>, slot: SlotId, check: Check) -> Option<Deed<T>> {
        let connection = state.shelf.take(slot);
        debug_assert!(connection.is_some(), "{slot:?} is to be checked, but is not here");
        let (ledger, token, began) = (Arc::clone(self), state.shelf.token(slot), self.clock.now());
        Some(Deed::Validate(Checking { ledger, slot, check, connection, token, began }))
    }
}

impl<T: Transport> Checking<T> {
    pub(super) fn start(self) {
        let ledger = Arc::clone(&self.ledger);
        ledger.spawn(self.run());
    }

    async fn run(mut self) {
        let passed = match &self.connection {
            Some(connection) => {
                let check = tokio::time::timeout(self.ledger.times.validate, self.ask(connection));
                self.token.unless(check).await.is_some_and(|passed| passed.unwrap_or(false))
            }
            None => false,
        };
        self.report(passed);
    }

    async fn ask(&self, connection: &T::Connection) -> bool {
        match &self.ledger.validator {
            Some(validator) => validator(connection).await,
            None => self.ledger.transport.validate(connection, self.check).await.is_ok(),
        }
    }

    fn report(&mut self, passed: bool) {
        let Some(connection) = self.connection.take() else { return };
        let (slot, check) = (self.slot, self.check);
        self.ledger.act(|state, now| {
            let took = now.since(self.began).duration();
            state.event(|| PoolEvent::Validated { id: slot.connection(), check, passed, took });
            state.shelf.put(slot, connection);
            state.machine.take(if passed { Fact::Passed(slot) } else { Fact::Failed(slot) }, now);
            // Their ends of the channel tell those who wait.
            state.check_watchers.retain(|(other, _)| *other != slot);
        });
    }
}

impl<T: Transport> Ledger<T> {
    /// Completes when the check that runs on this connection now has ended; at once if none does.
    pub(crate) async fn check_ended(&self, slot: SlotId) {
        let (watcher, ended) = oneshot::channel::<Infallible>();
        {
            let mut state = self.lock();
            if state.machine.slots.get(slot).is_none_or(|slot| slot.check.is_none()) {
                return;
            }
            state.check_watchers.push((slot, watcher));
        }
        let _ = ended.await;
    }
}

impl<T: Transport> Drop for Checking<T> {
    fn drop(&mut self) {
        self.report(false);
    }
}
