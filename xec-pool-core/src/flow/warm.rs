//! Warm: opens connections ahead of need.
//!
//! Seed: Pre-warming Strategies.

use std::{
    error::Error,
    future::{Future as _, poll_fn},
    pin::pin,
    sync::Arc,
    task::Poll,
};

use tokio::sync::oneshot;

use crate::{
    DialError, Transport,
    flow::Deed,
    ledger::{Ledger, State},
    machine::facts::WarmId,
};

/// A running `warm`, as the flow knows it.
pub(crate) struct Warming<T: Transport> {
    id: WarmId,
    opened_before: u64,
    already_open: u32,
    failures: Vec<Arc<DialError<T::Error>>>,
    done: oneshot::Sender<WarmReport<T::Error>>,
}

/// What [`Pool::warm`](crate::Pool::warm) did.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct WarmReport<E: Error + Send + Sync + 'static> {
    /// How many connections were open when it began.
    pub already_open: u32,
    /// How many were opened until it ended.
    pub opened: u64,
    /// The dials that failed meanwhile.
    pub failures: Vec<Arc<DialError<E>>>,
    /// How many connections are open now.
    pub open: u32,
}

/// No more failures than that are kept.
const MOST_FAILURES: usize = 32;

impl<T: Transport> State<T> {
    /// Under the lock: a `warm` has ended.
    pub(super) fn warmed(&mut self, id: WarmId) -> Option<Deed<T>> {
        let at = self.warming.iter().position(|warming| warming.id == id)?;
        let Warming { opened_before, already_open, failures, done, .. } = self.warming.swap_remove(at);
        let stats = self.stats();
        let opened = stats.created - opened_before;
        let open = stats.idle + stats.active + stats.validating;
        Some(Deed::Run(Box::new(move || {
            // Who asked may have gone.
            let _ = done.send(WarmReport { already_open, opened, failures, open });
        })))
    }

    /// Under the lock; the error that this one replaces is for after it.
    pub(super) fn note_dial_failure(&mut self, error: &Arc<DialError<T::Error>>) -> Option<Arc<DialError<T::Error>>> {
        for warming in self.warming.iter_mut().filter(|warming| warming.failures.len() < MOST_FAILURES) {
            warming.failures.push(Arc::clone(error));
        }
        self.last_error.replace(Arc::clone(error))
    }
}

/// Lowers what is wanted again when nobody waits for it.
struct Wanted<'a, T: Transport> {
    ledger: &'a Arc<Ledger<T>>,
    id: WarmId,
}

impl<T: Transport> Drop for Wanted<'_, T> {
    fn drop(&mut self) {
        let id = self.id;
        let _left: Vec<_> = self.ledger.act(|state, _| {
            state.machine.unwarm(id);
            state.warming.extract_if(.., |warming| warming.id == id).collect()
        });
    }
}

impl<T: Transport> Ledger<T> {
    pub(crate) async fn warm(self: &Arc<Self>, count: u32) -> WarmReport<T::Error> {
        let (done, told) = oneshot::channel();
        let id = self.act(|state, now| {
            state.warms += 1;
            let id = WarmId(state.warms);
            let opened_before = state.machine.tally.created;
            let already_open = state.machine.open();
            state.warming.push(Warming { id, opened_before, already_open, failures: Vec::new(), done });
            state.machine.warm(id, count, now);
            id
        });
        // Nothing is awaited in between. It must not be born under the lock: its `Drop` takes it.
        let wanted = Wanted { ledger: self, id };
        let report = self.told(id, told).await;
        drop(wanted);
        report.unwrap_or(WarmReport { already_open: 0, opened: 0, failures: Vec::new(), open: 0 })
    }

    /// What is told, with somebody keeping house until then: a dial that backs off starts when the housekeeper says so.
    async fn told<R>(self: &Arc<Self>, id: WarmId, told: oneshot::Receiver<R>) -> Option<R> {
        let mut told = pin!(told);
        loop {
            let mut rung = pin!(self.when_to_look_again());
            if !self.keep_house() {
                // Nobody will: it ends with what there is.
                self.act(|state, now| state.machine.give_up_warm(id, now));
            }
            let report = poll_fn(|cx| match told.as_mut().poll(cx) {
                Poll::Ready(report) => Poll::Ready(Some(report.ok())),
                Poll::Pending => rung.as_mut().poll(cx).map(|_dropped| None),
            });
            if let Some(report) = report.await {
                return report;
            }
        }
    }
}
