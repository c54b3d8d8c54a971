//! Every way in which connecting goes well or wrong.

use std::{fs, net::TcpListener, time::Duration};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use xec_pool_core::{ConnectContext, FailureKind, Transport as _};
use xec_pool_ssh::{KeyError, Phase, SshError};
use xec_pool_testkit::{
    EmbeddedSsh,
    embedded::{AuthMethod, Fault, Step},
    keys,
};

use super::support::{Hole, World, cut, folder, refused, soon, transport, watched};

const SHORT: Duration = Duration::from_millis(300);

#[tokio::test]
async fn a_connection_knows_where_it_is_and_who_it_is() {
    let world = World::new().await;
    let transport = world.transport();
    let connection = transport.connect(ConnectContext::detached()).await.unwrap();
    assert_eq!(connection.peer_addr(), world.server.addr());
    assert!(connection.server_version().starts_with("SSH-2.0-"), "{}", connection.server_version());
    assert_eq!((connection.user(), connection.auth_method()), ("tester", "key"));
    // As `ssh-keygen -l` prints it.
    assert_eq!(connection.key_fingerprint(), Some("SHA256:uvitY+VXMNGgO8p/LqEqu+nf2HFOsw5Qs/HPMddNulE"));
    assert!(connection.received_bytes() > 0 && connection.sent_bytes() > 0);
    let name = format!("tester@{}", world.server.addr());
    assert_eq!(transport.name().as_deref(), Some(&*name));
    assert_eq!(transport.endpoint().unwrap().port, world.server.addr().port());
    assert!(format!("{connection:?}").contains(&name));
}

#[tokio::test]
async fn each_kind_of_key_logs_in() {
    let world = World::new().await;
    for key in keys::USERS {
        let mut config = world.stranger().private_key_text(key.private);
        if let Some(passphrase) = key.passphrase {
            config = config.passphrase(passphrase);
        }
        let connection = transport(config).connect(ConnectContext::detached()).await;
        assert!(connection.is_ok(), "{}: {connection:?}", key.name);
    }
}

/// The key cannot be used, and the server never heard of us.
async fn bad_key(path: &std::path::Path) -> KeyError {
    let world = World::new().await;
    let error = refused(world.stranger().private_key(path)).await;
    assert_eq!(world.server.counters().accepted, 0, "a bad key costs the server nothing");
    assert_eq!((error.phase(), error.kind()), (Phase::Prepare, FailureKind::Config));
    assert!(!error.is_retryable() && !error.maybe_ran());
    let SshError::Key { source, .. } = error else { panic!("{error:?}") };
    source
}

#[tokio::test]
async fn a_key_file_must_be_there() {
    assert!(matches!(bad_key(&folder().path().join("nothing")).await, KeyError::Missing { .. }));
}

#[tokio::test]
async fn a_key_file_must_be_readable() {
    // A folder cannot be read by anybody; a file without permissions can, by root.
    assert!(matches!(bad_key(folder().path()).await, KeyError::Unreadable { .. }));
}

#[tokio::test]
async fn a_locked_key_needs_its_passphrase() {
    let folder = folder();
    let path = keys::USER_ED25519_LOCKED.write_to(folder.path()).unwrap();
    assert!(matches!(bad_key(&path).await, KeyError::Encrypted { .. }));
}

#[tokio::test]
async fn a_key_file_must_hold_a_key() {
    let folder = folder();
    let path = folder.path().join("id");
    fs::write(&path, "three blind mice\n").unwrap();
    assert!(matches!(bad_key(&path).await, KeyError::NotAKey { .. }));
}

#[tokio::test]
async fn a_wrong_password_is_asked_once() {
    let world = World::of(EmbeddedSsh::builder().accept_password("tester", "right")).await;
    let error = refused(world.stranger().password("wrong")).await;
    assert!(matches!(error, SshError::Auth { .. }), "{error:?}");
    assert_eq!((error.phase(), error.kind()), (Phase::Auth, FailureKind::Credentials));
    assert!(!format!("{error:?}").contains("wrong"), "no secrets: {error:?}");
    let attempts = world.server.counters().auth_attempts;
    assert_eq!(attempts.iter().filter(|attempt| attempt.method == AuthMethod::Password).count(), 1);
}

