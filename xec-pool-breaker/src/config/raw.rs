//! A configuration as text has it: our names and the seed's, durations as `"30s"` or in milliseconds.

use std::time::Duration;

use serde::{Deserialize, Deserializer, de::Error as _};
use xec_pool_core::PoolConfig;

use super::{BreakerConfig, BreakerConfigBuilder, BreakerConfigError, FailureRate};

/// The section of a [`PoolConfig`] that is ours.
const SECTION: &str = "circuitBreaker";

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawConfig {
    enabled: Option<bool>,
    #[serde(alias = "threshold")]
    failure_threshold: Option<u32>,
    #[serde(alias = "resetTimeout")]
    failure_window: Option<Time>,
    failure_rate: Option<RawRate>,
    #[serde(alias = "timeout")]
    open_for: Option<Time>,
    open_for_multiplier: Option<f64>,
    max_open_for: Option<Time>,
    open_for_jitter: Option<f64>,
    half_open_probes: Option<u32>,
    close_after: Option<u32>,
    half_open_deadline: Option<Time>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawRate {
    ratio: f64,
    calls: Option<u32>,
    time: Option<Time>,
    min_calls: Option<u32>,
}

impl BreakerConfig {
    /// Takes the section `circuitBreaker` out of a pool's configuration. `None`: there is none, or it says
    /// `enabled: false`; then there is nothing to plug in.
    ///
    /// # Errors
    ///
    /// What is wrong with the section; it has been taken all the same.
    ///
    /// # Examples
    ///
    /// ```
    /// # use std::time::Duration;
    /// use xec_pool_breaker::BreakerConfig;
    /// use xec_pool_core::PoolConfig;
    ///
    /// let mut pool: PoolConfig = serde_json::from_str(
    ///     r#"{"max": 5, "circuitBreaker": {"enabled": true, "threshold": 5, "timeout": 30000, "resetTimeout": 60000}}"#,
    /// )?;
    /// let breaker = BreakerConfig::take_from(&mut pool)?.expect("it is enabled");
    /// assert_eq!(breaker.open_for(), Duration::from_secs(30));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn take_from(pool: &mut PoolConfig) -> Result<Option<Self>, BreakerConfigError> {
        let Some(section) = pool.take_section(SECTION) else { return Ok(None) };
        let raw: RawConfig = serde_json::from_value(section)
            .map_err(|error| BreakerConfigError::Unreadable { why: error.to_string() })?;
        if raw.enabled == Some(false) { Ok(None) } else { raw.try_into().map(Some) }
    }
}

impl TryFrom<RawConfig> for BreakerConfig {
    type Error = BreakerConfigError;

    fn try_from(raw: RawConfig) -> Result<Self, BreakerConfigError> {
        if raw.enabled == Some(false) {
            return Err(BreakerConfigError::Disabled);
        }
        let length = |given: Option<Time>| given.map(|Time(given)| given);
        BreakerConfigBuilder {
            failure_threshold: raw.failure_threshold,
            failure_window: length(raw.failure_window),
            failure_rate: raw.failure_rate.map(FailureRate::try_from).transpose()?,
            open_for: length(raw.open_for),
            open_for_multiplier: raw.open_for_multiplier,
            max_open_for: length(raw.max_open_for),
            open_for_jitter: raw.open_for_jitter,
            half_open_probes: raw.half_open_probes,
            close_after: raw.close_after,
            half_open_deadline: length(raw.half_open_deadline),
        }
        .build()
    }
}

impl TryFrom<RawRate> for FailureRate {
    type Error = BreakerConfigError;

    fn try_from(raw: RawRate) -> Result<Self, BreakerConfigError> {
        let rate = match (raw.calls, raw.time) {
            (Some(calls), None) => Self::over_calls(raw.ratio, calls),
            (None, Some(Time(span))) => Self::over_time(raw.ratio, span),
            (None, None) | (Some(_), Some(_)) => return Err(BreakerConfigError::NoWindow),
        };
        Ok(raw.min_calls.map_or(rate.clone(), |min_calls| rate.min_calls(min_calls)))
    }
}

/// `"1m 30s"`, or integer milliseconds.
struct Time(Duration);

impl<'de> Deserialize<'de> for Time {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged, expecting = "a duration is \"30s\", or milliseconds: an integer from 0 on")]
        enum Written {
            Milliseconds(u64),
            Text(String),
        }
        match Written::deserialize(deserializer)? {
            Written::Milliseconds(milliseconds) => Ok(Self(Duration::from_millis(milliseconds))),
            Written::Text(text) => match humantime::parse_duration(&text) {
                Ok(duration) => Ok(Self(duration)),
                Err(error) => Err(D::Error::custom(format_args!("{text:?} is no duration ({error})"))),
            },
        }
    }
}
