//! Who may log in.

use russh::{
    MethodKind, MethodSet,
    keys::{PublicKey, ssh_key},
};

use crate::keys;

/// Whom a server lets in.
pub(super) struct Users {
    /// `None`: whoever it is.
    keys: Vec<(Option<String>, PublicKey)>,
    passwords: Vec<(String, String)>,
}

impl Users {
    pub(super) fn new(keys: &[(String, String)], passwords: Vec<(String, String)>) -> Result<Self, ssh_key::Error> {
        let keys = if keys.is_empty() && passwords.is_empty() {
            let parse = |key: &keys::TestKey| Ok((None, PublicKey::from_openssh(key.public)?));
            keys::USERS.iter().map(parse).collect::<Result<_, ssh_key::Error>>()?
        } else {
            let parse = |(user, key): &(String, String)| Ok((Some(user.clone()), PublicKey::from_openssh(key)?));
            keys.iter().map(parse).collect::<Result<_, ssh_key::Error>>()?
        };
        Ok(Self { keys, passwords })
    }

    pub(super) fn takes_key(&self, user: &str, key: &PublicKey) -> bool {
        self.keys
            .iter()
            .any(|(who, known)| who.as_deref().is_none_or(|who| who == user) && known.key_data() == key.key_data())
    }

    pub(super) fn takes_password(&self, user: &str, password: &str) -> bool {
        self.passwords.iter().any(|(who, known)| who == user && known == password)
    }

    /// What a client is told to try.
    pub(super) fn methods(&self) -> MethodSet {
        let mut methods = MethodSet::empty();
        if !self.keys.is_empty() {
            methods.push(MethodKind::PublicKey);
        }
        if !self.passwords.is_empty() {
            methods.push(MethodKind::Password);
        }
        methods
    }
}
