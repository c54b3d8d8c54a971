//! How a breaker behaves: one table of fields, their defaults and their bounds.
//!
//! Seed: Circuit Breaker.

mod builder;

mod error;

#[cfg(feature = "serde")]
mod raw;

#[cfg(test)]
mod tests;

use std::time::Duration;

pub use self::{builder::BreakerConfigBuilder, error::BreakerConfigError};

/// A valid configuration. Made by [`BreakerConfig::builder`], or, with feature `serde`, read from JSON and the like:
/// durations as `"30s"` or in integer milliseconds, fields under our names or the seed's.
///
/// | field | seed name | default | at 0 |
/// |---|---|---|---|
/// | `failure_threshold` | `threshold` | 5 failures in a row open the circuit | error |
/// | `failure_window` | `resetTimeout` | 60 s: failures longer ago do not count | error |
/// | `failure_rate` | | none; in place of the two above | |
/// | `open_for` | `timeout` | 30 s until the first probe | error |
/// | `open_for_multiplier` | | 1: as long each time; 2: doubled by each opening in a row | error below 1 |
/// | `max_open_for` | | 10 min, or `open_for` if that is longer | error below `open_for` |
/// | `open_for_jitter` | | 0.1: up to 10 % longer, at random | all the same |
/// | `half_open_probes` | | 1 dial at once while half-open | error |
/// | `close_after` | | 1 success closes the circuit | error |
/// | `half_open_deadline` | | 15 s, or `open_for` if that is longer | error |
///
/// The seed's `timeout` is not a time limit on anything, and its `resetTimeout` is not the time until the next try, as
/// in other breakers: hence the other names.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
/// use xec_pool_breaker::{BreakerConfig, FailureRate};
///
/// let config = BreakerConfig::builder().failure_threshold(3).open_for(Duration::from_secs(10)).build()?;
/// assert_eq!(config.open_for(), Duration::from_secs(10));
///
/// let half_of_the_last_twenty = FailureRate::over_calls(0.5, 20);
/// let error = BreakerConfig::builder().failure_rate(half_of_the_last_twenty).failure_threshold(3).build().unwrap_err();
/// assert_eq!(error.to_string(), "failure_rate replaces failure_threshold and failure_window: give one or the other");
/// # Ok::<(), xec_pool_breaker::BreakerConfigError>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Deserialize), serde(try_from = "raw::RawConfig"))]
pub struct BreakerConfig {
    pub(crate) policy: Policy,
    pub(crate) open_for: Duration,
    pub(crate) open_for_multiplier: f64,
    pub(crate) max_open_for: Duration,
    pub(crate) open_for_jitter: f64,
    pub(crate) half_open_probes: u32,
    pub(crate) close_after: u32,
    pub(crate) half_open_deadline: Duration,
}

/// What opens the circuit.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Policy {
    /// So many failures in a row, the oldest no longer ago than that.
    Consecutive {
        threshold: u32,
        window: Duration,
    },
    Rate(FailureRate),
}

/// A second policy: the circuit opens when too large a share of the results in a sliding window are failures.
///
/// Looked at with each failure. Take it where connects fail now and then on a healthy host, so that a run of failures
/// says little.
#[derive(Clone, Debug, PartialEq)]
pub struct FailureRate {
    pub(crate) ratio: f64,
    pub(crate) window: RateWindow,
    pub(crate) min_calls: u32,
}

/// What slides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RateWindow {
    Calls(u32),
    Time(Duration),
}

impl FailureRate {
    /// Fewer results than that say nothing, unless told otherwise.
    const MIN_CALLS: u32 = 10;

    /// `ratio` of the last `calls` results, from above 0 to 1. At most 4,096 calls.
    #[must_use]
    pub fn over_calls(ratio: f64, calls: u32) -> Self {
        Self { ratio, window: RateWindow::Calls(calls), min_calls: Self::MIN_CALLS.min(calls) }
    }

    /// `ratio` of the results of the last `span`, from above 0 to 1; of the last 4,096, if there are more.
    #[must_use]
    pub fn over_time(ratio: f64, span: Duration) -> Self {
        Self { ratio, window: RateWindow::Time(span), min_calls: Self::MIN_CALLS }
    }

    /// With fewer results in the window than that the circuit stays closed. Without it: 10, or all that a smaller
    /// window holds.
    #[must_use]
    pub fn min_calls(self, min_calls: u32) -> Self {
        Self { min_calls, ..self }
    }
}

impl Default for BreakerConfig {
    fn default() -> Self {
        Self::builder().build().expect("the defaults are valid")
    }
}

impl BreakerConfig {
    /// Failures in a row that open the circuit; `None` where a failure rate does.
    #[must_use]
    pub fn failure_threshold(&self) -> Option<u32> {
        match self.policy {
            Policy::Consecutive { threshold, .. } => Some(threshold),
            Policy::Rate(_) => None,
        }
    }

    /// How long a failure counts; `None` where a failure rate opens the circuit.
    #[must_use]
    pub fn failure_window(&self) -> Option<Duration> {
        match self.policy {
            Policy::Consecutive { window, .. } => Some(window),
            Policy::Rate(_) => None,
        }
    }

    /// The share of failures that opens the circuit; `None` where failures in a row do.
    #[must_use]
    pub fn failure_rate(&self) -> Option<&FailureRate> {
        match &self.policy {
            Policy::Consecutive { .. } => None,
            Policy::Rate(rate) => Some(rate),
        }
    }
}
