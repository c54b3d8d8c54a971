//! Commands: in a shell and by script.

use std::{sync::Arc, time::Duration};

use russh::{ChannelMsg, Sig};
use xec_pool_testkit::{
    EmbeddedSsh,
    embedded::{Answer, Exit},
};

use super::client::{listen, login, run};

const TEN_MB: usize = 10 * 1024 * 1024;

#[tokio::test]
async fn a_command_prints_and_exits_as_in_a_shell() {
    let server = EmbeddedSsh::start().await.expect("loopback has ports");
    let handle = login(&server).await;
    let came = run(&handle, "echo out; echo err >&2; exit 3").await;
    assert_eq!((came.text().as_str(), came.stderr.as_slice()), ("out\n", b"err\n".as_slice()));
    assert_eq!((came.started, came.code, came.signal, came.closed), (Some(true), Some(3), None, true));
    for code in [0, 1, 127, 255] {
        assert_eq!(run(&handle, &format!("exit {code}")).await.code, Some(code));
    }
    assert_eq!(server.counters().commands, 5);
}

#[tokio::test]
async fn a_signal_is_told_by_its_name() {
    let server = EmbeddedSsh::start().await.expect("loopback has ports");
    let handle = login(&server).await;
    for name in ["TERM", "KILL", "USR2"] {
        let came = run(&handle, &format!("kill -{name} $$")).await;
        assert_eq!((came.code, came.signal.as_deref(), came.closed), (None, Some(name), true));
    }
}

#[tokio::test]
async fn a_signal_of_the_clients_reaches_the_command_and_its_children() {
    let server = EmbeddedSsh::start().await.expect("loopback has ports");
    let handle = login(&server).await;
    let mut channel = handle.channel_open_session().await.expect("there is room");
    // If only the shell got it, its child would keep the output open and nobody would ever hear of the end.
    channel.exec(true, "echo ready; sleep 1000; exit 0").await.expect("the session lives");
    while !matches!(channel.wait().await.expect("it says ready first"), ChannelMsg::Data { .. }) {}
    channel.signal(Sig::TERM).await.expect("the session lives");
    assert_eq!(listen(&mut channel).await.signal.as_deref(), Some("TERM"));
}

#[tokio::test]
async fn ten_megabytes_go_out() {
    let server = EmbeddedSsh::start().await.expect("loopback has ports");
    let came = run(&login(&server).await, &format!("head -c {TEN_MB} /dev/zero; exit 4")).await;
    assert_eq!((came.stdout.len(), came.code), (TEN_MB, Some(4)));
}

#[tokio::test]
async fn ten_megabytes_go_in_and_come_back() {
    let server = EmbeddedSsh::start().await.expect("loopback has ports");
    let handle = login(&server).await;
    let channel = handle.channel_open_session().await.expect("there is room");
    channel.exec(true, "cat").await.expect("the session lives");
    let (mut read, write) = channel.split();
    let send = async {
        write.data_bytes(vec![7; TEN_MB]).await.expect("the session lives");
        write.eof().await.expect("the session lives");
    };
    let receive = async {
        let (mut length, mut code) = (0, None);
        while let Some(message) = read.wait().await {
            if let ChannelMsg::Data { data } = &message {
                length += data.len();
            } else if let ChannelMsg::ExitStatus { exit_status } = message {
                code = Some(exit_status);
            }
        }
        (length, code)
    };
    let ((), came) = tokio::join!(send, receive);
    assert_eq!(came, (TEN_MB, Some(0)));
}

#[tokio::test]
async fn input_that_nobody_reads_does_not_hold_up_the_end() {
    let server = EmbeddedSsh::start().await.expect("loopback has ports");
    let handle = login(&server).await;
    let (mut read, write) = {
        let channel = handle.channel_open_session().await.expect("there is room");
        channel.exec(true, "read line; exec 0<&-; exit 5").await.expect("the session lives");
        channel.split()
    };
    let upload = async {
        let mut data = b"go\n".to_vec();
        data.resize(TEN_MB, 7);
        let _ = write.data_bytes(data).await;
        // Russh's writer does not wake when its channel is closed; the end comes from the other half.
        std::future::pending::<u32>().await
    };
    let code = async {
        loop {
            if let ChannelMsg::ExitStatus { exit_status } = read.wait().await.expect("it says how it ended") {
                break exit_status;
            }
        }
    };
    let code = tokio::select! { code = code => code, never = upload => never };
    assert_eq!(code, 5);
}

