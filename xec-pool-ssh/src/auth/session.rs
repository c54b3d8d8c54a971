//! The offers of one session, in turn, and what the server's answers mean.

use std::{path::PathBuf, time::Duration};

use russh::{
    AgentAuthError, MethodKind, MethodSet,
    client::{AuthResult, Handle, Handler, KeyboardInteractiveAuthResponse},
    keys::{HashAlg, PrivateKeyWithHashAlg, PublicKey, agent::AgentIdentity},
};

use super::{AuthError, Credentials, credentials::Offer};
use crate::{
    Secret, agent,
    keys::{LoadedKey, fingerprint},
};

/// How many keys are offered on one connection. sshd hangs up at the sixth failure (`MaxAuthTries`), and the
/// password is to have its turn.
const MAX_KEYS_OFFERED: usize = 5;

/// How long a session's end may take to be seen after the answers have ended.
const END_SEEN_WITHIN: Duration = Duration::from_millis(200);

/// How the server was convinced.
#[derive(Debug)]
pub(crate) struct Authenticated {
    /// `agent`, `key` or `password`.
    pub(crate) method: &'static str,
    /// Of the key, where it was one.
    pub(crate) fingerprint: Option<String>,
}

/// How authentication ended without success.
#[derive(Debug)]
pub(crate) enum AuthFailure {
    /// The server said no.
    Refused(AuthError),
    /// The connection ended meanwhile: nothing is known of what it had not answered yet. `refused` is what it had
    /// said no to; where it hung up over that ([`means_too_many`]) it was a refusal after all.
    Lost { refused: Option<AuthError> },
    /// The protocol went wrong.
    Protocol(russh::Error),
}

/// Whether the text of a disconnect says that the server will not be tried any longer.
// From: OpenSSH auth.c, auth_maxtries_exceeded — «Too many authentication failures», as a protocol error.
pub(crate) fn means_too_many(message: &str) -> bool {
    message.to_ascii_lowercase().contains("too many authentication failures")
}

/// Offers what there is until the server is convinced. Each thing is offered once; a password is never repeated.
///
/// It has no time limit of its own but on reaching the agent: somebody may have to touch a token.
///
/// # Cancel safety
///
/// Dropping it leaves the session half-way; the connection must be given up with it.
pub(crate) async fn authenticate<H: Handler>(
    handle: &mut Handle<H>,
    user: &str,
    credentials: &Credentials,
) -> Result<Authenticated, AuthFailure> {
    let mut session = Session {
        handle,
        user,
        tried: credentials.notes.clone(),
        remaining: None,
        partial: false,
        asked: false,
        offered_keys: Vec::new(),
        rsa_hash: None,
    };
    for offer in &credentials.offers {
        let done = match offer {
            Offer::Agent(socket) => session.offer_agent(socket, &credentials.wanted).await?,
            Offer::Key(key) => session.offer_key(key).await?,
            Offer::Password(password) => session.offer_password(password).await?,
        };
        if let Some(done) = done {
            return Ok(done);
        }
    }
    Err(AuthFailure::Refused(session.refusal()))
}

/// One session's authentication, and what the server has said so far.
struct Session<'a, H: Handler> {
    handle: &'a mut Handle<H>,
    user: &'a str,
    tried: Vec<String>,
    /// What the server would still take, once it has said so.
    remaining: Option<MethodSet>,
    partial: bool,
    /// Whether the server has answered anything.
    asked: bool,
    /// Fingerprints of the keys it has seen.
    offered_keys: Vec<String>,
    /// The hash of RSA signatures, once the server was asked for it.
    rsa_hash: Option<Option<Option<HashAlg>>>,
}

