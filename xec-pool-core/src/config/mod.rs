//! How a pool behaves: one table of fields, their defaults and their bounds.
//!
//! Seed: Pool Configuration, Shared Pool Configuration, Health Checks, Do's, Don'ts.

mod builder;

mod error;

#[cfg(feature = "serde")]
mod raw;

#[cfg(all(test, feature = "serde"))]
mod tests;

use std::time::Duration;

#[cfg(test)]
pub(crate) use self::builder::LONGEST;
pub use self::{builder::PoolConfigBuilder, error::ConfigError};
use crate::machine::limits::Limits;

/// A valid configuration. Made by [`PoolConfig::builder`], or, with feature `serde`, read from JSON and the like:
/// durations as `"30s"` or in integer milliseconds, fields under our names or the seed's.
///
/// | field | seed name | default | at 0 or none |
/// |---|---|---|---|
/// | `min_connections` | `min` | 0 | none kept |
/// | `max_connections` | `max` | 10 | error; above 100 a warning event |
/// | `idle_timeout` | `idle` | 60 s | never idles out |
/// | `max_lifetime` | | 50 min | no limit |
/// | `lifetime_jitter` | | 0.1: up to 10 % shorter | all the same |
/// | `acquire_timeout` | `acquire` | 10 s | waits for ever |
/// | `connect_timeout` | | 15 s | error |
/// | `close_timeout` | | 5 s | error |
/// | `validate_timeout` | | 3 s | error |
/// | `evict_interval` | `evictionRun` | 30 s, the longest nap of the housekeeper | error |
/// | `validate` | `validate` | true | false: no checks at all, one warning event |
/// | `validate_on_borrow` | `validateOnBorrow` | true | |
/// | `validate_on_return` | `validateOnReturn` | false | |
/// | `validate_interval` | `validateInterval` | 10 s | never checked while idle |
/// | `validate_bypass` | | 500 ms: proven no longer ago, not checked on borrow | always checked |
/// | `queue_capacity` | `queueSize` | 100 | 0: never waits for a return |
/// | `queue_timeout` | `queueTimeout` | 5 s | no limit of its own |
/// | `queue_discipline` | `queuePriority` | fifo | |
/// | `retry.attempts` | `retryAttempts`, `retryFailed` | 3 | no retry |
/// | `retry.delay` | `retryDelay` | 1 s, doubling | no back-off |
/// | `retry.max_delay` | | 30 s | error |
/// | `recreate_on_error` | `recreateOnError` | true | |
/// | `max_concurrent_connects` | | 4 (sshd's `MaxStartups` starts to drop at 10) | error |
/// | `metrics_interval` | `metricsInterval`, `metrics` | off; `metrics: true` alone: 5 s | off |
///
/// # Examples
///
/// ```
/// use std::time::Duration;
/// use xec_pool_core::PoolConfig;
///
/// let config = PoolConfig::builder().min_connections(2).max_connections(5).idle_timeout(Duration::from_secs(30)).build()?;
/// assert_eq!(config.max_connections(), 5);
///
/// let error = PoolConfig::builder().min_connections(6).max_connections(5).build().unwrap_err();
/// assert_eq!(error.to_string(), "min_connections (6) is more than max_connections (5)");
/// # Ok::<(), xec_pool_core::ConfigError>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Deserialize), serde(try_from = "raw::RawConfig"))]
pub struct PoolConfig {
    pub(crate) min_connections: u32,
    pub(crate) max_connections: u32,
    pub(crate) idle_timeout: Option<Duration>,
    pub(crate) max_lifetime: Option<Duration>,
    pub(crate) lifetime_jitter: f64,
    pub(crate) acquire_timeout: Option<Duration>,
    pub(crate) connect_timeout: Duration,
    pub(crate) close_timeout: Duration,
    pub(crate) validate_timeout: Duration,
    pub(crate) evict_interval: Duration,
    pub(crate) validate: bool,
    pub(crate) validate_on_borrow: bool,
    pub(crate) validate_on_return: bool,
    pub(crate) validate_interval: Option<Duration>,
    pub(crate) validate_bypass: Duration,
    pub(crate) queue_capacity: u32,
    pub(crate) queue_timeout: Option<Duration>,
    pub(crate) queue_discipline: Discipline,
    pub(crate) retry_attempts: u32,
    pub(crate) retry_delay: Duration,
    pub(crate) retry_max_delay: Duration,
    pub(crate) recreate_on_error: bool,
    pub(crate) max_concurrent_connects: u32,
    pub(crate) metrics_interval: Option<Duration>,
    #[cfg(feature = "serde")]
    pub(crate) sections: std::collections::BTreeMap<&'static str, serde_json::Value>,
}

