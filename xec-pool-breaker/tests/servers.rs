//! A breaker before a server that punishes: OpenSSH 9.8 and later shuts an address out after some failed logins. In
//! containers, so also those of other releases (`cargo xtask test --sshd bookworm,trixie`).
#![cfg(unix)]
#![expect(clippy::unwrap_used, reason = "in a test it is a check")]

use std::time::Duration;

use tokio::time::timeout;
use xec_pool_breaker::{Breaker, BreakerConfig};
use xec_pool_core::{AcquireError, FailureKind, Pool};
use xec_pool_ssh::{SshConfig, SshConfigBuilder, SshTransport};
use xec_pool_testkit::{SshdContainer, keys};

/// More than any server that counts failed logins lets pass, one soon after the other.
const CALLERS: usize = 20;

/// How often the testkit asks a new server whether it listens, and leaves when it greets.
const PROBES: usize = 1;

/// Longer than anything here takes.
const LONG: Duration = Duration::from_secs(60);

async fn soon<F: Future>(future: F) -> F::Output {
    timeout(LONG, future).await.expect("this ends, and quickly")
}

fn host(sshd: &SshdContainer) -> SshConfigBuilder {
    let target = format!("{}@{}", sshd.user(), sshd.addr());
    SshConfig::builder(target.parse().unwrap()).known_hosts([sshd.known_hosts_path()])
}

/// Its log, once it serves nobody: the last lines are those of processes that are still ending.
async fn log(sshd: &SshdContainer) -> Vec<String> {
    while soon(sshd.processes()).await.unwrap().iter().any(|name| name.starts_with("sshd")) {
        tokio::task::yield_now().await;
    }
    sshd.log().await.unwrap()
}

#[tokio::test]
async fn callers_with_a_wrong_key_who_come_one_after_the_other_cost_one_login_and_shut_nobody_out() {
    // What it notes without punishing it says in its debug lines only.
    let builder = SshdContainer::builder().penalties().config("LogLevel DEBUG");
    let sshd = builder.start().await.unwrap_or_else(|error| panic!("{error}"));
    let stranger = host(&sshd).private_key_text(keys::STRANGER.private).build().unwrap();
    let breaker = Breaker::new(BreakerConfig::default());
    let pool = Pool::builder(SshTransport::new(stranger)).gate(breaker).build().unwrap();
    let error = soon(pool.acquire()).await.unwrap_err();
    assert!(matches!(error, AcquireError::Connect { kind: FailureKind::Credentials, .. }), "{error:?}");
    for _ in 1..CALLERS {
        let error = soon(pool.acquire()).await.unwrap_err();
        assert!(matches!(error, AcquireError::CircuitOpen { retry_after: None, cause: Some(_), .. }), "{error:?}");
    }
    soon(pool.close()).await;

    let log = log(&sshd).await;
    let said = |word: &str| log.iter().filter(|line| line.contains(word)).count();
    assert_eq!(said("Failed publickey"), 1, "{log:#?}");
    assert_eq!(said("Connection from"), PROBES + 1, "{log:#?}");
    assert_eq!(said("drop connection"), 0, "{log:#?}");
    // From the same address, which is in no disgrace.
    let friend = host(&sshd).private_key(sshd.key_path()).build().unwrap();
    let friend = Pool::builder(SshTransport::new(friend)).build().unwrap();
    drop(soon(friend.acquire()).await.unwrap());
    soon(friend.close()).await;
}
