//! A dial that hangs is ended by the transport, which knows in what, and not by the pool, which knows how long only.
//! ssh's own limits are at their defaults here: longer, in sum, than any of these pools waits.

use std::time::Duration;

use tokio::task::JoinSet;
use xec_pool_core::{AcquireError, DialError, Pool, PoolConfig};
use xec_pool_ssh::{Phase, SshConfig, SshConfigBuilder, SshError};
use xec_pool_testkit::{
    EmbeddedSsh,
    embedded::{Fault, Step},
    keys,
};

use super::support::{Hole, LONG, World, folder, soon, transport};

/// For what hangs before anything of the server's is waited for.
const SHORT: Duration = Duration::from_millis(200);

/// For what hangs after that: a busy machine has come there by then.
const MIDDLING: Duration = Duration::from_secs(3);

/// In what the only dial of such a pool got stuck, and after which time, as its caller is told.
async fn stuck(config: SshConfigBuilder, connect_timeout: Duration) -> (Phase, Duration) {
    let pool = PoolConfig::builder().connect_timeout(connect_timeout).acquire_timeout(LONG).retry_attempts(0);
    let pool = Pool::builder(transport(config)).config(pool.build().unwrap()).build().unwrap();
    let error = soon(pool.acquire()).await.unwrap_err();
    let AcquireError::Connect { cause, .. } = error else { panic!("{error:?}") };
    let DialError::Transport(SshError::TimedOut { phase, after, .. }) = &*cause else { panic!("{cause:?}") };
    assert!(*after < connect_timeout, "{after:?}");
    (*phase, *after)
}

#[tokio::test]
async fn silence_at_each_step_is_told_with_its_phase_before_the_pool_gives_up() {
    let mut all = JoinSet::new();
    for (step, phase) in
        [(Step::Accept, Phase::Banner), (Step::Banner, Phase::Kex), (Step::Kex, Phase::Kex), (Step::Auth, Phase::Auth)]
    {
        all.spawn(async move {
            let world = World::of(EmbeddedSsh::builder().fault(step, Fault::Hang)).await;
            assert_eq!(stuck(world.config(), MIDDLING).await.0, phase, "{step:?}");
        });
    }
    while let Some(one) = all.join_next().await {
        one.unwrap();
    }
}

#[tokio::test]
async fn a_black_hole_is_told_from_a_slow_server_before_the_pool_gives_up() {
    let (world, hole) = (World::new().await, Hole::new());
    let config = SshConfig::builder(format!("tester@{}", hole.address).parse().unwrap())
        .known_hosts([world.known_hosts.path()])
        .private_key_text(keys::USER_ED25519.private);
    let (phase, after) = stuck(config, MIDDLING).await;
    assert_eq!(phase, Phase::Tcp);
    assert!(after > MIDDLING / 2, "most of its time is a dial's own: {after:?}");
}

/// A pipe that nobody writes to: who waits for that still would keep the runtime from ending.
#[cfg(unix)]
struct Released(std::path::PathBuf);

#[cfg(unix)]
impl Drop for Released {
    fn drop(&mut self) {
        let _ = std::fs::OpenOptions::new().read(true).write(true).open(&self.0);
    }
}

#[cfg(unix)]
#[tokio::test]
async fn a_key_file_that_never_comes_is_told_before_the_pool_gives_up() {
    let (world, folder) = (World::new().await, folder());
    let pipe = folder.path().join("key");
    assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let _released = Released(pipe.clone());
    let (phase, _) = stuck(world.stranger().private_key(&pipe), SHORT).await;
    assert_eq!((phase, world.server.counters().accepted), (Phase::Prepare, 0));
}

/// A quarter of a minute is jumped over once the dial is stuck.
#[tokio::test]
async fn the_transport_is_the_first_to_give_up_at_the_pool_s_default_as_well() {
    let world = World::of(EmbeddedSsh::builder().fault(Step::Accept, Fault::Hang)).await;
    let default = Duration::from_secs(15);
    let stuck = tokio::spawn(stuck(world.config().banner_timeout(LONG), default));
    soon(world.server.wait_until(|counters| counters.accepted == 1)).await;
    tokio::time::pause();
    let (phase, after) = stuck.await.unwrap();
    assert_eq!(phase, Phase::Banner);
    assert!(after > default - Duration::from_secs(1), "{after:?}");
}