#[tokio::test]
async fn a_right_password_logs_in() {
    let world = World::of(EmbeddedSsh::builder().accept_password("tester", "right")).await;
    let connection = transport(world.stranger().password("right")).connect(ConnectContext::detached()).await.unwrap();
    assert_eq!((connection.auth_method(), connection.key_fingerprint()), ("password", None));
}

#[tokio::test]
async fn a_key_that_the_server_does_not_know_is_no_key() {
    let world = World::new().await;
    let error = refused(world.stranger().private_key_text(keys::STRANGER.private)).await;
    assert_eq!(error.kind(), FailureKind::Credentials, "{error:?}");
}

#[tokio::test]
async fn a_name_that_leads_nowhere_is_told_apart_from_a_host_that_does_not_answer() {
    // A label of 64 letters: no resolver asks anybody for what DNS cannot carry, as it would for a mere unknown name.
    let name = format!("{}.invalid", "a".repeat(64));
    let config = xec_pool_ssh::SshConfig::builder(format!("tester@{name}").parse().unwrap())
        .known_hosts([folder().path().join("none")])
        .private_key_text(keys::USER_ED25519.private);
    let error = soon(refused(config)).await;
    assert!(matches!(error, SshError::Resolve { .. }), "{error:?}");
    assert_eq!((error.phase(), error.kind()), (Phase::Resolve, FailureKind::Unreachable));
    assert!(error.is_retryable() && !error.maybe_ran());
    assert!(error.to_string().contains(&name), "{error}");
}

#[tokio::test]
async fn a_closed_port_is_unreachable() {
    let world = World::new().await;
    let address = world.server.addr();
    let config = world.config();
    drop(world);
    let error = refused(config).await;
    assert!(matches!(error, SshError::Connect { .. }), "{error:?}");
    assert_eq!((error.phase(), error.kind()), (Phase::Tcp, FailureKind::Unreachable));
    assert!(error.is_retryable());
    assert!(error.to_string().contains(&address.to_string()), "{error}");
}

#[tokio::test]
async fn a_black_hole_takes_the_connect_timeout_and_no_longer() {
    let hole = Hole::new();
    let world = World::new().await;
    let target = format!("tester@{}", hole.address).parse().unwrap();
    let config = xec_pool_ssh::SshConfig::builder(target)
        .known_hosts([world.known_hosts.path()])
        .private_key_text(keys::USER_ED25519.private)
        .connect_timeout(SHORT);
    let error = refused(config).await;
    assert!(matches!(error, SshError::TimedOut { phase: Phase::Tcp, after: SHORT, .. }), "{error:?}");
    assert_eq!(error.kind(), FailureKind::TimedOut);
}

#[tokio::test]
async fn silence_at_each_step_ends_with_that_steps_timeout() {
    for (step, phase) in
        [(Step::Accept, Phase::Banner), (Step::Banner, Phase::Kex), (Step::Kex, Phase::Kex), (Step::Auth, Phase::Auth)]
    {
        let world = World::of(EmbeddedSsh::builder().fault(step, Fault::Hang)).await;
        let error = soon(refused(world.config().banner_timeout(SHORT).auth_timeout(SHORT))).await;
        assert!(matches!(error, SshError::TimedOut { after: SHORT, .. }), "{step:?}: {error:?}");
        assert_eq!((error.phase(), error.kind()), (phase, FailureKind::TimedOut), "{step:?}");
    }
}

#[tokio::test]
async fn death_at_each_step_is_told_with_its_phase() {
    for (step, phase, kind) in [
        (Step::Accept, Phase::Banner, FailureKind::Throttled),
        (Step::Banner, Phase::Kex, FailureKind::Lost),
        (Step::Kex, Phase::Kex, FailureKind::Lost),
        (Step::Auth, Phase::Auth, FailureKind::Lost),
    ] {
        let world = World::of(EmbeddedSsh::builder().fault(step, Fault::Die)).await;
        let error = soon(refused(world.config())).await;
        assert_eq!((error.phase(), error.kind()), (phase, kind), "{step:?}: {error:?}");
        assert!(error.is_retryable() && !error.maybe_ran(), "{step:?}");
    }
}

