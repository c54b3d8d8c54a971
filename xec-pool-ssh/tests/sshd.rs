//! The transport on OpenSSH's own server.
#![cfg(unix)]
#![expect(clippy::unwrap_used, reason = "in a test it is a check")]

use std::{path::PathBuf, sync::Arc, time::Duration};

use tokio::{task::spawn_blocking, time::timeout};
use xec_pool_core::{CloseReason, ConnectContext, FailureKind, Pool, PoolConfig, PoolEvent, Transport as _};
use xec_pool_ssh::{
    ExitStatus, LossCause, Phase, SshConfig, SshConfigBuilder, SshConnection, SshError, SshPool, SshTransport,
};
use xec_pool_testkit::{LocalSshd, keys};

#[path = "openssh/conformance.rs"]
mod conformance;

#[path = "openssh/flowing.rs"]
mod flowing;

/// Reaching it fails the test.
const LONG: Duration = Duration::from_secs(30);

async fn start(lines: &[&str]) -> LocalSshd {
    let lines: Vec<String> = lines.iter().map(|line| (*line).to_owned()).collect();
    spawn_blocking(move || {
        lines.iter().fold(LocalSshd::builder(), |builder, line| builder.config(line.as_str())).start().unwrap()
    })
    .await
    .unwrap()
}

fn config(sshd: &LocalSshd) -> SshConfigBuilder {
    SshConfig::builder(format!("{}@{}", sshd.user(), sshd.addr()).parse().unwrap())
        .known_hosts([sshd.known_hosts_path()])
        .private_key(sshd.key_path())
}

fn transport(sshd: &LocalSshd) -> SshTransport {
    SshTransport::new(config(sshd).build().unwrap())
}

async fn connect(sshd: &LocalSshd) -> SshConnection {
    transport(sshd).connect(ConnectContext::detached()).await.unwrap()
}

async fn soon<F: Future>(future: F) -> F::Output {
    timeout(LONG, future).await.expect("this ends, and quickly")
}

#[tokio::test]
async fn commands_come_to_their_ends() {
    let sshd = start(&[]).await;
    let connection = connect(&sshd).await;
    assert!(connection.server_version().contains("OpenSSH"), "{}", connection.server_version());
    for code in [0, 3, 255] {
        assert_eq!(connection.shell(format!("exit {code}")).status().await.unwrap(), ExitStatus::Code(code));
    }
    for signal in ["TERM", "KILL", "USR2"] {
        let status = connection.shell(format!("kill -s {signal} $$")).status().await.unwrap();
        assert!(matches!(&status, ExitStatus::Signal { name, .. } if name == signal), "{status:?}");
    }
    let output = connection.command("printf").args(["%s|%s", "it's", "$HOME"]).output().await.unwrap();
    assert_eq!(output.stdout, b"it's|$HOME");
}

#[tokio::test]
async fn ten_megabytes_go_each_way() {
    let sshd = start(&[]).await;
    let connection = connect(&sshd).await;
    let output = soon(connection.shell("head -c 10485760 /dev/zero").output()).await.unwrap();
    assert_eq!(output.stdout.len(), 10 << 20);
    let output = soon(connection.command("wc").arg("-c").stdin(vec![7; 10 << 20]).output()).await.unwrap();
    assert_eq!(String::from_utf8(output.stdout).unwrap().trim(), "10485760");
}

/// The key exchanges that a client has finished with.
fn key_exchanges(sshd: &LocalSshd) -> usize {
    sshd.log().iter().filter(|line| line.contains("SSH2_MSG_NEWKEYS received")).count()
}

#[tokio::test]
async fn keys_change_in_the_middle_of_a_download() {
    let sshd = start(&["LogLevel DEBUG"]).await;
    let transport = transport(&sshd).rekey_after(1 << 20);
    let connection = soon(transport.connect(ConnectContext::detached())).await.unwrap();
    let output = soon(connection.shell("head -c 10485760 /dev/zero").output()).await.unwrap();
    assert_eq!(output.stdout.len(), 10 << 20);
    // That of the login, and not one alone since. The log comes through a pipe, and later than the bytes.
    let told = async {
        while key_exchanges(&sshd) < 3 {
            tokio::task::yield_now().await;
        }
    };
    soon(told).await;
}

