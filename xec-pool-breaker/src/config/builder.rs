//! The way to a [`BreakerConfig`] by hand.

use std::time::Duration;

use super::{BreakerConfig, BreakerConfigError, FailureRate, Policy, RateWindow};
use crate::circuit::MOST_RESULTS;

/// No duration is longer: ten years. More can only be a mistake, and might overflow a clock.
pub(super) const LONGEST: Duration = Duration::from_secs(10 * 365 * 24 * 60 * 60);

/// The shortest `half_open_deadline` that is set by itself: a pool's `connect_timeout`, unless it has another.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(15);

/// Collects the fields of a [`BreakerConfig`]; what is not set has its default.
#[derive(Clone, Debug, Default)]
pub struct BreakerConfigBuilder {
    pub(super) failure_threshold: Option<u32>,
    pub(super) failure_window: Option<Duration>,
    pub(super) failure_rate: Option<FailureRate>,
    pub(super) open_for: Option<Duration>,
    pub(super) open_for_multiplier: Option<f64>,
    pub(super) max_open_for: Option<Duration>,
    pub(super) open_for_jitter: Option<f64>,
    pub(super) half_open_probes: Option<u32>,
    pub(super) close_after: Option<u32>,
    pub(super) half_open_deadline: Option<Duration>,
}

