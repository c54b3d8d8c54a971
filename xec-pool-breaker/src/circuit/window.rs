//! When failures are enough: two policies, both exact and both bounded.

use std::{collections::VecDeque, time::Duration};

use crate::config::{BreakerConfig, Policy, RateWindow};

/// No window holds more results: what is older is forgotten.
pub(crate) const MOST_RESULTS: u32 = 4_096;

/// The results that count while the circuit is closed.
#[derive(Clone, Debug)]
pub(super) enum Window {
    Consecutive(Consecutive),
    Sliding(Sliding),
}

impl Window {
    pub(super) fn new(rules: &BreakerConfig) -> Self {
        match &rules.policy {
            Policy::Consecutive { threshold, window } => Self::Consecutive(Consecutive {
                threshold: *threshold as usize,
                span: *window,
                failures: VecDeque::new(),
            }),
            Policy::Rate(rate) => {
                let (most, span) = match rate.window {
                    RateWindow::Calls(calls) => (calls, Duration::MAX),
                    RateWindow::Time(span) => (MOST_RESULTS, span),
                };
                let (most, min_calls) = (most as usize, rate.min_calls as usize);
                Self::Sliding(Sliding { ratio: rate.ratio, min_calls, most, span, ..Sliding::default() })
            }
        }
    }

    pub(super) fn success(&mut self, now: Duration) {
        match self {
            Self::Consecutive(run) => run.failures.clear(),
            Self::Sliding(results) => results.push(now, false),
        }
    }

    /// Whether this one was one too many.
    pub(super) fn failure(&mut self, now: Duration) -> bool {
        match self {
            Self::Consecutive(run) => run.failure(now),
            Self::Sliding(results) => {
                results.push(now, true);
                results.are_too_bad()
            }
        }
    }

    pub(super) fn clear(&mut self) {
        match self {
            Self::Consecutive(run) => run.failures.clear(),
            Self::Sliding(results) => results.clear(),
        }
    }

    /// Failures that count at that time.
    pub(super) fn failures(&self, now: Duration) -> u32 {
        let count = match self {
            Self::Consecutive(run) => run.failures.iter().filter(|at| now - **at <= run.span).count(),
            Self::Sliding(window) => {
                window.results.iter().filter(|(at, failed)| *failed && now - *at <= window.span).count()
            }
        };
        u32::try_from(count).expect("no more than MOST_RESULTS are kept")
    }
}

/// The failures since the last success, at most as many as open the circuit.
#[derive(Clone, Debug)]
pub(super) struct Consecutive {
    threshold: usize,
    span: Duration,
    failures: VecDeque<Duration>,
}

impl Consecutive {
    fn failure(&mut self, now: Duration) -> bool {
        self.failures.push_back(now);
        if self.failures.len() > self.threshold {
            self.failures.pop_front();
        }
        let oldest = self.failures.front().filter(|_| self.failures.len() == self.threshold);
        oldest.is_some_and(|oldest| now - *oldest <= self.span)
    }
}

/// Every result, until it is too old or too many are newer.
#[derive(Clone, Debug, Default)]
pub(super) struct Sliding {
    ratio: f64,
    min_calls: usize,
    most: usize,
    span: Duration,
    results: VecDeque<(Duration, bool)>,
    failures: usize,
}

impl Sliding {
    fn push(&mut self, now: Duration, failed: bool) {
        self.results.push_back((now, failed));
        self.failures += usize::from(failed);
        while let Some(&(oldest, failed)) = self.results.front() {
            if self.results.len() <= self.most && now - oldest <= self.span {
                return;
            }
            self.results.pop_front();
            self.failures -= usize::from(failed);
        }
    }

    fn are_too_bad(&self) -> bool {
        let calls = self.results.len();
        // Divided, not multiplied: 7 of 50 is 0.14 then, just as it is written.
        calls >= self.min_calls && self.failures as f64 / calls as f64 >= self.ratio
    }

    fn clear(&mut self) {
        self.results.clear();
        self.failures = 0;
    }
}
