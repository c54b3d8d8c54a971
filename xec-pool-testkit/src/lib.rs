//! Test doubles for xec-pool: servers and transports that fail on command.
//!
//! | feature | brings | needs |
//! |---|---|---|
//! | `embedded-ssh` | [`EmbeddedSsh`]: an SSH server in this process, with knobs for every bad day | Rust |
//! | `sshd` | [`LocalSshd`]: OpenSSH's own sshd as a child process | Unix, openssh-server |
#![cfg_attr(docsrs, feature(doc_cfg))]

/// Key pairs for tests, committed and therefore worthless.
#[cfg(any(feature = "embedded-ssh", feature = "sshd"))]
pub mod keys;

/// An SSH server in this process.
#[cfg(feature = "embedded-ssh")]
pub mod embedded;

/// OpenSSH's own sshd.
#[cfg(feature = "sshd")]
pub mod sshd;

#[cfg(feature = "embedded-ssh")]
pub use crate::embedded::EmbeddedSsh;
#[cfg(feature = "sshd")]
pub use crate::sshd::LocalSshd;
