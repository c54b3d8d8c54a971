//! What a pool asks of the transport: checks, closes, classes of failures.

use std::time::{Duration, Instant};

use xec_pool_core::{Check, CloseReason, Transport as _};
use xec_pool_ssh::{Phase, SshError};
use xec_pool_testkit::{
    EmbeddedSsh,
    embedded::{Fault, Step},
};

use super::support::{World, soon};

#[tokio::test]
async fn checks_on_the_way_of_a_borrow_send_nothing() {
    let world = World::new().await;
    let transport = world.transport().ping_after(Duration::ZERO);
    let connection = world.connect().await;
    let sent = connection.sent_bytes();
    for check in [Check::Borrow, Check::Return] {
        transport.validate(&connection, check).await.unwrap();
    }
    assert_eq!(connection.sent_bytes(), sent);
    transport.validate(&connection, Check::Idle).await.unwrap();
    assert!(connection.sent_bytes() > sent, "an idle check pings");
}

#[tokio::test]
async fn an_idle_check_of_a_connection_that_has_just_spoken_sends_nothing() {
    let world = World::new().await;
    let connection = world.connect().await;
    let sent = connection.sent_bytes();
    world.transport().validate(&connection, Check::Idle).await.unwrap();
    assert_eq!(connection.sent_bytes(), sent);
}

#[tokio::test]
async fn a_ping_that_is_not_answered_fails_in_time() {
    let world = World::new().await;
    let connection = world.connect().await;
    world.server.pause();
    let limit = Duration::from_millis(100);
    let error = soon(connection.ping(limit)).await.unwrap_err();
    assert!(matches!(error, SshError::TimedOut { phase: Phase::NotSent, after, .. } if after == limit), "{error:?}");
    world.server.resume();
    assert!(soon(connection.ping(Duration::from_secs(5))).await.is_ok(), "and harms nobody");
}

#[tokio::test]
async fn a_ping_does_not_lie_when_the_server_dies_meanwhile() {
    let world = World::new().await;
    let connection = world.connect().await;
    world.server.pause();
    let (answer, ()) = tokio::join!(soon(connection.ping(Duration::from_secs(20))), async {
        world.server.kill_connections();
    });
    assert!(matches!(answer, Err(SshError::ConnectionLost { .. })), "{answer:?}");
}

#[tokio::test]
async fn close_says_goodbye_and_is_quick() {
    let world = World::new().await;
    let connection = world.connect().await;
    let began = Instant::now();
    soon(world.transport().close(connection, CloseReason::IdleTimeout)).await;
    assert!(began.elapsed() < Duration::from_secs(1), "a server that listens costs no wait");
    soon(world.server.wait_until(|counters| counters.open == 0)).await;
}

#[tokio::test]
async fn close_does_not_wait_for_a_frozen_server() {
    let world = World::new().await;
    let connection = world.connect().await;
    world.server.pause();
    let began = Instant::now();
    soon(world.transport().close(connection, CloseReason::Drained)).await;
    assert!(began.elapsed() < Duration::from_secs(3), "{:?}", began.elapsed());
}

#[tokio::test]
async fn dropping_a_close_in_the_middle_ends_the_connection() {
    let world = World::new().await;
    let connection = world.connect().await;
    let _ = super::support::cut(world.transport().close(connection, CloseReason::Drained), 1).await;
    soon(world.server.wait_until(|counters| counters.open == 0)).await;
}

#[tokio::test]
async fn errors_name_the_host_and_hold_no_secret() {
    let world = World::of(EmbeddedSsh::builder().fault(Step::Exec, Fault::Die)).await;
    let connection = world.connect().await;
    let error = connection.command("secret-command").env("TOKEN", "hunter2").output().await.unwrap_err();
    let text = format!("{error} {error:?}");
    assert!(text.contains(&world.server.addr().to_string()), "{text}");
    assert!(!text.contains("secret-command") && !text.contains("hunter2"), "{text}");
    let command = format!("{:?}", connection.command("secret-command").arg("hunter2"));
    assert!(!command.contains("secret-command") && !command.contains("hunter2"), "{command}");
}
