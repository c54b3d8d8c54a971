//! Setting a configuration up, and checking it once.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use xec_pool_core::PoolConfig;

use super::{SshConfig, SshConfigError, Times};
use crate::{AuthMethod, HostKeyPolicy, KeySource, Secret, SshTarget, host_key::parse_fingerprint, known_hosts::file};

/// The defaults. The first three are more than a pool's `connect_timeout` in sum, which ends each of them earlier where
/// it leaves less: a dial is not longer for being in a slow stage. sshd's own limit for a login is two minutes. Three
/// unanswered questions in a row and one interval
/// more are the silence of a dead connection.
const DEFAULT_TIMES: Times = Times {
    connect: Duration::from_secs(10),
    banner: Duration::from_secs(10),
    auth: Duration::from_secs(30),
    keepalive_interval: Some(Duration::from_secs(15)),
    keepalive_max: 3,
    inactivity: Some(Duration::from_secs(75)),
};

/// Sets up an [`SshConfig`].
#[derive(Clone, Debug)]
#[must_use = "a builder does nothing until `build`"]
pub struct SshConfigBuilder {
    target: SshTarget,
    username: Option<String>,
    methods: Vec<AuthMethod>,
    private_keys: Vec<KeySource>,
    passphrase: Option<Secret>,
    password: Option<Secret>,
    policy: HostKeyPolicy,
    known_hosts: Option<Vec<PathBuf>>,
    times: Times,
    pool: PoolConfig,
}

impl SshConfigBuilder {
    pub(super) fn new(target: SshTarget) -> Self {
        Self {
            target,
            username: None,
            methods: Vec::new(),
            private_keys: Vec::new(),
            passphrase: None,
            password: None,
            policy: HostKeyPolicy::Strict,
            known_hosts: None,
            times: DEFAULT_TIMES,
            pool: PoolConfig::default(),
        }
    }

    /// Whom to connect as. Default: the target's user, else `USER` or `LOGNAME`.
    pub fn username(mut self, username: impl Into<String>) -> Self {
        self.username = Some(username.into());
        self
    }

    /// Adds a private key's file; a `~` at its beginning is one's home. Keys are tried in the order added.
    pub fn private_key(mut self, path: impl Into<PathBuf>) -> Self {
        self.private_keys.push(KeySource::File(path.into()));
        self
    }

    /// Adds a private key as text.
    pub fn private_key_text(mut self, text: impl Into<Secret>) -> Self {
        self.private_keys.push(KeySource::Text(text.into()));
        self
    }

    /// What opens the private keys that are encrypted.
    pub fn passphrase(mut self, passphrase: impl Into<Secret>) -> Self {
        self.passphrase = Some(passphrase.into());
        self
    }

    /// A password, tried after all keys.
    pub fn password(mut self, password: impl Into<Secret>) -> Self {
        self.password = Some(password.into());
        self
    }

    /// Adds a way to prove who one is. These come in the order added, before the private keys and the password.
    /// Default, where none of the three is set: the agent, then `~/.ssh/id_ed25519`, `id_ecdsa` and `id_rsa`.
    pub fn auth(mut self, method: AuthMethod) -> Self {
        self.methods.push(method);
        self
    }

    /// Which host is believed. Default: [`HostKeyPolicy::Strict`].
    pub fn host_key(mut self, policy: HostKeyPolicy) -> Self {
        self.policy = policy;
        self
    }

    /// The files that know hosts, in place of `~/.ssh/known_hosts` and `/etc/ssh/ssh_known_hosts`. A `~` at the
    /// beginning is one's home. A file that does not exist is empty.
    pub fn known_hosts<P: Into<PathBuf>>(mut self, files: impl IntoIterator<Item = P>) -> Self {
        self.known_hosts = Some(files.into_iter().map(Into::into).collect());
        self
    }

    /// How long finding the host and connecting to it may take. Default: 10 s.
    ///
    /// This and the next two end a little before the `connect_timeout` of the pool's, if that is shorter: so that it is
    /// always [`SshError::TimedOut`](crate::SshError::TimedOut) with its phase that tells what took so long.
    pub const fn connect_timeout(mut self, within: Duration) -> Self {
        self.times.connect = within;
        self
    }

    /// How long the server may take from there to the end of the key exchange. Default: 10 s.
    pub const fn banner_timeout(mut self, within: Duration) -> Self {
        self.times.banner = within;
        self
    }

    /// How long authentication may take. Default: 30 s, of which a pool leaves as much as is left of its
    /// `connect_timeout` (default: 15 s): raise both.
    pub const fn auth_timeout(mut self, within: Duration) -> Self {
        self.times.auth = within;
        self
    }

    /// How often a silent connection is asked whether it lives. Default: 15 s. None: never, for servers that do not
    /// answer.
    pub fn keepalive_interval(mut self, interval: impl Into<Option<Duration>>) -> Self {
        self.times.keepalive_interval = interval.into();
        self
    }

    /// How many of those questions may stay unanswered. Default: 3.
    pub const fn keepalive_max(mut self, unanswered: u32) -> Self {
        self.times.keepalive_max = unanswered;
        self
    }

    /// The longest silence before a connection counts as dead. Default: 75 s. None: for ever.
    pub fn inactivity_timeout(mut self, silence: impl Into<Option<Duration>>) -> Self {
        self.times.inactivity = silence.into();
        self
    }

    /// How the pool behaves that is made for this host. Default: [`PoolConfig::default`].
    pub fn pool(mut self, pool: PoolConfig) -> Self {
        self.pool = pool;
        self
    }

