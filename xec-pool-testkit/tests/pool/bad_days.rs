//! Bad input: told before anything happens, with the field and the numbers.

use std::time::Duration;

use xec_pool_core::{ConfigError, PoolConfig, PoolConfigBuilder};

const TEN_YEARS: Duration = Duration::from_secs(10 * 365 * 24 * 60 * 60);

fn wrong(config: PoolConfigBuilder) -> String {
    config.build().expect_err("it cannot work").to_string()
}

#[test]
fn what_cannot_work_is_said_with_its_numbers() {
    let config = PoolConfig::builder;
    let told = [
        (wrong(config().min_connections(3).max_connections(2)), "min_connections (3) is more than max_connections (2)"),
        (wrong(config().max_connections(0)), "max_connections must not be zero"),
        (wrong(config().max_concurrent_connects(0)), "max_concurrent_connects must not be zero"),
        (wrong(config().lifetime_jitter(1.5)), "lifetime_jitter (1.5) is not between 0 and 1"),
        (wrong(config().lifetime_jitter(f64::NAN)), "lifetime_jitter (NaN) is not between 0 and 1"),
    ];
    for (said, expected) in told {
        assert_eq!(said, expected);
    }
}

/// Every duration: its name, whether it may be zero, its setter.
const DURATIONS: [(&str, bool, Setter); 13] = [
    ("idle_timeout", true, |config, given| config.idle_timeout(given)),
    ("max_lifetime", true, |config, given| config.max_lifetime(given)),
    ("acquire_timeout", true, |config, given| config.acquire_timeout(given)),
    ("connect_timeout", false, PoolConfigBuilder::connect_timeout),
    ("close_timeout", false, PoolConfigBuilder::close_timeout),
    ("validate_timeout", false, PoolConfigBuilder::validate_timeout),
    ("evict_interval", false, PoolConfigBuilder::evict_interval),
    ("validate_interval", true, |config, given| config.validate_interval(given)),
    ("validate_bypass", true, PoolConfigBuilder::validate_bypass),
    ("queue_timeout", true, |config, given| config.queue_timeout(given)),
    ("retry.delay", true, PoolConfigBuilder::retry_delay),
    ("retry.max_delay", false, PoolConfigBuilder::retry_max_delay),
    ("metrics_interval", true, |config, given| config.metrics_interval(given)),
];

type Setter = fn(PoolConfigBuilder, Duration) -> PoolConfigBuilder;

#[test]
fn durations_that_would_overflow_are_mistakes() {
    for (name, _, set) in DURATIONS {
        for given in [Duration::MAX, TEN_YEARS + Duration::from_nanos(1)] {
            let error = set(PoolConfig::builder(), given).build().expect_err("longer than any pool lives");
            assert!(matches!(error, ConfigError::TooLong { field, .. } if field == name), "{name}: {error}");
        }
        let config = set(PoolConfig::builder(), TEN_YEARS).build();
        assert!(config.is_ok(), "{name}: {config:?}");
    }
}

#[test]
fn a_duration_that_may_not_be_zero_is_told_by_its_name() {
    for (name, may_be_zero, set) in DURATIONS {
        let told = set(PoolConfig::builder(), Duration::ZERO).build().err().map(|error| error.to_string());
        assert_eq!(told, (!may_be_zero).then(|| format!("{name} must not be zero")));
    }
}

#[test]
fn zero_and_none_mean_no_limit_where_that_makes_sense() {
    let config = PoolConfig::builder().idle_timeout(Duration::ZERO).acquire_timeout(None).max_lifetime(Duration::ZERO);
    let config = config.build().expect("valid");
    assert_eq!((config.idle_timeout(), config.acquire_timeout(), config.max_lifetime()), (None, None, None));
}
