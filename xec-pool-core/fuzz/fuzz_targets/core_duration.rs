//! See `xec_pool_core::fuzzing::duration`.
#![no_main]

libfuzzer_sys::fuzz_target!(|text: &str| xec_pool_core::fuzzing::duration(text));