    /// Checks it all. Nothing is read and nothing is sent yet.
    ///
    /// # Errors
    ///
    /// Where a field cannot work, which the error names.
    pub fn build(self) -> Result<SshConfig, SshConfigError> {
        self.times.check()?;
        let target = match self.username {
            Some(username) => self.target.with_user(&username).map_err(in_field("username"))?,
            None => self.target,
        };
        let user =
            target.user().map(str::to_owned).or_else(|| local_user(environment)).ok_or(SshConfigError::NoUser)?;
        let known_hosts = match self.known_hosts {
            Some(files) => expand_all("known_hosts", files)?,
            None => file::user_file().into_iter().chain([file::global_file()]).collect(),
        };
        Ok(SshConfig {
            target,
            user,
            methods: methods(self.methods, self.private_keys, self.passphrase, self.password)?,
            policy: checked_policy(self.policy, &known_hosts)?,
            known_hosts,
            times: self.times,
            pool: self.pool,
            credentials: Arc::default(),
        })
    }
}

/// Ten years: what is longer overflows clocks, in russh as well.
const LONGEST: Duration = Duration::from_secs(10 * 365 * 24 * 60 * 60);

impl Times {
    fn check(&self) -> Result<(), SshConfigError> {
        let fields = [
            ("connect_timeout", Some(self.connect)),
            ("banner_timeout", Some(self.banner)),
            ("auth_timeout", Some(self.auth)),
            ("keepalive_interval", self.keepalive_interval),
            ("inactivity_timeout", self.inactivity),
        ];
        for (field, time) in fields {
            match time {
                Some(given) if given.is_zero() => return Err(SshConfigError::Zero { field }),
                Some(given) if given > LONGEST => return Err(SshConfigError::TooLong { field, given, most: LONGEST }),
                Some(_) | None => {}
            }
        }
        if self.keepalive_max == 0 {
            return Err(SshConfigError::Zero { field: "keepalive_max" });
        }
        match (self.inactivity, self.keepalive_interval) {
            (Some(inactivity_timeout), Some(keepalive_interval)) if inactivity_timeout <= keepalive_interval => {
                Err(SshConfigError::Inactivity { inactivity_timeout, keepalive_interval })
            }
            _ => Ok(()),
        }
    }
}

fn methods(
    mut methods: Vec<AuthMethod>,
    private_keys: Vec<KeySource>,
    passphrase: Option<Secret>,
    password: Option<Secret>,
) -> Result<Vec<AuthMethod>, SshConfigError> {
    if passphrase.is_some() && private_keys.is_empty() {
        return Err(SshConfigError::PassphraseAlone);
    }
    let keys = private_keys.into_iter().map(|source| AuthMethod::Key { source, passphrase: passphrase.clone() });
    methods.extend(keys);
    methods.extend(password.map(AuthMethod::Password));
    methods.into_iter().map(with_home).collect()
}

fn with_home(method: AuthMethod) -> Result<AuthMethod, SshConfigError> {
    Ok(match method {
        AuthMethod::Key { source: KeySource::File(path), passphrase } => {
            AuthMethod::Key { source: KeySource::File(expand("private_key", path)?), passphrase }
        }
        AuthMethod::Agent { socket: Some(socket) } => AuthMethod::Agent { socket: Some(expand("agent", socket)?) },
        other @ (AuthMethod::Key { .. } | AuthMethod::Agent { .. } | AuthMethod::Password(_)) => other,
    })
}

fn checked_policy(policy: HostKeyPolicy, known_hosts: &[PathBuf]) -> Result<HostKeyPolicy, SshConfigError> {
    match policy {
        HostKeyPolicy::Pinned(fingerprints) => {
            let parse = |text: String| parse_fingerprint(&text).ok_or(SshConfigError::Fingerprint { text });
            Ok(HostKeyPolicy::Pinned(fingerprints.into_iter().map(parse).collect::<Result<_, _>>()?))
        }
        HostKeyPolicy::Strict | HostKeyPolicy::AcceptNew if known_hosts.is_empty() => Err(SshConfigError::NoFile),
        policy @ (HostKeyPolicy::Strict | HostKeyPolicy::AcceptNew | HostKeyPolicy::DangerAcceptAnyHostKey) => {
            Ok(policy)
        }
    }
}

fn expand_all(field: &'static str, paths: Vec<PathBuf>) -> Result<Vec<PathBuf>, SshConfigError> {
    paths.into_iter().map(|path| expand(field, path)).collect()
}

/// `~` and `~/…` as a shell would write them out.
fn expand(field: &'static str, path: PathBuf) -> Result<PathBuf, SshConfigError> {
    let not_known = |path: &Path| SshConfigError::Home { field, path: path.display().to_string() };
    let mut parts = path.components();
    match parts.next() {
        Some(first) if first.as_os_str() == "~" => {
            let home = std::env::home_dir().ok_or_else(|| not_known(&path))?;
            Ok(home.join(parts.as_path()))
        }
        Some(first) if first.as_os_str().as_encoded_bytes().starts_with(b"~") => Err(not_known(&path)),
        Some(_) | None => Ok(path),
    }
}

fn environment(variable: &str) -> Option<String> {
    std::env::var(variable).ok()
}

pub(super) fn local_user(environment: impl Fn(&str) -> Option<String>) -> Option<String> {
    let named = |variable: &str| environment(variable).filter(|user| !user.is_empty());
    // A name from outside is held to the same rules; one that is none is no name.
    let user = named("USER").or_else(|| named("LOGNAME")).or_else(|| named("USERNAME"))?;
    SshTarget::new("host").and_then(|target| target.with_user(&user)).ok().map(|_| user)
}

pub(super) fn in_field(field: &'static str) -> impl FnOnce(crate::TargetError) -> SshConfigError {
    move |source| SshConfigError::Target { field, source }
}
