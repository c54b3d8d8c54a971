//! Whether the server is who it should be: the policies, and the check of one dial.

mod error;

use std::{
    io,
    path::PathBuf,
    sync::Arc,
    time::{SystemTime, UNIX_EPOCH},
};

use russh::keys::{Algorithm, EcdsaCurve, HashAlg, PublicKeyOrCertificate};

pub use self::error::HostKeyError;
use crate::{
    keys::fingerprint,
    known_hosts::{
        KnownHosts, Names, file,
        learn::learn,
        verdict::{describe, has_authority, judge, known_algorithms},
    },
    target::SshTarget,
};

/// How a server proves that it is the host it should be.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum HostKeyPolicy {
    /// Only hosts that the `known_hosts` files know.
    #[default]
    Strict,
    /// A host seen for the first time is remembered in the first of the files; from then on like
    /// [`Strict`](Self::Strict). Whoever answers the first time is believed.
    AcceptNew,
    /// Only keys with one of these fingerprints, as `ssh-keygen -l` prints them: `SHA256:…`. No file is read.
    Pinned(Vec<String>),
    /// Whoever answers. Somebody in between can read and change everything, and take a password; for throw-away
    /// machines alone.
    DangerAcceptAnyHostKey,
}

/// What one dial believes. Made before it, asked once in its key exchange.
#[derive(Clone, Debug)]
pub(crate) struct HostKeyCheck {
    names: Names,
    rule: Rule,
}

#[derive(Clone, Debug)]
enum Rule {
    Files { known: Vec<Arc<KnownHosts>>, learn_into: Option<PathBuf> },
    Pinned(Vec<String>),
    Anything,
}

impl HostKeyCheck {
    /// Reads the files. Blocking.
    pub(crate) fn new(target: &SshTarget, policy: &HostKeyPolicy, files: &[PathBuf]) -> Result<Self, HostKeyError> {
        let learn_into = match policy {
            HostKeyPolicy::AcceptNew => files.first().cloned(),
            HostKeyPolicy::Strict | HostKeyPolicy::Pinned(_) | HostKeyPolicy::DangerAcceptAnyHostKey => None,
        };
        let rule = match policy {
            HostKeyPolicy::Strict | HostKeyPolicy::AcceptNew => {
                let load = |path: &PathBuf| {
                    file::load(path).map_err(|source| HostKeyError::Unreadable { file: path.clone(), source })
                };
                Rule::Files { known: files.iter().map(load).collect::<Result<_, _>>()?, learn_into }
            }
            HostKeyPolicy::Pinned(fingerprints) => Rule::Pinned(fingerprints.clone()),
            HostKeyPolicy::DangerAcceptAnyHostKey => Rule::Anything,
        };
        Ok(Self { names: Names::new(target.host(), target.port()), rule })
    }

    /// The kinds of key to ask the server for, most wanted first: those the host is known by before all others, else a
    /// host known by its RSA key alone would show another one and be called changed.
    ///
    /// SHA-1 (`ssh-rsa`) is never asked for: what signs with it proves nothing.
    pub(crate) fn preferred_keys(&self) -> Vec<Algorithm> {
        let Rule::Files { known, .. } = &self.rule else { return all_algorithms() };
        let known = known_algorithms(known, &self.names);
        let is_known = |algorithm: &Algorithm| known.iter().any(|kind| is_of_kind(algorithm, kind));
        let (mut first, rest): (Vec<_>, Vec<_>) = all_algorithms().into_iter().partition(is_known);
        first.extend(rest);
        first
    }

    /// The kinds of certificate to ask for: none where no authority is known for the host, since a server that has one
    /// would then show it instead of the key that is known.
    pub(crate) fn preferred_certificates(&self) -> Vec<Algorithm> {
        match &self.rule {
            Rule::Files { known, .. } if has_authority(known, &self.names) => all_algorithms(),
            Rule::Files { .. } | Rule::Pinned(_) | Rule::Anything => Vec::new(),
        }
    }

    /// Whether the server that shows this is the host.
    ///
    /// # Cancel safety
    ///
    /// Safe to drop: a host that is being remembered is then remembered all the same.
    pub(crate) async fn check(&self, presented: &PublicKeyOrCertificate) -> Result<(), HostKeyError> {
        let key = presented.public_key();
        match &self.rule {
            Rule::Anything => {
                tracing::warn!(host = self.names.own(), key = describe(&key), "any host key is accepted here");
                Ok(())
            }
            Rule::Pinned(expected) if expected.contains(&fingerprint(&key)) => Ok(()),
            Rule::Pinned(expected) => Err(HostKeyError::NotPinned {
                host: self.names.own().to_owned(),
                key: describe(&key),
                expected: expected.clone(),
            }),
            Rule::Files { known, learn_into } => match (judge(known, &self.names, presented, now()), learn_into) {
                (Err(HostKeyError::Unknown { .. }), Some(file)) => self.learn(file, key).await,
                (verdict, _) => verdict,
            },
        }
    }

    async fn learn(&self, file: &std::path::Path, key: russh::keys::PublicKey) -> Result<(), HostKeyError> {
        tracing::info!(host = self.names.own(), key = describe(&key), file = %file.display(), "new host remembered");
        let (names, path) = (self.names.clone(), file.to_owned());
        // The file's lock may be held by others: not on a thread that drives connections.
        match tokio::task::spawn_blocking(move || learn(&path, &names, &key)).await {
            Ok(learned) => learned,
            Err(stopped) => Err(HostKeyError::NotSaved {
                host: self.names.own().to_owned(),
                file: file.to_owned(),
                source: io::Error::other(stopped),
            }),
        }
    }
}

/// A fingerprint as it is compared, or `None` where the text is none.
pub(crate) fn parse_fingerprint(text: &str) -> Option<String> {
    let fingerprint: russh::keys::ssh_key::Fingerprint = text.trim().trim_end_matches('=').parse().ok()?;
    (fingerprint.algorithm() == HashAlg::Sha256).then(|| fingerprint.to_string())
}

fn now() -> u64 {
    // A clock before 1970 makes every certificate «not yet valid».
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

fn is_of_kind(algorithm: &Algorithm, kind: &Algorithm) -> bool {
    match (algorithm, kind) {
        (Algorithm::Rsa { .. }, Algorithm::Rsa { .. }) => true,
        (algorithm, kind) => algorithm == kind,
    }
}

fn all_algorithms() -> Vec<Algorithm> {
    vec![
        Algorithm::Ed25519,
        Algorithm::Ecdsa { curve: EcdsaCurve::NistP256 },
        Algorithm::Ecdsa { curve: EcdsaCurve::NistP384 },
        Algorithm::Ecdsa { curve: EcdsaCurve::NistP521 },
        Algorithm::Rsa { hash: Some(HashAlg::Sha512) },
        Algorithm::Rsa { hash: Some(HashAlg::Sha256) },
    ]
}

#[cfg(test)]
mod tests;

#[cfg(test)]
#[cfg(all(unix, feature = "sshd"))]
mod openssh;
