//! Reading a seed configuration object.

use std::{fmt, path::PathBuf, time::Duration};

use serde::{Deserialize, Deserializer, de::Error as _};
use xec_pool_core::PoolConfig;

use super::{
    SshConfig, SshConfigBuilder, SshConfigError,
    builder::in_field,
    control::{check_path, master_word, persist_word},
};
use crate::{AuthMethod, HostKeyPolicy, Secret, SshTarget};

/// The object as it is written. Every field goes by its own name and by the seed's.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Object {
    host: String,
    port: Option<u64>,
    #[serde(alias = "user")]
    username: Option<String>,
    #[serde(alias = "privateKey")]
    private_key: Option<KeyOrKeys>,
    passphrase: Option<Secret>,
    password: Option<Secret>,
    agent: Option<Agent>,
    #[serde(alias = "hostKey")]
    host_key: Option<Policy>,
    #[serde(alias = "knownHosts")]
    known_hosts: Option<PathOrPaths>,
    #[serde(alias = "connectTimeout")]
    connect_timeout: Option<Span>,
    #[serde(alias = "bannerTimeout")]
    banner_timeout: Option<Span>,
    #[serde(alias = "authTimeout")]
    auth_timeout: Option<Span>,
    #[serde(alias = "keepaliveInterval")]
    keepalive_interval: Option<Span>,
    #[serde(alias = "keepaliveMax")]
    keepalive_max: Option<u32>,
    #[serde(alias = "inactivityTimeout")]
    inactivity_timeout: Option<Span>,
    #[serde(default)]
    pool: PoolConfig,
    #[serde(alias = "controlMaster")]
    control_master: Option<Switch>,
    #[serde(alias = "controlPath")]
    control_path: Option<String>,
    #[serde(alias = "controlPersist")]
    control_persist: Option<Persist>,
}

#[derive(Deserialize)]
#[serde(untagged, expecting = "`privateKey` must be a path, the text of a key, or a list of them")]
enum KeyOrKeys {
    One(Secret),
    Many(Vec<Secret>),
}

#[derive(Deserialize)]
#[serde(untagged, expecting = "`knownHosts` must be a path or a list of paths")]
enum PathOrPaths {
    One(PathBuf),
    Many(Vec<PathBuf>),
}

#[derive(Deserialize)]
#[serde(untagged, expecting = "`agent` must be true, false or the path of its socket")]
enum Agent {
    Wanted(bool),
    At(PathBuf),
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Policy {
    Strict,
    AcceptNew,
    Pinned(Vec<String>),
    DangerAcceptAnyHostKey,
}

#[derive(Deserialize)]
#[serde(untagged, expecting = "`controlMaster` must be true, false or one of ssh's words for them")]
enum Switch {
    Plain(bool),
    Word(String),
}

#[derive(Deserialize)]
#[serde(untagged, expecting = "`controlPersist` must be true, false, seconds, or a time like \"10m\"")]
#[expect(dead_code, reason = "the plain forms are always well-formed; what they mean comes with multiplexing")]
enum Persist {
    Plain(bool),
    Seconds(u64),
    Word(String),
}

/// A time: `"30s"`, or a number of milliseconds.
struct Span(Duration);

impl<'de> Deserialize<'de> for Span {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged, expecting = "a time must be milliseconds, or a text like \"30s\"")]
        enum Written {
            Milliseconds(u64),
            Text(String),
        }
        match Written::deserialize(deserializer)? {
            Written::Milliseconds(milliseconds) => Ok(Self(Duration::from_millis(milliseconds))),
            Written::Text(text) => match humantime::parse_duration(&text) {
                Ok(duration) => Ok(Self(duration)),
                Err(error) => {
                    Err(D::Error::custom(format_args!("{text:?} is no time ({error}); write it like \"30s\"")))
                }
            },
        }
    }
}

impl<'de> Deserialize<'de> for Secret {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        // Not `String` itself: where the value is no string, its error would show the value.
        #[derive(Deserialize)]
        #[serde(untagged, expecting = "a secret must be a string")]
        enum Written {
            Text(String),
        }
        let Written::Text(text) = Written::deserialize(deserializer)?;
        Ok(Self::new(text))
    }
}

impl<'de> Deserialize<'de> for SshConfig {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Object::deserialize(deserializer)?.build().map_err(|error| D::Error::custom(Whole(&error)))
    }
}

/// An error with its causes, since the format's own error keeps a text alone.
struct Whole<'a>(&'a dyn std::error::Error);

impl fmt::Display for Whole<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)?;
        let mut cause = self.0.source();
        while let Some(error) = cause {
            write!(f, ": {error}")?;
            cause = error.source();
        }
        Ok(())
    }
}

