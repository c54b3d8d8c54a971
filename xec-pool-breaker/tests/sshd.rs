//! OpenSSH's own sshd: killed or frozen under eight callers who never stop, and brought back; and asked with a wrong key.
#![cfg(unix)]
#![expect(clippy::unwrap_used, reason = "in a test it is a check")]

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use tokio::task::{JoinSet, spawn_blocking};
use xec_pool_breaker::{Breaker, BreakerConfig, BreakerState};
use xec_pool_core::{AcquireError, Cause, Events, FailureKind, Pool, PoolConfig, PoolEvent};
use xec_pool_ssh::{SshConfig, SshConfigBuilder, SshError, SshPool, SshTransport};
use xec_pool_testkit::{LocalSshd, Recorder, keys};

const CALLERS: u32 = 8;
const THRESHOLD: u32 = 3;
const OPEN_FOR: Duration = Duration::from_millis(1_500);

/// A caller's deadline; and how late a busy machine may notice it. Together less than `OPEN_FOR`: who waited for that
/// instead of being told is late.
const PATIENCE: Duration = Duration::from_millis(500);
const GRACE: Duration = Duration::from_millis(900);

/// Longer than anything here takes.
const LONG: Duration = Duration::from_secs(30);

#[derive(Clone, Copy, Debug)]
enum Outage {
    /// Refuses connections, and cuts those that are open.
    Killed,
    /// Takes connections, and says nothing on any.
    Frozen,
}

impl Outage {
    fn begin(self, sshd: &mut LocalSshd) {
        match self {
            Self::Killed => {
                sshd.kill();
                sshd.kill_connections();
            }
            Self::Frozen => sshd.stop(),
        }
    }

    fn end(self, sshd: &mut LocalSshd) {
        match self {
            Self::Killed => sshd.restart().unwrap(),
            Self::Frozen => sshd.cont(),
        }
    }
}

fn host(sshd: &LocalSshd) -> SshConfigBuilder {
    let target = format!("{}@{}", sshd.user(), sshd.addr());
    SshConfig::builder(target.parse().unwrap()).known_hosts([sshd.known_hosts_path()])
}

fn guarded(sshd: &LocalSshd, breaker: &Breaker, recorder: &Recorder) -> SshPool {
    let host = host(sshd)
        .private_key(sshd.key_path())
        .keepalive_interval(Duration::from_millis(200))
        .keepalive_max(2)
        .inactivity_timeout(Duration::from_secs(1));
    // One dial at a time, so that it is known how many open the circuit.
    let size =
        PoolConfig::builder().max_connections(4).max_concurrent_connects(1).connect_timeout(Duration::from_millis(400));
    let size =
        size.retry_attempts(20).retry_delay(Duration::from_millis(20)).retry_max_delay(Duration::from_millis(40));
    let size = size.acquire_timeout(PATIENCE).queue_timeout(None);
    let builder = Pool::builder(SshTransport::new(host.build().unwrap())).config(size.build().unwrap());
    builder.gate(breaker.clone()).observer(recorder.clone()).build().unwrap().into()
}

/// What became of one caller's commands.
#[derive(Default)]
struct Calls {
    /// How long it waited for a connection, or to be told that there is none.
    longest: Duration,
    refused: u32,
    other: Vec<String>,
}

/// Runs commands until one succeeds after the host is back, and never for longer than it must.
async fn call(pool: SshPool, back: tokio::sync::watch::Receiver<bool>) -> Calls {
    let mut calls = Calls::default();
    loop {
        let (was_back, begin) = (*back.borrow(), Instant::now());
        let connection = pool.acquire().await;
        calls.longest = calls.longest.max(begin.elapsed());
        match connection {
            Ok(connection) => match connection.command("true").timeout(LONG).status().await {
                Ok(_) if was_back => return calls,
                // Lost: it ran when the host went away.
                Ok(_) | Err(SshError::ConnectionLost { .. }) => {}
                Err(other) => calls.other.push(format!("{other:?}")),
            },
            Err(AcquireError::CircuitOpen { .. }) => calls.refused += 1,
            // Not open yet, or a probe is out: that may take longer than a caller has.
            Err(AcquireError::TimedOut { .. }) => {}
            Err(other) => calls.other.push(format!("{other:?}")),
        }
        tokio::time::sleep(Duration::from_millis(5)).await; // sleep is the subject: callers are not a busy loop
    }
}

