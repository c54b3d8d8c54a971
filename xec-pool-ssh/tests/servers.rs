//! The transport on whatever server is in the containers: this machine's, or that of another release, or dropbear
//! (`cargo xtask test --sshd bullseye,bookworm,trixie,dropbear`).
#![cfg(unix)]
#![expect(clippy::unwrap_used, reason = "in a test it is a check")]

// How servers that punish the impatient are treated.
#[path = "servers/manners.rs"]
mod manners;

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use async_trait::async_trait;
use tokio::time::timeout;
use xec_pool_core::{ConnectContext, FailureKind, Transport as _};
use xec_pool_ssh::{ExitStatus, LossCause, SshConfig, SshConfigBuilder, SshConnection, SshError, SshTransport};
use xec_pool_testkit::{
    FaultProxy, SshdContainer,
    conformance::{self, Environment, Peer},
    keys, proxy,
};

/// Reaching it fails the test.
const LONG: Duration = Duration::from_secs(60);

async fn start() -> SshdContainer {
    SshdContainer::start().await.unwrap_or_else(|error| panic!("{error}"))
}

fn stranger(sshd: &SshdContainer, at: std::net::SocketAddr) -> SshConfigBuilder {
    SshConfig::builder(format!("{}@{at}", sshd.user()).parse().unwrap()).known_hosts([sshd.known_hosts_path()])
}

fn config(sshd: &SshdContainer) -> SshConfigBuilder {
    stranger(sshd, sshd.addr()).private_key(sshd.key_path())
}

async fn connect(sshd: &SshdContainer) -> SshConnection {
    connect_with(config(sshd)).await
}

async fn connect_with(config: SshConfigBuilder) -> SshConnection {
    SshTransport::new(config.build().unwrap()).connect(ConnectContext::detached()).await.unwrap()
}

async fn soon<F: Future>(future: F) -> F::Output {
    timeout(LONG, future).await.expect("this ends, and quickly")
}

/// A server that is really killed and really frozen; the proxy before it counts, and is away.
struct Contained {
    sshd: SshdContainer,
    proxy: FaultProxy,
    transport: Arc<SshTransport>,
    refused: Arc<SshTransport>,
}

#[async_trait]
impl Environment for Contained {
    type Transport = SshTransport;

    fn transport(&self) -> Arc<SshTransport> {
        Arc::clone(&self.transport)
    }

    async fn set_peer(&self, peer: Peer) {
        // It may run as it should already.
        let _ = self.sshd.unpause().await;
        self.proxy.clear_faults();
        match peer {
            Peer::Frozen => self.sshd.pause().await.unwrap(),
            Peer::Away => {
                self.proxy.set_faults([proxy::Fault::Refuse]);
                self.proxy.strike(proxy::Blow::Reset);
            }
            Peer::Well | _ => {}
        }
    }

