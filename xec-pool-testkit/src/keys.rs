//! Key pairs for tests. They are committed, so everybody has them: never let a real machine trust one.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

/// A key pair as text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct TestKey {
    /// File name, without a folder.
    pub name: &'static str,
    /// The private key, in OpenSSH's format.
    pub private: &'static str,
    /// The public key, as one line of an `authorized_keys` file.
    pub public: &'static str,
    /// What opens the private key, where it is locked.
    pub passphrase: Option<&'static str>,
}

impl TestKey {
    /// Writes the private key (mode 0600) and the public key beside it (`.pub`) into a folder, and returns the
    /// private key's path.
    ///
    /// # Errors
    ///
    /// When a file cannot be written.
    pub fn write_to(&self, folder: &Path) -> io::Result<PathBuf> {
        let path = folder.join(self.name);
        fs::write(folder.join(format!("{}.pub", self.name)), self.public)?;
        write_secret(&path, self.private)?;
        Ok(path)
    }

    /// The line that makes a client trust this key as the host key of `host` (a name, or `[name]:port`), with its
    /// line end.
    #[must_use]
    pub fn known_hosts_line(&self, host: &str) -> String {
        let mut words = self.public.split(' ');
        let (algorithm, key) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
        format!("{host} {algorithm} {}\n", key.trim_end())
    }
}

#[cfg(unix)]
fn write_secret(path: &Path, text: &str) -> io::Result<()> {
    use std::{io::Write as _, os::unix::fs::OpenOptionsExt as _};

    // Private from its first moment: ssh refuses a key that others may read.
    fs::OpenOptions::new().create(true).truncate(true).write(true).mode(0o600).open(path)?.write_all(text.as_bytes())
}

#[cfg(not(unix))]
fn write_secret(path: &Path, text: &str) -> io::Result<()> {
    fs::write(path, text)
}

macro_rules! key {
    ($(#[$doc:meta])* $constant:ident, $file:literal, $passphrase:expr) => {
        $(#[$doc])*
        pub const $constant: TestKey = TestKey {
            name: $file,
            private: include_str!(concat!("../keys/", $file)),
            public: include_str!(concat!("../keys/", $file, ".pub")),
            passphrase: $passphrase,
        };
    };
}

/// What opens the locked keys.
pub const PASSPHRASE: &str = "open sesame";

key! {
    /// A user's key. The test servers let it in unless told otherwise.
    USER_ED25519, "user_ed25519", None
}
key! {
    /// A user's key. The test servers let it in unless told otherwise.
    USER_ECDSA, "user_ecdsa", None
}
key! {
    /// A user's key, 2048 bits. The test servers let it in unless told otherwise.
    USER_RSA, "user_rsa", None
}
key! {
    /// A user's key behind a passphrase (one round only, so that a debug build opens it quickly).
    USER_ED25519_LOCKED, "user_ed25519_locked", Some(PASSPHRASE)
}
key! {
    /// A user's key behind a passphrase (one round only, so that a debug build opens it quickly).
    USER_RSA_LOCKED, "user_rsa_locked", Some(PASSPHRASE)
}
key! {
    /// A key that no test server lets in unless told to.
    STRANGER, "stranger_ed25519", None
}
key! {
    /// The test servers' host key unless told otherwise.
    HOST_ED25519, "host_ed25519", None
}
key! {
    /// Another host key.
    HOST_ECDSA, "host_ecdsa", None
}
key! {
    /// Another host key, 2048 bits.
    HOST_RSA, "host_rsa", None
}

/// The users' keys that the test servers let in unless told otherwise.
pub const USERS: [TestKey; 5] = [USER_ED25519, USER_ECDSA, USER_RSA, USER_ED25519_LOCKED, USER_RSA_LOCKED];
