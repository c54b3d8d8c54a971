//! Handshakes that break off after the server's version line. OpenSSH 9.8 and later penalise an address for them, as
//! for failed logins, until it lets it in no more. The counting is the server's own: its log.

use std::{sync::Arc, time::Duration};

use tokio::time::timeout;
use xec_pool_core::{AcquireError, FailureKind, Pool, PoolConfig, PoolConfigBuilder};
use xec_pool_ssh::{SshConfigBuilder, SshTransport};
use xec_pool_testkit::{FaultProxy, SshdContainer, keys, proxy::Fault};

use super::{LONG, soon, stranger};

/// How often the testkit asks a new server whether it listens, and leaves when it greets.
const PROBES: usize = 1;

/// A server that punishes, where it knows how to, behind a slow way: handshakes last long enough to be left.
struct Strict {
    sshd: SshdContainer,
    proxy: FaultProxy,
    /// Its own probes, before we came.
    before: usize,
}

impl Strict {
    async fn start() -> Self {
        let sshd = SshdContainer::builder().penalties().start().await.unwrap_or_else(|error| panic!("{error}"));
        let proxy = FaultProxy::start(sshd.addr()).await.unwrap();
        proxy.set_faults([Fault::Latency { delay: Duration::from_millis(15), jitter: Duration::from_millis(10) }]);
        // The testkit asked it whether it listens, and left: that is one, once its log says so.
        let before = soon(async {
            loop {
                quiet(&sshd).await;
                match broken_off(&sshd).await {
                    0 => tokio::task::yield_now().await,
                    count => break count,
                }
            }
        });
        Self { before: before.await, sshd, proxy }
    }

    fn pool(
        &self,
        config: PoolConfigBuilder,
        whose: impl FnOnce(SshConfigBuilder) -> SshConfigBuilder,
    ) -> Pool<SshTransport> {
        let transport = SshTransport::new(whose(stranger(&self.sshd, self.proxy.addr())).build().unwrap());
        Pool::builder(transport).config(config.build().unwrap()).build().unwrap()
    }

    fn ours(&self, config: PoolConfigBuilder) -> Pool<SshTransport> {
        self.pool(config, |ssh| ssh.private_key(self.sshd.key_path()))
    }

    /// Handshakes that broke off since it was started, once all connections have ended.
    async fn broken_off(&self) -> usize {
        soon(self.proxy.wait_until(|seen| seen.open == 0)).await;
        quiet(&self.sshd).await;
        broken_off(&self.sshd).await - self.before
    }

    /// The server noted nothing against us but `failures` to log in, and whoever may come still may.
    async fn assert_lenient(&self, failures: usize) {
        let log = self.sshd.log().await.unwrap();
        let noted: Vec<_> = log.iter().filter(|line| line.contains("srclimit_penalise")).collect();
        // One is the testkit's, for asking whether it listens.
        assert!(noted.len() <= PROBES + failures, "{noted:#?}");
        let shut_out: Vec<_> = log.iter().filter(|line| line.contains("drop connection")).collect();
        assert!(shut_out.is_empty(), "{shut_out:#?}");
        let pool = self.ours(PoolConfig::builder());
        drop(soon(pool.acquire()).await.unwrap());
        pool.close().await;
    }
}

/// Waits until it serves nobody: the last lines of its log are those of processes that are still ending.
async fn quiet(sshd: &SshdContainer) {
    let serves = |name: &String| name.starts_with("sshd") || name.starts_with("dropbear");
    while soon(sshd.processes()).await.unwrap().iter().any(serves) {
        tokio::task::yield_now().await;
    }
}

/// Connections that the server says ended before anybody was let in: `[preauth]`, or dropbear's «Exit before auth»; or
/// that ended in the key exchange.
async fn broken_off(sshd: &SshdContainer) -> usize {
    let is_end = |line: &&String| {
        let ended = ["Connection closed", "Connection reset", "Disconnected from", "Timeout before"];
        let preauth = line.contains("[preauth]") && ended.iter().any(|word| line.contains(word));
        preauth || line.contains("kex_exchange_identification") || line.contains("Exit before auth")
    };
    sshd.log().await.unwrap().iter().filter(is_end).count()
}

