//! What every text from outside may be expected to do to its parser: one property for each, that panics where it does
//! not hold. Tests drive them with a few hundred texts, `cargo xtask fuzz` with millions.

use crate::PoolConfig;

/// A configuration: what is read keeps the bounds that no later code checks again.
pub fn config(text: &str) {
    let Ok(config) = serde_json::from_str::<PoolConfig>(text) else { return };
    assert!(config.min_connections() <= config.max_connections() && config.max_connections() > 0, "{text}");
    assert!((0.0..=1.0).contains(&config.lifetime_jitter()), "{text}");
    assert!(config.max_concurrent_connects() > 0, "{text}");
    let never_zero =
        [config.connect_timeout(), config.close_timeout(), config.validate_timeout(), config.evict_interval()];
    let none_is_none = [config.idle_timeout(), config.max_lifetime(), config.acquire_timeout(), config.queue_timeout()];
    for time in never_zero.into_iter().chain(none_is_none.into_iter().flatten()) {
        assert!(!time.is_zero(), "{text}");
        // Added to any moment of any clock, it must not overflow.
        assert!(time.as_secs() < u64::from(u32::MAX), "{text}");
    }
}

/// A duration: as text and as milliseconds it is the same, and what is read reads back.
pub fn duration(text: &str) {
    let read = |value: &serde_json::Value| {
        let object = serde_json::json!({ "idle_timeout": value });
        serde_json::from_value::<PoolConfig>(object).ok().map(|config| config.idle_timeout())
    };
    let Some(time) = read(&text.into()) else { return };
    let time = time.unwrap_or_default();
    let shown = humantime::format_duration(time).to_string();
    assert_eq!(read(&shown.as_str().into()), Some(Some(time).filter(|time| !time.is_zero())), "{text:?}: {shown}");
    if time.subsec_nanos() % 1_000_000 == 0 {
        let milliseconds = u64::try_from(time.as_millis()).expect("longer ones are refused");
        assert_eq!(read(&milliseconds.into()), read(&text.into()), "{text:?}");
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn configurations_hold_what_they_promise(
            field in "(min|max|idle|acquire|connect_timeout|evictionRun|lifetime_jitter|retry|metrics|circuitBreaker)",
            value in "(-?[0-9]{1,20}(\\.[0-9])?|\"[0-9]{1,12}[a-z]{0,6}\"|true|null|\\{\\}|1e400)",
            max in 0..12_u32,
        ) {
            super::config(&format!("{{\"max_connections\":{max},\"{field}\":{value}}}"));
        }

        #[test]
        fn durations_hold_what_they_promise(text in "\\PC{0,12}|([0-9]{1,6} ?(ns|us|ms|s|m|h|d|day|w|M|y) ?){0,3}") {
            super::duration(&text);
        }
    }
}
