//! Test doubles for xec-pool: servers and transports that fail on command.
//!
//! | feature | brings | needs |
//! |---|---|---|
//! | `embedded-ssh` | [`EmbeddedSsh`]: an SSH server in this process, with knobs for every bad day | Rust |
#![cfg_attr(docsrs, feature(doc_cfg))]

/// Key pairs for tests, committed and therefore worthless.
#[cfg(feature = "embedded-ssh")]
pub mod keys;

/// An SSH server in this process.
#[cfg(feature = "embedded-ssh")]
pub mod embedded;

#[cfg(feature = "embedded-ssh")]
pub use crate::embedded::EmbeddedSsh;
