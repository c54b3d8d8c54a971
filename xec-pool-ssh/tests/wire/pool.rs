//! Commands of a pool: connections are reused, replaced when they die, and given back whatever happens.

use std::time::Duration;

use xec_pool_core::{CloseReason, FailureKind, Pool, PoolConfig, PoolConfigBuilder};
use xec_pool_ssh::{ExitStatus, Phase, SshError, SshPool};
use xec_pool_testkit::{
    EmbeddedSsh,
    embedded::{Answer, AuthMethod, Fault, Step},
};

use super::support::{World, cut, soon};

fn pool(world: &World, config: PoolConfigBuilder) -> SshPool {
    Pool::builder(world.transport()).config(config.build().unwrap()).build().unwrap().into()
}

#[tokio::test]
async fn commands_share_few_connections() {
    let world = World::new().await;
    let pool = pool(&world, PoolConfig::builder().max_connections(4));
    for n in 0..10 {
        assert_eq!(pool.shell(format!("echo {n}")).output().await.unwrap().stdout, format!("{n}\n").into_bytes());
    }
    assert_eq!(world.server.counters().accepted, 1, "one after another: one connection");
    let all: Vec<_> = (0..32)
        .map(|n| {
            let pool = pool.clone();
            tokio::spawn(async move { pool.command("sh").args(["-c", &format!("exit {n}")]).status().await })
        })
        .collect();
    for (n, one) in (0..).zip(all) {
        assert_eq!(soon(one).await.unwrap().unwrap(), ExitStatus::Code(n));
    }
    assert!(world.server.counters().accepted <= 4);
    let report = soon(pool.drain(Duration::from_secs(5))).await;
    assert_eq!(report.killed, 0, "{report:?}");
    soon(world.server.wait_until(|counters| counters.open == 0)).await;
}

#[tokio::test]
async fn a_dropped_command_gives_its_connection_back() {
    let world = World::new().await;
    let pool = pool(&world, PoolConfig::builder().max_connections(1));
    for polls in 1..20 {
        // It ends by itself where it takes fewer polls.
        let _ = cut(pool.command("sleep").arg("0.02").output(), polls).await;
        assert!(soon(pool.command("true").status()).await.unwrap().success(), "after {polls} polls");
    }
    assert_eq!(world.server.counters().accepted, 1, "and it is still the same one");
    assert_eq!(pool.stats().leases, 0);
}

#[tokio::test]
async fn connections_that_died_idle_cost_nobody_a_command() {
    let world = World::new().await;
    let pool = pool(&world, PoolConfig::builder().max_connections(4));
    for _ in 0..5 {
        assert_eq!(pool.warm(4).await.failures.len(), 0);
        let killed = world.server.kill_connections();
        assert!(killed > 0);
        // At once: nobody has had time to notice.
        assert!(soon(pool.command("true").status()).await.unwrap().success());
    }
}

#[tokio::test]
async fn what_was_not_sent_runs_on_another_connection_and_only_once() {
    let world = World::of(EmbeddedSsh::builder().answer(|_| Answer::ok("once"))).await;
    let pool = pool(&world, PoolConfig::builder().max_connections(1));
    assert!(pool.command("any").status().await.unwrap().success());
    world.server.set_fault_times(Step::Open, Fault::Die, 1);
    assert!(soon(pool.command("any").status()).await.unwrap().success());
    let counters = world.server.counters();
    assert_eq!((counters.commands, counters.accepted), (2, 2));
}

#[tokio::test]
async fn what_was_sent_is_never_sent_again() {
    let world = World::of(EmbeddedSsh::builder().answer(|_| Answer::ok("once"))).await;
    let pool = pool(&world, PoolConfig::builder().max_connections(1));
    assert!(pool.command("any").status().await.unwrap().success());
    world.server.set_fault(Step::Exec, Fault::Die);
    let error = soon(pool.command("any").status()).await.unwrap_err();
    assert!(
        matches!(error, SshError::ConnectionLost { phase: Phase::Requested, .. }) && error.maybe_ran(),
        "{error:?}"
    );
    assert_eq!(world.server.counters().commands, 2);
    // The server closes before it answers, so this is the pool's affair now.
    world.server.clear_fault(Step::Exec);
    assert!(soon(pool.command("any").status()).await.unwrap().success());
}

