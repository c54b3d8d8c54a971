//! Where the commands run: a server in this process, or a host of the user's.

use std::{fmt, io::Write as _};

use tempfile::NamedTempFile;
use xec_pool_ssh::{SshConfig, SshTarget};
use xec_pool_testkit::{EmbeddedSsh, keys};

use crate::{Failure, flags::Flags};

pub(crate) struct Place {
    config: SshConfig,
    /// With the file that knows its key.
    embedded: Option<(EmbeddedSsh, NamedTempFile)>,
}

impl Place {
    pub(crate) async fn new(flags: &Flags) -> Result<Self, Failure> {
        let Some(target) = &flags.target else { return Self::embedded().await };
        let mut config = SshConfig::builder(target.parse()?);
        if let Some(identity) = &flags.identity {
            config = config.private_key(identity);
        }
        if let Some(file) = &flags.known_hosts {
            config = config.known_hosts([file]);
        }
        Ok(Self { config: config.build()?, embedded: None })
    }

    async fn embedded() -> Result<Self, Failure> {
        let server = EmbeddedSsh::start().await?;
        let mut known_hosts = NamedTempFile::with_prefix("xec-pool-demo-")?;
        known_hosts.write_all(server.known_hosts_line().as_bytes())?;
        let target = SshTarget::new(&server.addr().ip().to_string())?.with_port(server.addr().port())?;
        let config = SshConfig::builder(target)
            .username("demo")
            .private_key_text(keys::USER_ED25519.private)
            .known_hosts([known_hosts.path()])
            .build()?;
        Ok(Self { config, embedded: Some((server, known_hosts)) })
    }

    pub(crate) fn config(&self) -> SshConfig {
        self.config.clone()
    }

    /// What the figures are of: `embedded`, or `user@host:port`.
    pub(crate) fn name(&self) -> String {
        if self.embedded.is_some() { "embedded".to_owned() } else { self.login() }
    }

    fn login(&self) -> String {
        format!("{}@{}", self.config.user(), self.config.endpoint())
    }

    pub(crate) fn server(&self) -> Option<&EmbeddedSsh> {
        self.embedded.as_ref().map(|(server, _)| server)
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.login())?;
        if self.embedded.is_some() {
            f.write_str(", an SSH server in this process")?;
        }
        Ok(())
    }
}
