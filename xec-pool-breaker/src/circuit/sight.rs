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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{BreakerConfig, circuit::Verdict};

    const SECOND: Duration = Duration::from_secs(1);

    fn circuit() -> Circuit {
        let rules = BreakerConfig::builder().failure_threshold(2).open_for(SECOND).open_for_jitter(0.0);
        Circuit::new(rules.build().expect("valid"), 0)
    }

    fn fail(circuit: &mut Circuit, now: Duration) {
        let generation = circuit.admit(now).expect("let through");
        circuit.settle(generation, Verdict::Failure, now);
    }

    fn is_at_rest(circuit: &Circuit, now: Duration) -> bool {
        circuit.seen_at(now).is_at_rest(now)
    }

    #[test]
    fn what_it_remembers_or_waits_for_keeps_it_from_rest() {
        let mut circuit = circuit();
        assert!(is_at_rest(&circuit, Duration::ZERO), "new");
        fail(&mut circuit, Duration::ZERO);
        assert!(!is_at_rest(&circuit, Duration::ZERO), "a failure counts");
        assert!(is_at_rest(&circuit, 61 * SECOND), "and is forgotten in time");
        fail(&mut circuit, Duration::ZERO);
        assert!(!is_at_rest(&circuit, SECOND / 2), "open");
        assert!(is_at_rest(&circuit, SECOND), "half-open by now, and nobody asked");
        let probe = circuit.admit(SECOND).expect("half-open");
        assert!(!is_at_rest(&circuit, SECOND), "a probe is out");
        circuit.settle(probe, Verdict::Success, SECOND);
        assert!(is_at_rest(&circuit, SECOND), "closed");
        circuit.force_close(SECOND);
        assert!(!is_at_rest(&circuit, SECOND), "held");
    }

    #[test]
    fn who_comes_is_told_what_keeps_it_from_dialling_and_nothing_else() {
        let mut circuit = circuit();
        assert_eq!(circuit.standing(), None);
        fail(&mut circuit, Duration::ZERO);
        fail(&mut circuit, Duration::ZERO);
        assert_eq!(circuit.standing(), Some(Move::Opened { until: Some(SECOND) }));
        let _probe = circuit.admit(SECOND).expect("half-open");
        assert_eq!(circuit.standing(), Some(Move::HalfOpened));
        circuit.force_open(SECOND);
        assert_eq!(circuit.standing(), Some(Move::Opened { until: None }));
        circuit.force_close(SECOND);
        assert_eq!(circuit.standing(), None);
    }
}
