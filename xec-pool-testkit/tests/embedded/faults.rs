//! Failing on command, at each step.

use std::time::{Duration, Instant};

use russh::{ChannelMsg, Error, client::Handle};
use tokio::{io::AsyncReadExt as _, net::TcpStream, time::timeout};
use xec_pool_testkit::{
    EmbeddedSsh,
    embedded::{Answer, Fault, Step},
    keys,
};

use super::client::{Trusting, connect, listen, login, offer, run};

const BEFORE_LOGIN: [Step; 4] = [Step::Accept, Step::Banner, Step::Kex, Step::Auth];
const AFTER_LOGIN: [Step; 3] = [Step::Open, Step::Exec, Step::MidOutput];
/// A test that takes longer hangs.
const PATIENCE: Duration = Duration::from_secs(20);
const BRIEF: Duration = Duration::from_millis(150);

/// All of it: connect, log in, run. How far it came is in the error.
async fn all(server: &EmbeddedSsh) -> Result<String, &'static str> {
    let mut handle = connect(server).await.map_err(|_| "connect")?;
    let answer = offer(&mut handle, "ada", keys::USER_ED25519).await.map_err(|_| "auth")?;
    if !answer.success() {
        return Err("auth");
    }
    whole_command(&handle).await
}

async fn whole_command(handle: &Handle<Trusting>) -> Result<String, &'static str> {
    let mut channel = handle.channel_open_session().await.map_err(|_| "open")?;
    channel.exec(true, "printf abcdef").await.map_err(|_| "exec")?;
    let came = listen(&mut channel).await;
    match (came.started, came.code) {
        (_, Some(0)) => Ok(came.text()),
        (None, _) => Err("exec"),
        _ if came.stdout.is_empty() => Err("started"),
        _ => Err("mid-output"),
    }
}

async fn servers() -> [EmbeddedSsh; 2] {
    let script = EmbeddedSsh::builder().answer(|_| Answer::ok("abcdef")).start().await;
    [EmbeddedSsh::start().await.expect("loopback has ports"), script.expect("loopback has ports")]
}

fn where_it_shows(step: Step) -> &'static str {
    match step {
        Step::Accept | Step::Banner | Step::Kex => "connect",
        Step::Auth => "auth",
        Step::Open => "open",
        Step::Exec => "exec",
        Step::MidOutput => "mid-output",
        _ => panic!("a new step needs a line here"),
    }
}

#[tokio::test]
async fn it_dies_where_it_is_told_to_and_only_as_often() {
    for server in servers().await {
        for step in BEFORE_LOGIN.into_iter().chain(AFTER_LOGIN) {
            server.set_fault_times(step, Fault::Die, 1);
            assert_eq!(all(&server).await, Err(where_it_shows(step)), "{step:?}");
            assert_eq!(all(&server).await.as_deref(), Ok("abcdef"), "after {step:?}");
        }
        assert_eq!(server.counters().aborted_handshakes, 0, "the server left, not the client");
    }
}

#[tokio::test]
async fn it_falls_silent_where_it_is_told_to() {
    for server in servers().await {
        for step in BEFORE_LOGIN.into_iter().chain(AFTER_LOGIN) {
            server.set_fault(step, Fault::Hang);
            assert!(timeout(BRIEF, all(&server)).await.is_err(), "{step:?}");
            server.clear_fault(step);
            assert_eq!(all(&server).await.as_deref(), Ok("abcdef"), "after {step:?}");
        }
    }
}

#[tokio::test]
async fn it_takes_its_time_where_it_is_told_to() {
    for server in servers().await {
        for step in BEFORE_LOGIN.into_iter().chain(AFTER_LOGIN) {
            server.set_fault_times(step, Fault::Delay(BRIEF), 1);
            let start = Instant::now();
            assert_eq!(all(&server).await.as_deref(), Ok("abcdef"), "{step:?}");
            assert!(start.elapsed() >= BRIEF, "{step:?}");
        }
    }
}

#[tokio::test]
async fn silence_after_login_is_only_that_commands() {
    for server in servers().await {
        let handle = login(&server).await;
        for step in AFTER_LOGIN {
            server.set_fault_times(step, Fault::Hang, 1);
            assert!(timeout(BRIEF, whole_command(&handle)).await.is_err(), "{step:?}");
            assert_eq!(run(&handle, "printf abcdef").await.text(), "abcdef", "beside {step:?}");
            handle.send_ping().await.expect("it still answers");
        }
    }
}

#[tokio::test]
async fn mid_output_means_that_something_came_but_no_end() {
    for server in servers().await {
        server.set_fault(Step::MidOutput, Fault::Hang);
        let handle = login(&server).await;
        let mut channel = handle.channel_open_session().await.expect("there is room");
        channel.exec(true, "printf abcdef").await.expect("the session lives");
        let data = loop {
            if let ChannelMsg::Data { data } = channel.wait().await.expect("something comes") {
                break data;
            }
        };
        assert_eq!(&data[..], b"abc");
        assert!(timeout(BRIEF, channel.wait()).await.is_err(), "and nothing after it");
    }
}

#[tokio::test]
async fn the_banner_comes_before_the_banner_fault_and_not_after_accept() {
    for (step, said) in [(Step::Accept, ""), (Step::Banner, "SSH-2.0-")] {
        let server = EmbeddedSsh::builder().fault(step, Fault::Die).start().await.expect("loopback has ports");
        let mut stream = TcpStream::connect(server.addr()).await.expect("it listens");
        // After Accept nothing is waited for, so this may find the connection gone already.
        let _ = tokio::io::AsyncWriteExt::write_all(&mut stream, b"SSH-2.0-test\r\n").await;
        let mut heard = Vec::new();
        let _ = stream.read_to_end(&mut heard).await;
        let heard = String::from_utf8_lossy(&heard).into_owned();
        assert!(heard.starts_with(said) && heard.len() < 100 && heard.is_empty() == said.is_empty(), "{heard:?}");
    }
}

#[tokio::test]
async fn a_hanging_handshake_can_still_be_killed() {
    let server = EmbeddedSsh::start().await.expect("loopback has ports");
    for (hung, step) in (1..).zip(BEFORE_LOGIN) {
        server.set_fault(step, Fault::Hang);
        let ending = async {
            server.wait_until(|seen| seen.faults == hung).await;
            assert_eq!(server.kill_connections(), 1);
        };
        let both = async { tokio::join!(all(&server), ending) };
        let (outcome, ()) = timeout(PATIENCE, both).await.expect("who is killed does not hang");
        assert!(outcome.is_err(), "{step:?}");
        server.clear_fault(step);
        server.wait_until(|seen| seen.open == 0).await;
    }
    let _: Result<Handle<Trusting>, Error> = connect(&server).await;
}
