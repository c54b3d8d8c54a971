//! Who is let in, and what the books say.

use russh::{MethodKind, client::AuthResult};
use xec_pool_testkit::{
    EmbeddedSsh,
    embedded::{AuthMethod, Counters},
    keys,
};

use super::client::{connect, connect_stream, login, offer, run};

fn attempts(counters: &Counters) -> Vec<(AuthMethod, bool)> {
    counters.auth_attempts.iter().map(|attempt| (attempt.method, attempt.accepted)).collect()
}

#[tokio::test]
async fn the_testkits_keys_open_by_themselves_and_a_strangers_does_not() {
    let server = EmbeddedSsh::start().await.expect("loopback has ports");
    for key in keys::USERS {
        let mut handle = connect(&server).await.expect("it listens");
        assert!(offer(&mut handle, "whoever", key).await.expect("it answers").success(), "{}", key.name);
    }
    let mut handle = connect(&server).await.expect("it listens");
    let answer = offer(&mut handle, "whoever", keys::STRANGER).await.expect("it answers");
    assert!(
        matches!(&answer, AuthResult::Failure { remaining_methods, .. } if remaining_methods.contains(&MethodKind::PublicKey))
    );
    assert_eq!(attempts(&server.counters()).last(), Some(&(AuthMethod::PublicKey, false)));
}

#[tokio::test]
async fn a_password_is_asked_as_often_as_allowed() {
    let server = EmbeddedSsh::builder()
        .accept_password("ada", "lovelace")
        .accept_key("bob", keys::STRANGER.public)
        .max_auth_tries(3)
        .start()
        .await
        .expect("loopback has ports");
    let mut handle = connect(&server).await.expect("it listens");
    assert!(!handle.authenticate_none("ada").await.expect("it answers").success());
    assert!(!handle.authenticate_password("ada", "byron").await.expect("it answers").success());
    assert!(handle.authenticate_password("ada", "lovelace").await.expect("it answers").success());
    let expected = [(AuthMethod::None, false), (AuthMethod::Password, false), (AuthMethod::Password, true)];
    assert_eq!(attempts(&server.counters()), expected);
    assert_eq!(server.counters().auth_attempts[1].user, "ada");

    let mut handle = connect(&server).await.expect("it listens");
    assert!(!offer(&mut handle, "ada", keys::USER_RSA).await.expect("it answers").success(), "no longer by itself");
    assert!(!offer(&mut handle, "ada", keys::STRANGER).await.expect("it answers").success(), "that is bob's");
    assert!(offer(&mut handle, "bob", keys::STRANGER).await.expect("it answers").success());
}

#[tokio::test]
async fn too_many_wrong_passwords_end_the_connection() {
    let server =
        EmbeddedSsh::builder().accept_password("ada", "lovelace").max_auth_tries(2).start().await.expect("loopback");
    let mut handle = connect(&server).await.expect("it listens");
    assert!(!handle.authenticate_none("ada").await.expect("that is free").success());
    assert!(!handle.authenticate_password("ada", "byron").await.expect("it answers").success());
    assert!(!handle.is_closed());
    let _ = handle.authenticate_password("ada", "byron").await;
    assert!(handle.is_closed());
    server.wait_until(|seen| seen.open == 0).await;
    assert_eq!(server.counters().auth_attempts.len(), 3);
    assert_eq!(server.counters().aborted_handshakes, 0, "it was the server's decision");
}

#[tokio::test]
async fn a_client_that_leaves_after_the_banner_is_an_aborted_handshake() {
    let server = EmbeddedSsh::start().await.expect("loopback has ports");
    let handle = connect(&server).await.expect("it listens");
    drop(handle);
    let seen = server.wait_until(|seen| seen.open == 0).await;
    assert_eq!((seen.accepted, seen.aborted_handshakes, seen.authenticated), (1, 1, 0));
    drop(login(&server).await);
    let seen = server.wait_until(|seen| seen.open == 0).await;
    assert_eq!((seen.accepted, seen.aborted_handshakes, seen.authenticated), (2, 1, 1));
}

#[tokio::test]
async fn every_host_key_serves() {
    for key in [keys::HOST_ED25519, keys::HOST_ECDSA, keys::HOST_RSA] {
        let server = EmbeddedSsh::builder().host_keys(&[key]).start().await.expect("loopback has ports");
        let line = server.known_hosts_line();
        assert!(line.starts_with(&format!("[127.0.0.1]:{} ", server.addr().port())), "{line}");
        assert!(key.public.starts_with(line.split_once(' ').expect("two words").1.trim_end()), "{line}");
        login(&server).await;
    }
}

#[tokio::test]
async fn any_byte_stream_will_do() {
    let server = EmbeddedSsh::start().await.expect("loopback has ports");
    let (near, far) = tokio::io::duplex(1024);
    server.serve(far);
    let mut handle = connect_stream(near).await.expect("it answers");
    assert!(offer(&mut handle, "ada", keys::USER_ED25519).await.expect("it answers").success());
    assert_eq!(run(&handle, "echo hello").await.text(), "hello\n");
}

#[tokio::test]
async fn a_key_that_is_none_is_an_error_at_the_start() {
    let error = EmbeddedSsh::builder().accept_key("ada", "no key").start().await.expect_err("no key");
    assert_eq!(error.kind(), std::io::ErrorKind::InvalidInput);
}