/// The order in which waiting callers are served.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Deserialize), serde(rename_all = "lowercase"))]
#[non_exhaustive]
pub enum Discipline {
    /// Who came first. Fair: nobody starves.
    #[default]
    Fifo,
    /// Who came last. The oldest may starve under load; their chance to be served in time is gone anyway.
    Lifo,
}

impl Default for PoolConfig {
    fn default() -> Self {
        Self {
            min_connections: 0,
            max_connections: 10,
            idle_timeout: Some(Duration::from_secs(60)),
            max_lifetime: Some(Duration::from_secs(50 * 60)),
            lifetime_jitter: 0.1,
            acquire_timeout: Some(Duration::from_secs(10)),
            connect_timeout: Duration::from_secs(15),
            close_timeout: Duration::from_secs(5),
            validate_timeout: Duration::from_secs(3),
            evict_interval: Duration::from_secs(30),
            validate: true,
            validate_on_borrow: true,
            validate_on_return: false,
            validate_interval: Some(Duration::from_secs(10)),
            validate_bypass: Duration::from_millis(500),
            queue_capacity: 100,
            queue_timeout: Some(Duration::from_secs(5)),
            queue_discipline: Discipline::Fifo,
            retry_attempts: 3,
            retry_delay: Duration::from_secs(1),
            retry_max_delay: Duration::from_secs(30),
            recreate_on_error: true,
            max_concurrent_connects: 4,
            metrics_interval: None,
            #[cfg(feature = "serde")]
            sections: std::collections::BTreeMap::new(),
        }
    }
}

impl PoolConfig {
    /// Takes a section that belongs to another crate (`circuitBreaker`, as `xec-pool-breaker`'s), so that it can read
    /// it. A pool is not built while one is left: it would be ignored.
    #[cfg(feature = "serde")]
    pub fn take_section(&mut self, name: &str) -> Option<serde_json::Value> {
        self.sections.remove(name)
    }

    /// What nobody took yet.
    pub(crate) fn unclaimed(&self) -> Option<&'static str> {
        #[cfg(feature = "serde")]
        return self.sections.keys().next().copied();
        #[cfg(not(feature = "serde"))]
        None
    }

    /// What is allowed, but unwise.
    pub(crate) fn warnings(&self) -> Vec<String> {
        let mut warnings = Vec::new();
        if self.max_connections > 100 {
            warnings.push(format!(
                "max_connections is {}: more than 100 connections to one host rarely help and may lock others out",
                self.max_connections
            ));
        }
        if !self.validate {
            warnings
                .push("validate is off: callers may be lent dead connections; keep such a pool short-lived".to_owned());
        }
        warnings
    }

    pub(crate) fn limits(&self) -> Limits {
        Limits {
            min: self.min_connections,
            max: self.max_connections,
            idle_timeout: self.idle_timeout.into(),
            acquire_timeout: self.acquire_timeout.into(),
            queue_timeout: self.queue_timeout.into(),
            queue_capacity: self.queue_capacity,
            newest_first: self.queue_discipline == Discipline::Lifo,
            evict_interval: self.evict_interval.into(),
            validate: self.validate,
            validate_on_borrow: self.validate_on_borrow,
            validate_on_return: self.validate_on_return,
            validate_interval: self.validate_interval.into(),
            validate_bypass: self.validate_bypass.into(),
            retry_attempts: self.retry_attempts,
            retry_delay: self.retry_delay.into(),
            recreate_on_error: self.recreate_on_error,
            max_concurrent_connects: self.max_concurrent_connects,
            metrics_interval: self.metrics_interval.into(),
        }
    }
}
