//! What strikes once.

use std::io;

use tokio::io::AsyncReadExt as _;
use xec_pool_testkit::proxy::{Blow, Direction, Fault};

use super::stage::{Ends, Stage, hear, hear_out, in_time, is_silent, say};

#[tokio::test]
async fn a_close_is_heard_as_an_end_by_both_sides() {
    let stage = Stage::new().await;
    let mut ends = [stage.connect().await, stage.connect().await];
    assert_eq!(stage.proxy.strike(Blow::Close), 2);
    for ends in &mut ends {
        assert_eq!(hear_out(&mut ends.client).await, (vec![], true));
        assert_eq!(hear_out(&mut ends.served).await, (vec![], true));
    }
    stage.proxy.wait_until(|seen| seen.open == 0).await;
    assert_eq!(stage.proxy.strike(Blow::Close), 0);
}

#[tokio::test]
async fn a_reset_is_heard_as_a_reset_by_both_sides() {
    let stage = Stage::new().await;
    let mut ends = stage.connect().await;
    // Until then the proxy may still be dialling.
    say(&mut ends.client, b"x").await;
    hear(&mut ends.served, 1).await;
    assert_eq!(stage.proxy.strike(Blow::Reset), 1);
    for stream in [&mut ends.client, &mut ends.served] {
        let error = in_time(stream.read_u8()).await.expect_err("it is reset");
        assert_eq!(error.kind(), io::ErrorKind::ConnectionReset);
    }
}

#[tokio::test]
async fn a_half_close_ends_one_direction_and_its_speaker_does_not_notice() {
    let stage = Stage::new().await;
    let mut ends = stage.connect().await;
    stage.proxy.strike(Blow::HalfClose(Direction::ToClient));
    assert_eq!(hear_out(&mut ends.client).await, (vec![], true));
    // More than any buffer holds: somebody takes it and throws it away.
    say(&mut ends.served, &vec![0; 16 * 1024 * 1024]).await;
    say(&mut ends.client, b"still here").await;
    assert_eq!(hear(&mut ends.served, 10).await, b"still here");
    assert_eq!(stage.proxy.counters().to_client, 0);
}

#[tokio::test]
async fn what_was_held_up_when_the_blow_came_is_lost_whatever_the_weather_is_afterwards() {
    // More than one, for which of two wake-ups is heard first is a matter of luck.
    for blow in [Blow::Close, Blow::Reset, Blow::HalfClose(Direction::ToServer)].into_iter().cycle().take(60) {
        let stage = Stage::new().await;
        let Ends { mut client, mut served } = stage.connect().await;
        stage.proxy.set_faults([Fault::Freeze(Direction::ToServer)]);
        say(&mut client, b"late").await;
        // What comes after it, on the other way: by then the proxy has been told of both.
        say(&mut served, b"x").await;
        hear(&mut client, 1).await;
        assert_eq!(stage.proxy.strike(blow), 1);
        stage.proxy.clear_faults();
        assert_eq!(hear_out(&mut served).await.0, b"", "{blow:?}");
        assert_eq!(stage.proxy.counters().to_server, 0, "{blow:?}");
    }
}

#[tokio::test]
async fn who_is_held_at_the_door_when_the_blow_comes_never_reaches_the_server() {
    for blow in [Blow::Close, Blow::Reset].into_iter().cycle().take(40) {
        let stage = Stage::new().await;
        stage.proxy.set_faults([Fault::BlackHole]);
        let mut client = stage.client().await;
        in_time(stage.proxy.wait_until(|counters| counters.open == 1)).await;
        assert_eq!(stage.proxy.strike(blow), 1);
        stage.proxy.clear_faults();
        hear_out(&mut client).await;
        // Had it been let through, the server would meet it first.
        let mut next = stage.connect().await;
        say(&mut next.client, b"x").await;
        assert_eq!(hear(&mut next.served, 1).await, b"x", "{blow:?}");
    }
}

#[tokio::test]
async fn a_half_close_in_the_middle_ends_what_the_server_hears_and_its_answer_still_comes() {
    let stage = Stage::new().await;
    let mut ends = stage.connect().await;
    say(&mut ends.client, b"heard").await;
    hear(&mut ends.served, 5).await;
    stage.proxy.strike(Blow::HalfClose(Direction::ToServer));
    say(&mut ends.client, &vec![0; 16 * 1024 * 1024]).await;
    assert_eq!(hear_out(&mut ends.served).await, (vec![], true));
    say(&mut ends.served, b"answer").await;
    assert_eq!(hear(&mut ends.client, 6).await, b"answer");
    assert_eq!(stage.proxy.counters().to_server, 5);
}

#[tokio::test]
async fn one_of_many_is_struck_by_its_number() {
    let stage = Stage::new().await;
    let mut ends = [stage.connect().await, stage.connect().await];
    let struck = ends[1].client.local_addr().expect("it is open");
    let connections = stage.proxy.connections();
    let id = connections.iter().find(|passing| passing.client == struck).expect("it is open").id;
    assert!(stage.proxy.strike_one(id, Blow::Close));
    assert!(hear_out(&mut ends[1].client).await.1);
    assert!(is_silent(&mut ends[0].client).await);
    stage.proxy.wait_until(|seen| seen.open == 1).await;
    assert!(!stage.proxy.strike_one(id, Blow::Close));
}
