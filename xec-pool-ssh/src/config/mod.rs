//! How to reach one host: built in code, or read from a seed configuration object.
//!
//! A configuration in hand is valid: only its builder makes one, and nothing after it checks it again.
//!
//! Seed: Basic Usage.

mod error;

mod builder;

// The seed's objects.
#[cfg(any(feature = "serde", test))]
pub(crate) mod control;

#[cfg(feature = "serde")]
mod read;

use std::{path::PathBuf, sync::Arc, time::Duration};

use tokio::sync::OnceCell;
use xec_pool_core::{Endpoint, PoolConfig};

pub use self::{builder::SshConfigBuilder, error::SshConfigError};
use crate::{
    AuthError, AuthMethod, HostKeyError, HostKeyPolicy, SshTarget,
    auth::{Credentials, CredentialsError},
    host_key::HostKeyCheck,
};

/// Where to connect, as whom, by which proofs, believing which host, within which times.
///
/// With the feature `serde` it reads the seed's configuration objects: `host`, `port`, `username`, `privateKey` (a
/// path, `~` is one's home, or the key itself), `passphrase`, `password`, `pool`. `controlMaster` cannot be switched
/// on yet; `controlPath` and `controlPersist` are checked and do nothing without it.
///
/// Private keys are read at the first dial and kept: a clone shares them, a new configuration reads them anew.
///
/// # Examples
///
/// ```
/// use xec_pool_ssh::{HostKeyPolicy, SshConfig};
///
/// let config = SshConfig::builder("deploy@server.example.com:2222".parse()?)
///     .private_key("~/.ssh/id_ed25519")
///     .host_key(HostKeyPolicy::AcceptNew)
///     .build()?;
/// assert_eq!(config.user(), "deploy");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct SshConfig {
    target: SshTarget,
    user: String,
    methods: Vec<AuthMethod>,
    policy: HostKeyPolicy,
    known_hosts: Vec<PathBuf>,
    times: Times,
    pool: PoolConfig,
    credentials: Arc<OnceCell<Arc<Credentials>>>,
}

#[derive(Clone, Copy, Debug)]
struct Times {
    connect: Duration,
    banner: Duration,
    auth: Duration,
    keepalive_interval: Option<Duration>,
    keepalive_max: u32,
    inactivity: Option<Duration>,
}

impl SshConfig {
    /// Starts a configuration; everything but the target has a default.
    pub fn builder(target: SshTarget) -> SshConfigBuilder {
        SshConfigBuilder::new(target)
    }

    /// The host, the port and the user.
    #[must_use]
    pub const fn target(&self) -> &SshTarget {
        &self.target
    }

    /// Whom to connect as.
    #[must_use]
    pub fn user(&self) -> &str {
        &self.user
    }

    /// The host and the port, as telemetry names them.
    #[must_use]
    pub fn endpoint(&self) -> Endpoint {
        self.target.endpoint()
    }

    /// The ways to prove who one is, in order. Empty is what ssh does: the agent, then the default keys.
    #[must_use]
    pub fn auth_methods(&self) -> &[AuthMethod] {
        &self.methods
    }

    /// Which host is believed.
    #[must_use]
    pub const fn host_key(&self) -> &HostKeyPolicy {
        &self.policy
    }

    /// The files that know hosts. A new host goes into the first.
    #[must_use]
    pub fn known_hosts(&self) -> &[PathBuf] {
        &self.known_hosts
    }

    /// How long finding the host and connecting to it may take. Less, as each of the three, where a pool's own
    /// `connect_timeout` ends the dial earlier.
    #[must_use]
    pub const fn connect_timeout(&self) -> Duration {
        self.times.connect
    }

    /// How long the server may take from there to the end of the key exchange.
    #[must_use]
    pub const fn banner_timeout(&self) -> Duration {
        self.times.banner
    }

    /// How long authentication may take. It has to end before the server's own limit (two minutes with OpenSSH).
    #[must_use]
    pub const fn auth_timeout(&self) -> Duration {
        self.times.auth
    }

    /// How often a silent connection is asked whether it lives. None: never.
    #[must_use]
    pub const fn keepalive_interval(&self) -> Option<Duration> {
        self.times.keepalive_interval
    }

    /// How many of those questions may stay unanswered.
    #[must_use]
    pub const fn keepalive_max(&self) -> u32 {
        self.times.keepalive_max
    }

    /// The longest silence before a connection counts as dead, also where a blocked write keeps it from asking. None:
    /// for ever.
    #[must_use]
    pub const fn inactivity_timeout(&self) -> Option<Duration> {
        self.times.inactivity
    }

    /// How the pool behaves that is made for this host.
    #[must_use]
    pub const fn pool(&self) -> &PoolConfig {
        &self.pool
    }

    /// The same, for who takes a section of it that is theirs, as a circuit breaker does.
    pub const fn pool_mut(&mut self) -> &mut PoolConfig {
        &mut self.pool
    }

    /// What to offer the server. Read once, and kept; what cannot be read is tried again at the next dial.
    ///
    /// # Cancel safety
    ///
    /// Safe to drop: the next call reads again.
    pub(crate) async fn credentials(&self) -> Result<Arc<Credentials>, CredentialsError> {
        let read = || async {
            let methods = self.methods.clone();
            // Opening an encrypted key takes a good part of a second: not on a thread that drives connections.
            let read = move || Credentials::read(&methods, std::env::home_dir());
            match tokio::task::spawn_blocking(read).await {
                Ok(credentials) => credentials.map(Arc::new),
                Err(stopped) => Err(AuthError::NothingToOffer { tried: vec![stopped.to_string()] }.into()),
            }
        };
        self.credentials.get_or_try_init(read).await.cloned()
    }

    /// Whom to believe. Reads the files, where they changed.
    ///
    /// # Cancel safety
    ///
    /// Safe to drop.
    pub(crate) async fn host_keys(&self) -> Result<HostKeyCheck, HostKeyError> {
        let (target, policy, files) = (self.target.clone(), self.policy.clone(), self.known_hosts.clone());
        let read = move || HostKeyCheck::new(&target, &policy, &files);
        match tokio::task::spawn_blocking(read).await {
            Ok(check) => check,
            Err(stopped) => Err(HostKeyError::Unreadable {
                file: self.known_hosts.first().cloned().unwrap_or_default(),
                source: std::io::Error::other(stopped),
            }),
        }
    }
}

#[cfg(test)]
mod tests;