impl<H: Handler> Session<'_, H> {
    async fn offer_agent(
        &mut self,
        socket: &PathBuf,
        wanted: &[PublicKey],
    ) -> Result<Option<Authenticated>, AuthFailure> {
        if !self.would_take(MethodKind::PublicKey) {
            return Ok(None);
        }
        let (mut agent, identities) = match agent::open(socket, self.handle, wanted).await {
            Ok(opened) => opened,
            Err(note) => {
                self.tried.push(note);
                return Ok(None);
            }
        };
        for identity in &identities {
            let key = identity.public_key();
            // The same key bare and certified are two offers.
            let certified = matches!(identity, AgentIdentity::Certificate { .. });
            let id = format!("{}{}", if certified { "certified " } else { "" }, fingerprint(&key));
            let Some(hash) = self.may_offer(&id, &agent::label(identity), key.algorithm().is_rsa()).await? else {
                continue;
            };
            let answer = match agent::offer(self.handle, self.user, &mut agent, identity, hash).await {
                Ok(answer) => Ok(answer),
                Err(AgentAuthError::Send(_)) => Err(russh::Error::SendError),
                Err(AgentAuthError::Key(error)) => {
                    self.tried.push(format!("{}: the agent did not sign ({error})", agent::label(identity)));
                    continue;
                }
            };
            if self.accepted(agent::label(identity), answer).await? {
                return Ok(Some(Authenticated { method: "agent", fingerprint: Some(fingerprint(&key)) }));
            }
        }
        Ok(None)
    }

    async fn offer_key(&mut self, key: &LoadedKey) -> Result<Option<Authenticated>, AuthFailure> {
        let label = format!("key {} {}", key.name, key.fingerprint);
        let Some(hash) = self.may_offer(&key.fingerprint, &label, key.is_rsa()).await? else { return Ok(None) };
        let signer = PrivateKeyWithHashAlg::new(key.key.clone(), hash);
        let answer = self.handle.authenticate_publickey(self.user, signer).await;
        let accepted = self.accepted(label, answer).await?;
        Ok(accepted.then(|| Authenticated { method: "key", fingerprint: Some(key.fingerprint.clone()) }))
    }

    async fn offer_password(&mut self, password: &Secret) -> Result<Option<Authenticated>, AuthFailure> {
        let done = Some(Authenticated { method: "password", fingerprint: None });
        if self.would_take(MethodKind::Password) {
            let answer = self.handle.authenticate_password(self.user, password.expose()).await;
            if self.accepted("password".to_owned(), answer).await? {
                return Ok(done);
            }
            if self.partial || self.would_take(MethodKind::Password) {
                // It was looked at, and refused or taken for a part: it is not asked a second time.
                return Ok(None);
            }
        }
        if !self.would_take(MethodKind::KeyboardInteractive) {
            return Ok(None);
        }
        let answer = self.answer_dialogue(password).await;
        Ok(if self.accepted("password in a dialogue".to_owned(), answer).await? { done } else { None })
    }

    /// Many servers ask for the password in a dialogue alone. It is told once, to a question whose answer is hidden.
    async fn answer_dialogue(&mut self, password: &Secret) -> Result<AuthResult, russh::Error> {
        let mut response = self.handle.authenticate_keyboard_interactive_start(self.user, None).await?;
        let mut told = false;
        // PAM asks once and then sends an empty round; more rounds than these are no password dialogue.
        for _ in 0..4 {
            let answers = match response {
                KeyboardInteractiveAuthResponse::Success => return Ok(AuthResult::Success),
                KeyboardInteractiveAuthResponse::Failure { remaining_methods, partial_success } => {
                    return Ok(AuthResult::Failure { remaining_methods, partial_success });
                }
                KeyboardInteractiveAuthResponse::InfoRequest { prompts, .. } => match prompts.as_slice() {
                    [] => Vec::new(),
                    [question] if !question.echo && !told => {
                        told = true;
                        // The copy is russh's, which wipes a password it was given, but not an answer.
                        vec![password.expose().to_owned()]
                    }
                    others => vec![String::new(); others.len()],
                },
            };
            response = self.handle.authenticate_keyboard_interactive_respond(answers).await?;
        }
        Ok(AuthResult::Failure { remaining_methods: MethodSet::empty(), partial_success: self.partial })
    }

    fn would_take(&self, kind: MethodKind) -> bool {
        self.remaining.as_ref().is_none_or(|methods| methods.contains(&kind))
    }

    /// Whether to offer a key, and with which hash it would sign. Only an RSA key has to ask: the answer may take a
    /// second on servers that do not say.
    async fn may_offer(&mut self, id: &str, label: &str, rsa: bool) -> Result<Option<Option<HashAlg>>, AuthFailure> {
        if !self.would_take(MethodKind::PublicKey) || self.offered_keys.iter().any(|seen| seen == id) {
            return Ok(None);
        }
        if self.offered_keys.len() >= MAX_KEYS_OFFERED {
            self.tried.push(format!("{label}: not offered, {MAX_KEYS_OFFERED} keys were"));
            return Ok(None);
        }
        let hash = match rsa {
            false => None,
            true => match self.rsa_hash().await? {
                Some(Some(hash)) => Some(hash),
                // It does not say. Servers know SHA-2 since OpenSSH 7.2, of 2016.
                None => Some(HashAlg::Sha256),
                Some(None) => {
                    self.tried.push(format!("{label}: not offered, the server takes RSA with SHA-1 alone"));
                    return Ok(None);
                }
            },
        };
        self.offered_keys.push(id.to_owned());
        Ok(Some(hash))
    }

    /// Asked of the server once: one that does not say makes every question last a second.
    async fn rsa_hash(&mut self) -> Result<Option<Option<HashAlg>>, AuthFailure> {
        if let Some(known) = self.rsa_hash {
            return Ok(known);
        }
        match self.handle.best_supported_rsa_hash().await {
            Ok(answer) => Ok(*self.rsa_hash.insert(answer)),
            Err(error) => Err(self.broken(error).await),
        }
    }

    /// What an answer means. `Ok(true)`: the user is in.
    async fn accepted(&mut self, label: String, answer: Result<AuthResult, russh::Error>) -> Result<bool, AuthFailure> {
        match answer {
            Ok(AuthResult::Success) => Ok(true),
            // A connection that ends looks the same as a server that says no and would take nothing more.
            Ok(AuthResult::Failure { remaining_methods, partial_success: false })
                if remaining_methods.is_empty() && self.ended().await =>
            {
                Err(self.lost())
            }
            Ok(AuthResult::Failure { remaining_methods, partial_success }) => {
                self.tried.push(if partial_success { format!("{label}, accepted") } else { label });
                self.remaining = Some(remaining_methods);
                self.partial |= partial_success;
                self.asked = true;
                Ok(false)
            }
            Err(error) => Err(self.broken(error).await),
        }
    }

    async fn broken(&mut self, error: russh::Error) -> AuthFailure {
        if self.ended().await { self.lost() } else { AuthFailure::Protocol(error) }
    }

    /// Whether the session is over. Its task closes its two queues one after the other, so it is given a moment.
    async fn ended(&self) -> bool {
        let seen = async {
            while !self.handle.is_closed() {
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        };
        tokio::time::timeout(END_SEEN_WITHIN, seen).await.is_ok()
    }

    fn lost(&mut self) -> AuthFailure {
        AuthFailure::Lost { refused: self.asked.then(|| self.refusal()) }
    }

    fn refusal(&mut self) -> AuthError {
        let remaining = self.remaining.iter().flat_map(|methods| methods.iter()).map(String::from).collect();
        let tried = std::mem::take(&mut self.tried);
        AuthError::Refused { user: self.user.to_owned(), tried, remaining, partial: self.partial }
    }
}
