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
    _known_hosts: tempfile::NamedTempFile,
}

async fn openssh() -> OpenSsh {
    let sshd = super::start(&[]).await;
    let proxy = FaultProxy::start(sshd.addr()).await.unwrap();
    let addr = proxy.addr();
    let mut known_hosts = tempfile::NamedTempFile::new().unwrap();
    let line = keys::HOST_ED25519.known_hosts_line(&format!("[{}]:{}", addr.ip(), addr.port()));
    writeln!(known_hosts, "{line}").unwrap();
    let config = xec_pool_ssh::SshConfig::builder(format!("{}@{addr}", sshd.user()).parse().unwrap())
        .known_hosts([known_hosts.path()])
        .private_key(sshd.key_path());
    let transport = SshTransport::new(config.build().unwrap()).ping_after(Duration::ZERO);
    OpenSsh { sshd: Mutex::new(sshd), proxy, transport: Arc::new(transport), _known_hosts: known_hosts }
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

    fn secrets(&self) -> Vec<String> {
        vec![keys::USER_ED25519.private.lines().nth(1).unwrap().to_owned()]
    }
}

xec_pool_testkit::conformance!(openssh().await);
