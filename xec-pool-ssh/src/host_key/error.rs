//! Why a server was not believed: which host, which key, which line, and what to do.

use std::{fmt, io, path::PathBuf};

/// Why a server was not believed. No password and no command was sent to it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HostKeyError {
    /// A file that may say something of the host cannot be read, not even what it revokes.
    #[error("cannot read {}; check its owner and mode, or name other known_hosts files", file.display())]
    #[non_exhaustive]
    Unreadable {
        /// The file.
        file: PathBuf,
        /// What the system says.
        #[source]
        source: io::Error,
    },
    /// A file says that this key must not be trusted any more.
    #[error("the host key of {host} is revoked: {key} in {}:{line}; do not connect before its owner has explained", file.display())]
    #[non_exhaustive]
    Revoked {
        /// The host, with its port where that is not 22.
        host: String,
        /// Kind and fingerprint of what is revoked: the host's key, or the one that signed its certificate.
        key: String,
        /// The file that revokes it.
        file: PathBuf,
        /// The line, counted from 1.
        line: usize,
    },
    /// The server showed a certificate that proves nothing, and its key is not known either.
    #[error("the certificate of {host} ({key}) is not accepted because {reason}")]
    #[non_exhaustive]
    Certificate {
        /// The host, with its port where that is not 22.
        host: String,
        /// Kind and fingerprint of the key that is certified.
        key: String,
        /// What is wrong with the certificate.
        reason: String,
    },
    /// The host is known by another key.
    #[error(
        "the host key of {host} has changed: {}:{line} has {expected}, the server has {actual}; somebody may be in \
         between, so ask the host's owner; if it is meant so, remove the line with `ssh-keygen -f '{}' -R '{host}'`",
        file.display(), file.display()
    )]
    #[non_exhaustive]
    Changed {
        /// The host, with its port where that is not 22.
        host: String,
        /// The file that knows it.
        file: PathBuf,
        /// The line, counted from 1.
        line: usize,
        /// Kind and fingerprint of the key that is known.
        expected: String,
        /// Kind and fingerprint of the key that was shown.
        actual: String,
    },
    /// The host is not known.
    #[error(
        "the host key of {host} is not known: {key} stands in none of {}; compare it with what the host's owner says, \
         then add it (`ssh` to the host once), or set another host key policy",
        Files(files)
    )]
    #[non_exhaustive]
    Unknown {
        /// The host, with its port where that is not 22.
        host: String,
        /// Kind and fingerprint of the key that was shown.
        key: String,
        /// Where it was looked for.
        files: Vec<PathBuf>,
    },
    /// The key is none of those pinned.
    #[error("the host key of {host} is {key}, none of those pinned: {}", expected.join(", "))]
    #[non_exhaustive]
    NotPinned {
        /// The host, with its port where that is not 22.
        host: String,
        /// Kind and fingerprint of the key that was shown.
        key: String,
        /// The fingerprints that were pinned.
        expected: Vec<String>,
    },
    /// A new host could not be remembered, so it was not believed: it would be new for ever.
    #[error("cannot remember the new host {host} in {}; make it writable, or name another file", file.display())]
    #[non_exhaustive]
    NotSaved {
        /// The host, with its port where that is not 22.
        host: String,
        /// The file it should have gone to.
        file: PathBuf,
        /// What the system says.
        #[source]
        source: io::Error,
    },
}

struct Files<'a>(&'a [PathBuf]);

impl fmt::Display for Files<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, file) in self.0.iter().enumerate() {
            write!(f, "{}{}", if index == 0 { "" } else { ", " }, file.display())?;
        }
        Ok(())
    }
}
