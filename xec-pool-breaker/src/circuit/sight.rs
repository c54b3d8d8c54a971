//! What others see of the circuit. Looking changes nothing.

use std::{borrow::Cow, time::Duration};

use super::{Circuit, Move, Phase};
use crate::BreakerState;

impl Circuit {
    /// As it will be at that time if nothing else happens. Nothing has happened by asking.
    pub(crate) fn seen_at(&self, now: Duration) -> Cow<'_, Self> {
        match self.phase {
            Phase::Closed | Phase::ForcedOpen | Phase::ForcedClosed => Cow::Borrowed(self),
            // Little is copied: results are kept only while it is closed.
            Phase::Open { .. } | Phase::HalfOpen { .. } => {
                let mut later = self.clone();
                later.pass_time(now);
                Cow::Owned(later)
            }
        }
    }

    /// What a pool that comes now has to be told; `None`: it may dial.
    pub(crate) fn standing(&self) -> Option<Move> {
        match self.phase {
            Phase::Closed | Phase::ForcedClosed => None,
            Phase::Open { until } => Some(Move::Opened { until: Some(until) }),
            Phase::HalfOpen { .. } => Some(Move::HalfOpened),
            Phase::ForcedOpen => Some(Move::Opened { until: None }),
        }
    }

    pub(crate) fn state(&self) -> BreakerState {
        match self.phase {
            Phase::Closed => BreakerState::Closed,
            Phase::Open { .. } => BreakerState::Open,
            Phase::HalfOpen { .. } => BreakerState::HalfOpen,
            Phase::ForcedOpen => BreakerState::ForcedOpen,
            Phase::ForcedClosed => BreakerState::ForcedClosed,
        }
    }

    /// How long it stays open.
    pub(crate) fn retry_after(&self) -> Option<Duration> {
        match self.phase {
            Phase::Open { until } => Some(until - self.now),
            Phase::Closed | Phase::HalfOpen { .. } | Phase::ForcedOpen | Phase::ForcedClosed => None,
        }
    }

    /// Probes that have not ended.
    pub(crate) fn probes_out(&self) -> u32 {
        match self.phase {
            Phase::HalfOpen { out, .. } => out,
            Phase::Closed | Phase::Open { .. } | Phase::ForcedOpen | Phase::ForcedClosed => 0,
        }
    }

    /// How often it opened by itself since it was last closed.
    pub(crate) fn openings(&self) -> u32 {
        match self.phase {
            Phase::Open { .. } | Phase::HalfOpen { .. } => self.streak.saturating_add(1),
            Phase::Closed | Phase::ForcedOpen | Phase::ForcedClosed => 0,
        }
    }

    /// Failures that count towards the next opening.
    pub(crate) fn failures(&self, now: Duration) -> u32 {
        self.window.failures(self.now.max(now))
    }

    /// Nothing is counted, nothing is out, nothing is held: a new one would be the same, or kinder.
    pub(crate) fn is_at_rest(&self, now: Duration) -> bool {
        match self.phase {
            Phase::Closed => self.failures(now) == 0,
            Phase::HalfOpen { out, .. } => out == 0,
            Phase::Open { .. } | Phase::ForcedOpen | Phase::ForcedClosed => false,
        }
    }
}
