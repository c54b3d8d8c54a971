//! A password or passphrase: wiped from memory when dropped, and never shown.

use std::{fmt, sync::Arc};

use zeroize::Zeroizing;

/// A password, a passphrase or the text of a private key.
///
/// Its memory is wiped when the last clone is dropped. It has no `Display`, its `Debug` shows nothing, and it cannot
/// be serialized. Out of its reach is what others copy of it: the file that it was read from by serde, and the protocol
/// while it authenticates.
///
/// # Examples
///
/// ```
/// use xec_pool_ssh::Secret;
///
/// let password = Secret::from("correct horse");
/// assert_eq!(format!("{password:?}"), "Secret(redacted)");
/// ```
#[derive(Clone)]
pub struct Secret(Arc<Zeroizing<String>>);

impl Secret {
    /// Takes the text over, so that no copy of it is left behind.
    #[must_use]
    pub fn new(text: String) -> Self {
        Self(Arc::new(Zeroizing::new(text)))
    }

    /// The text itself. Only what authenticates asks for it.
    pub(crate) fn expose(&self) -> &str {
        &self.0
    }
}

impl From<String> for Secret {
    fn from(text: String) -> Self {
        Self::new(text)
    }
}

impl From<&str> for Secret {
    fn from(text: &str) -> Self {
        Self::new(text.to_owned())
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(redacted)")
    }
}

#[cfg(test)]
pub(crate) mod tests;
