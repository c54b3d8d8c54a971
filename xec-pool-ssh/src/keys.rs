//! Private keys: read once, before anything is dialled, with an error that says what to do.

use std::{
    fmt, fs,
    io::{self, Read},
    path::{Path, PathBuf},
    sync::Arc,
};

use russh::keys::{Algorithm, HashAlg, PrivateKey, PublicKey, decode_secret_key};
use zeroize::Zeroizing;

use crate::Secret;

/// No private key is longer; what is longer is something else.
const MAX_KEY_BYTES: u64 = 64 * 1024;

/// Where a private key comes from: ed25519, ecdsa or rsa. Make new ones ed25519: how long an RSA signature takes says
/// something of the key to who can measure it well (RUSTSEC-2023-0071), unless an agent makes it.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum KeySource {
    /// A file, in OpenSSH's or a PEM format.
    File(PathBuf),
    /// The text of such a file.
    Text(Secret),
}

impl fmt::Display for KeySource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => path.display().fmt(f),
            Self::Text(_) => f.write_str("(given as text)"),
        }
    }
}

/// Why a private key cannot be used. Found before anything is dialled.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum KeyError {
    /// There is no such file.
    #[error("there is no key file {}; check the path, or make one with `ssh-keygen`", path.display())]
    #[non_exhaustive]
    Missing {
        /// The path as it was looked for.
        path: PathBuf,
    },
    /// The file is there and cannot be read.
    #[error("cannot read the key file {}; check its owner and mode", path.display())]
    #[non_exhaustive]
    Unreadable {
        /// The path as it was looked for.
        path: PathBuf,
        /// What the system says.
        #[source]
        source: io::Error,
    },
    /// The key is encrypted and no passphrase was given.
    #[error("the key {key} is encrypted; give its passphrase, or `ssh-add` it and use the agent")]
    #[non_exhaustive]
    Encrypted {
        /// The key's file.
        key: String,
    },
    /// The key is encrypted with another passphrase.
    #[error("the passphrase does not open the key {key}")]
    #[non_exhaustive]
    WrongPassphrase {
        /// The key's file.
        key: String,
    },
    /// The file holds a public key.
    #[error("the key {key} is a public key; give the private one, whose name has no .pub")]
    #[non_exhaustive]
    Public {
        /// The key's file.
        key: String,
    },
    /// The file holds no private key that can be read.
    #[error("the key {key} is not a private key in OpenSSH's or a PEM format")]
    #[non_exhaustive]
    NotAKey {
        /// The key's file.
        key: String,
    },
    /// The key is of a kind that cannot sign here.
    #[error("the key {key} is of the kind {algorithm}; use ed25519, ecdsa or rsa, or an agent that holds it")]
    #[non_exhaustive]
    Unsupported {
        /// The key's file.
        key: String,
        /// Its kind, as SSH calls it.
        algorithm: String,
    },
}

/// A private key, ready to sign.
#[derive(Clone)]
pub(crate) struct LoadedKey {
    pub(crate) name: String,
    pub(crate) fingerprint: String,
    pub(crate) key: Arc<PrivateKey>,
}

impl LoadedKey {
    pub(crate) fn is_rsa(&self) -> bool {
        self.key.algorithm().is_rsa()
    }
}

impl fmt::Debug for LoadedKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LoadedKey").field("name", &self.name).field("fingerprint", &self.fingerprint).finish()
    }
}

/// What the world calls a key: `SHA256:…`.
pub(crate) fn fingerprint(key: &PublicKey) -> String {
    key.fingerprint(HashAlg::Sha256).to_string()
}

/// Reads a key and decrypts it. Blocking, and slow where the key is encrypted: that is the point of its encryption.
pub(crate) fn load(source: &KeySource, passphrase: Option<&Secret>) -> Result<LoadedKey, KeyError> {
    let name = source.to_string();
    match source {
        KeySource::File(path) => decode(name, &read(path)?, passphrase),
        KeySource::Text(text) => decode(name, text.expose(), passphrase),
    }
}

/// The public half of a key in OpenSSH's format, which stays readable when the key is encrypted.
pub(crate) fn public_half(path: &Path) -> Option<PublicKey> {
    let key = PrivateKey::from_openssh(read(path).ok()?.as_str()).ok()?;
    Some(key.public_key().clone())
}

fn read(path: &Path) -> Result<Zeroizing<String>, KeyError> {
    let unreadable = |source| KeyError::Unreadable { path: path.to_owned(), source };
    let file = match fs::File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Err(KeyError::Missing { path: path.to_owned() });
        }
        Err(error) => return Err(unreadable(error)),
    };
    warn_of_an_open_mode(path, &file);
    // Sized ahead: a buffer that grows leaves copies of the key behind.
    let mut bytes = Zeroizing::new(Vec::with_capacity(MAX_KEY_BYTES as usize + 1));
    file.take(MAX_KEY_BYTES + 1).read_to_end(&mut bytes).map_err(unreadable)?;
    let not_a_key = || KeyError::NotAKey { key: path.display().to_string() };
    if bytes.len() as u64 > MAX_KEY_BYTES {
        return Err(not_a_key());
    }
    std::str::from_utf8(&bytes).map(|text| Zeroizing::new(text.to_owned())).map_err(|_| not_a_key())
}

#[cfg(unix)]
fn warn_of_an_open_mode(path: &Path, file: &fs::File) {
    use std::os::unix::fs::PermissionsExt;

    if let Ok(metadata) = file.metadata()
        && metadata.is_file()
        && metadata.permissions().mode() & 0o077 != 0
    {
        let mode = format!("{:o}", metadata.permissions().mode() & 0o777);
        tracing::warn!(path = %path.display(), mode, "others may read this private key; `chmod 600` it");
    }
}

#[cfg(not(unix))]
fn warn_of_an_open_mode(_: &Path, _: &fs::File) {}

fn decode(key: String, text: &str, passphrase: Option<&Secret>) -> Result<LoadedKey, KeyError> {
    // Not asked of the decoder: it takes a passphrase for a PKCS#8 key that needs none as an error.
    let encrypted = match PrivateKey::from_openssh(text) {
        Ok(key) => key.is_encrypted(),
        Err(_) => text.contains("ENCRYPTED"),
    };
    let passphrase = passphrase.filter(|_| encrypted);
    if encrypted && passphrase.is_none() {
        return Err(KeyError::Encrypted { key });
    }
    let Ok(private) = decode_secret_key(text, passphrase.map(Secret::expose)) else {
        return Err(match text {
            _ if encrypted => KeyError::WrongPassphrase { key },
            text if PublicKey::from_openssh(text).is_ok() => KeyError::Public { key },
            _ => KeyError::NotAKey { key },
        });
    };
    let algorithm = private.algorithm();
    if !matches!(algorithm, Algorithm::Ed25519 | Algorithm::Ecdsa { .. } | Algorithm::Rsa { .. }) {
        return Err(KeyError::Unsupported { key, algorithm: algorithm.to_string() });
    }
    Ok(LoadedKey { name: key, fingerprint: fingerprint(private.public_key()), key: Arc::new(private) })
}

#[cfg(test)]
mod tests;
