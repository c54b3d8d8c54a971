//! Callers that leave in the middle: nothing leaks, and the connection works on.

use std::{sync::Arc, time::Duration};

use xec_pool_ssh::{SshConnection, SshError};
use xec_pool_testkit::{
    EmbeddedSsh,
    embedded::{Fault, Step},
};

use super::support::{World, cut, noise, soon};

/// OpenSSH's own limit: what leaks once here is missed at once.
const MAX_SESSIONS: usize = 10;

async fn ten_good_ones(connection: SshConnection) {
    let connection = Arc::new(connection);
    let echo = |n| {
        let connection = Arc::clone(&connection);
        tokio::spawn(async move { connection.shell(format!("echo {n}")).output().await })
    };
    let all: Vec<_> = (0..10).map(echo).collect();
    for (n, one) in all.into_iter().enumerate() {
        let output = soon(one).await.unwrap().unwrap();
        assert_eq!(String::from_utf8(output.stdout).unwrap(), format!("{n}\n"));
    }
}

#[tokio::test]
async fn twenty_dropped_while_running_leave_room_for_ten() {
    let world = World::of(EmbeddedSsh::builder().max_sessions(MAX_SESSIONS)).await;
    let connection = world.connect().await;
    for n in 1..=20 {
        tokio::select! {
            output = connection.command("sleep").arg("1000").output() => panic!("{output:?}"),
            _ = world.server.wait_until(|counters| counters.commands == n) => {}
        }
    }
    ten_good_ones(connection).await;
}

#[tokio::test]
async fn twenty_dropped_that_ignore_every_signal_leave_room_for_ten() {
    let world = World::of(EmbeddedSsh::builder().max_sessions(MAX_SESSIONS)).await;
    let connection = world.connect().await;
    for n in 1..=20 {
        // Only the close of its channel ends it.
        tokio::select! {
            output = connection.shell("trap '' TERM; while :; do sleep 1000; done").output() => panic!("{output:?}"),
            _ = world.server.wait_until(|counters| counters.commands == n) => {}
        }
    }
    ten_good_ones(connection).await;
}

#[tokio::test]
async fn twenty_dropped_at_each_poll_leave_room_for_ten() {
    let world = World::of(EmbeddedSsh::builder().max_sessions(MAX_SESSIONS)).await;
    let connection = world.connect().await;
    for polls in 1..=20 {
        let input = noise(100_000).to_vec();
        let _ = cut(connection.shell("cat").stdin(input).output(), polls).await;
    }
    ten_good_ones(connection).await;
}

#[tokio::test]
async fn twenty_dropped_while_opening_leave_room_for_ten() {
    let world = World::of(EmbeddedSsh::builder().max_sessions(MAX_SESSIONS)).await;
    let connection = world.connect().await;
    for _ in 0..20 {
        world.server.set_fault_times(Step::Open, Fault::Delay(Duration::from_millis(20)), 1);
        // One poll: the request is out, the answer is not in.
        assert!(cut(connection.command("true").output(), 1).await.is_none());
    }
    ten_good_ones(connection).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flood_does_not_drown_a_time_limit() {
    let world = World::new().await;
    let connection = world.connect().await;
    let limit = Duration::from_millis(300);
    let error = soon(connection.command("yes").max_output(100).timeout(limit).output()).await.unwrap_err();
    assert!(matches!(error, SshError::CommandTimedOut { .. }), "{error:?}");
}

#[tokio::test]
async fn a_dropped_command_that_floods_us_is_ended() {
    let world = World::of(EmbeddedSsh::builder().max_sessions(1)).await;
    let connection = world.connect().await;
    tokio::select! {
        output = connection.command("yes").max_output(100).output() => panic!("{output:?}"),
        _ = world.server.wait_until(|counters| counters.commands == 1) => {}
    }
    // The only session there is: the flood has ended when it is free again.
    assert!(soon(connection.command("true").status()).await.unwrap().success());
}

#[tokio::test]
async fn a_caller_that_is_never_polled_again_holds_up_nobody() {
    let world = World::new().await;
    let connection = world.connect().await;
    let mut forgotten = std::pin::pin!(connection.shell("head -c 20000000 /dev/zero").output());
    assert!(futures_poll_once(forgotten.as_mut()).await.is_none());
    // Far more than a window and a queue: unread, it would stop the whole connection.
    for _ in 0..20 {
        assert!(soon(connection.command("true").status()).await.unwrap().success());
    }
    assert_eq!(soon(forgotten).await.unwrap().stdout.len(), 16 << 20);
}

async fn futures_poll_once<F: Future + Unpin>(mut future: F) -> Option<F::Output> {
    std::future::poll_fn(|cx| {
        std::task::Poll::Ready(match std::pin::Pin::new(&mut future).poll(cx) {
            std::task::Poll::Ready(output) => Some(output),
            std::task::Poll::Pending => None,
        })
    })
    .await
}

#[tokio::test]
async fn dropping_a_command_outside_its_runtime_is_fine() {
    let world = World::of(EmbeddedSsh::builder().max_sessions(1)).await;
    let connection = Arc::new(world.connect().await);
    let held = Arc::clone(&connection);
    let mut running = Box::pin(async move { held.command("sleep").arg("1000").output().await });
    assert!(futures_poll_once(running.as_mut()).await.is_none());
    world.server.wait_until(|counters| counters.commands == 1).await;
    std::thread::spawn(move || drop(running)).join().unwrap();
    assert!(soon(connection.command("true").status()).await.unwrap().success());
}
