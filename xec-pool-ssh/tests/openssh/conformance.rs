//! What every pool trusts its transport to do, on OpenSSH's own server, which is really killed and really frozen. A
//! proxy that does nothing stands between and counts.

use std::{
    io::Write as _,
    sync::{Arc, Mutex},
    time::Duration,
};

use async_trait::async_trait;
use xec_pool_ssh::SshTransport;
use xec_pool_testkit::{
    FaultProxy, LocalSshd,
    conformance::{Environment, Peer},
    keys,
};

struct OpenSsh {
    sshd: Mutex<LocalSshd>,
    proxy: FaultProxy,
    transport: Arc<SshTransport>,
    refused: Arc<SshTransport>,
    _known_hosts: tempfile::NamedTempFile,
}

async fn openssh() -> OpenSsh {
    let sshd = super::start(&[]).await;
    let proxy = FaultProxy::start(sshd.addr()).await.unwrap();
    let addr = proxy.addr();
    let mut known_hosts = tempfile::NamedTempFile::new().unwrap();
    let line = keys::HOST_ED25519.known_hosts_line(&format!("[{}]:{}", addr.ip(), addr.port()));
    writeln!(known_hosts, "{line}").unwrap();
    let stranger = || {
        let target = format!("{}@{addr}", sshd.user()).parse().unwrap();
        xec_pool_ssh::SshConfig::builder(target).known_hosts([known_hosts.path()])
    };
    let [transport, refused] =
        [stranger().private_key(sshd.key_path()), stranger().private_key_text(keys::STRANGER.private)]
            .map(|config| Arc::new(SshTransport::new(config.build().unwrap()).ping_after(Duration::ZERO)));
    OpenSsh { sshd: Mutex::new(sshd), proxy, transport, refused, _known_hosts: known_hosts }
}

#[async_trait]
impl Environment for OpenSsh {
    type Transport = SshTransport;

    fn transport(&self) -> Arc<SshTransport> {
        Arc::clone(&self.transport)
    }

    async fn set_peer(&self, peer: Peer) {
        let mut sshd = self.sshd.lock().unwrap();
        match peer {
            Peer::Frozen => sshd.stop(),
            Peer::Away => {
                sshd.kill();
                sshd.kill_connections();
            }
            Peer::Well | _ => {
                sshd.cont();
                if sshd.pid().is_none() {
                    sshd.restart().unwrap();
                }
            }
        }
    }

    async fn kill_connections(&self) {
        self.sshd.lock().unwrap().kill_connections();
    }

    async fn until_open(&self, count: usize) {
        self.proxy.wait_until(|seen| seen.open == count as u64).await;
    }

    fn refused(&self) -> Option<Arc<SshTransport>> {
        Some(Arc::clone(&self.refused))
    }

    fn secrets(&self) -> Vec<String> {
        [keys::USER_ED25519, keys::STRANGER].map(|key| key.private.lines().nth(1).unwrap().to_owned()).to_vec()
    }
}

xec_pool_testkit::conformance!(openssh().await);
