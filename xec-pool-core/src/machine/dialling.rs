//! When a dial may start: how many at once, how long to back off, what the gate last said.
//!
//! Backing off belongs to the pool, not to a dial or a caller; a dial that waits holds no slot.
//!
//! Seed: Connection Failures.

use super::moment::{Moment, Span};
use crate::FailureKind;

/// A gate that says no is not asked again before: one that says «no, ask again at once» would be asked for ever, on
/// one stack.
const SHORTEST_NO: Span = Span(1_000_000);

/// The governor of dials.
#[derive(Debug)]
pub(crate) struct Dialling {
    /// How many dials at once: doubles with each success, falls to 1 with each failure.
    window: u32,
    /// Failures in a row that callers count as attempts.
    failures: u32,
    /// Failures in a row that the back-off counts: also throttled ones.
    setbacks: u32,
    /// Ends with each success.
    run: u64,
    held_until: Moment,
    last_setback: Moment,
    last_kind: FailureKind,
    /// The last dial failed in a way that is never retried: only callers may dial, until one succeeds.
    latched: bool,
    gate: GateSaid,
    /// How often it spoke up, unasked.
    gate_words: u64,
    /// A caller that found nobody waiting is being admitted, long enough after the last setback.
    newcomer: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum GateSaid {
    Pass,
    Shut {
        until: Moment,
    },
    /// A probe whose end nobody reports is not waited for longer than that.
    Busy {
        until: Moment,
    },
}

impl Dialling {
    pub(super) fn new() -> Self {
        Self {
            window: 1,
            failures: 0,
            setbacks: 0,
            run: 0,
            held_until: Moment::START,
            last_setback: Moment::START,
            last_kind: FailureKind::Other,
            latched: false,
            gate: GateSaid::Pass,
            gate_words: 0,
            newcomer: false,
        }
    }

    /// Whether one more dial may start. `background`: no caller waits for it, and no `warm`.
    pub(super) fn may_start(&self, connecting: u32, background: bool, now: Moment) -> bool {
        let passes = match self.gate {
            GateSaid::Pass => true,
            GateSaid::Shut { until } | GateSaid::Busy { until } => until <= now,
        };
        let rested = self.held_until <= now || (self.newcomer && !background);
        connecting < self.window && passes && rested && !(background && self.latched)
    }

    /// When it is worth trying again, if only time is lacking; else some fact will say so.
    pub(super) fn next_try(&self, background: bool, now: Moment) -> Moment {
        let by_gate = match self.gate {
            GateSaid::Pass => Moment::START,
            GateSaid::Shut { until } | GateSaid::Busy { until } => until,
        };
        let due = self.held_until.max(by_gate);
        if (background && self.latched) || due <= now { Moment::NEVER } else { due }
    }

    pub(super) fn is_held_back(&self, now: Moment) -> bool {
        self.held_until > now || self.gate != GateSaid::Pass
    }

    /// A caller that finds nobody waiting need not sit out the whole back-off.
    pub(super) fn admit_newcomer(&mut self, retry_delay: Span, now: Moment) {
        self.newcomer = now.since(self.last_setback) >= retry_delay;
    }

    pub(super) fn newcomer_done(&mut self) {
        self.newcomer = false;
    }

    /// The run and its failures: a caller remembers them when it comes.
    pub(super) fn run(&self) -> (u64, u32) {
        (self.run, self.failures)
    }

    /// How many dials in a row failed since a caller remembered `run` and `failures`.
    pub(super) fn failures_since(&self, run: u64, failures: u32) -> u32 {
        if run == self.run { self.failures - failures } else { self.failures }
    }

    pub(super) fn failures(&self) -> u32 {
        self.failures
    }

    pub(super) fn last_kind(&self) -> FailureKind {
        self.last_kind
    }

    pub(super) fn setbacks(&self) -> u32 {
        self.setbacks
    }

    pub(super) fn succeeded(&mut self, most: u32) {
        self.window = self.window.saturating_mul(2).min(most);
        self.failures = 0;
        self.setbacks = 0;
        self.run += 1;
        self.held_until = Moment::START;
        self.latched = false;
        self.gate = GateSaid::Pass;
    }

    pub(super) fn failed(&mut self, kind: FailureKind, retry_after: Span, now: Moment) {
        self.last_kind = kind;
        self.last_setback = now;
        if matches!(self.gate, GateSaid::Busy { .. }) {
            self.gate = GateSaid::Pass;
        }
        if kind == FailureKind::Throttled {
            self.window = (self.window / 2).max(1);
        } else {
            self.window = 1;
            self.failures = self.failures.saturating_add(1);
        }
        if kind.is_retried() {
            self.setbacks = self.setbacks.saturating_add(1);
            self.held_until = self.held_until.max(now.after(retry_after));
        } else {
            self.latched = true;
        }
    }

    /// Nothing is dialled before `then`, though no dial has failed.
    pub(super) fn rest(&mut self, then: Moment, now: Moment) {
        self.last_setback = now;
        self.held_until = self.held_until.max(then);
    }

    pub(super) fn shut(&mut self, retry_after: Span, now: Moment) {
        self.gate = GateSaid::Shut { until: now.after(retry_after.max(SHORTEST_NO)) };
    }

    pub(super) fn busy(&mut self, longest: Span, now: Moment) {
        self.gate = GateSaid::Busy { until: now.after(longest.max(SHORTEST_NO)) };
    }

    pub(super) fn reopened(&mut self) {
        if matches!(self.gate, GateSaid::Shut { .. }) {
            // Who shut the pool out answers for its credentials, too.
            self.latched = false;
        }
        self.gate = GateSaid::Pass;
    }

    pub(super) fn spoke_up(&mut self) {
        self.gate_words += 1;
    }

    pub(super) fn gate_words(&self) -> u64 {
        self.gate_words
    }

    /// It reopened while it was being asked. Not at once: it may do so whenever it is asked.
    pub(super) fn ask_again(&mut self, now: Moment) {
        if self.gate == GateSaid::Pass {
            self.busy(SHORTEST_NO, now);
        }
    }

    /// Until when the gate is known to be shut.
    pub(super) fn shut_until(&self, now: Moment) -> Option<Moment> {
        match self.gate {
            GateSaid::Shut { until } if until > now => Some(until),
            GateSaid::Shut { .. } | GateSaid::Pass | GateSaid::Busy { .. } => None,
        }
    }
}
