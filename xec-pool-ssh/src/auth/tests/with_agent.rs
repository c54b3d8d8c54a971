//! The same with an agent's keys. The agent is a script over its protocol, so that it can also misbehave.

use std::path::Path;

use russh::keys::{
    PrivateKey,
    ssh_encoding::{Decode, Encode},
    ssh_key::{Signature, private::Ed25519Keypair},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{UnixListener, UnixStream},
};

use super::*;

// From: draft-ietf-sshm-ssh-agent, section 6.1 — message numbers.
const FAILURE: u8 = 5;
const REQUEST_IDENTITIES: u8 = 11;
const IDENTITIES_ANSWER: u8 = 12;
const SIGN_REQUEST: u8 = 13;
const SIGN_RESPONSE: u8 = 14;
const EXTENSION: u8 = 27;

#[derive(Clone, Default)]
struct Script {
    keys: Vec<&'static str>,
    refuses_to_sign: bool,
    hangs_up_at_extensions: bool,
}

/// One of the keys of the tests, or one that no server knows: `seed N`.
fn private(name: &str) -> PrivateKey {
    if let Some(seed) = name.strip_prefix("seed ") {
        return Ed25519Keypair::from_seed(&[seed.parse().unwrap(); 32]).into();
    }
    PrivateKey::read_openssh_file(path(name)).unwrap()
}

fn answer(script: &Script, request: &[u8]) -> Option<Vec<u8>> {
    let (kind, mut rest) = request.split_first().unwrap();
    let mut answer = Vec::new();
    match *kind {
        REQUEST_IDENTITIES => {
            answer.push(IDENTITIES_ANSWER);
            u32::try_from(script.keys.len()).unwrap().encode(&mut answer).unwrap();
            for name in &script.keys {
                private(name).public_key().to_bytes().unwrap().encode(&mut answer).unwrap();
                name.encode(&mut answer).unwrap();
            }
        }
        SIGN_REQUEST if !script.refuses_to_sign => {
            let blob = Vec::<u8>::decode(&mut rest).unwrap();
            let data = Vec::<u8>::decode(&mut rest).unwrap();
            let is_meant = |name: &&&str| private(name).public_key().to_bytes().unwrap() == blob;
            let key = private(script.keys.iter().find(is_meant).unwrap());
            let signature: Signature = russh::keys::signature::Signer::try_sign(&key, &data).unwrap();
            answer.push(SIGN_RESPONSE);
            Vec::<u8>::try_from(signature).unwrap().encode(&mut answer).unwrap();
        }
        EXTENSION if script.hangs_up_at_extensions => return None,
        _ => answer.push(FAILURE),
    }
    Some(answer)
}

async fn serve(mut stream: UnixStream, script: Script) {
    while let Ok(length) = stream.read_u32().await {
        let mut request = vec![0; length as usize];
        stream.read_exact(&mut request).await.unwrap();
        let Some(answer) = answer(&script, &request) else { return };
        stream.write_u32(u32::try_from(answer.len()).unwrap()).await.unwrap();
        stream.write_all(&answer).await.unwrap();
    }
}

fn agent(script: Script, directory: &Path) -> AuthMethod {
    let socket = directory.join("agent");
    let listener = UnixListener::bind(&socket).unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(serve(stream, script.clone()));
        }
    });
    AuthMethod::agent_at(socket)
}

#[tokio::test]
async fn a_key_of_the_agent_s_lets_in() {
    for hangs_up_at_extensions in [false, true] {
        let directory = tempfile::tempdir().unwrap();
        let script = Script { keys: vec!["id_ecdsa", "id_ed25519"], hangs_up_at_extensions, ..Script::default() };
        let rule = Rule { keys: vec![public("id_ed25519")], ..Rule::default() };
        let (end, asked) = offer(rule, &[agent(script, directory.path())]).await;
        let authenticated = end.unwrap();
        assert_eq!(authenticated.method, "agent");
        assert_eq!(authenticated.fingerprint, Some(crate::keys::fingerprint(&public("id_ed25519"))));
        assert_eq!(asked, ["offer ecdsa-sha2-nistp256", "offer ssh-ed25519", "signed ssh-ed25519"]);
    }
}

#[tokio::test]
async fn of_many_keys_those_that_are_named_come_first() {
    let directory = tempfile::tempdir().unwrap();
    let script = Script { keys: vec!["id_ecdsa", "seed 1", "id_ed25519"], ..Script::default() };
    let rule = Rule { keys: vec![public("id_ed25519")], ..Rule::default() };
    let (end, asked) = offer(rule, &[agent(script, directory.path()), key("id_ed25519")]).await;
    assert_eq!(end.unwrap().method, "agent");
    assert_eq!(asked, ["offer ssh-ed25519", "signed ssh-ed25519"]);
}

#[tokio::test]
async fn of_many_keys_five_are_offered_and_the_password_still_has_its_turn() {
    let directory = tempfile::tempdir().unwrap();
    let keys = vec!["seed 1", "seed 2", "seed 3", "seed 4", "seed 5", "seed 6"];
    let rule = Rule { keys: vec![public("id_rsa")], password: Some("right"), ..Rule::default() };
    let script = Script { keys, ..Script::default() };
    let methods = [agent(script, directory.path()), key("id_rsa"), AuthMethod::password("right")];
    let (end, asked) = offer(rule, &methods).await;
    assert_eq!(end.unwrap().method, "password");
    assert_eq!(asked, [&["offer ssh-ed25519"; 5][..], &["password"]].concat());
}

#[tokio::test]
async fn an_agent_that_does_not_serve_is_passed_over_and_named() {
    let directory = tempfile::tempdir().unwrap();
    let rule = Rule { keys: vec![public("id_ed25519")], ..Rule::default() };
    let unwilling = Script { keys: vec!["id_ed25519"], refuses_to_sign: true, ..Script::default() };
    let (end, _) = offer(rule.clone(), &[agent(unwilling, directory.path())]).await;
    let text = refusal(end);
    assert!(text.contains("the agent did not sign"), "{text}");

    let missing = AuthMethod::agent_at(directory.path().join("none"));
    let (end, _) = offer(rule.clone(), &[missing, key("id_ed25519")]).await;
    assert_eq!(end.unwrap().method, "key");

    let empty = tempfile::tempdir().unwrap();
    let (end, asked) = offer(rule, &[agent(Script::default(), empty.path())]).await;
    assert!(asked.is_empty(), "{asked:?}");
    let text = refusal(end);
    assert!(text.contains("agent: it holds no keys"), "{text}");
}

#[tokio::test(start_paused = true)]
async fn an_agent_that_says_nothing_costs_seconds_not_the_login() {
    let directory = tempfile::tempdir().unwrap();
    let socket = directory.path().join("agent");
    // Its backlog takes the connection; nobody ever reads it.
    let _listener = std::os::unix::net::UnixListener::bind(&socket).unwrap();
    let rule = Rule { password: Some("right"), ..Rule::default() };
    let (end, asked) = offer(rule, &[AuthMethod::agent_at(socket), AuthMethod::password("right")]).await;
    assert_eq!(end.unwrap().method, "password");
    assert_eq!(asked, ["password"]);
}
