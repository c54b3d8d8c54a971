//! The way to a [`PoolConfig`] by hand.

use std::time::Duration;

use super::{ConfigError, Discipline, PoolConfig};

/// No duration is longer: ten years. More can only be a mistake, and might overflow a clock.
pub(crate) const LONGEST: Duration = Duration::from_secs(10 * 365 * 24 * 60 * 60);

/// Collects the fields of a [`PoolConfig`]; what is not set has its default.
#[derive(Clone, Debug, Default)]
pub struct PoolConfigBuilder {
    config: PoolConfig,
}

/// One setter a field, and the getter of the same name on the configuration.
macro_rules! fields {
    ($($(#[$doc:meta])* $field:ident: $given:ty => $kept:ty = $into:expr;)*) => {
        impl PoolConfigBuilder {
            $($(#[$doc])* #[must_use] pub fn $field(mut self, $field: $given) -> Self {
                self.config.$field = ($into)($field);
                self
            })*
        }
        impl PoolConfig {
            $($(#[$doc])* #[must_use] pub fn $field(&self) -> $kept {
                self.$field
            })*
        }
    };
}

/// «No limit» is none, or zero.
fn limit(given: impl Into<Option<Duration>>) -> Option<Duration> {
    given.into().filter(|limit| !limit.is_zero())
}

fields! {
    /// How many connections are kept open, used or not.
    min_connections: u32 => u32 = std::convert::identity;
    /// How many connections there are at most, dialling and closing ones included.
    max_connections: u32 => u32 = std::convert::identity;
    /// How long a connection beyond the minimum may lie idle.
    idle_timeout: impl Into<Option<Duration>> => Option<Duration> = limit;
    /// How long a connection may live. Past it, it is closed when it is not lent, its successor dialled first where there is room.
    max_lifetime: impl Into<Option<Duration>> => Option<Duration> = limit;
    /// By how much of itself a lifetime is shortened at most, at random, so that connections do not all end at once.
    lifetime_jitter: f64 => f64 = std::convert::identity;
    /// How long a caller waits in all.
    acquire_timeout: impl Into<Option<Duration>> => Option<Duration> = limit;
    /// How long one dial may take.
    connect_timeout: Duration => Duration = std::convert::identity;
    /// How long closing a connection may take.
    close_timeout: Duration => Duration = std::convert::identity;
    /// How long one check may take.
    validate_timeout: Duration => Duration = std::convert::identity;
    /// The longest time the housekeeper sleeps; normally it sleeps until something is due.
    evict_interval: Duration => Duration = std::convert::identity;
    /// Whether connections are checked at all. What is known to be dead is never lent either way.
    validate: bool => bool = std::convert::identity;
    /// Whether a connection is checked before it is lent.
    validate_on_borrow: bool => bool = std::convert::identity;
    /// Whether a connection is checked when it comes back.
    validate_on_return: bool => bool = std::convert::identity;
    /// How long an idle connection goes unchecked.
    validate_interval: impl Into<Option<Duration>> => Option<Duration> = limit;
    /// A connection proven no longer ago than this is lent without a check.
    validate_bypass: Duration => Duration = std::convert::identity;
    /// How many callers may wait for a connection to come back. Those for whom a dial can be their own do not count.
    queue_capacity: u32 => u32 = std::convert::identity;
    /// How long a caller waits for a connection to come back, if that is less than `acquire_timeout`.
    queue_timeout: impl Into<Option<Duration>> => Option<Duration> = limit;
    /// The order in which waiting callers are served.
    queue_discipline: Discipline => Discipline = std::convert::identity;
    /// How often a failed dial is repeated before a waiting caller hears of it.
    retry_attempts: u32 => u32 = std::convert::identity;
    /// The wait after the first failed dial; doubled with each in a row.
    retry_delay: Duration => Duration = std::convert::identity;
    /// The longest wait after a failed dial.
    retry_max_delay: Duration => Duration = std::convert::identity;
    /// Whether a connection that died is dialled again at once.
    recreate_on_error: bool => bool = std::convert::identity;
    /// How many dials run at once at most.
    max_concurrent_connects: u32 => u32 = std::convert::identity;
    /// How often `PoolEvent::Metrics` is sent.
    metrics_interval: impl Into<Option<Duration>> => Option<Duration> = limit;
}

impl PoolConfigBuilder {
    /// Checks all of it.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] names the first field that cannot be.
    pub fn build(self) -> Result<PoolConfig, ConfigError> {
        let config = self.config;
        config.check()?;
        Ok(config)
    }

    #[cfg(feature = "serde")]
    pub(super) fn config_mut(&mut self) -> &mut PoolConfig {
        &mut self.config
    }
}

impl PoolConfig {
    /// Starts from the defaults.
    #[must_use]
    pub fn builder() -> PoolConfigBuilder {
        PoolConfigBuilder::default()
    }

    fn check(&self) -> Result<(), ConfigError> {
        for (field, count) in
            [("max_connections", self.max_connections), ("max_concurrent_connects", self.max_concurrent_connects)]
        {
            if count == 0 {
                return Err(ConfigError::Zero { field });
            }
        }
        if self.min_connections > self.max_connections {
            return Err(ConfigError::MinAboveMax { min: self.min_connections, max: self.max_connections });
        }
        if !(0.0..=1.0).contains(&self.lifetime_jitter) {
            return Err(ConfigError::NotAShare { field: "lifetime_jitter", given: self.lifetime_jitter });
        }
        self.durations().into_iter().try_for_each(|(field, given, may_be_zero)| match given {
            given if given > LONGEST => Err(ConfigError::TooLong { field, given, most: LONGEST }),
            Duration::ZERO if !may_be_zero => Err(ConfigError::Zero { field }),
            _ => Ok(()),
        })
    }

    /// All durations: name, value, whether zero makes sense.
    fn durations(&self) -> [(&'static str, Duration, bool); 13] {
        let limit = |limit: Option<Duration>| limit.unwrap_or_default();
        [
            ("idle_timeout", limit(self.idle_timeout), true),
            ("max_lifetime", limit(self.max_lifetime), true),
            ("acquire_timeout", limit(self.acquire_timeout), true),
            ("connect_timeout", self.connect_timeout, false),
            ("close_timeout", self.close_timeout, false),
            ("validate_timeout", self.validate_timeout, false),
            ("evict_interval", self.evict_interval, false),
            ("validate_interval", limit(self.validate_interval), true),
            ("validate_bypass", self.validate_bypass, true),
            ("queue_timeout", limit(self.queue_timeout), true),
            ("retry.delay", self.retry_delay, true),
            ("retry.max_delay", self.retry_max_delay, false),
            ("metrics_interval", limit(self.metrics_interval), true),
        ]
    }
}
