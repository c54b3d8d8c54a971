//! Lend and return: from the shelf into a caller's hands, and back.
//!
//! Orders down: `Lend`. Facts up: `Returned`, `Unclaimed`, `Detached`.

use std::{sync::Arc, task::Waker};

use crate::{
    AcquireError, Interest, Lease, Observation, Outcome, PoolEvent, Start, Transport,
    flow::{
        admit::{end, end_refused},
        caught,
    },
    ledger::{Ledger, State},
    machine::{
        facts::{Fact, Fate, Loan},
        moment::Moment,
        queue::Ticket,
        slot::SlotId,
    },
};

impl<T: Transport> State<T> {
    /// Under the lock: what was lent leaves the shelf.
    pub(crate) fn take_lent(&mut self, slot: SlotId) -> Arc<T::Connection> {
        self.shelf.take(slot).expect("what is lent was on the shelf")
    }

    pub(crate) fn lend(&mut self, ticket: Ticket, loan: Loan) -> Option<Waker> {
        let connection = self.take_lent(loan.slot);
        self.posts.answer(ticket, Ok((loan, connection)))
    }
}

impl<T: Transport> Ledger<T> {
    /// In the caller's hands: a broken one goes back at once, and the caller learns when that was.
    #[inline]
    pub(crate) fn receive(
        self: &Arc<Self>,
        loan: Loan,
        connection: Arc<T::Connection>,
        observation: &mut Option<Arc<dyn Observation>>,
    ) -> Result<Lease<T>, Moment> {
        if self.is_broken(loan.slot, &connection) {
            return Err(self.act(|state, now| {
                state.shelf.put(loan.slot, connection);
                let (slot, waited, reused) = (loan.slot, loan.waited, loan.reused.is_yes());
                state.machine.take(Fact::Unclaimed { slot, broken: true, waited, reused }, now);
                now
            }));
        }
        let mut held = None;
        if self.is_listening() || observation.is_some() || self.interest.contains(Interest::SPANS) {
            held = self.tell_acquired(&loan, observation.take());
        }
        Ok(Lease::new(Arc::clone(self), loan, connection, held))
    }

    /// Tells those who watch; the observation of the lease, if somebody wants one.
    fn tell_acquired(
        self: &Arc<Self>,
        loan: &Loan,
        acquire: Option<Arc<dyn Observation>>,
    ) -> Option<Arc<dyn Observation>> {
        let (id, lease) = (loan.slot.connection(), loan.lease);
        let (waited, reused) = (loan.waited.duration(), loan.reused.is_yes());
        let held = self.begin(&Start::Lease { pool: &self.name, id, lease }, acquire.as_deref());
        end(acquire, &Outcome::Acquired { id, waited, reused });
        self.announce(|| PoolEvent::Acquired { id, lease, waited, reused });
        held
    }

    /// Tells those who watch that a caller was refused.
    pub(crate) fn tell_refused(
        self: &Arc<Self>,
        error: AcquireError<T::Error>,
        began: Option<Moment>,
        observation: Option<Arc<dyn Observation>>,
    ) -> AcquireError<T::Error> {
        if self.is_listening() {
            let now = self.clock.now();
            let waited = now.since(began.unwrap_or(now)).duration();
            self.announce(|| PoolEvent::AcquireFailed { error: error.as_str(), kind: error.kind(), waited });
        }
        end_refused(observation, &error);
        error
    }

    /// Asked on the connection in hand, never under the lock.
    #[inline]
    pub(crate) fn is_broken(self: &Arc<Self>, slot: SlotId, connection: &T::Connection) -> bool {
        caught(|| self.transport.is_broken(connection)).unwrap_or_else(|| {
            self.complain(Some(slot), "the transport's is_broken");
            true
        })
    }

    /// A lease comes home.
    #[inline]
    pub(crate) fn take_back(self: &Arc<Self>, slot: SlotId, connection: Arc<T::Connection>, discarded: bool) {
        let fate = match discarded {
            true => Fate::Discarded,
            false if self.is_broken(slot, &connection) => Fate::Broken,
            false => Fate::Fine,
        };
        self.act_and_wake(|state, now| {
            if let Some((ticket, loan)) = state.machine.give_back(slot, fate, now) {
                return ((), state.posts.answer(ticket, Ok((loan, connection))));
            }
            state.shelf.put(slot, connection);
            ((), None)
        });
    }

    /// A lease's holder keeps the connection.
    pub(crate) fn let_go(self: &Arc<Self>, slot: SlotId) {
        self.act(|state, now| state.machine.take(Fact::Detached(slot), now));
    }
}
