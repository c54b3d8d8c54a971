//! What passes, and the list of those that can be struck.

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    sync::{Mutex, MutexGuard, PoisonError},
};

use tokio::sync::{Notify, watch};

use super::{Blow, Direction};

/// What has passed since the proxy was started.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Counters {
    /// Connections that came. Refused ones do not count: the kernel answers them.
    pub accepted: u64,
    /// Of these, still open.
    pub open: u64,
    /// Connections that were reset because the server could not be reached.
    pub unreachable: u64,
    /// Bytes handed to the server.
    pub to_server: u64,
    /// Bytes handed to the client.
    pub to_client: u64,
}

/// A connection that is open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Passing {
    /// Its number: 1, 2, …, in the order of coming.
    pub id: u64,
    /// The client's address: what `local_addr` says at its end.
    pub client: SocketAddr,
    /// Bytes handed to the server.
    pub to_server: u64,
    /// Bytes handed to the client.
    pub to_client: u64,
}

/// What a connection has been told to do.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Orders {
    pub(super) end: Option<End>,
    pub(super) half_closed: [bool; 2],
}

/// How a connection ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    Close,
    Reset,
}

#[derive(Default)]
pub(super) struct Books {
    ledger: Mutex<Ledger>,
    changed: Notify,
}

#[derive(Default)]
struct Ledger {
    counters: Counters,
    open: BTreeMap<u64, (Passing, watch::Sender<Orders>)>,
}

impl Books {
    /// Writes a new connection down: its number, and where it hears its orders.
    pub(super) fn came(&self, client: SocketAddr) -> (u64, watch::Receiver<Orders>) {
        self.change(|ledger| {
            ledger.counters.accepted += 1;
            ledger.counters.open += 1;
            let id = ledger.counters.accepted;
            let (orders, hears) = watch::channel(Orders::default());
            ledger.open.insert(id, (Passing { id, client, to_server: 0, to_client: 0 }, orders));
            (id, hears)
        })
    }

    pub(super) fn went(&self, id: u64) {
        self.change(|ledger| {
            ledger.open.remove(&id);
            ledger.counters.open -= 1;
        });
    }

    pub(super) fn unreachable(&self) {
        self.change(|ledger| ledger.counters.unreachable += 1);
    }

    pub(super) fn passed(&self, id: u64, direction: Direction, bytes: usize) {
        let bytes = bytes as u64;
        self.change(|ledger| {
            let (passing, _) = ledger.open.get_mut(&id).expect("what passes is open");
            let (sum, share) = match direction {
                Direction::ToServer => (&mut ledger.counters.to_server, &mut passing.to_server),
                Direction::ToClient => (&mut ledger.counters.to_client, &mut passing.to_client),
            };
            *sum += bytes;
            *share += bytes;
        });
    }

    /// Strikes those it shall, and says how many.
    pub(super) fn strike(&self, blow: Blow, shall: impl Fn(u64) -> bool) -> usize {
        let ledger = self.lock();
        let struck = ledger.open.values().filter(|(passing, _)| shall(passing.id));
        struck
            .map(|(_, orders)| {
                orders.send_modify(|orders| match blow {
                    Blow::Close => orders.end = orders.end.or(Some(End::Close)),
                    Blow::Reset => orders.end = Some(End::Reset),
                    Blow::HalfClose(direction) => orders.half_closed[direction as usize] = true,
                });
            })
            .count()
    }

    pub(super) fn counters(&self) -> Counters {
        self.lock().counters
    }

    pub(super) fn connections(&self) -> Vec<Passing> {
        self.lock().open.values().map(|(passing, _)| *passing).collect()
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

    fn change<R>(&self, change: impl FnOnce(&mut Ledger) -> R) -> R {
        let result = change(&mut self.lock());
        self.changed.notify_waiters();
        result
    }

    fn lock(&self) -> MutexGuard<'_, Ledger> {
        self.ledger.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