/// What we make of somebody who says this and hangs up.
async fn greeted_with(text: &'static str) -> SshError {
    let world = World::new().await;
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    listener.set_nonblocking(true).unwrap();
    let listener = tokio::net::TcpListener::from_std(listener).unwrap();
    let address = listener.local_addr().unwrap();
    let config = xec_pool_ssh::SshConfig::builder(format!("tester@{address}").parse().unwrap())
        .known_hosts([world.known_hosts.path()])
        .private_key_text(keys::USER_ED25519.private);
    let serve = async {
        let (mut client, _) = listener.accept().await.unwrap();
        client.write_all(text.as_bytes()).await.unwrap();
        client.shutdown().await.unwrap();
        client
    };
    soon(async { tokio::join!(refused(config), serve).0 }).await
}

#[tokio::test]
async fn a_server_that_is_full_says_so() {
    let error = greeted_with("Exceeded MaxStartups\r\n").await;
    assert_eq!(error.kind(), FailureKind::Throttled);
    assert!(error.to_string().contains("Exceeded MaxStartups"), "{error}");
}

#[tokio::test]
async fn what_is_no_ssh_server_is_not_taken_for_a_busy_one() {
    let error = greeted_with("HTTP/1.1 400 Bad Request\r\n\r\n").await;
    assert!(matches!(error, SshError::Protocol { phase: Phase::Banner, .. }), "{error:?}");
    assert_eq!(error.kind(), FailureKind::Other);
}

#[tokio::test]
async fn a_connect_dropped_at_any_step_leaves_no_socket_open() {
    let world = World::new().await;
    let transport = world.transport();
    for polls in 1.. {
        let connected = cut(transport.connect(ConnectContext::detached()), polls).await;
        let done = connected.is_some();
        drop(connected);
        soon(world.server.wait_until(|counters| counters.open == 0)).await;
        if done {
            let counters = world.server.counters();
            assert!(counters.accepted > counters.authenticated, "some cuts fell between: {counters:?}");
            return;
        }
    }
}

#[tokio::test]
async fn a_connect_dropped_while_the_server_is_silent_ends_its_socket() {
    let world = World::new().await;
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let config =
        xec_pool_ssh::SshConfig::builder(format!("tester@{}", listener.local_addr().unwrap()).parse().unwrap())
            .known_hosts([world.known_hosts.path()])
            .private_key_text(keys::USER_ED25519.private);
    let silent = async {
        let (mut client, _) = listener.accept().await.unwrap();
        client.write_all(b"SSH-2.0-silent\r\n").await.unwrap();
        // Its version line and its algorithms: now russh's own task drives the socket, and waits for ours.
        let mut heard = Vec::new();
        while heard.len() < 500 {
            assert!(client.read_buf(&mut heard).await.unwrap() > 0);
        }
        client
    };
    let transport = transport(config);
    let mut client = tokio::select! {
        connected = transport.connect(ConnectContext::detached()) => panic!("{connected:?}"),
        client = silent => client,
    };
    let mut rest = Vec::new();
    let _ = soon(client.read_to_end(&mut rest)).await;
}

#[tokio::test]
async fn a_cancelled_connect_ends_at_once_and_leaves_no_socket_open() {
    for step in [Step::Accept, Step::Banner, Step::Kex, Step::Auth] {
        let world = World::of(EmbeddedSsh::builder().fault(step, Fault::Delay(Duration::from_millis(50)))).await;
        let (cx, cancelled, mut lost) = watched();
        let transport = world.transport();
        let server = &world.server;
        let (connected, ()) = tokio::join!(soon(transport.connect(cx)), async {
            server.wait_until(|counters| counters.accepted == 1).await;
            cancelled.cancel();
        });
        assert!(connected.is_err(), "{step:?}");
        soon(server.wait_until(|counters| counters.open == 0)).await;
        assert!(lost.try_recv().is_err(), "a dial that fails is not a connection that is lost");
    }
}
