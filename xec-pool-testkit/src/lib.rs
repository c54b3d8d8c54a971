//! Test doubles for xec-pool: servers and transports that fail on command.
//!
//! | feature | brings | needs |
//! |---|---|---|
//! | – | [`MockTransport`]: does what a script says, hook by hook; [`MockHandle`] knows what happened | nothing |
//! | – | [`Recorder`]: keeps a pool's events and checks that they make sense | nothing |
//! | `proxy` | [`FaultProxy`](proxy::FaultProxy): a TCP proxy that is slow, silent, shut or cut on command | nothing |
//! | `embedded-ssh` | `EmbeddedSsh`: an SSH server in this process, with knobs for every bad day | Rust |
//! | `sshd` | `LocalSshd`: OpenSSH's own sshd as a child process | Unix, openssh-server |
#![cfg_attr(docsrs, feature(doc_cfg))]

/// A transport by script.
pub mod mock;

/// An observer that remembers.
pub mod recorder;

/// The promises of a transport, as tests.
pub mod conformance;

/// A TCP proxy that fails on command.
#[cfg(feature = "proxy")]
pub mod proxy;

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
#[cfg(feature = "proxy")]
pub use crate::proxy::FaultProxy;
#[cfg(feature = "sshd")]
pub use crate::sshd::LocalSshd;
pub use crate::{
    mock::{MockHandle, MockTransport},
    recorder::Recorder,
};
