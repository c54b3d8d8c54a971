//! A connection in a caller's hands.
//!
//! Seed: Connection Borrowing.

use std::{fmt, ops::Deref, sync::Arc, time::Duration};

use crate::{
    ConnectionId, LeaseId, Observation, Outcome, PoolEvent, Transport,
    flow::admit::end,
    ledger::Ledger,
    machine::{facts::Loan, slot::SlotId},
};

/// A connection that is yours until you drop this: it then goes back to the pool, from wherever you are, without
/// waiting and without a runtime. It may outlive its pool; the connection is then closed when it comes back.
#[must_use = "dropping a lease gives the connection back"]
pub struct Lease<T: Transport> {
    /// `None` once it is given back or kept.
    hand: Option<Hand<T>>,
    loan: Loan,
}

struct Hand<T: Transport> {
    ledger: Arc<Ledger<T>>,
    connection: Arc<T::Connection>,
    observation: Option<Arc<dyn Observation>>,
}

impl<T: Transport> Lease<T> {
    pub(crate) fn new(
        ledger: Arc<Ledger<T>>,
        loan: Loan,
        connection: Arc<T::Connection>,
        observation: Option<Arc<dyn Observation>>,
    ) -> Self {
        Self { hand: Some(Hand { ledger, connection, observation }), loan }
    }

    fn hand(&self) -> &Hand<T> {
        self.hand.as_ref().expect("a lease holds its connection until it ends")
    }

    fn slot(&self) -> SlotId {
        self.loan.slot
    }

    /// The connection's number.
    #[must_use]
    pub fn id(&self) -> ConnectionId {
        self.loan.slot.connection()
    }

    /// The lease's number.
    #[must_use]
    pub fn lease_id(&self) -> LeaseId {
        self.loan.lease
    }

    /// How long its caller waited for it.
    #[must_use]
    pub fn waited(&self) -> Duration {
        self.loan.waited.duration()
    }

    /// Whether somebody had the connection before.
    #[must_use]
    pub fn reused(&self) -> bool {
        self.loan.reused.is_yes()
    }

    /// The name of the pool it comes from.
    #[must_use]
    pub fn pool_name(&self) -> &str {
        &self.hand().ledger.name
    }

    /// The connection, to change it. `None` while it is shared.
    pub fn get_mut(&mut self) -> Option<&mut T::Connection> {
        Arc::get_mut(&mut self.hand.as_mut()?.connection)
    }

    /// Gives the connection back as unusable: it is closed and, with `recreate_on_error`, replaced. `why` is for
    /// those who watch: no secrets.
    pub fn discard(mut self, why: &str) {
        let Some(hand) = self.hand.take() else { return };
        if hand.ledger.is_listening() {
            let cause: crate::Cause = Arc::new(Discarded(why.to_owned()));
            let id = Some(self.id());
            hand.ledger.lock().event(|| PoolEvent::BackgroundError { id, cause });
        }
        hand.give_back(self.slot(), true);
    }

    /// Keeps the connection for good: it no longer counts, and the pool will not close it.
    ///
    /// # Errors
    ///
    /// The lease itself, where the connection is shared with other leases.
    pub fn detach(mut self) -> Result<T::Connection, Self> {
        let Some(hand) = self.hand.take() else { return Err(self) };
        match Arc::try_unwrap(hand.connection) {
            Ok(connection) => {
                hand.ledger.let_go(self.slot());
                end(hand.observation, &Outcome::Released);
                Ok(connection)
            }
            Err(connection) => {
                self.hand = Some(Hand { connection, ..hand });
                Err(self)
            }
        }
    }

    /// Gives the connection back, and waits for the check on return where one is configured
    /// (`validate_on_return`).
    ///
    /// # Cancel safety
    ///
    /// Safe to drop: the connection goes back either way, only the waiting ends.
    pub async fn release(mut self) {
        let Some(hand) = self.hand.take() else { return };
        let (ledger, slot) = (Arc::clone(&hand.ledger), self.slot());
        hand.give_back(slot, false);
        ledger.check_ended(slot).await;
    }
}

impl<T: Transport> Hand<T> {
    fn give_back(self, slot: SlotId, discarded: bool) {
        self.ledger.take_back(slot, self.connection, discarded);
        end(self.observation, &Outcome::Released);
    }
}

impl<T: Transport> Drop for Lease<T> {
    fn drop(&mut self) {
        if let Some(hand) = self.hand.take() {
            hand.give_back(self.slot(), false);
        }
    }
}

impl<T: Transport> Deref for Lease<T> {
    type Target = T::Connection;

    fn deref(&self) -> &T::Connection {
        &self.hand().connection
    }
}

impl<T: Transport> AsRef<T::Connection> for Lease<T> {
    fn as_ref(&self) -> &T::Connection {
        self
    }
}

impl<T: Transport> fmt::Debug for Lease<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lease").field("connection", &self.id()).field("lease", &self.loan.lease).finish_non_exhaustive()
    }
}

#[derive(Debug, thiserror::Error)]
#[error("connection discarded: {0}")]
struct Discarded(String);