/// One setter a field, and the getter of the same name on the configuration.
macro_rules! fields {
    ($($(#[$doc:meta])* $field:ident: $given:ty;)*) => {
        impl BreakerConfigBuilder {
            $($(#[$doc])* #[must_use] pub fn $field(mut self, $field: $given) -> Self {
                self.$field = Some($field);
                self
            })*
        }
        impl BreakerConfig {
            $($(#[$doc])* #[must_use] pub fn $field(&self) -> $given {
                self.$field
            })*
        }
    };
}

fields! {
    /// How long the circuit stays open before it lets a probe through. A pool's own back-off goes on beside it: where
    /// that is longer, a pool that no caller asks sends its probe when that is over.
    open_for: Duration;
    /// By how much each opening in a row is longer than the one before: 1 as long, 2 twice as long.
    open_for_multiplier: f64;
    /// How long an opening grows to.
    max_open_for: Duration;
    /// By how much of itself an opening is stretched at most, at random, so that many clients do not come back at once.
    open_for_jitter: f64;
    /// How many dials may be under way while the circuit is half-open.
    half_open_probes: u32;
    /// How many of them must succeed to close it. One that fails opens it again.
    close_after: u32;
    /// How long after the first probe the circuit may stay half-open: without a verdict by then it opens again. Where
    /// `close_after` asks for more, a success that leaves no probe out ends that time, and the next probe begins it
    /// anew: a host that answers may wait for the next dial as long as it takes. No less than the `connect_timeout` of
    /// the pools, or probes that take as long come too late.
    half_open_deadline: Duration;
}

impl BreakerConfigBuilder {
    /// So many failures in a row open the circuit. A success in between starts the count anew.
    #[must_use]
    pub fn failure_threshold(mut self, failures: u32) -> Self {
        self.failure_threshold = Some(failures);
        self
    }

    /// How long a failure counts.
    #[must_use]
    pub fn failure_window(mut self, window: Duration) -> Self {
        self.failure_window = Some(window);
        self
    }

    /// A share of failures opens the circuit, in place of failures in a row.
    #[must_use]
    pub fn failure_rate(mut self, rate: FailureRate) -> Self {
        self.failure_rate = Some(rate);
        self
    }
}

impl BreakerConfig {
    /// Starts from the defaults.
    #[must_use]
    pub fn builder() -> BreakerConfigBuilder {
        BreakerConfigBuilder::default()
    }

    fn check(&self) -> Result<(), BreakerConfigError> {
        self.policy.check()?;
        at_least_one("half_open_probes", self.half_open_probes)?;
        at_least_one("close_after", self.close_after)?;
        for (field, given) in [
            ("open_for", self.open_for),
            ("max_open_for", self.max_open_for),
            ("half_open_deadline", self.half_open_deadline),
        ] {
            a_length(field, given)?;
        }
        if self.max_open_for < self.open_for {
            return Err(BreakerConfigError::MaxBelow { max_open_for: self.max_open_for, open_for: self.open_for });
        }
        within("open_for_multiplier", self.open_for_multiplier, 1.0, f64::MAX)?;
        within("open_for_jitter", self.open_for_jitter, 0.0, 1.0)
    }
}

impl Policy {
    fn check(&self) -> Result<(), BreakerConfigError> {
        match self {
            Self::Consecutive { threshold, window } => {
                a_count("failure_threshold", *threshold, MOST_RESULTS)?;
                a_length("failure_window", *window)
            }
            Self::Rate(rate) => {
                let most = match rate.window {
                    RateWindow::Calls(calls) => {
                        a_count("failure_rate.calls", calls, MOST_RESULTS)?;
                        calls
                    }
                    RateWindow::Time(span) => {
                        a_length("failure_rate.time", span)?;
                        MOST_RESULTS
                    }
                };
                a_count("failure_rate.min_calls", rate.min_calls, most)?;
                within("failure_rate.ratio", rate.ratio, f64::MIN_POSITIVE, 1.0)
            }
        }
    }
}

impl BreakerConfigBuilder {
    /// Checks all of it.
    ///
    /// # Errors
    ///
    /// [`BreakerConfigError`] names the first field that cannot be.
    pub fn build(self) -> Result<BreakerConfig, BreakerConfigError> {
        let policy = match self.failure_rate {
            Some(_) if self.failure_threshold.is_some() || self.failure_window.is_some() => {
                return Err(BreakerConfigError::TwoPolicies);
            }
            Some(rate) => Policy::Rate(rate),
            None => Policy::Consecutive {
                threshold: self.failure_threshold.unwrap_or(5),
                window: self.failure_window.unwrap_or(Duration::from_secs(60)),
            },
        };
        let open_for = self.open_for.unwrap_or(Duration::from_secs(30));
        let config = BreakerConfig {
            policy,
            open_for,
            open_for_multiplier: self.open_for_multiplier.unwrap_or(1.0),
            max_open_for: self.max_open_for.unwrap_or(Duration::from_secs(10 * 60).max(open_for)),
            open_for_jitter: self.open_for_jitter.unwrap_or(0.1),
            half_open_probes: self.half_open_probes.unwrap_or(1),
            close_after: self.close_after.unwrap_or(1),
            half_open_deadline: self.half_open_deadline.unwrap_or(CONNECT_TIMEOUT.max(open_for)),
        };
        config.check()?;
        Ok(config)
    }
}

fn at_least_one(field: &'static str, given: u32) -> Result<(), BreakerConfigError> {
    if given == 0 { Err(BreakerConfigError::Zero { field }) } else { Ok(()) }
}

fn a_count(field: &'static str, given: u32, most: u32) -> Result<(), BreakerConfigError> {
    at_least_one(field, given)?;
    if given > most { Err(BreakerConfigError::TooMany { field, given, most }) } else { Ok(()) }
}

fn a_length(field: &'static str, given: Duration) -> Result<(), BreakerConfigError> {
    match given {
        Duration::ZERO => Err(BreakerConfigError::Zero { field }),
        given if given > LONGEST => Err(BreakerConfigError::TooLong { field, given, most: LONGEST }),
        _ => Ok(()),
    }
}

/// Nonsense like `NaN` is within nothing.
fn within(field: &'static str, given: f64, least: f64, most: f64) -> Result<(), BreakerConfigError> {
    if (least..=most).contains(&given) {
        return Ok(());
    }
    Err(BreakerConfigError::OutOfRange { field, given, least, most })
}
