//! Proving who one is: agent, keys, password, in the order given, each once, and never more than a server bears.

mod error;

// Before the dial: what is there to offer.
mod credentials;

// In it: offering.
mod session;

use std::path::PathBuf;

pub use self::error::AuthError;
pub(crate) use self::{
    credentials::{Credentials, CredentialsError},
    session::{AuthFailure, Authenticated, authenticate, means_too_many},
};
use crate::{KeySource, Secret};

/// One way to prove who one is.
///
/// # Examples
///
/// ```
/// use xec_pool_ssh::AuthMethod;
///
/// let methods = [AuthMethod::agent(), AuthMethod::key_file("/etc/deploy/id_ed25519")];
/// assert!(format!("{:?}", AuthMethod::password("hunter2")).contains("redacted"));
/// # let _ = methods;
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum AuthMethod {
    /// The keys an ssh-agent holds.
    #[non_exhaustive]
    Agent {
        /// Its socket; none is where `SSH_AUTH_SOCK` points.
        socket: Option<PathBuf>,
    },
    /// A private key.
    #[non_exhaustive]
    Key {
        /// Where the key is.
        source: KeySource,
        /// What opens it, where it is encrypted.
        passphrase: Option<Secret>,
    },
    /// A password, also where the server asks for it in a dialogue (keyboard-interactive).
    Password(Secret),
}

impl AuthMethod {
    /// The agent at `SSH_AUTH_SOCK`.
    #[must_use]
    pub const fn agent() -> Self {
        Self::Agent { socket: None }
    }

    /// The agent at a socket of one's own.
    pub fn agent_at(socket: impl Into<PathBuf>) -> Self {
        Self::Agent { socket: Some(socket.into()) }
    }

    /// The key in a file.
    pub fn key_file(path: impl Into<PathBuf>) -> Self {
        Self::Key { source: KeySource::File(path.into()), passphrase: None }
    }

    /// A key given as the text of its file.
    pub fn key_text(text: impl Into<Secret>) -> Self {
        Self::Key { source: KeySource::Text(text.into()), passphrase: None }
    }

    /// The same key with what opens it. Says nothing to the other methods.
    #[must_use]
    pub fn with_passphrase(self, passphrase: impl Into<Secret>) -> Self {
        match self {
            Self::Key { source, .. } => Self::Key { source, passphrase: Some(passphrase.into()) },
            other @ (Self::Agent { .. } | Self::Password(_)) => other,
        }
    }

    /// A password.
    pub fn password(password: impl Into<Secret>) -> Self {
        Self::Password(password.into())
    }
}

#[cfg(test)]
mod tests;