#[tokio::test]
async fn a_starved_upload_blocks_until_the_channel_dies() {
    let server = EmbeddedSsh::builder().window(64 * 1024).starve_stdin().start().await.expect("loopback has ports");
    let handle = login(&server).await;
    let channel = Arc::new(handle.channel_open_session().await.expect("there is room"));
    channel.exec(true, "cat >/dev/null").await.expect("the session lives");
    let upload = channel.data_bytes(vec![7; TEN_MB]);
    assert!(tokio::time::timeout(Duration::from_millis(300), upload).await.is_err(), "the window must not grow");
}

#[tokio::test]
async fn a_closed_channel_ends_the_command() {
    let server = EmbeddedSsh::builder().max_sessions(1).start().await.expect("loopback has ports");
    let handle = login(&server).await;
    let mut channel = handle.channel_open_session().await.expect("there is room");
    channel.exec(true, "echo $$; exec sleep 1000").await.expect("the session lives");
    let pid = loop {
        if let ChannelMsg::Data { data } = channel.wait().await.expect("it prints first") {
            break String::from_utf8_lossy(&data).trim().to_owned();
        }
    };
    channel.close().await.expect("the session lives");
    // Waits for the child's end by itself; no sleeping here.
    while std::path::Path::new("/proc").join(&pid).exists() {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_script_answers_without_a_process() {
    let server = EmbeddedSsh::builder()
        .answer(|command| match command {
            "slow" => Answer::ok("done").delay(Duration::from_millis(20)),
            "big" => Answer::ok(vec![b'x'; TEN_MB]).stderr("and"),
            "shot" => Answer::exit(Exit::Signal("USR2")),
            "mute" => Answer::exit(Exit::None),
            other => Answer::exit(Exit::Code(9)).stdout(other).stderr("no"),
        })
        .start()
        .await
        .expect("loopback has ports");
    let handle = login(&server).await;
    let came = run(&handle, "what").await;
    assert_eq!((came.text().as_str(), came.stderr.as_slice(), came.code), ("what", b"no".as_slice(), Some(9)));
    assert_eq!((came.started, came.closed), (Some(true), true));
    assert_eq!(run(&handle, "slow").await.text(), "done");
    let big = run(&handle, "big").await;
    assert_eq!((big.stdout.len(), big.stderr.as_slice(), big.code), (TEN_MB, b"and".as_slice(), Some(0)));
    assert_eq!(run(&handle, "shot").await.signal.as_deref(), Some("USR2"));
    let mute = run(&handle, "mute").await;
    assert_eq!((mute.code, mute.signal, mute.closed), (None, None, true));
}

#[tokio::test]
async fn environment_variables_are_taken_only_where_the_test_says_so() {
    for accept in [false, true] {
        let server = EmbeddedSsh::builder().accept_env(accept).start().await.expect("loopback has ports");
        let handle = login(&server).await;
        let mut channel = handle.channel_open_session().await.expect("there is room");
        channel.set_env(true, "COLOUR", "green").await.expect("the session lives");
        let said = channel.wait().await.expect("it answers");
        assert_eq!(matches!(said, ChannelMsg::Success), accept, "{said:?}");
        channel.exec(true, "echo \"<$COLOUR>\"").await.expect("the session lives");
        let expected = if accept { "<green>\n" } else { "<>\n" };
        assert_eq!(listen(&mut channel).await.text(), expected);
    }
}

#[tokio::test]
async fn shells_and_subsystems_are_refused_not_ignored() {
    let server = EmbeddedSsh::start().await.expect("loopback has ports");
    let handle = login(&server).await;
    let mut channel = handle.channel_open_session().await.expect("there is room");
    channel.request_shell(true).await.expect("the session lives");
    assert!(matches!(channel.wait().await, Some(ChannelMsg::Failure)));
    channel.request_subsystem(true, "sftp").await.expect("the session lives");
    assert!(matches!(channel.wait().await, Some(ChannelMsg::Failure)));
}