#[tokio::test]
async fn a_server_without_an_algorithm_of_ours_is_told_with_both_sides_lists() {
    let sshd = start(&["Ciphers aes128-cbc"]).await;
    let error = soon(transport(&sshd).connect(ConnectContext::detached())).await.unwrap_err();
    let SshError::Negotiation { what, ours, theirs, .. } = &error else { panic!("{error:?}") };
    assert_eq!((*what, &theirs[..]), ("cipher", &["aes128-cbc".to_owned()][..]));
    assert!(ours.iter().any(|name| name == "aes256-gcm@openssh.com"), "{ours:?}");
    assert_eq!((error.phase(), error.kind()), (Phase::Kex, FailureKind::Config));
    assert!(!error.is_retryable() && !error.maybe_ran());
}

#[tokio::test]
async fn input_that_nobody_reads_does_not_hold_up_the_end() {
    let sshd = start(&[]).await;
    let connection = connect(&sshd).await;
    let status = soon(connection.shell("exit 7").stdin(vec![7; 10 << 20]).status()).await.unwrap();
    assert_eq!(status, ExitStatus::Code(7));
    let error = soon(
        connection.command("sleep").arg("1000").stdin(vec![7; 10 << 20]).timeout(Duration::from_millis(500)).output(),
    )
    .await
    .unwrap_err();
    assert!(matches!(error, SshError::CommandTimedOut { phase: Phase::Running, .. }), "{error:?}");
    assert!(soon(connection.command("true").status()).await.unwrap().success());
}

#[tokio::test]
async fn four_hundred_quick_commands_at_the_limit_of_sessions_never_fail() {
    let sshd = start(&["MaxSessions 10"]).await;
    let connection = Arc::new(connect(&sshd).await);
    // As many at once as the server allows: it frees a session only after it has reaped the process, so it refuses
    // some of those that it owes.
    let workers: Vec<_> = (0..10)
        .map(|_| {
            let connection = Arc::clone(&connection);
            tokio::spawn(async move {
                for _ in 0..40 {
                    assert!(connection.command("true").status().await.unwrap().success());
                }
            })
        })
        .collect();
    for worker in workers {
        timeout(LONG * 2, worker).await.unwrap().unwrap();
    }
}

#[tokio::test]
async fn twenty_dropped_leave_room_for_ten() {
    let sshd = start(&["MaxSessions 10"]).await;
    let connection = Arc::new(connect(&sshd).await);
    for n in 0..20 {
        // Dropped while it opens, while it starts, while it runs. What neither reads nor writes would live on here:
        // this sshd may run as root, where old ones pass no signals on, and a living process keeps its session.
        let _ = timeout(Duration::from_millis(n), connection.command("yes").max_output(0).output()).await;
    }
    let ten: Vec<_> = (0..10)
        .map(|n| {
            let connection = Arc::clone(&connection);
            tokio::spawn(async move { connection.shell(format!("exit {n}")).status().await })
        })
        .collect();
    for (n, one) in (0..).zip(ten) {
        assert_eq!(soon(one).await.unwrap().unwrap(), ExitStatus::Code(n));
    }
}

/// A pipe with a name: reading it waits for the command that writes to it.
fn named_pipe() -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let pipe = folder.path().join("started");
    assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    (folder, pipe)
}

#[tokio::test]
async fn a_connection_that_opens_no_more_sessions_is_replaced() {
    let sshd = start(&["MaxSessions 1"]).await;
    let config = PoolConfig::builder().max_connections(1).build().unwrap();
    let pool: SshPool = Pool::builder(transport(&sshd)).config(config).build().unwrap().into();
    let (_folder, started) = named_pipe();
    let mut stubborn = pool.shell("trap '' TERM; echo > \"$MARK\"; sleep 1000; sleep 1000");
    stubborn.env("MARK", started.to_str().unwrap());
    tokio::select! {
        output = stubborn.output() => panic!("{output:?}"),
        started = spawn_blocking(move || std::fs::read(&started)) => drop(started.unwrap().unwrap()),
    }
    // It lives on, and keeps the only session that its connection has.
    assert!(soon(pool.command("true").status()).await.unwrap().success());
    assert_eq!(pool.stats().created, 2);
}

#[derive(Clone, Copy, Debug)]
enum Trouble {
    Killed,
    Stopped,
}

/// Notices silence within a second.
fn nervous(sshd: &LocalSshd) -> SshTransport {
    let config = config(sshd).keepalive_interval(Duration::from_millis(200)).keepalive_max(2);
    SshTransport::new(config.inactivity_timeout(Duration::from_secs(1)).build().unwrap())
}

