//! Logging in, against a server that keeps count.

mod server;

#[cfg(unix)]
mod with_agent;

use std::path::{Path, PathBuf};

use russh::keys::PublicKey;

use self::server::{Rule, session};
use super::*;

fn path(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/keys").join(name)
}

fn public(name: &str) -> PublicKey {
    PublicKey::read_openssh_file(path(&format!("{name}.pub"))).unwrap()
}

fn key(name: &str) -> AuthMethod {
    AuthMethod::key_file(path(name))
}

/// Offers the methods to a server of this rule: how it ended, and what the server was asked.
async fn offer(rule: Rule, methods: &[AuthMethod]) -> (Result<Authenticated, AuthFailure>, Vec<String>) {
    let (mut handle, asked) = session(rule).await;
    let credentials = Credentials::read(methods, None).unwrap();
    let end = authenticate(&mut handle, "deploy", &credentials).await;
    (end, asked.list())
}

fn refusal(end: Result<Authenticated, AuthFailure>) -> String {
    match end {
        Err(AuthFailure::Refused(error)) => {
            error.to_string().replace(env!("CARGO_MANIFEST_DIR"), "…").replace("/tests/keys/", "/")
        }
        other => panic!("not refused: {other:?}"),
    }
}

#[tokio::test]
async fn keys_are_offered_in_order_and_the_first_that_serves_ends_it() {
    let rule = Rule { keys: vec![public("id_ecdsa")], ..Rule::default() };
    let (end, asked) = offer(rule, &[key("id_ed25519"), key("id_ecdsa"), key("id_rsa")]).await;
    let authenticated = end.unwrap();
    assert_eq!(authenticated.method, "key");
    assert_eq!(authenticated.fingerprint, Some(crate::keys::fingerprint(&public("id_ecdsa"))));
    assert_eq!(asked, ["offer ssh-ed25519", "offer ecdsa-sha2-nistp256", "signed ecdsa-sha2-nistp256"]);
}

#[tokio::test]
async fn an_rsa_key_signs_with_sha2() {
    let rule = Rule { keys: vec![public("id_rsa")], ..Rule::default() };
    let (end, asked) = offer(rule, &[key("id_rsa")]).await;
    end.unwrap();
    assert_eq!(asked, ["offer rsa-sha2-512", "signed rsa-sha2-512"]);
}

#[tokio::test]
async fn a_wrong_password_is_asked_once_and_the_refusal_says_what_was_tried() {
    let rule = Rule { password: Some("right"), keys: vec![public("id_rsa")], ..Rule::default() };
    let (end, asked) = offer(rule, &[key("id_ed25519"), AuthMethod::password("wrong")]).await;
    assert_eq!(asked, ["offer ssh-ed25519", "password"]);
    let fingerprint = crate::keys::fingerprint(&public("id_ed25519"));
    assert_eq!(
        refusal(end),
        format!(
            "the server refuses deploy (tried: key …/id_ed25519 {fingerprint}; password); it would take publickey or \
             password"
        )
    );
}

#[tokio::test]
async fn a_password_that_is_only_taken_in_a_dialogue_is_told_there_once() {
    let rule = Rule { password: Some("right"), dialogue: true, ..Rule::default() };
    let (end, asked) = offer(rule.clone(), &[AuthMethod::password("right")]).await;
    assert_eq!(end.unwrap().method, "password");
    assert_eq!(asked, ["password", "dialogue", "answer"]);
    let (end, asked) = offer(rule, &[AuthMethod::password("wrong")]).await;
    assert_eq!(asked, ["password", "dialogue", "answer"]);
    assert!(refusal(end).contains("(tried: password; password in a dialogue)"));
}

#[tokio::test]
async fn a_password_that_was_refused_is_not_told_again_in_a_dialogue() {
    let rule = Rule { password: Some("right"), also_dialogue: true, ..Rule::default() };
    let (end, asked) = offer(rule, &[AuthMethod::password("wrong")]).await;
    assert_eq!(asked, ["password"]);
    refusal(end);
}

#[tokio::test]
async fn what_the_server_would_not_take_is_not_offered() {
    let rule = Rule { password: Some("right"), ..Rule::default() };
    let methods = [key("id_ed25519"), key("id_ecdsa"), key("id_rsa"), AuthMethod::password("right")];
    let (end, asked) = offer(rule, &methods).await;
    end.unwrap();
    assert_eq!(asked, ["offer ssh-ed25519", "password"]);
}

