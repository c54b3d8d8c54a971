//! Ours, russh as it comes, russh with `nodelay`, and `ssh` processes: to one server, by the same key.

use std::{
    io,
    net::SocketAddr,
    path::PathBuf,
    process::{Command, Stdio},
    sync::Arc,
};

use russh::{
    ChannelMsg, Disconnect,
    client::{self, Handle},
    keys::{PrivateKey, PrivateKeyWithHashAlg, PublicKeyOrCertificate},
};
use tokio::runtime::{Builder, Runtime};
use xec_pool_core::PoolConfig;
use xec_pool_ssh::{HostKeyPolicy, SshConfig, SshPool};
use xec_pool_testkit::{EmbeddedSsh, LocalSshd, keys};

/// russh as it comes: what `cold` and `burst` compare with.
pub(crate) const RUSSH: &str = "russh";

/// russh with the one setting that everybody needs to find: what `warm` compares with.
pub(crate) const NODELAY: &str = "russh-nodelay";

pub(crate) const SSH: &str = "ssh";

/// Where the peers connect to.
#[derive(Clone)]
pub(crate) struct Host {
    addr: SocketAddr,
    user: String,
    /// None: any host key is believed.
    known_hosts: Option<PathBuf>,
    key: PathBuf,
}

impl Host {
    pub(crate) fn of(sshd: &LocalSshd) -> Self {
        Self {
            addr: sshd.addr(),
            user: sshd.user().to_owned(),
            known_hosts: Some(sshd.known_hosts_path()),
            key: sshd.key_path(),
        }
    }

    pub(crate) fn embedded(server: &EmbeddedSsh) -> Self {
        Self { addr: server.addr(), user: "bench".to_owned(), known_hosts: None, key: PathBuf::new() }
    }

    /// What our pools dial with; its clones share the key once it is read, as our peers do.
    pub(crate) fn config(&self) -> SshConfig {
        let target = format!("{}@{}", self.user, self.addr).parse().expect("an address and a user's name");
        let config = SshConfig::builder(target).private_key_text(keys::USER_ED25519.private);
        let config = match &self.known_hosts {
            Some(file) => config.known_hosts([file]),
            None => config.host_key(HostKeyPolicy::DangerAcceptAnyHostKey),
        };
        config.build().expect("each field is valid")
    }

    /// An `ssh` process that runs `true`.
    pub(crate) fn ssh(&self) -> bool {
        let known_hosts = self.known_hosts.as_ref().map(|file| format!("UserKnownHostsFile={}", file.display()));
        let mut ssh = Command::new("ssh");
        ssh.args(["-F", "none", "-o", "BatchMode=yes", "-o", "IdentitiesOnly=yes", "-i"]).arg(&self.key);
        ssh.args(known_hosts.iter().flat_map(|option| ["-o", option]));
        ssh.args(["-p", &self.addr.port().to_string(), &format!("{}@{}", self.user, self.addr.ip()), "true"]);
        ssh.stdin(Stdio::null()).stderr(Stdio::null()).status().is_ok_and(|status| status.success())
    }
}

/// A pool of ours.
pub(crate) fn pool(config: SshConfig, settings: PoolConfig) -> SshPool {
    SshPool::with(config, settings).expect("no section is left unclaimed")
}

/// One connection of russh's, used without anything around it.
pub(crate) struct Raw(Handle<Trusting>);

pub(crate) struct Trusting;

impl client::Handler for Trusting {
    type Error = russh::Error;

    async fn check_server_key(&mut self, _: &PublicKeyOrCertificate) -> Result<bool, russh::Error> {
        Ok(true)
    }
}

/// How russh is told to connect. The key is opened once.
#[derive(Clone)]
pub(crate) struct RawDial {
    host: Host,
    config: Arc<client::Config>,
    key: Arc<PrivateKey>,
}

impl RawDial {
    pub(crate) fn new(host: &Host, nodelay: bool) -> Self {
        let key = PrivateKey::from_openssh(keys::USER_ED25519.private).expect("a committed key parses");
        let config = client::Config { nodelay, ..client::Config::default() };
        Self { host: host.clone(), config: Arc::new(config), key: Arc::new(key) }
    }

    pub(crate) async fn connect(&self) -> Result<Raw, russh::Error> {
        let mut handle = client::connect(Arc::clone(&self.config), self.host.addr, Trusting).await?;
        let key = PrivateKeyWithHashAlg::new(Arc::clone(&self.key), None);
        let login = handle.authenticate_publickey(&self.host.user, key).await?;
        if login.success() { Ok(Raw(handle)) } else { Err(russh::Error::NotAuthenticated) }
    }
}

impl Raw {
    /// Runs `true` and reads until its channel is closed.
    pub(crate) async fn run(&self) -> Result<Option<u32>, russh::Error> {
        let mut channel = self.0.channel_open_session().await?;
        channel.exec(true, "true").await?;
        let mut code = None;
        while let Some(message) = channel.wait().await {
            if let ChannelMsg::ExitStatus { exit_status } = message {
                code = Some(exit_status);
            }
        }
        Ok(code)
    }

    pub(crate) async fn close(self) {
        let _ = self.0.disconnect(Disconnect::ByApplication, "", "").await;
        // Ends when the session has: else its end would be counted to whoever comes next.
        let _ = self.0.await;
    }
}

/// A runtime like a program's on a small machine.
pub(crate) fn runtime(workers: usize) -> io::Result<Arc<Runtime>> {
    Builder::new_multi_thread().worker_threads(workers).enable_all().build().map(Arc::new)
}