#[tokio::test]
async fn callers_who_leave_break_off_no_handshake() {
    let server = Strict::start().await;
    let pool = server.ours(PoolConfig::builder().max_connections(6));
    for n in 0..60 {
        // At any moment of a dial, and of the pool's.
        let _ = timeout(Duration::from_millis(n * 7 % 250), pool.acquire()).await;
    }
    // Dials that nobody waits for any more are finished, and kept.
    assert!(soon(pool.warm(6)).await.failures.is_empty());
    soon(pool.drain(Duration::from_secs(10))).await;
    assert_eq!(server.broken_off().await, 0);
    server.assert_lenient(0).await;
}

#[tokio::test]
async fn a_dial_that_a_returned_connection_made_needless_is_finished() {
    let server = Strict::start().await;
    let pool = Arc::new(server.ours(PoolConfig::builder().max_connections(8)));
    soon(pool.warm(2)).await;
    for _ in 0..5 {
        let held = soon(pool.acquire()).await.unwrap();
        let waiting: Vec<_> = (0..4)
            .map(|_| {
                let pool = Arc::clone(&pool);
                tokio::spawn(async move { drop(pool.acquire().await.unwrap()) })
            })
            .collect();
        drop(held);
        for one in waiting {
            soon(one).await.unwrap();
        }
    }
    soon(pool.drain(Duration::from_secs(10))).await;
    assert_eq!(server.broken_off().await, 0);
    server.assert_lenient(0).await;
}

#[tokio::test]
async fn a_drain_within_its_time_breaks_off_no_handshake() {
    let server = Strict::start().await;
    for n in 0..8 {
        let pool = server.ours(PoolConfig::builder().max_connections(4));
        let left = timeout(Duration::from_millis(n * 25), pool.acquire()).await;
        drop(left);
        soon(pool.drain(Duration::from_secs(10))).await;
    }
    assert_eq!(server.broken_off().await, 0);
    server.assert_lenient(0).await;
}

#[tokio::test]
async fn retries_break_off_no_handshake() {
    let server = Strict::start().await;
    let pool = server.ours(
        PoolConfig::builder()
            .max_connections(4)
            .retry_attempts(5)
            .retry_delay(Duration::from_millis(20))
            .acquire_timeout(LONG),
    );
    server.proxy.set_faults([Fault::Refuse]);
    let waiting = tokio::spawn({
        let pool = pool.clone();
        async move { pool.acquire().await.map(drop) }
    });
    while pool.stats().connect_failures < 2 {
        tokio::task::yield_now().await;
    }
    server.proxy.clear_faults();
    soon(waiting).await.unwrap().unwrap();
    soon(pool.drain(Duration::from_secs(10))).await;
    assert_eq!(server.broken_off().await, 0);
    server.assert_lenient(0).await;
}

#[tokio::test]
async fn a_wrong_key_is_shown_once_to_all_who_wait_and_nobody_is_punished() {
    let server = Strict::start().await;
    let pool =
        server.pool(PoolConfig::builder().max_connections(8), |ssh| ssh.private_key_text(keys::STRANGER.private));
    let all: Vec<_> = (0..50)
        .map(|_| {
            let pool = pool.clone();
            tokio::spawn(async move { pool.acquire().await.map(drop) })
        })
        .collect();
    for one in all {
        let error = soon(one).await.unwrap().unwrap_err();
        assert!(matches!(error, AcquireError::Connect { kind: FailureKind::Credentials, .. }), "{error:?}");
    }
    soon(pool.close()).await;
    assert_eq!(server.proxy.counters().accepted, 1, "one dial, and one failed login, for fifty callers");
    server.assert_lenient(1).await;
}

#[tokio::test]
async fn close_breaks_off_what_is_under_way_and_the_server_says_so() {
    let server = Strict::start().await;
    let pool = server.ours(PoolConfig::builder());
    server.proxy.set_faults([Fault::StallAfterBanner]);
    let waiting = tokio::spawn({
        let pool = pool.clone();
        async move { pool.acquire().await.map(drop) }
    });
    soon(server.proxy.wait_until(|seen| seen.to_client > 0)).await;
    soon(pool.close()).await;
    assert!(soon(waiting).await.unwrap().is_err());
    server.proxy.clear_faults();
    assert_eq!(server.broken_off().await, 1, "so the others' zero is a count");
}