#[tokio::test]
async fn a_connection_lost_while_idle_is_closed_as_lost() {
    let world = World::new().await;
    let pool = pool(&world, PoolConfig::builder().max_connections(1).recreate_on_error(false));
    let mut events = pool.subscribe();
    drop(pool.acquire().await.unwrap());
    world.server.kill_connections();
    soon(async {
        while let Some(event) = events.next().await {
            if let xec_pool_core::PoolEvent::Destroyed { reason, .. } = event {
                assert_eq!(reason, CloseReason::Lost);
                return;
            }
        }
    })
    .await;
    assert_eq!(pool.stats().open(), 0);
}

#[tokio::test]
async fn a_wrong_password_is_asked_once_and_everybody_is_told() {
    let world = World::of(EmbeddedSsh::builder().accept_password("tester", "right")).await;
    let transport = super::support::transport(world.stranger().password("wrong"));
    let pool: SshPool = Pool::builder(transport).build().unwrap().into();
    let (first, second) = tokio::join!(soon(pool.command("a").output()), soon(pool.command("b").output()));
    for error in [first.unwrap_err(), second.unwrap_err()] {
        assert!(matches!(error, SshError::Acquire { .. }), "{error:?}");
        assert_eq!((error.kind(), error.phase()), (FailureKind::Credentials, Phase::NotSent));
        assert!(!error.is_retryable() && !error.maybe_ran());
    }
    let attempts = world.server.counters().auth_attempts;
    assert_eq!(attempts.iter().filter(|attempt| attempt.method == AuthMethod::Password).count(), 1);
}

#[tokio::test]
async fn a_command_that_cannot_be_sent_borrows_nothing() {
    let world = World::new().await;
    let pool = pool(&world, PoolConfig::builder());
    assert!(matches!(pool.command("\0").output().await, Err(SshError::InvalidCommand { .. })));
    assert_eq!((world.server.counters().accepted, pool.stats().connecting), (0, 0));
}

#[tokio::test]
async fn a_configuration_brings_its_pool_along() {
    let world = World::new().await;
    let mut config = world.config().build().unwrap();
    *config.pool_mut() = PoolConfig::builder().max_connections(3).build().unwrap();
    assert_eq!(SshPool::new(config).unwrap().stats().max, 3);
}

#[tokio::test]
async fn a_closed_pool_runs_nothing() {
    let world = World::new().await;
    let pool = pool(&world, PoolConfig::builder());
    let running = pool.command("sleep").arg("1000").output();
    let (error, _) = tokio::join!(soon(running), async {
        world.server.wait_until(|counters| counters.commands == 1).await;
        pool.close().await
    });
    assert!(error.unwrap_err().maybe_ran(), "it was running");
    let error = pool.command("true").output().await.unwrap_err();
    assert!(matches!(error, SshError::Acquire { .. }) && !error.is_retryable(), "{error:?}");
    soon(world.server.wait_until(|counters| counters.open == 0)).await;
}

#[tokio::test]
async fn four_hundred_commands_at_eight_at_once_never_fail() {
    let world = World::of(EmbeddedSsh::builder().answer(|_| Answer::ok("hello\n")).max_sessions(10)).await;
    let pool = pool(&world, PoolConfig::builder().max_connections(8));
    let workers: Vec<_> = (0..8)
        .map(|_| {
            let pool = pool.clone();
            tokio::spawn(async move {
                for _ in 0..50 {
                    assert_eq!(pool.command("any").output().await.unwrap().stdout, b"hello\n");
                }
            })
        })
        .collect();
    for worker in workers {
        soon(worker).await.unwrap();
    }
    assert_eq!(world.server.counters().commands, 400);
}
