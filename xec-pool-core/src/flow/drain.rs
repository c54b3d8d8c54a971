//! Drain: no new callers, and an end for what is there.

use std::{convert::Infallible, sync::Arc, time::Duration};

use tokio::sync::oneshot;

use crate::{
    ConnectionState, Transport,
    flow::look_again,
    ledger::Ledger,
    machine::moment::{Moment, Span},
};

/// What [`Pool::drain`](crate::Pool::drain) did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct DrainReport {
    /// Connections closed since the draining began.
    pub closed: u64,
    /// Lent connections that were killed at its end.
    pub killed: u32,
    /// Killed connections whose holders have not let go of them yet.
    pub still_held: u32,
}

impl<T: Transport> Ledger<T> {
    /// Begins, without waiting. `None`: no end.
    pub(crate) fn begin_drain(self: &Arc<Self>, within: Option<Duration>) {
        self.act(|state, now| {
            let end = within.map_or(Moment::NEVER, |within| now.after(Span::from(within)));
            state.machine.drain(end, now);
        });
    }

    pub(crate) async fn drain(self: &Arc<Self>, within: Duration) -> DrainReport {
        self.begin_drain(Some(within));
        let mut kept = true;
        loop {
            // Before the look, so that what happens between the look and the wait is heard.
            let rung = self.when_to_look_again();
            {
                let state = self.lock();
                let (closed, killed, done) = state.machine.drained();
                if done {
                    let still_held = state.machine.slots.count(ConnectionState::Active);
                    return DrainReport { closed, killed, still_held };
                }
            }
            kept = kept && self.keep_house();
            if !kept {
                // Nobody would say when its time is up: then it is up now.
                self.begin_drain(Some(Duration::ZERO));
            }
            // Nothing is ever sent: its end is the word.
            let _dropped = rung.await;
        }
    }

    /// Ends when a drain or a `warm` may be over, or nobody keeps house any more.
    pub(super) fn when_to_look_again(&self) -> oneshot::Receiver<Infallible> {
        let (looker, rung) = oneshot::channel();
        let mut state = self.lock();
        let gone: Vec<_> = state.lookers.extract_if(.., |looker| looker.is_closed()).collect();
        state.lookers.push(looker);
        drop(state);
        look_again(gone);
        rung
    }
}
