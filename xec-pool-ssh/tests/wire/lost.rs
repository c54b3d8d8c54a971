//! Connections that break, and what is told about it.

use std::time::Duration;

use xec_pool_core::{Check, ConnectContext, FailureKind, Transport as _};
use xec_pool_ssh::{LossCause, Phase, SshConnection, SshError};
use xec_pool_testkit::{
    EmbeddedSsh,
    embedded::{Fault, Step},
};

use super::support::{World, noise, soon, transport, watched};

fn assert_lost(error: &SshError, expected: Phase) {
    assert!(matches!(error, SshError::ConnectionLost { phase, .. } if *phase == expected), "{error:?}");
    assert_eq!(error.kind(), FailureKind::Lost);
    assert_eq!(error.maybe_ran(), expected > Phase::NotSent);
    assert_eq!(error.is_retryable(), expected == Phase::NotSent);
}

#[tokio::test]
async fn death_at_each_step_of_a_command_is_told_with_its_phase() {
    for (step, phase) in
        [(Step::Open, Phase::NotSent), (Step::Exec, Phase::Requested), (Step::MidOutput, Phase::Running)]
    {
        let world = World::of(EmbeddedSsh::builder().fault(step, Fault::Die)).await;
        let connection = world.connect().await;
        let error = soon(connection.shell("echo hello").output()).await.unwrap_err();
        assert_lost(&error, phase);
        assert!(world.transport().is_broken(&connection), "{step:?}");
    }
}

#[tokio::test]
async fn a_connection_that_dies_idle_says_so_by_itself() {
    let world = World::new().await;
    let (cx, _cancelled, mut lost) = watched();
    let transport = world.transport();
    let connection = transport.connect(cx).await.unwrap();
    assert_eq!(world.server.kill_connections(), 1);
    let why = soon(lost.recv()).await.unwrap();
    assert!(!why.is_empty());
    assert!(transport.is_broken(&connection));
    for check in [Check::Borrow, Check::Return, Check::Idle] {
        assert!(transport.validate(&connection, check).await.is_err());
    }
    assert_lost(&connection.command("true").output().await.unwrap_err(), Phase::NotSent);
    drop(connection);
    assert!(soon(lost.recv()).await.is_none(), "said once");
}

#[tokio::test]
async fn a_connection_that_we_end_is_not_lost() {
    let world = World::new().await;
    for graceful in [true, false] {
        let (cx, _cancelled, mut lost) = watched();
        let transport = world.transport();
        let connection = transport.connect(cx).await.unwrap();
        if graceful {
            soon(transport.close(connection, xec_pool_core::CloseReason::IdleTimeout)).await;
        } else {
            drop(connection);
        }
        soon(world.server.wait_until(|counters| counters.open == 0)).await;
        // All that could still tell holds the other end: when it is gone, nothing was told.
        assert_eq!(soon(lost.recv()).await, None);
    }
}

/// The answer to a command during which `trouble` comes, once it runs.
async fn troubled(world: &World, connection: &SshConnection, input: usize, trouble: impl FnOnce()) -> SshError {
    let mut command = connection.shell("echo started >&2; sleep 1000");
    command.stdin(noise(input).to_vec());
    let (output, ()) = tokio::join!(soon(command.output()), async {
        world.server.wait_until(|counters| counters.commands == 1).await;
        trouble();
    });
    output.unwrap_err()
}

#[tokio::test]
async fn a_server_killed_while_a_command_runs_or_is_fed() {
    for input in [0, 10 << 20] {
        let world = World::of(EmbeddedSsh::builder().starve_stdin()).await;
        let connection = world.connect().await;
        let error = troubled(&world, &connection, input, || {
            world.server.kill_connections();
        })
        .await;
        assert!(matches!(error, SshError::ConnectionLost { .. }) && error.maybe_ran(), "{input}: {error:?}");
    }
}

#[tokio::test]
async fn a_server_that_freezes_while_a_command_runs_or_is_fed_is_noticed() {
    for input in [0, 64 << 20] {
        let world = World::new().await;
        let connection = transport(world.nervous()).connect(ConnectContext::detached()).await.unwrap();
        let error = troubled(&world, &connection, input, || world.server.pause()).await;
        assert!(
            matches!(error, SshError::ConnectionLost { cause: LossCause::Silent, .. }) && error.maybe_ran(),
            "{input}: {error:?}"
        );
    }
}

#[tokio::test]
async fn a_server_that_freezes_while_idle_is_noticed() {
    let world = World::new().await;
    let (cx, _cancelled, mut lost) = watched();
    let connection = transport(world.nervous()).connect(cx).await.unwrap();
    world.server.pause();
    soon(lost.recv()).await.unwrap();
    assert!(connection.is_closed());
}

#[tokio::test]
async fn an_idle_connection_lives_on_keepalives() {
    let world = World::new().await;
    let config =
        world.config().keepalive_interval(Duration::from_millis(20)).inactivity_timeout(Duration::from_millis(200));
    let connection = transport(config).connect(ConnectContext::detached()).await.unwrap();
    let before = connection.received_bytes();
    // The answers to the keepalives are the clock: so many take longer than the inactivity timeout.
    while connection.received_bytes() < before + 30 * 28 {
        tokio::task::yield_now().await;
    }
    assert!(connection.command("true").status().await.unwrap().success());
}

#[tokio::test]
async fn cancelling_ends_a_connection_even_while_it_is_lent() {
    let world = World::new().await;
    let (cx, cancelled, mut lost) = watched();
    let connection = world.transport().connect(cx).await.unwrap();
    let error = troubled(&world, &connection, 0, || cancelled.cancel()).await;
    assert!(matches!(error, SshError::ConnectionLost { cause: LossCause::Ended, .. }), "{error:?}");
    soon(world.server.wait_until(|counters| counters.open == 0)).await;
    drop(connection);
    assert_eq!(soon(lost.recv()).await, None, "it was the pool's own choice");
}

#[tokio::test]
async fn a_disconnect_comes_with_the_servers_words() {
    let world = World::new().await;
    let connection = world.connect().await;
    let command = connection.shell("exec sleep 1000");
    let words = "maintenance\x07 begins";
    let (output, ()) = tokio::join!(soon(command.output()), async {
        world.server.wait_until(|counters| counters.commands == 1).await;
        assert_eq!(world.server.disconnect(words).await, 1);
    });
    let error = output.unwrap_err();
    let SshError::ConnectionLost { cause: LossCause::Disconnected { message, .. }, .. } = &error else {
        panic!("{error:?}")
    };
    assert_eq!(message, "maintenance begins", "and nothing that a terminal would obey");
    assert!(error.to_string().contains("«maintenance begins»") && error.maybe_ran(), "{error}");
    soon(world.server.wait_until(|counters| counters.open == 0)).await;
}

#[tokio::test]
async fn a_disconnect_while_idle_is_told_with_the_servers_words() {
    let world = World::new().await;
    let (cx, _cancelled, mut lost) = watched();
    let connection = world.transport().connect(cx).await.unwrap();
    assert_eq!(world.server.disconnect("too many users").await, 1);
    let why = soon(lost.recv()).await.unwrap();
    assert!(why.contains("too many users"), "{why}");
    assert_lost(&connection.command("true").output().await.unwrap_err(), Phase::NotSent);
}
