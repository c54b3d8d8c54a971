//! Handshakes that break off after the server's version line. OpenSSH 9.8 and later penalise an address for them, as
//! for failed logins, until it lets it in no more. The counting is the server's own: its log.

use std::time::Duration;

use tokio::time::timeout;
use xec_pool_core::{
    AcquireError, ConnectContext, FailureKind, Pool, PoolConfig, PoolConfigBuilder, Stats, Transport as _,
};
use xec_pool_ssh::{SshConfigBuilder, SshTransport};
use xec_pool_testkit::{
    FaultProxy, SshdContainer, keys,
    proxy::{Blow, Direction, Fault},
};

use super::{LONG, connect_with, soon, stranger};

/// How often the testkit asks a new server whether it listens, and leaves when it greets.
const PROBES: usize = 1;

/// More failed logins than any server that counts them lets pass, one soon after the other.
const ENOUGH: usize = 8;

/// So that a handshake takes a while.
const SLOW: Fault = Fault::Latency { delay: Duration::from_millis(15), jitter: Duration::from_millis(10) };

/// A server that punishes, where it knows how to, behind a slow way: handshakes last long enough to be left.
struct Strict {
    sshd: SshdContainer,
    proxy: FaultProxy,
    /// Its own probes, before we came.
    before: usize,
}

impl Strict {
    async fn start() -> Self {
        // What it notes without punishing it says in its debug lines only.
        let builder = SshdContainer::builder().penalties().config("LogLevel DEBUG");
        let sshd = builder.start().await.unwrap_or_else(|error| panic!("{error}"));
        let proxy = FaultProxy::start(sshd.addr()).await.unwrap();
        proxy.set_faults([SLOW]);
        // The testkit asked it whether it listens, and left: that is one, once its log says so.
        quiet(&sshd).await;
        let before = broken_off(&log_once(&sshd, |log| broken_off(log) > 0).await);
        Self { before, sshd, proxy }
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
        broken_off(&self.told().await) - self.before
    }

    /// Its log, up to the end of all connections. The engine delivers that when it likes, but in order: so a friend
    /// logs in after them, whom his kind of key tells from all others, and his line is waited for.
    async fn told(&self) -> Vec<String> {
        soon(self.proxy.wait_until(|seen| seen.open == 0)).await;
        quiet(&self.sshd).await;
        let friends = |log: &[String]| accepted(log).filter(|line| line.to_lowercase().contains("ecdsa")).count();
        let before = friends(&self.sshd.log().await.unwrap());
        let friend = stranger(&self.sshd, self.sshd.addr()).private_key_text(keys::USER_ECDSA.private);
        drop(soon(connect_with(friend)).await);
        log_once(&self.sshd, |log| friends(log) > before).await
    }

    /// The server noted nothing against us but these failures, and whoever may come still may.
    async fn assert_lenient(&self, failures: usize) {
        let (noted, shut_out) = notes(&self.told().await);
        // One is the testkit's, for asking whether it listens.
        assert!(noted.len() <= PROBES + failures, "{noted:#?}");
        assert!(shut_out.is_empty(), "{shut_out:#?}");
        let pool = self.ours(PoolConfig::builder());
        drop(soon(pool.acquire()).await.unwrap());
        pool.close().await;
    }
}

async fn until(pool: &Pool<SshTransport>, holds: fn(&Stats) -> bool) {
    soon(async {
        while !holds(&pool.stats()) {
            tokio::task::yield_now().await;
        }
    })
    .await;
}

