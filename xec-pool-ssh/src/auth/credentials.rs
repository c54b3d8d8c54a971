//! What a dial may offer, read before it: a key that cannot be used is found before anything is sent.

use std::path::PathBuf;

use russh::keys::PublicKey;

use super::{AuthError, AuthMethod};
use crate::{
    KeyError, KeySource, Secret, agent,
    keys::{self, LoadedKey},
};

/// The keys ssh tries where none is named, in `~/.ssh`.
const DEFAULT_KEYS: [&str; 3] = ["id_ed25519", "id_ecdsa", "id_rsa"];

/// What a dial may offer: read and opened, before anything is dialled.
#[derive(Debug)]
pub(crate) struct Credentials {
    pub(super) offers: Vec<Offer>,
    /// Which of an agent's keys come first: those that are named here and cannot be opened.
    pub(super) wanted: Vec<PublicKey>,
    /// What was passed over, and why.
    pub(super) notes: Vec<String>,
}

#[derive(Debug)]
pub(super) enum Offer {
    Agent(PathBuf),
    Key(LoadedKey),
    Password(Secret),
}

/// Why there is nothing to dial with.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CredentialsError {
    #[error(transparent)]
    Key(#[from] KeyError),
    #[error(transparent)]
    Auth(#[from] AuthError),
}

impl Credentials {
    /// Reads what the methods name; with none, what ssh would try. Blocking, and slow for encrypted keys.
    pub(crate) fn read(methods: &[AuthMethod], home: Option<PathBuf>) -> Result<Self, CredentialsError> {
        let mut credentials = Self { offers: Vec::new(), wanted: Vec::new(), notes: Vec::new() };
        for method in methods {
            credentials.add(method)?;
        }
        if methods.is_empty() {
            credentials.add(&AuthMethod::agent())?;
            credentials.add_default_keys(home.as_deref().map(|home| home.join(".ssh")));
        }
        if credentials.offers.is_empty() {
            return Err(AuthError::NothingToOffer { tried: credentials.notes }.into());
        }
        Ok(credentials)
    }

    fn add(&mut self, method: &AuthMethod) -> Result<(), KeyError> {
        match method {
            AuthMethod::Agent { socket } => match socket.clone().or_else(agent::socket_from_environment) {
                Some(socket) => self.offers.push(Offer::Agent(socket)),
                None => self.notes.push("no agent: SSH_AUTH_SOCK is not set".to_owned()),
            },
            AuthMethod::Key { source, passphrase } => {
                let key = keys::load(source, passphrase.as_ref())?;
                self.wanted.push(key.key.public_key().clone());
                self.offers.push(Offer::Key(key));
            }
            AuthMethod::Password(password) => self.offers.push(Offer::Password(password.clone())),
        }
        Ok(())
    }

    /// One that is there and cannot be used is passed over, like ssh passes over what it has no passphrase for: the
    /// agent may hold it.
    pub(super) fn add_default_keys(&mut self, directory: Option<PathBuf>) {
        let Some(directory) = directory else {
            self.notes.push("no default keys: there is no home directory".to_owned());
            return;
        };
        let (offered_before, noted_before) = (self.offers.len(), self.notes.len());
        for path in DEFAULT_KEYS.map(|name| directory.join(name)) {
            match keys::load(&KeySource::File(path.clone()), None) {
                Ok(key) => self.offers.push(Offer::Key(key)),
                Err(KeyError::Missing { .. }) => {}
                Err(error) => {
                    self.wanted.extend(keys::public_half(&path));
                    self.notes.push(error.to_string());
                }
            }
        }
        if (self.offers.len(), self.notes.len()) == (offered_before, noted_before) {
            self.notes.push(format!("no {} in {}", DEFAULT_KEYS.join(", "), directory.display()));
        }
    }
}
