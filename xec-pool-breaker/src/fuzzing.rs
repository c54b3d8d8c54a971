//! What every text from outside may be expected to do to its parser: a property that panics where it does not hold.
//! Tests drive it with a few hundred texts, `cargo xtask fuzz` with millions.

use std::time::Duration;

use crate::{
    BreakerConfig,
    circuit::{Circuit, Verdict},
};

/// More than it takes to grow `open_for` to its most, by any multiplier that does.
const FAILURES: u32 = 40;

/// A configuration: what is read keeps the bounds that no later code checks again, and a circuit that follows it opens
/// for no longer than it may.
pub fn config(text: &str) {
    let Ok(config) = serde_json::from_str::<BreakerConfig>(text) else { return };
    assert!(config.half_open_probes() > 0 && config.close_after() > 0, "{text}");
    assert!(config.failure_threshold().is_some() != config.failure_rate().is_some(), "{text}");
    let window = config.failure_window().unwrap_or(config.open_for());
    for time in [config.open_for(), config.max_open_for(), config.half_open_deadline(), window] {
        assert!(!time.is_zero() && time.as_secs() < u64::from(u32::MAX), "{text}");
    }
    let longest = config.max_open_for().mul_f64(1.0 + config.open_for_jitter()) + Duration::from_millis(1);
    let (mut circuit, mut now) = (Circuit::new(config, 7), Duration::ZERO);
    for _ in 0..FAILURES {
        if let Ok(generation) = circuit.admit(now) {
            circuit.settle(generation, Verdict::Failure, now);
        }
        let rest = circuit.retry_after().unwrap_or_default();
        assert!(rest <= longest, "{text}: {rest:?}");
        now += rest;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn configurations_hold_what_they_promise(
            field in "(threshold|failure_window|resetTimeout|timeout|open_for_multiplier|max_open_for|open_for_jitter|\
                      half_open_probes|close_after|half_open_deadline|failure_rate|enabled)",
            value in "(-?[0-9]{1,20}(\\.[0-9])?|\"[0-9]{1,12}[a-z]{0,6}\"|true|null|1e308|\
                      \\{\"ratio\": 0\\.[0-9], \"(calls|time)\": [0-9]{1,5}\\})",
            open_for in prop_oneof![Just(0), 1..5_000_u32],
            multiplier in 0..9_u32,
        ) {
            super::config(&format!(
                "{{\"open_for\":{open_for},\"open_for_multiplier\":{multiplier},\"{field}\":{value}}}"
            ));
            super::config(&format!("{{\"{field}\":{value}}}"));
        }
    }
}
