//! The conformance suite: on transports that keep their promises, and on one that breaks each.
#![expect(clippy::unwrap_used, reason = "a test that finds what it did not expect should panic")]

// The mock.
mod mocked;

// The example: a transport of sixty lines. Without the feature it is not there, and nobody says so: `cargo xtask test`
// switches it on.
#[cfg(feature = "proxy")]
mod echo;

// What the ready-made environment is told; likewise.
#[cfg(feature = "proxy")]
mod proxied;

// A transport for every bad deed.
mod hands;

// That each is found.
mod bad;