impl Object {
    fn build(self) -> Result<SshConfig, SshConfigError> {
        self.check_control()?;
        let target = self.target()?;
        let mut builder = SshConfig::builder(target).pool(self.pool);
        if let Some(username) = self.username {
            builder = builder.username(username);
        }
        builder = match self.agent {
            Some(Agent::Wanted(true)) => builder.auth(AuthMethod::agent()),
            Some(Agent::At(socket)) => builder.auth(AuthMethod::agent_at(socket)),
            Some(Agent::Wanted(false)) | None => builder,
        };
        let keys = match self.private_key {
            Some(KeyOrKeys::One(key)) => vec![key],
            Some(KeyOrKeys::Many(keys)) => keys,
            None => Vec::new(),
        };
        builder = keys.into_iter().fold(builder, with_key);
        if let Some(passphrase) = self.passphrase {
            builder = builder.passphrase(passphrase);
        }
        if let Some(password) = self.password {
            builder = builder.password(password);
        }
        builder = match self.host_key {
            Some(policy) => builder.host_key(policy.into()),
            None => builder,
        };
        builder = match self.known_hosts {
            Some(PathOrPaths::One(path)) => builder.known_hosts([path]),
            Some(PathOrPaths::Many(paths)) => builder.known_hosts(paths),
            None => builder,
        };
        let times = (self.connect_timeout, self.banner_timeout, self.auth_timeout);
        let silence = (self.keepalive_interval, self.keepalive_max, self.inactivity_timeout);
        with_silence(with_times(builder, times), silence).build()
    }

    /// A host may bring its user and port along; said twice, they must agree.
    fn target(&self) -> Result<SshTarget, SshConfigError> {
        let target: SshTarget = self.host.parse().map_err(in_field("host"))?;
        if let (Some(first), Some(second)) = (target.user(), &self.username)
            && first != second
        {
            return Err(twice("username", first, second));
        }
        let Some(port) = self.port else { return Ok(target) };
        if target.port() != crate::target::DEFAULT_PORT && u64::from(target.port()) != port {
            return Err(twice("port", &target.port().to_string(), &port.to_string()));
        }
        let wrong = || crate::TargetError::Port { text: port.to_string() };
        let port = u16::try_from(port).map_err(|_| wrong()).map_err(in_field("port"))?;
        target.with_port(port).map_err(in_field("port"))
    }

    fn check_control(&self) -> Result<(), SshConfigError> {
        if let Some(path) = &self.control_path {
            check_path(path)?;
        }
        if let Some(Persist::Word(word)) = &self.control_persist {
            persist_word(word)?;
        }
        let on = match &self.control_master {
            Some(Switch::Plain(on)) => *on,
            Some(Switch::Word(word)) => master_word(word)?,
            None => false,
        };
        if on { Err(SshConfigError::NotYet { field: "controlMaster" }) } else { Ok(()) }
    }
}

fn with_key(builder: SshConfigBuilder, key: Secret) -> SshConfigBuilder {
    // No path has a line of this kind in it, and every key has.
    if key.expose().contains("-----BEGIN") { builder.private_key_text(key) } else { builder.private_key(key.expose()) }
}

fn with_times(mut builder: SshConfigBuilder, times: (Option<Span>, Option<Span>, Option<Span>)) -> SshConfigBuilder {
    let (connect, banner, auth) = times;
    if let Some(Span(within)) = connect {
        builder = builder.connect_timeout(within);
    }
    if let Some(Span(within)) = banner {
        builder = builder.banner_timeout(within);
    }
    if let Some(Span(within)) = auth {
        builder = builder.auth_timeout(within);
    }
    builder
}

/// Here 0 is a value: never.
fn with_silence(mut builder: SshConfigBuilder, silence: (Option<Span>, Option<u32>, Option<Span>)) -> SshConfigBuilder {
    let or_never = |span: Duration| (!span.is_zero()).then_some(span);
    let (interval, max, inactivity) = silence;
    if let Some(Span(interval)) = interval {
        builder = builder.keepalive_interval(or_never(interval));
    }
    if let Some(max) = max {
        builder = builder.keepalive_max(max);
    }
    if let Some(Span(inactivity)) = inactivity {
        builder = builder.inactivity_timeout(or_never(inactivity));
    }
    builder
}

fn twice(field: &'static str, first: &str, second: &str) -> SshConfigError {
    SshConfigError::Twice { field, first: first.to_owned(), second: second.to_owned() }
}

impl From<Policy> for HostKeyPolicy {
    fn from(policy: Policy) -> Self {
        match policy {
            Policy::Strict => Self::Strict,
            Policy::AcceptNew => Self::AcceptNew,
            Policy::Pinned(fingerprints) => Self::Pinned(fingerprints),
            Policy::DangerAcceptAnyHostKey => Self::DangerAcceptAnyHostKey,
        }
    }
}
