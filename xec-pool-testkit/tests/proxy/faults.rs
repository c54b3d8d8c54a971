//! What stays until it is changed.

use std::{
    io,
    num::NonZeroU32,
    time::{Duration, Instant},
};

use tokio::{net::TcpStream, task::JoinSet};
use xec_pool_testkit::proxy::{Blow, Direction, Fault};

use super::stage::{BRIEF, Ends, Stage, hear, hear_out, is_silent, say};

const NO_JITTER: Duration = Duration::ZERO;

#[tokio::test]
async fn without_a_fault_bytes_and_ends_pass_both_ways() {
    let stage = Stage::new().await;
    let mut ends = stage.connect().await;
    say(&mut ends.client, b"ping").await;
    assert_eq!(hear(&mut ends.served, 4).await, b"ping");
    let all = vec![7; 3_000_000];
    let (_, heard) = tokio::join!(
        async {
            say(&mut ends.served, &all).await;
            drop(ends.served);
        },
        hear_out(&mut ends.client)
    );
    assert_eq!((heard.0 == all, heard.1), (true, true));
    drop(ends.client);
    let seen = stage.proxy.wait_until(|seen| seen.open == 0).await;
    assert_eq!((seen.accepted, seen.to_server, seen.to_client), (1, 4, 3_000_000));
}

#[tokio::test]
async fn an_end_of_speech_passes_and_the_answer_still_comes() {
    let stage = Stage::new().await;
    let mut ends = stage.connect().await;
    say(&mut ends.client, b"all").await;
    tokio::io::AsyncWriteExt::shutdown(&mut ends.client).await.expect("it is open");
    assert_eq!(hear_out(&mut ends.served).await, (b"all".to_vec(), true));
    say(&mut ends.served, b"answer").await;
    drop(ends.served);
    assert_eq!(hear_out(&mut ends.client).await, (b"answer".to_vec(), true));
}

#[tokio::test]
async fn a_reset_passes_as_a_reset() {
    let stage = Stage::new().await;
    let mut ends = stage.connect().await;
    ends.served.set_zero_linger().expect("it is open");
    drop(ends.served);
    assert!(!hear_out(&mut ends.client).await.1);
}

#[tokio::test]
async fn latency_holds_bytes_and_the_end_up_and_keeps_their_order() {
    let stage = Stage::new().await;
    stage.proxy.set_faults([Fault::Latency { delay: BRIEF, jitter: BRIEF }]);
    let mut ends = stage.connect().await;
    let start = Instant::now();
    for byte in 0..20 {
        say(&mut ends.client, &[byte]).await;
    }
    drop(ends.client);
    let heard = hear_out(&mut ends.served).await;
    assert!(start.elapsed() >= BRIEF);
    assert_eq!(heard, ((0..20).collect(), true));
}

#[tokio::test]
async fn jitter_is_another_for_each_and_no_longer_than_was_said() {
    let stage = Stage::new().await;
    let jitter = Duration::from_secs(2);
    stage.proxy.set_faults([Fault::Latency { delay: Duration::ZERO, jitter }]);
    let mut arrivals = JoinSet::new();
    for _ in 0..24 {
        let mut ends = stage.connect().await;
        arrivals.spawn(async move {
            let start = Instant::now();
            say(&mut ends.client, b"x").await;
            hear(&mut ends.served, 1).await;
            start.elapsed()
        });
    }
    let took = arrivals.join_all().await;
    // Were they even, one of a million runs would miss a half.
    assert!(took.iter().any(|took| *took < jitter / 2) && took.iter().any(|took| *took > jitter / 2), "{took:?}");
    let a_busy_machine = jitter / 2;
    assert!(took.iter().all(|took| *took < jitter + a_busy_machine), "{took:?}");
}

