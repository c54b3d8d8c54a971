//! Configurations, by hand and from text.

use std::time::Duration;

use super::{BreakerConfig, BreakerConfigBuilder, FailureRate};

const SECOND: Duration = Duration::from_secs(1);

fn builder() -> BreakerConfigBuilder {
    BreakerConfig::builder()
}

#[test]
fn the_defaults_are_the_seed_s() {
    let config = BreakerConfig::default();
    assert_eq!((config.failure_threshold(), config.failure_window()), (Some(5), Some(60 * SECOND)));
    assert_eq!((config.open_for(), config.max_open_for()), (30 * SECOND, 600 * SECOND));
    assert_eq!((config.open_for_multiplier(), config.open_for_jitter()), (1.0, 0.1));
    assert_eq!((config.half_open_probes(), config.close_after()), (1, 1));
    assert_eq!((config.half_open_deadline(), config.failure_rate()), (30 * SECOND, None));
}

#[test]
fn what_is_not_given_follows_what_is() {
    let short = builder().open_for(SECOND).build().expect("valid");
    assert_eq!(short.half_open_deadline(), 15 * SECOND, "a dial may take that long");
    let long = builder().open_for(3_600 * SECOND).build().expect("no need to say that the limit is as high");
    assert_eq!((long.max_open_for(), long.half_open_deadline()), (3_600 * SECOND, 3_600 * SECOND));
    let rate = builder().failure_rate(FailureRate::over_calls(0.5, 4)).build().expect("four are enough, then");
    assert_eq!((rate.failure_threshold(), rate.failure_window()), (None, None));
    assert_eq!(rate.failure_rate(), Some(&FailureRate::over_calls(0.5, 4).min_calls(4)));
}

#[test]
fn what_cannot_work_is_refused_and_its_field_named() {
    let zero = Duration::ZERO;
    let calls = |ratio, calls| builder().failure_rate(FailureRate::over_calls(ratio, calls));
    let time = |ratio, span| builder().failure_rate(FailureRate::over_time(ratio, span));
    let cases = [
        (builder().failure_threshold(0), "failure_threshold must not be zero"),
        (
            builder().failure_threshold(5_000),
            "failure_threshold (5000) is more than 4096, so the circuit could never open",
        ),
        (builder().failure_window(zero), "failure_window must not be zero"),
        (builder().open_for(zero), "open_for must not be zero"),
        (builder().max_open_for(SECOND), "max_open_for (1s) is less than open_for (30s)"),
        (builder().max_open_for(Duration::MAX), "max_open_for (18446744073709551615.999999999s) is longer than"),
        (builder().open_for_multiplier(0.5), "open_for_multiplier (0.5) is not at least 1"),
        (builder().open_for_multiplier(f64::NAN), "open_for_multiplier (NaN) is not at least 1"),
        (builder().open_for_multiplier(f64::INFINITY), "open_for_multiplier (inf) is not at least 1"),
        (builder().open_for_jitter(1.5), "open_for_jitter (1.5) is not between 0 and 1"),
        (builder().open_for_jitter(-0.1), "open_for_jitter (-0.1) is not between 0 and 1"),
        (builder().half_open_probes(0), "half_open_probes must not be zero"),
        (builder().close_after(0), "close_after must not be zero"),
        (builder().half_open_deadline(zero), "half_open_deadline must not be zero"),
        (calls(0.0, 10), "failure_rate.ratio (0) is not above 0 and at most 1"),
        (calls(1.5, 10), "failure_rate.ratio (1.5) is not above 0 and at most 1"),
        (calls(0.5, 0), "failure_rate.calls must not be zero"),
        (calls(0.5, 5_000), "failure_rate.calls (5000) is more than 4096, so the circuit could never open"),
        (
            builder().failure_rate(FailureRate::over_calls(0.5, 5).min_calls(6)),
            "failure_rate.min_calls (6) is more than 5, so the circuit could never open",
        ),
        (
            builder().failure_rate(FailureRate::over_calls(0.5, 5).min_calls(0)),
            "failure_rate.min_calls must not be zero",
        ),
        (time(0.5, zero), "failure_rate.time must not be zero"),
        (
            time(0.5, SECOND).failure_window(SECOND),
            "failure_rate replaces failure_threshold and failure_window: give one or the other",
        ),
    ];
    for (builder, said) in cases {
        let error = builder.build().expect_err(said).to_string();
        assert!(error.starts_with(said), "{error}\nnot: {said}");
    }
}

#[cfg(feature = "serde")]
mod from_text {
    use xec_pool_core::{ConfigError, Pool, PoolConfig};

    use super::*;
    use crate::{Breaker, BreakerState};

    fn read(text: &str) -> BreakerConfig {
        serde_json::from_str(text).expect("valid")
    }

    fn wrong(text: &str) -> String {
        serde_json::from_str::<BreakerConfig>(text).expect_err("it cannot work").to_string()
    }

    fn pool(text: &str) -> PoolConfig {
        serde_json::from_str(text).expect("a pool's configuration")
    }

