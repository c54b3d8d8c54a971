//! A server that lets in by a small rule, and remembers what it was asked.

use std::{
    borrow::Cow,
    sync::{Arc, Mutex},
    time::Duration,
};

use russh::{
    MethodKind, MethodSet, client,
    keys::{PrivateKey, PublicKey, PublicKeyOrCertificate},
    server::{self, Auth, PublicKeyOffer, Response, VerifiedPublicKey},
};

/// Whom it lets in.
#[derive(Clone, Default)]
pub(super) struct Rule {
    pub(super) password: Option<&'static str>,
    pub(super) keys: Vec<PublicKey>,
    /// The password is taken in a dialogue alone.
    pub(super) dialogue: bool,
    /// The password is taken in a dialogue too.
    pub(super) also_dialogue: bool,
    /// A key is only the first half.
    pub(super) then_password: bool,
    /// The connection ends at this question, counted from 1.
    pub(super) hang_up_at: Option<usize>,
    pub(super) max_attempts: Option<usize>,
}

/// What it was asked, in order.
#[derive(Clone, Default)]
pub(super) struct Asked(Arc<Mutex<Vec<String>>>);

impl Asked {
    pub(super) fn list(&self) -> Vec<String> {
        self.0.lock().unwrap().clone()
    }

    fn push(&self, question: impl Into<String>) -> usize {
        let mut list = self.0.lock().unwrap();
        list.push(question.into());
        list.len()
    }
}

struct Server {
    rule: Rule,
    asked: Asked,
    key_seen: bool,
}

impl Server {
    fn ask(&self, question: impl Into<String>) -> Result<(), russh::Error> {
        let count = self.asked.push(question);
        if self.rule.hang_up_at == Some(count) { Err(russh::Error::Disconnect) } else { Ok(()) }
    }

    fn judge_password(&self, password: &str) -> Auth {
        let enough = !self.rule.then_password || self.key_seen;
        if enough && self.rule.password == Some(password) { Auth::Accept } else { self.reject() }
    }

    fn reject(&self) -> Auth {
        let mut methods = MethodSet::empty();
        if !self.rule.keys.is_empty() && !self.key_seen {
            methods.push(MethodKind::PublicKey);
        }
        if self.rule.password.is_some() {
            if !self.rule.dialogue {
                methods.push(MethodKind::Password);
            }
            if self.rule.dialogue || self.rule.also_dialogue {
                methods.push(MethodKind::KeyboardInteractive);
            }
        }
        Auth::Reject { proceed_with_methods: Some(methods), partial_success: self.key_seen }
    }
}

impl server::Handler for Server {
    type Error = russh::Error;

    async fn auth_password(&mut self, _: &str, password: &str) -> Result<Auth, russh::Error> {
        self.ask("password")?;
        Ok(if self.rule.dialogue { self.reject() } else { self.judge_password(password) })
    }

    async fn auth_publickey_offered(&mut self, _: &str, offer: PublicKeyOffer<'_>) -> Result<Auth, russh::Error> {
        self.ask(format!("offer {}", offer.algorithm))?;
        let known = self.rule.keys.iter().any(|key| key.key_data() == offer.public_key.key_data());
        Ok(if known { Auth::Accept } else { self.reject() })
    }

    async fn auth_publickey(&mut self, _: &str, key: VerifiedPublicKey<'_>) -> Result<Auth, russh::Error> {
        self.ask(format!("signed {}", key.algorithm))?;
        if self.rule.then_password {
            self.key_seen = true;
            return Ok(self.reject());
        }
        Ok(Auth::Accept)
    }

    async fn auth_keyboard_interactive<'a>(
        &'a mut self,
        _: &str,
        _: &str,
        response: Option<Response<'a>>,
    ) -> Result<Auth, russh::Error> {
        let Some(mut response) = response else {
            self.ask("dialogue")?;
            let prompts = Cow::Borrowed(&[(Cow::Borrowed("Password: "), false)][..]);
            return Ok(Auth::Partial { name: Cow::Borrowed(""), instructions: Cow::Borrowed(""), prompts });
        };
        let answer = response.next().map(|answer| String::from_utf8(answer.to_vec()).unwrap()).unwrap_or_default();
        self.ask("answer")?;
        Ok(self.judge_password(&answer))
    }
}

/// A client that believes any server: here the server is not what is tested.
pub(super) struct Client;

impl client::Handler for Client {
    type Error = russh::Error;

    async fn check_server_key(&mut self, _: &PublicKeyOrCertificate) -> Result<bool, russh::Error> {
        Ok(true)
    }
}

/// A session with such a server, past its key exchange.
pub(super) async fn session(rule: Rule) -> (client::Handle<Client>, Asked) {
    let asked = Asked::default();
    let config = server::Config {
        auth_rejection_time: Duration::ZERO,
        keys: vec![PrivateKey::from_openssh(include_str!("../../../tests/keys/ca")).unwrap()],
        max_auth_attempts: rule.max_attempts.unwrap_or(10),
        ..Default::default()
    };
    let (near, far) = tokio::io::duplex(64 * 1024);
    let server = Server { rule, asked: asked.clone(), key_seen: false };
    tokio::spawn(async move {
        if let Ok(session) = server::run_stream(Arc::new(config), far, server).await {
            // How it ends is what the client's end is asked about.
            let _ = session.await;
        }
    });
    let handle = client::connect_stream(Arc::default(), near, Client).await.unwrap();
    (handle, asked)
}