    async fn kill_connections(&self) {
        self.sshd.kill_connections().await.unwrap();
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

#[tokio::test(flavor = "multi_thread")]
async fn it_keeps_every_promise_of_a_transport() {
    let sshd = start().await;
    let proxy = FaultProxy::start(sshd.addr()).await.unwrap();
    let comer = || stranger(&sshd, proxy.addr());
    let [transport, refused] = [comer().private_key(sshd.key_path()), comer().private_key_text(keys::STRANGER.private)]
        .map(|config| Arc::new(SshTransport::new(config.build().unwrap()).ping_after(Duration::ZERO)));
    let broken = conformance::run(&Contained { sshd, proxy, transport, refused }).await;
    assert!(broken.is_empty(), "{broken:#?}");
}

#[tokio::test]
async fn commands_come_to_their_ends() {
    let sshd = start().await;
    let connection = connect(&sshd).await;
    for code in [0, 3, 255] {
        assert_eq!(connection.shell(format!("exit {code}")).status().await.unwrap(), ExitStatus::Code(code));
    }
    for signal in ["TERM", "KILL"] {
        let status = connection.shell(format!("kill -s {signal} $$")).status().await.unwrap();
        assert!(matches!(&status, ExitStatus::Signal { name, .. } if name == signal), "{status:?}");
    }
    let output = connection.command("printf").args(["%s|%s", "it's", "$HOME"]).output().await.unwrap();
    assert_eq!(output.stdout, b"it's|$HOME");
    let output = connection.shell("cat; echo complaint >&2").stdin("fed").output().await.unwrap();
    assert_eq!((output.stdout.as_slice(), output.stderr.as_slice()), (&b"fed"[..], &b"complaint\n"[..]));
}

#[tokio::test]
async fn four_megabytes_go_each_way() {
    let sshd = start().await;
    let connection = connect(&sshd).await;
    let output = soon(connection.shell("head -c 4194304 /dev/zero").output()).await.unwrap();
    assert_eq!(output.stdout.len(), 4 << 20);
    let output = soon(connection.command("wc").arg("-c").stdin(vec![7; 4 << 20]).output()).await.unwrap();
    assert_eq!(String::from_utf8(output.stdout).unwrap().trim(), "4194304");
}

/// Until a `cat` runs there, or none does.
async fn until_cat(sshd: &SshdContainer, runs: bool) {
    let began = Instant::now();
    while sshd.processes().await.unwrap().iter().any(|name| name == "cat") != runs {
        assert!(began.elapsed() < LONG);
    }
}

#[tokio::test]
async fn a_command_whose_caller_leaves_is_told_to_end_and_its_connection_goes_on() {
    let sshd = start().await;
    let connection = connect(&sshd).await;
    sshd.exec("mkfifo -m 666 /dev/shm/mark").await.unwrap();
    let abandoned = connection.shell("exec cat /dev/shm/mark");
    tokio::select! {
        output = abandoned.output() => panic!("{output:?}"),
        () = until_cat(&sshd, true) => {}
    }
    until_cat(&sshd, false).await;
    assert!(connection.command("true").status().await.unwrap().success());
}

#[tokio::test]
async fn a_connection_carries_eight_commands_at_once() {
    let sshd = start().await;
    let connection = Arc::new(connect(&sshd).await);
    let all: Vec<_> = (0..8)
        .map(|n| {
            let connection = Arc::clone(&connection);
            tokio::spawn(async move { connection.shell(format!("exit {n}")).status().await })
        })
        .collect();
    for (n, one) in (0..).zip(all) {
        assert_eq!(soon(one).await.unwrap().unwrap(), ExitStatus::Code(n));
    }
}

#[tokio::test]
async fn silence_is_noticed_while_a_command_runs() {
    let sshd = start().await;
    let nervous = config(&sshd)
        .keepalive_interval(Duration::from_millis(300))
        .keepalive_max(2)
        .inactivity_timeout(Duration::from_secs(2));
    let connection = SshTransport::new(nervous.build().unwrap()).connect(ConnectContext::detached()).await.unwrap();
    sshd.exec("mkfifo -m 666 /dev/shm/mark").await.unwrap();
    let command = connection.shell("echo > /dev/shm/mark; exec sleep 1000");
    let (answer, paused) = tokio::join!(soon(command.output()), async {
        sshd.exec("head -n 1 /dev/shm/mark").await?;
        // Some answered questions first: this server answers them, whatever it thinks of them. No answer takes more
        // than 80 bytes, and beside answers at most a word on the command's start may still be on its way.
        let before = connection.received_bytes();
        let answered = async {
            while connection.received_bytes() <= before + 160 {
                tokio::task::yield_now().await;
            }
        };
        soon(answered).await;
        sshd.pause().await
    });
    paused.unwrap();
    let error = answer.unwrap_err();
    assert!(matches!(error, SshError::ConnectionLost { cause: LossCause::Silent, .. }), "{error:?}");
    sshd.unpause().await.unwrap();
}

#[tokio::test]
async fn a_stranger_is_refused() {
    let sshd = start().await;
    let stranger = stranger(&sshd, sshd.addr()).private_key_text(keys::STRANGER.private);
    let error = SshTransport::new(stranger.build().unwrap()).connect(ConnectContext::detached()).await.unwrap_err();
    assert_eq!(error.kind(), FailureKind::Credentials, "{error:?}");
}
