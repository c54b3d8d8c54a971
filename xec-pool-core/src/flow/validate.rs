//! Validate: one check of one connection, in a task of the pool's, bounded by `validate_timeout`.
//!
//! Order down: `Validate`. Facts up: `Passed`, `Failed`.

use std::{convert::Infallible, sync::Arc, time::Duration};

use tokio::sync::oneshot;

use crate::{
    Cancelled, Cause, Check, PoolEvent, Transport,
    flow::{Deed, caught, look_again},
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
        if connection.is_none() {
            bug!("{slot:?} is to be checked, but is not here");
        }
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
        let Some(connection) = &self.connection else { return };
        let after = self.ledger.times.validate;
        let check = tokio::time::timeout(after, self.ask(connection));
        let verdict = match self.token.unless(check).await {
            Some(Ok(verdict)) => verdict,
            Some(Err(_)) => Err(Some(Arc::new(Unchecked::TimedOut { after }) as Cause)),
            // The pool ends it meanwhile.
            None => Err(None),
        };
        self.report(verdict);
    }

    async fn ask(&self, connection: &T::Connection) -> Verdict {
        match &self.ledger.validator {
            Some(validator) => validator(connection).await.then_some(()).ok_or(None),
            None => {
                let checked = self.ledger.transport.validate(connection, self.check).await;
                checked.map_err(|error| Some(Arc::new(error) as Cause))
            }
        }
    }

    fn report(&mut self, verdict: Verdict) {
        let Some(connection) = self.connection.take() else { return };
        let (slot, check) = (self.slot, self.check);
        let (watchers, verdict) = self.ledger.act(|state, now| {
            let took = now.since(self.began).duration();
            let (passed, cause) = (verdict.is_ok(), verdict.as_ref().err().cloned().flatten());
            state.event(|| PoolEvent::Validated { id: slot.connection(), check, passed, took, cause });
            state.shelf.put(slot, connection);
            state.machine.take(if passed { Fact::Passed(slot) } else { Fact::Failed(slot) }, now);
            let watchers = state.check_watchers.extract_if(.., |(other, _)| *other == slot);
            (watchers.map(|(_, watcher)| watcher).collect(), verdict)
        });
        look_again(watchers);
        // A user's error, which nobody wants to hear any more.
        caught(|| drop(verdict));
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
        let panicked = std::thread::panicking().then(|| Arc::new(Unchecked::Panicked) as Cause);
        self.report(Err(panicked));
    }
}

/// Whether a connection is fine; else why not, where somebody said so.
type Verdict = Result<(), Option<Cause>>;

/// Why a check came to no verdict of its own.
#[derive(Debug, thiserror::Error)]
enum Unchecked {
    #[error("the check did not end within {after:?} (validate_timeout)")]
    TimedOut { after: Duration },
    #[error("the check panicked")]
    Panicked,
}