#[tokio::test]
async fn latency_holds_nothing_up_twice_under_load_either() {
    let stage = Stage::new().await;
    // Twice that is a long time on the slowest machine, too.
    let delay = Duration::from_secs(3);
    stage.proxy.set_faults([Fault::Latency { delay, jitter: NO_JITTER }]);
    let mut ends = stage.connect().await;
    let start = Instant::now();
    for _ in 0..50 {
        say(&mut ends.client, &[1]).await;
        // One piece each, as far as anybody can make it so.
        tokio::task::yield_now().await;
    }
    let many = vec![7; 3_000_000];
    say(&mut ends.served, &many).await;
    tokio::join!(hear(&mut ends.served, 50), hear(&mut ends.client, many.len()));
    let took = start.elapsed();
    assert!(delay <= took && took < 2 * delay, "{took:?}");
}

#[tokio::test]
async fn a_throttle_lets_no_more_through_a_second() {
    let stage = Stage::new().await;
    let bytes_per_second = NonZeroU32::new(100_000).expect("it is not 0");
    stage.proxy.set_faults([Fault::Throttle { bytes_per_second }]);
    for direction in [Direction::ToServer, Direction::ToClient] {
        let Ends { client, served } = stage.connect().await;
        let (mut from, mut to) = if direction == Direction::ToServer { (client, served) } else { (served, client) };
        let start = Instant::now();
        say(&mut from, &[0; 30_000]).await;
        hear(&mut to, 30_000).await;
        // The last step needs no pause after it.
        assert!(start.elapsed() >= Duration::from_millis(240), "{direction:?}");
    }
}

#[tokio::test]
async fn a_black_hole_swallows_bytes_ends_and_newcomers_until_it_is_gone() {
    let stage = Stage::new().await;
    let mut ends = stage.connect().await;
    let mut ended = stage.connect().await;
    stage.proxy.set_faults([Fault::BlackHole]);
    say(&mut ends.client, b"up").await;
    say(&mut ends.served, b"down").await;
    drop(ended.served);
    let newcomer = stage.client().await;
    assert!(is_silent(&mut ends.served).await);
    assert!(is_silent(&mut ends.client).await);
    assert!(is_silent(&mut ended.client).await);
    assert!(tokio::time::timeout(BRIEF, stage.server.accept()).await.is_err());

    stage.proxy.clear_faults();
    assert_eq!(hear(&mut ends.served, 2).await, b"up");
    assert_eq!(hear(&mut ends.client, 4).await, b"down");
    assert!(hear_out(&mut ended.client).await.1);
    stage.server.accept().await.expect("the newcomer gets through");
    drop(newcomer);
}

#[tokio::test]
async fn a_black_hole_holds_a_bounded_number_of_bytes() {
    let stage = Stage::new().await;
    let ends = stage.connect().await;
    stage.proxy.set_faults([Fault::BlackHole]);
    // Until nobody takes any more: the proxy's 256 KiB, and what the kernels take for themselves.
    let mut sent = 0;
    while let Ok(writable) = tokio::time::timeout(BRIEF, ends.client.writable()).await {
        writable.expect("it is open");
        match ends.client.try_write(&[0; 65_536]) {
            Ok(count) => sent += count,
            Err(error) => assert_eq!(error.kind(), io::ErrorKind::WouldBlock),
        }
        assert!(sent < 64 * 1024 * 1024, "somebody keeps it all");
    }
    assert_eq!(stage.proxy.counters().to_server, 0);
}

#[tokio::test]
async fn a_frozen_direction_is_silent_and_the_other_one_is_not() {
    for (frozen, direction) in [Direction::ToServer, Direction::ToClient].into_iter().enumerate() {
        let stage = Stage::new().await;
        let ends = stage.connect().await;
        stage.proxy.set_faults([Fault::Freeze(direction)]);
        let mut streams = [ends.served, ends.client];
        for stream in &mut streams {
            say(stream, b"x").await;
        }
        assert_eq!(hear(&mut streams[1 - frozen], 1).await, b"x", "{direction:?}");
        assert!(is_silent(&mut streams[frozen]).await, "{direction:?}");
        stage.proxy.clear_faults();
        assert_eq!(hear(&mut streams[frozen], 1).await, b"x", "{direction:?}");
    }
}

