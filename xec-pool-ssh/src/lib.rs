//! Pooled SSH connections for programs that run commands on other machines.
#![cfg_attr(docsrs, feature(doc_cfg))]
#![allow(dead_code, unused_imports, reason = "until the dialler, written beside this, is here")]

// Where to, and as whom.
mod target;

mod secret;

mod config;

// Whether the host is the host.
mod host_key;

mod known_hosts;

// Whether the user is the user.
mod auth;

mod agent;

mod keys;

pub use crate::{
    auth::{AuthError, AuthMethod},
    config::{SshConfig, SshConfigBuilder, SshConfigError},
    host_key::{HostKeyError, HostKeyPolicy},
    keys::{KeyError, KeySource},
    secret::Secret,
    target::{SshTarget, TargetError},
};
