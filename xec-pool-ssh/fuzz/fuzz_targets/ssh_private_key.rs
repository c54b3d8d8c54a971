//! See `xec_pool_ssh::fuzzing::private_key`.
#![no_main]

libfuzzer_sys::fuzz_target!(|text: &str| xec_pool_ssh::fuzzing::private_key(text));
