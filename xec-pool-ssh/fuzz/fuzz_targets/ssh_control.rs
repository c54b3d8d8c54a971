//! See `xec_pool_ssh::fuzzing::control`.
#![no_main]

libfuzzer_sys::fuzz_target!(|text: &str| xec_pool_ssh::fuzzing::control(text));