/// What a command is told when its server gets into trouble.
async fn troubled(trouble: Trouble, input: usize) -> SshError {
    let sshd = start(&[]).await;
    let connection = nervous(&sshd).connect(ConnectContext::detached()).await.unwrap();
    let (_folder, started) = named_pipe();
    let mut command = connection.shell("echo > \"$MARK\"; exec sleep 1000");
    command.env("MARK", started.to_str().unwrap()).stdin(vec![7; input]);
    let (answer, _sshd) = tokio::join!(
        soon(command.output()),
        spawn_blocking(move || {
            std::fs::read(&started).unwrap();
            match trouble {
                Trouble::Killed => assert!(sshd.kill_connections() > 0),
                Trouble::Stopped => sshd.stop(),
            }
            sshd
        })
    );
    answer.unwrap_err()
}

#[tokio::test]
async fn a_server_killed_or_frozen_while_a_command_runs_or_is_fed_is_noticed() {
    for input in [0, 64 << 20] {
        for trouble in [Trouble::Killed, Trouble::Stopped] {
            let error = troubled(trouble, input).await;
            let SshError::ConnectionLost { phase: Phase::Running, cause, .. } = &error else {
                panic!("{trouble:?} {input}: {error:?}")
            };
            match trouble {
                Trouble::Killed => assert!(matches!(cause, LossCause::Closed | LossCause::Network(_)), "{cause:?}"),
                Trouble::Stopped => assert_eq!(*cause, LossCause::Silent),
            }
            assert!(error.maybe_ran());
        }
    }
}

#[tokio::test]
async fn a_server_killed_or_frozen_while_its_connection_is_idle_costs_no_caller() {
    for trouble in [Trouble::Killed, Trouble::Stopped] {
        let sshd = start(&[]).await;
        let config = PoolConfig::builder().recreate_on_error(false).build().unwrap();
        let pool: SshPool = Pool::builder(nervous(&sshd)).config(config).build().unwrap().into();
        assert!(soon(pool.command("true").status()).await.unwrap().success());
        let mut events = pool.subscribe();
        match trouble {
            Trouble::Killed => assert!(sshd.kill_connections() > 0),
            Trouble::Stopped => sshd.stop(),
        }
        // Nobody borrows it meanwhile.
        let gone = async {
            loop {
                if let Some(PoolEvent::Destroyed { reason, .. }) = events.next().await {
                    return reason;
                }
            }
        };
        assert_eq!(soon(gone).await, CloseReason::Lost, "{trouble:?}");
        assert_eq!(pool.stats().open(), 0);
        sshd.cont();
        assert!(soon(pool.command("true").status()).await.unwrap().success());
        assert_eq!(pool.stats().created, 2);
    }
}

#[tokio::test]
async fn a_stranger_is_refused_and_a_strange_host_as_well() {
    let sshd = start(&[]).await;
    let stranger = SshConfig::builder(format!("{}@{}", sshd.user(), sshd.addr()).parse().unwrap())
        .known_hosts([sshd.known_hosts_path()])
        .private_key_text(keys::STRANGER.private);
    let error = SshTransport::new(stranger.build().unwrap()).connect(ConnectContext::detached()).await.unwrap_err();
    assert_eq!(error.kind(), FailureKind::Credentials, "{error:?}");
    let empty = tempfile::NamedTempFile::new().unwrap();
    let blind = config(&sshd).known_hosts([empty.path()]);
    let error = SshTransport::new(blind.build().unwrap()).connect(ConnectContext::detached()).await.unwrap_err();
    assert_eq!(error.kind(), FailureKind::Trust, "{error:?}");
}

#[tokio::test]
async fn sixty_four_connects_at_once_on_default_limits_all_succeed() {
    let sshd = start(&["MaxStartups 10:30:100"]).await;
    let config = PoolConfig::builder().max_connections(64).acquire_timeout(LONG).queue_timeout(LONG).build().unwrap();
    let pool = Pool::builder(transport(&sshd)).config(config).build().unwrap();
    let all: Vec<_> = (0..64)
        .map(|_| {
            let pool = pool.clone();
            tokio::spawn(async move {
                let lease = pool.acquire().await.unwrap();
                assert!(lease.command("true").status().await.unwrap().success());
            })
        })
        .collect();
    for one in all {
        timeout(LONG * 2, one).await.unwrap().unwrap();
    }
    assert_eq!(pool.stats().connect_failures, 0);
    soon(pool.close()).await;
}
