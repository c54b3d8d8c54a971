//! See `xec_pool_ssh::fuzzing::known_hosts`.
#![no_main]

libfuzzer_sys::fuzz_target!(|text: &[u8]| xec_pool_ssh::fuzzing::known_hosts(text));
