//! Pooled SSH connections for programs that run commands on other machines.
#![cfg_attr(docsrs, feature(doc_cfg))]

// What users hold.
mod pool;

mod transport;

mod connection;

mod command;

mod status;

mod error;

// Where to, and as whom.
mod target;

mod secret;

mod config;

// From a target to a connection.
mod dial;

mod protocol;

mod stream;

mod session;

// Whether the host is the host.
mod host_key;

mod known_hosts;

// Whether the user is the user.
mod auth;

mod agent;

mod keys;

// From a command to its answer.
mod channel;

mod quote;

/// Not for users: what `cargo xtask fuzz` drives.
#[cfg(any(test, fuzzing))]
#[doc(hidden)]
pub mod fuzzing;

pub use crate::{
    auth::{AuthError, AuthMethod},
    command::Command,
    config::{SshConfig, SshConfigBuilder, SshConfigError},
    connection::SshConnection,
    error::{LossCause, Phase, SshError},
    host_key::{HostKeyError, HostKeyPolicy},
    keys::{KeyError, KeySource},
    pool::SshPool,
    secret::Secret,
    status::{ExitStatus, Output},
    target::{SshTarget, TargetError},
    transport::SshTransport,
};
