//! The counters behind the statistics.

use super::{facts::Refusal, moment::Span};
use crate::Destroyed;

/// Everything counted since the pool was built; first what every call counts.
#[derive(Clone, Debug, Default)]
#[repr(C)]
pub(crate) struct Tally {
    pub(crate) acquired: u64,
    pub(crate) released: u64,
    pub(crate) waited_total: Span,
    pub(crate) waited_max: Span,
    pub(crate) created: u64,
    pub(crate) destroyed: Destroyed,
    pub(crate) connect_failures: u64,
    pub(crate) timeouts: u64,
    pub(crate) rejected: u64,
}

impl Tally {
    pub(crate) fn lent(&mut self, waited: Span) {
        self.acquired += 1;
        self.waited_total = Span(self.waited_total.0.saturating_add(waited.0));
        self.waited_max = self.waited_max.max(waited);
    }

    /// A lease its caller never received is neither acquired nor released.
    pub(crate) fn unclaimed(&mut self, waited: Span) {
        self.acquired -= 1;
        self.waited_total = Span(self.waited_total.0 - waited.0);
    }

    pub(crate) fn refused(&mut self, refusal: &Refusal) {
        match refusal {
            Refusal::TimedOut { .. } => self.timeouts += 1,
            // `try_acquire` asked a question and got its answer.
            Refusal::NoneIdle => {}
            Refusal::Closed
            | Refusal::Draining
            | Refusal::QueueFull { .. }
            | Refusal::CircuitOpen { .. }
            | Refusal::Connect { .. }
            | Refusal::NoRuntime => self.rejected += 1,
        }
    }
}
