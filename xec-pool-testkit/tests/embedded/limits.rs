//! A full server, a killed one, a frozen one, a dropped one.

use std::time::Duration;

use russh::{ChannelMsg, ChannelOpenFailure, Error};
use tokio::{io::AsyncReadExt as _, net::TcpStream, time::timeout};
use xec_pool_testkit::{EmbeddedSsh, keys};

use super::client::{connect, listen, login, offer, run};

#[tokio::test]
async fn sessions_beyond_the_maximum_are_refused_and_freed_ones_come_back() {
    let server = EmbeddedSsh::builder().max_sessions(2).start().await.expect("loopback has ports");
    let handle = login(&server).await;
    let mut first = handle.channel_open_session().await.expect("there is room");
    let second = handle.channel_open_session().await.expect("there is room");
    let third = handle.channel_open_session().await;
    assert!(matches!(third, Err(Error::ChannelOpenFailure(ChannelOpenFailure::ConnectFailed))), "{third:?}");
    assert_eq!((server.counters().sessions, server.counters().sessions_refused), (2, 1));
    first.exec(true, "true").await.expect("the session lives");
    assert!(listen(&mut first).await.closed);
    let third = handle.channel_open_session().await.expect("one came free");
    second.close().await.expect("the session lives");
    assert_eq!(run(&handle, "echo room").await.text(), "room\n");
    drop(third);
}

#[tokio::test]
async fn strangers_beyond_the_maximum_are_dropped_before_the_banner() {
    let server = EmbeddedSsh::builder().max_startups(1).start().await.expect("loopback has ports");
    let mut first = connect(&server).await.expect("there is room");
    let mut second = TcpStream::connect(server.addr()).await.expect("it listens");
    let mut said = Vec::new();
    // The end may also come as a reset; either way not a byte was said.
    let _ = second.read_to_end(&mut said).await;
    assert_eq!(said, b"");
    assert_eq!((server.counters().accepted, server.counters().refused, server.counters().open), (2, 1, 1));
    assert!(offer(&mut first, "ada", keys::USER_ED25519).await.expect("it answers").success());
    login(&server).await;
}

#[tokio::test]
async fn a_killed_connection_ends_without_a_word() {
    let server = EmbeddedSsh::start().await.expect("loopback has ports");
    let handle = login(&server).await;
    let mut channel = handle.channel_open_session().await.expect("there is room");
    channel.exec(true, "echo up; exec cat").await.expect("the session lives");
    while !matches!(channel.wait().await.expect("it prints first"), ChannelMsg::Data { .. }) {}
    assert_eq!(server.kill_connections(), 1);
    let came = listen(&mut channel).await;
    assert_eq!((came.closed, came.code), (false, None));
    server.wait_until(|seen| seen.open == 0).await;
    login(&server).await;
}

#[tokio::test]
async fn a_frozen_server_is_silent_and_thaws() {
    let server = EmbeddedSsh::start().await.expect("loopback has ports");
    let handle = login(&server).await;
    server.pause();
    let brief = Duration::from_millis(200);
    assert!(timeout(brief, handle.channel_open_session()).await.is_err(), "open ones are silent");
    assert!(timeout(brief, connect(&server)).await.is_err(), "new ones too");
    server.resume();
    assert_eq!(run(&handle, "echo thawed").await.text(), "thawed\n");
}

#[tokio::test]
async fn a_dropped_server_takes_everything_with_it() {
    let server = EmbeddedSsh::start().await.expect("loopback has ports");
    let addr = server.addr();
    let handle = login(&server).await;
    let mut channel = handle.channel_open_session().await.expect("there is room");
    channel.exec(true, "sleep 1000 & echo $! $$; wait").await.expect("the session lives");
    let pids = loop {
        if let ChannelMsg::Data { data } = channel.wait().await.expect("it prints first") {
            break String::from_utf8_lossy(&data).into_owned();
        }
    };
    drop(server);
    assert!(!listen(&mut channel).await.closed);
    for pid in pids.split_whitespace() {
        while is_running(pid) {
            tokio::task::yield_now().await;
        }
    }
    // The task that listened ends at its next step.
    while TcpStream::connect(addr).await.is_ok() {
        tokio::task::yield_now().await;
    }
}

/// Running, not only waiting to be buried by whoever inherited it.
fn is_running(pid: &str) -> bool {
    let status = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    status.rsplit_once(") ").is_some_and(|(_, rest)| !rest.starts_with(['Z', 'X']))
}
