//! A real host that goes away and comes back: OpenSSH's own sshd, killed or frozen under eight callers who never stop.
#![cfg(unix)]
#![expect(clippy::unwrap_used, reason = "in a test it is a check")]

use std::time::{Duration, Instant};

use tokio::task::{JoinSet, spawn_blocking};
use xec_pool_breaker::{Breaker, BreakerConfig, BreakerState};
use xec_pool_core::{AcquireError, Events, Pool, PoolConfig, PoolEvent};
use xec_pool_ssh::{SshConfig, SshError, SshPool, SshTransport};
use xec_pool_testkit::{LocalSshd, Recorder};

const CALLERS: u32 = 8;
const THRESHOLD: u32 = 3;
const OPEN_FOR: Duration = Duration::from_millis(300);

/// A caller's deadline; and how late a busy machine may notice it.
const PATIENCE: Duration = Duration::from_secs(15);
const GRACE: Duration = Duration::from_secs(10);

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

fn guarded(sshd: &LocalSshd, breaker: &Breaker, recorder: &Recorder) -> SshPool {
    let host = SshConfig::builder(format!("{}@{}", sshd.user(), sshd.addr()).parse().unwrap())
        .known_hosts([sshd.known_hosts_path()])
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
    late: u32,
    refused: u32,
    other: Vec<String>,
}

/// Runs commands until one succeeds after the host is back, and never for longer than it must.
async fn call(pool: SshPool, back: tokio::sync::watch::Receiver<bool>) -> Calls {
    let mut calls = Calls::default();
    loop {
        let (was_back, begin) = (*back.borrow(), Instant::now());
        let status = pool.command("true").timeout(PATIENCE).status().await;
        calls.late += u32::from(begin.elapsed() > PATIENCE + GRACE);
        match status {
            Ok(_) if was_back => return calls,
            Ok(_) => {}
            Err(SshError::Acquire { source, .. }) if matches!(*source, AcquireError::CircuitOpen { .. }) => {
                calls.refused += 1;
            }
            // It ran when the host went away.
            Err(SshError::ConnectionLost { .. }) => {}
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
    for _ in 0..3 {
        heard(&mut events, "circuit:open").await;
    }
    // The opening is heard of a moment after it began: that much is granted.
    let openings = (opened.elapsed().as_secs_f64() / OPEN_FOR.as_secs_f64()).floor() as usize + 1;
    let dialled = recorder.count(|event| matches!(event, PoolEvent::ConnectFailed { .. }));
    let after_opening = dialled.saturating_sub(THRESHOLD as usize);
    assert!(after_opening >= 2, "{outage:?}: it is asked now and then: {after_opening} dials");
    assert!(after_opening <= openings, "{outage:?}: {after_opening} dials in {openings} times open_for");

    let _sshd = spawn_blocking(move || (outage.end(&mut sshd), sshd).1).await.unwrap();
    tell.send(true).unwrap();
    heard(&mut events, "circuit:close").await;
    let mut refused = 0;
    for calls in callers.join_all().await {
        assert_eq!((calls.late, calls.other), (0, Vec::new()), "{outage:?}: a caller waited too long, or in vain");
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