/// Its log, once that holds.
async fn log_once(sshd: &SshdContainer, holds: impl Fn(&[String]) -> bool + Send + Sync) -> Vec<String> {
    soon(async {
        loop {
            let log = sshd.log().await.unwrap();
            if holds(&log) {
                break log;
            }
            tokio::task::yield_now().await;
        }
    })
    .await
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
fn broken_off(log: &[String]) -> usize {
    let is_end = |line: &&String| {
        let ended = ["Connection closed", "Connection reset", "Disconnected from", "Timeout before"];
        let preauth = line.contains("[preauth]") && ended.iter().any(|word| line.contains(word));
        preauth || line.contains("kex_exchange_identification") || line.contains("Exit before auth")
    };
    log.iter().filter(is_end).count()
}

/// The server's lines about whom it let in: OpenSSH's, or dropbear's.
fn accepted(log: &[String]) -> impl Iterator<Item = &String> {
    log.iter().filter(|line| line.contains("Accepted publickey") || line.contains("Pubkey auth succeeded"))
}

/// What the server noted against us, a line for each penalty that it gave or added to; and whom it shut out.
fn notes(log: &[String]) -> (Vec<String>, Vec<String>) {
    let is_note = |line: &&String| {
        // A third line about the same one tells when they are enough.
        line.contains("srclimit_penalise") && (line.contains(": new ") || line.contains("already exists"))
    };
    let noted = log.iter().filter(is_note).cloned().collect();
    (noted, log.iter().filter(|line| line.contains("drop connection")).cloned().collect())
}

/// Callers who leave at these moments of a dial, each of a pool of its own, and how many left before the dial's end.
async fn leave(server: &Strict, moments: impl Iterator<Item = u64>) -> usize {
    let mut left = 0;
    for moment in moments {
        let pool = server.ours(PoolConfig::builder());
        let served = timeout(Duration::from_millis(moment), pool.acquire()).await.is_ok();
        left += usize::from(!served && pool.stats().connecting > 0);
        // A dial that nobody waits for any more is finished, and kept.
        until(&pool, |stats| stats.connecting == 0).await;
        assert_eq!((pool.stats().idle, pool.stats().connect_failures), (1, 0), "left after {moment} ms");
        soon(pool.drain(Duration::from_secs(10))).await;
    }
    left
}

#[tokio::test]
async fn callers_who_leave_break_off_no_handshake() {
    let server = Strict::start().await;
    let lane = |first: u64| leave(&server, (first..250).step_by(12));
    let (one, two, three) = tokio::join!(lane(0), lane(4), lane(8));
    let left = one + two + three;
    // A dial has five round trips at least, of 30 ms at least.
    assert!(left >= 20, "{left} left in the middle of a dial");
    assert_eq!(server.broken_off().await, 0);
    server.assert_lenient(0).await;
}

#[tokio::test]
async fn a_dial_that_a_returned_connection_made_needless_is_finished() {
    let server = Strict::start().await;
    let pool = server.ours(PoolConfig::builder().max_connections(8));
    soon(pool.warm(2)).await;
    for _ in 0..5 {
        let mut held = Vec::new();
        for _ in 0..pool.stats().idle {
            held.push(soon(pool.acquire()).await.unwrap());
        }
        // The dial is under way for as long as it has to be.
        server.proxy.set_faults([Fault::Freeze(Direction::ToClient)]);
        let waiting = tokio::spawn({
            let pool = pool.clone();
            async move { pool.acquire().await.map(drop) }
        });
        until(&pool, |stats| stats.connecting > 0).await;
        drop(held);
        soon(waiting).await.unwrap().unwrap();
        assert_eq!(pool.stats().connecting, 1, "it was served before, and the dial goes on for nobody");
        server.proxy.set_faults([SLOW]);
        until(&pool, |stats| stats.connecting == 0).await;
    }
    assert_eq!(server.proxy.counters().accepted, 2 + 5);
    soon(pool.drain(Duration::from_secs(10))).await;
    assert_eq!(server.broken_off().await, 0);
    server.assert_lenient(0).await;
}

#[tokio::test]
async fn a_drain_within_its_time_breaks_off_no_handshake() {
    let server = Strict::start().await;
    let mut met = 0;
    for n in 0..8 {
        let pool = server.ours(PoolConfig::builder().max_connections(4));
        let left = timeout(Duration::from_millis(n * 20), pool.acquire()).await;
        drop(left);
        met += usize::from(pool.stats().connecting > 0);
        soon(pool.drain(Duration::from_secs(10))).await;
    }
    // A dial takes longer than all of these waits; a busy machine may wait longer than it was told to.
    assert!(met >= 4, "{met} drains met a dial");
    assert_eq!(server.proxy.counters().accepted, 8);
    assert_eq!(accepted(&server.told().await).count(), 8 + 1, "each dial was finished, and a friend came");
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
    // In the middle of the first packet after the version line.
    let strike = Fault::StrikeAfter { direction: Direction::ToClient, bytes: 100, blow: Blow::Close };
    server.proxy.set_faults([SLOW, strike]);
    let waiting = tokio::spawn({
        let pool = pool.clone();
        async move { pool.acquire().await.map(drop) }
    });
    until(&pool, |stats| stats.connect_failures >= 2).await;
    server.proxy.set_faults([SLOW]);
    soon(waiting).await.unwrap().unwrap();
    soon(pool.drain(Duration::from_secs(10))).await;
    let broken_off = server.broken_off().await;
    assert_eq!(broken_off as u64, pool.stats().connect_failures, "those that the way broke off, and not one more");
    server.assert_lenient(broken_off).await;
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

#[tokio::test]
async fn who_fails_too_often_is_shut_out_where_the_server_knows_how_and_the_counting_sees_it() {
    let server = Strict::start().await;
    let friend = server.ours(PoolConfig::builder());
    let version = soon(friend.acquire()).await.unwrap().server_version().to_owned();
    soon(friend.close()).await;
    let stranger = stranger(&server.sshd, server.proxy.addr()).private_key_text(keys::STRANGER.private);
    let stranger = SshTransport::new(stranger.build().unwrap());
    let mut failures = 0;
    let last = loop {
        let kind = soon(stranger.connect(ConnectContext::detached())).await.unwrap_err().kind();
        quiet(&server.sshd).await;
        if kind != FailureKind::Credentials || failures == ENOUGH {
            break kind;
        }
        failures += 1;
    };
    if knows_penalties(&version) {
        // It is the last thing that the server has to say.
        let (noted, shut_out) = notes(&log_once(&server.sshd, |log| !notes(log).1.is_empty()).await);
        assert_eq!(last, FailureKind::Throttled, "{version}");
        assert_eq!(noted.len(), PROBES + failures, "{version}: {noted:#?}");
        let is_why = |line: &String| line.contains("penalty: failed authentication");
        assert!(shut_out.iter().any(is_why), "{version}: {shut_out:#?}");
    } else {
        let (noted, shut_out) = notes(&server.told().await);
        assert_eq!((last, noted, shut_out), (FailureKind::Credentials, vec![], vec![]), "{version}");
    }
}

/// OpenSSH's, from 9.8 on.
fn knows_penalties(version: &str) -> bool {
    let Some((_, version)) = version.split_once("OpenSSH_") else { return false };
    let number = |text: &str| text.split(|c: char| !c.is_ascii_digit()).next().and_then(|digits| digits.parse().ok());
    let (major, minor) = version.split_once('.').expect("OpenSSH_9.2p1");
    let version: (u32, u32) = (number(major).expect("a number"), number(minor).expect("a number"));
    version >= (9, 8)
}
