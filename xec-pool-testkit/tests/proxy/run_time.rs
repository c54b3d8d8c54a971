//! Scripts, books and the end.

use std::{
    io,
    num::NonZeroU32,
    time::{Duration, Instant},
};

use tokio::{
    io::AsyncWriteExt as _,
    net::{TcpListener, TcpStream},
};
use xec_pool_testkit::proxy::{Act, Blow, Direction, Fault};

use super::stage::{BRIEF, Stage, hear, hear_out, in_time, say};

#[tokio::test]
async fn a_script_does_one_thing_after_the_other_each_in_its_time() {
    let stage = Stage::new().await;
    let mut ends = stage.connect().await;
    let start = Instant::now();
    let script = [
        (BRIEF, Act::Faults(vec![Fault::Freeze(Direction::ToServer)])),
        (BRIEF, Act::Strike(Blow::Close)),
        (BRIEF, Act::Faults(vec![Fault::Refuse])),
    ];
    // Said once the first act is over, and nobody hears it before the second.
    let speaking = async {
        tokio::time::sleep(BRIEF + BRIEF / 2).await; // sleep is the subject
        let _ = ends.client.write_all(b"too late").await;
        let end = hear_out(&mut ends.client).await;
        (end, start.elapsed())
    };
    let ((), (end, after), heard) = tokio::join!(stage.proxy.play(script), speaking, hear_out(&mut ends.served));
    assert_eq!(end, (vec![], true));
    assert_eq!(heard, (vec![], true), "the direction was frozen");
    assert!(after >= 2 * BRIEF);
    assert!(start.elapsed() >= 3 * BRIEF);
    assert!(TcpStream::connect(stage.proxy.addr()).await.is_err());
}

#[tokio::test]
async fn a_dropped_script_leaves_the_weather_as_it_is() {
    let stage = Stage::new().await;
    let script = [(Duration::ZERO, Act::Faults(vec![Fault::Refuse])), (Duration::from_secs(3600), Act::Faults(vec![]))];
    assert!(tokio::time::timeout(BRIEF, stage.proxy.play(script)).await.is_err());
    assert!(TcpStream::connect(stage.proxy.addr()).await.is_err());
}

#[tokio::test]
async fn what_waits_for_a_fault_goes_on_the_moment_it_is_cleared() {
    let slow = Fault::Latency { delay: Duration::from_secs(3600), jitter: Duration::ZERO };
    let narrow = Fault::Throttle { bytes_per_second: NonZeroU32::MIN };
    for fault in [slow, narrow, Fault::BlackHole, Fault::Freeze(Direction::ToServer)] {
        let stage = Stage::new().await;
        let mut ends = stage.connect().await;
        stage.proxy.set_faults([fault]);
        say(&mut ends.client, &[0; 5000]).await;
        assert!(tokio::time::timeout(BRIEF, stage.proxy.wait_until(|seen| seen.to_server == 5000)).await.is_err());
        stage.proxy.clear_faults();
        hear(&mut ends.served, 5000).await;
    }
}

#[tokio::test]
async fn who_is_open_and_what_passed_is_in_the_books() {
    let stage = Stage::new().await;
    let mut ends = [stage.connect().await, stage.connect().await];
    say(&mut ends[1].client, b"abc").await;
    hear(&mut ends[1].served, 3).await;
    stage.proxy.wait_until(|seen| seen.to_server == 3).await;
    let open: Vec<_> = stage.proxy.connections().iter().map(|one| (one.id, one.to_server, one.to_client)).collect();
    assert_eq!(open, [(1, 0, 0), (2, 3, 0)]);
    let [gone, _stays] = ends;
    drop(gone);
    stage.proxy.wait_until(|seen| seen.open == 1).await;
    assert_eq!(stage.proxy.connections()[0].id, 2);
}

#[tokio::test]
async fn a_server_that_is_not_there_costs_the_client_a_reset_and_may_come_back_elsewhere() {
    let Stage { proxy, server } = Stage::new().await;
    drop(server);
    let mut client = TcpStream::connect(proxy.addr()).await.expect("the proxy listens");
    assert!(!hear_out(&mut client).await.1);
    assert_eq!(proxy.wait_until(|seen| seen.open == 0).await.unreachable, 1);

    let server = TcpListener::bind("127.0.0.1:0").await.expect("loopback has ports");
    proxy.forward_to(server.local_addr().expect("it is bound"));
    let stage = Stage { proxy, server };
    let mut ends = stage.connect().await;
    say(&mut ends.client, b"x").await;
    assert_eq!(hear(&mut ends.served, 1).await, b"x");
}

#[tokio::test]
async fn with_the_proxy_everything_ends() {
    for fault in [None, Some(Fault::BlackHole), Some(Fault::Refuse)] {
        let stage = Stage::new().await;
        let mut ends = stage.connect().await;
        stage.proxy.set_faults(fault);
        let addr = stage.proxy.addr();
        drop(stage.proxy);
        let refused = TcpStream::connect(addr).await.expect_err("nobody listens");
        assert_eq!(refused.kind(), io::ErrorKind::ConnectionRefused, "{fault:?}");
        in_time(hear_out(&mut ends.client)).await;
        in_time(hear_out(&mut ends.served)).await;
        // Every task is gone with it: the port is free for anybody.
        in_time(async {
            while TcpListener::bind(addr).await.is_err() {
                tokio::task::yield_now().await;
            }
        })
        .await;
    }
}