async fn heard(events: &mut Events, name: &str) {
    while events.next().await.expect("the pool is there").seed_name() != Some(name) {}
}

async fn goes_away_and_comes_back(outage: Outage) {
    let mut sshd = spawn_blocking(|| LocalSshd::start().unwrap()).await.unwrap();
    let config = BreakerConfig::builder().failure_threshold(THRESHOLD).open_for(OPEN_FOR).open_for_jitter(0.0);
    let (breaker, recorder) = (Breaker::new(config.build().unwrap()), Recorder::new());
    let pool = guarded(&sshd, &breaker, &recorder);
    pool.warm(4).await;
    let mut events = pool.subscribe();
    let (tell, back) = tokio::sync::watch::channel(false);
    let mut callers = JoinSet::new();
    (0..CALLERS).for_each(|_| _ = callers.spawn(call(pool.clone(), back.clone())));

    let mut sshd = spawn_blocking(move || (outage.begin(&mut sshd), sshd).1).await.unwrap();
    heard(&mut events, "circuit:open").await;
    let opened = Instant::now();
    for _ in 0..2 {
        heard(&mut events, "circuit:open").await;
    }
    // The opening is heard of a moment after it began: that much is granted.
    let openings = (opened.elapsed().as_secs_f64() / OPEN_FOR.as_secs_f64()).floor() as usize + 1;
    let dialled = recorder.count(|event| matches!(event, PoolEvent::ConnectFailed { .. }));
    let after_opening = dialled.saturating_sub(THRESHOLD as usize);
    // The last opening is heard of before its dial is.
    assert!(after_opening >= 1, "{outage:?}: it is asked now and then: {after_opening} dials");
    assert!(after_opening <= openings, "{outage:?}: {after_opening} dials in {openings} times open_for");

    let _sshd = spawn_blocking(move || (outage.end(&mut sshd), sshd).1).await.unwrap();
    tell.send(true).unwrap();
    heard(&mut events, "circuit:close").await;
    let mut refused = 0;
    for calls in callers.join_all().await {
        assert_eq!(calls.other, Vec::<String>::new(), "{outage:?}");
        assert!(calls.longest < PATIENCE + GRACE, "{outage:?}: a caller with {PATIENCE:?} waited {:?}", calls.longest);
        refused += calls.refused;
    }
    assert!(refused > CALLERS, "{outage:?}: while open, all are refused, time and again: {refused}");
    assert_eq!(breaker.state(), BreakerState::Closed);
    pool.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_host_that_is_killed_is_left_alone_and_found_again() {
    goes_away_and_comes_back(Outage::Killed).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_host_that_is_frozen_is_left_alone_and_found_again() {
    goes_away_and_comes_back(Outage::Frozen).await;
}

/// What keeps a pool from the penalties of OpenSSH 9.8: 5 s a login that fails.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wrong_key_behind_a_breaker_costs_the_server_one_login_however_many_callers_come_later() {
    let sshd = spawn_blocking(|| LocalSshd::start().unwrap()).await.unwrap();
    let stranger = host(&sshd).private_key_text(keys::STRANGER.private).build().unwrap();
    let breaker = Breaker::new(BreakerConfig::default());
    let pool = Pool::builder(SshTransport::new(stranger)).gate(breaker.clone()).build().unwrap();
    let error = pool.acquire().await.unwrap_err();
    let AcquireError::Connect { kind: FailureKind::Credentials, cause: first, .. } = error else { panic!("{error:?}") };
    let first: Cause = first;
    for _ in 1..50 {
        let error = pool.acquire().await.unwrap_err();
        let AcquireError::CircuitOpen { retry_after: None, cause: Some(cause), .. } = error else {
            panic!("{error:?}")
        };
        assert!(Arc::ptr_eq(&cause, &first), "{cause}");
    }
    assert_eq!(breaker.snapshot().credentials, [pool.id()]);

    // What is said comes in order: with the right key's login all is there that came before it.
    let friend = host(&sshd).private_key(sshd.key_path()).build().unwrap();
    drop(Pool::builder(SshTransport::new(friend)).build().unwrap().acquire().await.unwrap());
    let begin = Instant::now();
    let said = |word: &str| sshd.log().iter().filter(|line| line.contains(word)).count();
    while said("Accepted publickey") == 0 {
        assert!(begin.elapsed() < LONG, "{:#?}", sshd.log());
        tokio::task::yield_now().await;
    }
    assert_eq!(said("Connection from"), 2, "one with each key: {:#?}", sshd.log());
}
