//! Bad input: told before anything happens, with the field and the numbers.

use std::time::Duration;

use xec_pool_core::{ConfigError, PoolConfig, PoolConfigBuilder};

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
        (wrong(config().connect_timeout(Duration::ZERO)), "connect_timeout must not be zero"),
        (wrong(config().close_timeout(Duration::ZERO)), "close_timeout must not be zero"),
        (wrong(config().validate_timeout(Duration::ZERO)), "validate_timeout must not be zero"),
        (wrong(config().evict_interval(Duration::ZERO)), "evict_interval must not be zero"),
        (wrong(config().lifetime_jitter(1.5)), "lifetime_jitter (1.5) is not between 0 and 1"),
        (wrong(config().lifetime_jitter(f64::NAN)), "lifetime_jitter (NaN) is not between 0 and 1"),
    ];
    for (said, expected) in told {
        assert_eq!(said, expected);
    }
}

#[test]
fn durations_that_would_overflow_are_mistakes() {
    let error = PoolConfig::builder().idle_timeout(Duration::MAX).build().expect_err("longer than any pool lives");
    assert!(matches!(error, ConfigError::TooLong { field: "idle_timeout", .. }), "{error}");
}

#[test]
fn zero_and_none_mean_no_limit_where_that_makes_sense() {
    let config = PoolConfig::builder().idle_timeout(Duration::ZERO).acquire_timeout(None).max_lifetime(Duration::ZERO);
    let config = config.build().expect("valid");
    assert_eq!((config.idle_timeout(), config.acquire_timeout(), config.max_lifetime()), (None, None, None));
}
