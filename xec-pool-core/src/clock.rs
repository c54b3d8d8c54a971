//! The one place that reads the time.

use std::time::{Duration, Instant as StdInstant};

use tokio::time::Instant;

use crate::machine::moment::{Moment, Span};

/// A pool's clock: tokio's, so that tests with paused time tell the truth.
#[derive(Debug)]
pub(crate) struct Clock {
    start: Instant,
}

impl Clock {
    pub(crate) fn new() -> Self {
        Self { start: Instant::now() }
    }

    pub(crate) fn now(&self) -> Moment {
        Moment::START.after(Span::from(self.start.elapsed()))
    }

    /// The moment as tokio's timers take it; `None`: never.
    pub(crate) fn instant(&self, moment: Moment) -> Option<Instant> {
        if moment == Moment::NEVER { None } else { self.start.checked_add(Duration::from_nanos(moment.0)) }
    }

    pub(crate) fn deadline(&self, after: Duration) -> StdInstant {
        (Instant::now() + after).into_std()
    }
}
