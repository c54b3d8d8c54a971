//! See `xec_pool_breaker::fuzzing::config`.
#![no_main]

libfuzzer_sys::fuzz_target!(|text: &str| xec_pool_breaker::fuzzing::config(text));