#[tokio::test]
async fn a_server_that_wants_two_proofs_gets_two() {
    let rule =
        Rule { keys: vec![public("id_ed25519")], password: Some("right"), then_password: true, ..Rule::default() };
    let methods = [key("id_ed25519"), AuthMethod::password("right")];
    let (end, asked) = offer(rule.clone(), &methods).await;
    assert_eq!(end.unwrap().method, "password");
    assert_eq!(asked, ["offer ssh-ed25519", "signed ssh-ed25519", "password"]);
    let (end, _) = offer(rule, &methods[..1]).await;
    let text = refusal(end);
    assert!(text.ends_with(", accepted); it wants password as well"), "{text}");
}

#[tokio::test]
async fn a_connection_that_ends_is_no_refusal() {
    let rule = Rule { password: Some("right"), hang_up_at: Some(1), ..Rule::default() };
    let (end, asked) = offer(rule, &[AuthMethod::password("right")]).await;
    assert!(matches!(end, Err(AuthFailure::Lost { refused: None })), "{end:?}");
    assert_eq!(asked.len(), 1);
    // After an answer, that answer is kept: whether it was the reason, only the dialler can tell.
    let rule = Rule { keys: vec![public("id_rsa")], hang_up_at: Some(2), ..Rule::default() };
    let (end, _) = offer(rule, &[key("id_ed25519"), key("id_ecdsa")]).await;
    let Err(AuthFailure::Lost { refused: Some(refused) }) = end else { panic!("{end:?}") };
    assert!(refused.to_string().contains("id_ed25519") && !refused.to_string().contains("id_ecdsa"), "{refused}");
}

#[tokio::test]
async fn a_server_that_hangs_up_over_too_many_failures_is_seen_to() {
    let rule = Rule { keys: vec![public("ca")], max_attempts: Some(2), ..Rule::default() };
    let (end, asked) = offer(rule, &[key("id_ed25519"), key("id_ecdsa"), key("id_rsa")]).await;
    assert!(matches!(end, Err(AuthFailure::Lost { refused: Some(_) })), "{end:?}");
    assert!(asked.len() < 3, "{asked:?}");
    assert!(means_too_many("Received disconnect: Too many authentication failures [preauth]"));
    assert!(!means_too_many("idle timeout"));
}

#[tokio::test]
async fn the_same_key_is_offered_once() {
    let rule = Rule { keys: vec![public("ca")], ..Rule::default() };
    let (end, asked) = offer(rule, &[key("id_ed25519"), key("id_ed25519")]).await;
    assert_eq!(asked, ["offer ssh-ed25519"]);
    refusal(end);
}

#[test]
fn the_default_keys_are_those_that_are_there_and_open() {
    let home = tempfile::tempdir().unwrap();
    let ssh = home.path().join(".ssh");
    std::fs::create_dir(&ssh).unwrap();
    std::fs::copy(path("id_encrypted"), ssh.join("id_ed25519")).unwrap();
    std::fs::copy(path("id_rsa"), ssh.join("id_rsa")).unwrap();
    let mut credentials = Credentials::read(&[AuthMethod::agent_at("/nowhere")], None).unwrap();
    credentials.add_default_keys(Some(ssh));
    // The agent, and the key that opens; the other is what an agent's keys are looked through for.
    assert_eq!(credentials.offers.len(), 2);
    assert_eq!(credentials.notes.len(), 1);
    assert!(credentials.notes[0].contains("id_ed25519 is encrypted"), "{:?}", credentials.notes);
    assert_eq!(credentials.wanted.len(), 1);
}

#[test]
fn with_nothing_to_offer_nothing_is_dialled_and_the_reasons_are_told() {
    let home = tempfile::tempdir().unwrap();
    let mut nothing = Credentials::read(&[AuthMethod::password("x")], None).unwrap();
    nothing.offers.clear();
    nothing.add_default_keys(Some(home.path().join(".ssh")));
    nothing.add_default_keys(None);
    let error = AuthError::NothingToOffer { tried: nothing.notes };
    let text = error.to_string().replace(&home.path().display().to_string(), "~");
    assert_eq!(
        text,
        "there is nothing to authenticate with (tried: no id_ed25519, id_ecdsa, id_rsa in ~/.ssh; no default keys: \
         there is no home directory); start an agent, make a key with `ssh-keygen`, or configure one"
    );
}
