//! A configuration as text has it: our names and the seed's, durations as `"30s"` or in milliseconds.

use std::{fmt, time::Duration};

use serde::{
    Deserialize, Deserializer,
    de::{self, Visitor},
};
use serde_json::Value;

use super::{ConfigError, Discipline, PoolConfig};

/// What `metrics: true` means where no interval is given.
const METRICS_INTERVAL: Duration = Duration::from_secs(5);

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawConfig {
    #[serde(alias = "min")]
    min_connections: Option<u32>,
    #[serde(alias = "max")]
    max_connections: Option<u32>,
    #[serde(alias = "idle")]
    idle_timeout: Option<Time>,
    max_lifetime: Option<Time>,
    lifetime_jitter: Option<f64>,
    #[serde(alias = "acquire")]
    acquire_timeout: Option<Time>,
    connect_timeout: Option<Time>,
    close_timeout: Option<Time>,
    validate_timeout: Option<Time>,
    #[serde(alias = "evictionRun")]
    evict_interval: Option<Time>,
    validate: Option<bool>,
    #[serde(alias = "validateOnBorrow")]
    validate_on_borrow: Option<bool>,
    #[serde(alias = "validateOnReturn")]
    validate_on_return: Option<bool>,
    #[serde(alias = "validateInterval")]
    validate_interval: Option<Time>,
    validate_bypass: Option<Time>,
    #[serde(alias = "queueSize")]
    queue_capacity: Option<u32>,
    #[serde(alias = "queueTimeout")]
    queue_timeout: Option<Time>,
    #[serde(alias = "queuePriority")]
    queue_discipline: Option<Discipline>,
    #[serde(default)]
    retry: RawRetry,
    #[serde(rename = "retryFailed")]
    retry_failed: Option<bool>,
    #[serde(rename = "retryAttempts")]
    retry_attempts: Option<u32>,
    #[serde(rename = "retryDelay")]
    retry_delay: Option<Time>,
    #[serde(alias = "recreateOnError")]
    recreate_on_error: Option<bool>,
    max_concurrent_connects: Option<u32>,
    metrics: Option<bool>,
    #[serde(alias = "metricsInterval")]
    metrics_interval: Option<Time>,
    #[serde(alias = "circuitBreaker")]
    circuit_breaker: Option<Value>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawRetry {
    attempts: Option<u32>,
    delay: Option<Time>,
    max_delay: Option<Time>,
}

impl TryFrom<RawConfig> for PoolConfig {
    type Error = ConfigError;

    fn try_from(raw: RawConfig) -> Result<Self, ConfigError> {
        let mut builder = Self::builder();
        raw.apply(builder.config_mut());
        builder.build()
    }
}

impl RawConfig {
    fn apply(self, config: &mut PoolConfig) {
        let limit = |kept: &mut Option<Duration>, given: Option<Time>| {
            if let Some(Time(given)) = given {
                *kept = Some(given).filter(|limit| !limit.is_zero());
            }
        };
        set(&mut config.min_connections, self.min_connections);
        set(&mut config.max_connections, self.max_connections);
        limit(&mut config.idle_timeout, self.idle_timeout);
        limit(&mut config.max_lifetime, self.max_lifetime);
        set(&mut config.lifetime_jitter, self.lifetime_jitter);
        limit(&mut config.acquire_timeout, self.acquire_timeout);
        set(&mut config.connect_timeout, self.connect_timeout.map(Time::get));
        set(&mut config.close_timeout, self.close_timeout.map(Time::get));
        set(&mut config.validate_timeout, self.validate_timeout.map(Time::get));
        set(&mut config.evict_interval, self.evict_interval.map(Time::get));
        set(&mut config.validate, self.validate);
        set(&mut config.validate_on_borrow, self.validate_on_borrow);
        set(&mut config.validate_on_return, self.validate_on_return);
        limit(&mut config.validate_interval, self.validate_interval);
        set(&mut config.validate_bypass, self.validate_bypass.map(Time::get));
        set(&mut config.queue_capacity, self.queue_capacity);
        limit(&mut config.queue_timeout, self.queue_timeout);
        set(&mut config.queue_discipline, self.queue_discipline);
        set(&mut config.recreate_on_error, self.recreate_on_error);
        set(&mut config.max_concurrent_connects, self.max_concurrent_connects);
        set(&mut config.retry_attempts, self.retry.attempts.or(self.retry_attempts));
        set(&mut config.retry_delay, self.retry.delay.or(self.retry_delay).map(Time::get));
        set(&mut config.retry_max_delay, self.retry.max_delay.map(Time::get));
        if self.retry_failed == Some(false) {
            config.retry_attempts = 0;
        }
        if self.metrics == Some(true) {
            config.metrics_interval = Some(METRICS_INTERVAL);
        }
        limit(&mut config.metrics_interval, self.metrics_interval);
        if self.metrics == Some(false) {
            config.metrics_interval = None;
        }
        if let Some(section) = self.circuit_breaker {
            config.sections.insert("circuitBreaker", section);
        }
    }
}

fn set<V>(kept: &mut V, given: Option<V>) {
    if let Some(given) = given {
        *kept = given;
    }
}

/// `"1m 30s"`, or integer milliseconds.
#[derive(Clone, Copy)]
struct Time(Duration);

impl Time {
    fn get(self) -> Duration {
        self.0
    }
}

impl<'de> Deserialize<'de> for Time {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct TimeVisitor;

        impl Visitor<'_> for TimeVisitor {
            type Value = Time;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a duration: \"30s\", or integer milliseconds")
            }

            fn visit_u64<E: de::Error>(self, milliseconds: u64) -> Result<Time, E> {
                Ok(Time(Duration::from_millis(milliseconds)))
            }

            fn visit_i64<E: de::Error>(self, milliseconds: i64) -> Result<Time, E> {
                let milliseconds = u64::try_from(milliseconds)
                    .map_err(|_| E::custom(format!("a duration cannot be negative: {milliseconds}")))?;
                self.visit_u64(milliseconds)
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Time, E> {
                humantime::parse_duration(text).map(Time).map_err(|error| E::custom(format!("{text:?}: {error}")))
            }
        }

        deserializer.deserialize_any(TimeVisitor)
    }
}