    #[test]
    fn the_seed_s_object_means_what_its_page_says() {
        let mut pool =
            pool(r#"{"circuitBreaker": {"enabled": true, "threshold": 5, "timeout": 30000, "resetTimeout": 60000}}"#);
        let config = BreakerConfig::take_from(&mut pool).expect("valid").expect("enabled");
        assert_eq!((config.failure_threshold(), config.failure_window()), (Some(5), Some(60 * SECOND)));
        assert_eq!(config.open_for(), 30 * SECOND);
        assert_eq!(config, BreakerConfig::default());
        assert_eq!(BreakerConfig::take_from(&mut pool), Ok(None), "it has been taken");
    }

    #[test]
    fn the_seed_s_ssh_object_becomes_a_pool_with_a_breaker() -> Result<(), Box<dyn std::error::Error>> {
        let seed = r#"{"host": "server.com", "username": "user", "pool": {"circuitBreaker":
            {"enabled": true, "threshold": 5, "timeout": 30000, "resetTimeout": 60000}}}"#;
        let host: xec_pool_ssh::SshConfig = serde_json::from_str(seed)?;
        let mut size = host.pool().clone();
        let breaker = BreakerConfig::take_from(&mut size)?.map(Breaker::new).expect("enabled");
        let builder = Pool::builder(xec_pool_ssh::SshTransport::new(host)).config(size).gate(breaker.clone());
        let _pool: xec_pool_ssh::SshPool = builder.build()?.into();
        assert_eq!(breaker.state(), BreakerState::Closed);
        Ok(())
    }

    #[test]
    fn each_field_goes_by_our_name_too() {
        let config = read(
            r#"{"failure_threshold": 3, "failure_window": "2m", "open_for": "10s", "open_for_multiplier": 2,
                "max_open_for": "1h", "open_for_jitter": 0.5, "half_open_probes": 2, "close_after": 3,
                "half_open_deadline": 20000}"#,
        );
        let by_hand = builder().failure_threshold(3).failure_window(120 * SECOND).open_for(10 * SECOND);
        let by_hand = by_hand.open_for_multiplier(2.0).max_open_for(3_600 * SECOND).open_for_jitter(0.5);
        let by_hand = by_hand.half_open_probes(2).close_after(3).half_open_deadline(20 * SECOND);
        assert_eq!(config, by_hand.build().expect("valid"));
    }

    #[test]
    fn a_rate_is_taken_over_calls_or_over_a_time() {
        let config = read(r#"{"failure_rate": {"ratio": 0.5, "calls": 20, "min_calls": 4}}"#);
        assert_eq!(config.failure_rate(), Some(&FailureRate::over_calls(0.5, 20).min_calls(4)));
        let config = read(r#"{"failure_rate": {"ratio": 0.25, "time": "30s"}}"#);
        assert_eq!(config.failure_rate(), Some(&FailureRate::over_time(0.25, 30 * SECOND)));
    }

    #[test]
    fn a_section_may_be_missing_switched_off_or_left_behind() {
        assert_eq!(BreakerConfig::take_from(&mut pool("{}")), Ok(None));
        let mut off = pool(r#"{"circuitBreaker": {"enabled": false, "threshold": 5}}"#);
        assert_eq!(BreakerConfig::take_from(&mut off), Ok(None));
        let left = pool(r#"{"circuitBreaker": {"threshold": 5}}"#);
        let error = Pool::builder(xec_pool_testkit::MockTransport::new().0).config(left).build();
        let error = error.expect_err("it would be ignored");
        assert!(matches!(error, ConfigError::Unclaimed { section: "circuitBreaker", .. }), "{error}");
        assert!(error.to_string().contains("BreakerConfig::take_from"), "it says who takes it: {error}");
    }

    #[test]
    fn nonsense_is_told_with_its_field() {
        for (text, said) in [
            (r#"{"threshold": 0}"#, "failure_threshold must not be zero"),
            (r#"{"threshold": -1}"#, "-1"),
            (r#"{"treshold": 5}"#, "unknown field `treshold`"),
            (r#"{"timeout": 0}"#, "open_for must not be zero"),
            (r#"{"timeout": -5}"#, "milliseconds: an integer from 0 on"),
            (r#"{"timeout": 1.5}"#, "milliseconds: an integer from 0 on"),
            (r#"{"timeout": "soon"}"#, "\"soon\" is no duration"),
            (r#"{"resetTimeout": 18446744073709551615}"#, "failure_window (18446744073709551.615s) is longer than"),
            (r#"{"threshold": 5, "failure_threshold": 6}"#, "duplicate field"),
            (r#"{"failure_rate": {"ratio": 0.5}}"#, "failure_rate needs either calls or time"),
            (
                r#"{"failure_rate": {"ratio": 0.5, "calls": 5, "time": "5s"}}"#,
                "failure_rate needs either calls or time",
            ),
            (r#"{"failure_rate": {"calls": 5}}"#, "missing field `ratio`"),
            (r#"{"failure_rate": {"ratio": 0.5, "calls": 5}, "threshold": 5}"#, "give one or the other"),
            (r#"{"enabled": false}"#, "enabled is false: leave the section out"),
        ] {
            let error = wrong(text);
            assert!(error.contains(said), "{text}: {error}");
        }
        let mut pool = pool(r#"{"circuitBreaker": {"timeout": "soon"}}"#);
        let error = BreakerConfig::take_from(&mut pool).expect_err("nonsense").to_string();
        assert!(error.starts_with("section circuitBreaker: \"soon\" is no duration"), "{error}");
    }
}