#[tokio::test]
async fn after_the_banner_the_server_is_silent_and_still_hears() {
    let stage = Stage::new().await;
    stage.proxy.set_faults([Fault::StallAfterBanner]);
    let mut ends = stage.connect().await;
    say(&mut ends.served, b"SSH-2.0-x\r\nand its algorithms").await;
    say(&mut ends.client, b"SSH-2.0-y\r\nand mine").await;
    assert_eq!(hear(&mut ends.client, 11).await, b"SSH-2.0-x\r\n");
    assert_eq!(hear(&mut ends.served, 19).await, b"SSH-2.0-y\r\nand mine");
    assert!(is_silent(&mut ends.client).await);
    stage.proxy.clear_faults();
    assert_eq!(hear(&mut ends.client, 18).await, b"and its algorithms");
}

#[tokio::test]
async fn a_connection_ends_after_so_many_bytes_and_not_one_more() {
    for (blow, clean) in [(Blow::Close, true), (Blow::Reset, false), (Blow::HalfClose(Direction::ToClient), true)] {
        let stage = Stage::new().await;
        let strike = Fault::StrikeAfter { direction: Direction::ToClient, bytes: 10, blow };
        stage.proxy.set_faults([strike]);
        let mut ends = stage.connect().await;
        say(&mut ends.served, b"0123456").await;
        assert_eq!(hear(&mut ends.client, 7).await, b"0123456", "{blow:?}");
        say(&mut ends.served, b"789 and much more").await;
        let (heard, ended_cleanly) = hear_out(&mut ends.client).await;
        assert_eq!(ended_cleanly, clean, "{blow:?}");
        // A reset may overtake what came before it.
        assert!(heard == b"789" || !clean, "{blow:?}: {heard:?}");
        assert_eq!(stage.proxy.counters().to_client, 10, "{blow:?}");
    }
}

#[tokio::test]
async fn a_server_too_hears_so_many_bytes_and_not_one_more() {
    let stage = Stage::new().await;
    let bytes = 10;
    stage.proxy.set_faults([Fault::StrikeAfter { direction: Direction::ToServer, bytes, blow: Blow::Close }]);
    let mut ends = stage.connect().await;
    say(&mut ends.client, b"0123456").await;
    assert_eq!(hear(&mut ends.served, 7).await, b"0123456");
    // The other direction is not counted.
    say(&mut ends.served, &[0; 100]).await;
    hear(&mut ends.client, 100).await;
    say(&mut ends.client, b"789 and much more").await;
    assert_eq!(hear_out(&mut ends.served).await, (b"789".to_vec(), true));
    assert!(hear_out(&mut ends.client).await.0.is_empty());
    assert_eq!(stage.proxy.counters().to_server, 10);
}

#[tokio::test]
async fn a_connection_that_has_passed_as_much_already_is_struck_at_once() {
    let stage = Stage::new().await;
    let mut ends = stage.connect().await;
    say(&mut ends.client, b"01234").await;
    hear(&mut ends.served, 5).await;
    stage.proxy.set_faults([Fault::StrikeAfter { direction: Direction::ToServer, bytes: 5, blow: Blow::Close }]);
    assert!(hear_out(&mut ends.client).await.1);
    let mut other = stage.connect().await;
    say(&mut other.client, b"0123").await;
    assert_eq!(hear(&mut other.served, 4).await, b"0123", "one with a byte to go lives");
}

#[tokio::test]
async fn who_is_refused_is_refused_at_once_and_the_others_live() {
    let stage = Stage::new().await;
    let mut ends = stage.connect().await;
    for _ in 0..3 {
        stage.proxy.set_faults([Fault::Refuse]);
        let refused = TcpStream::connect(stage.proxy.addr()).await.expect_err("nobody listens");
        assert_eq!(refused.kind(), io::ErrorKind::ConnectionRefused);
        say(&mut ends.client, b"x").await;
        assert_eq!(hear(&mut ends.served, 1).await, b"x");
        stage.proxy.clear_faults();
        let mut welcome = stage.connect().await;
        say(&mut welcome.client, b"y").await;
        assert_eq!(hear(&mut welcome.served, 1).await, b"y");
    }
}
