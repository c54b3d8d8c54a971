//! See `xec_pool_ssh::fuzzing::quoting`.
#![no_main]

libfuzzer_sys::fuzz_target!(|text: &str| xec_pool_ssh::fuzzing::quoting(text));
