//! What the files together say of the key a server showed.

use std::{path::PathBuf, sync::Arc};

use russh::keys::{Algorithm, PublicKey, PublicKeyOrCertificate};

use super::{
    KnownHosts, Names, certificate,
    line::{Claim, Line},
};
use crate::{HostKeyError, keys::fingerprint};

/// A key as errors show it: `ssh-ed25519 SHA256:…`.
pub(crate) fn describe(key: &PublicKey) -> String {
    format!("{} {}", key.algorithm(), fingerprint(key))
}

/// Whether the host is who it should be. Revocation is asked first, in every file, and nothing overrules it.
pub(crate) fn judge(
    files: &[Arc<KnownHosts>],
    names: &Names,
    presented: &PublicKeyOrCertificate,
    now_unix_seconds: u64,
) -> Result<(), HostKeyError> {
    let key = presented.public_key();
    not_revoked(files, names, presented)?;
    let flaw = match presented.certificate() {
        None => None,
        Some(certificate) => {
            let is_authority = |signer: &_| find(files, Claim::Authority, &names.all(), signer).is_some();
            match certificate::flaw(certificate, names.host(), now_unix_seconds, is_authority) {
                None => return Ok(()),
                Some(flaw) => Some(flaw),
            }
        }
    };
    // Also after a bad certificate, like ssh: it still proved that the server holds this key.
    if find(files, Claim::HostKey, &names.all(), key.key_data()).is_some() {
        return Ok(());
    }
    if let Some(reason) = flaw {
        return Err(HostKeyError::Certificate { host: names.own().to_owned(), key: describe(&key), reason });
    }
    match known_by_another(files, names, &key.algorithm()) {
        Some((file, line)) => Err(HostKeyError::Changed {
            host: names.own().to_owned(),
            file: file.path().to_owned(),
            line: line.number,
            expected: describe(&line.key),
            actual: describe(&key),
        }),
        None => Err(HostKeyError::Unknown {
            host: names.own().to_owned(),
            key: describe(&key),
            files: files.iter().map(|file| file.path().to_owned()).collect(),
        }),
    }
}

/// The algorithms of the keys a host is known by, in the order of the files.
pub(crate) fn known_algorithms(files: &[Arc<KnownHosts>], names: &Names) -> Vec<Algorithm> {
    let own = about(files, Claim::HostKey, &[names.own()]);
    let known = if own.is_empty() { about(files, Claim::HostKey, &[names.host()]) } else { own };
    known.iter().map(|(_, line)| line.key.algorithm()).collect()
}

/// Whether any authority may speak for this host, so that certificates are worth asking for.
pub(crate) fn has_authority(files: &[Arc<KnownHosts>], names: &Names) -> bool {
    !about(files, Claim::Authority, &names.all()).is_empty()
}

fn not_revoked(
    files: &[Arc<KnownHosts>],
    names: &Names,
    presented: &PublicKeyOrCertificate,
) -> Result<(), HostKeyError> {
    let key = presented.public_key();
    let signer = presented.certificate().map(|certificate| PublicKey::from(certificate.signature_key().clone()));
    for revoked in [Some(key), signer].into_iter().flatten() {
        if let Some((file, line)) = find(files, Claim::Revoked, &names.all(), revoked.key_data()) {
            return Err(HostKeyError::Revoked {
                host: names.own().to_owned(),
                key: describe(&revoked),
                file: PathBuf::from(file.path()),
                line: line.number,
            });
        }
    }
    Ok(())
}

type Place<'a> = (&'a KnownHosts, &'a Line);

fn find<'a>(
    files: &'a [Arc<KnownHosts>],
    claim: Claim,
    names: &[&str],
    key: &russh::keys::ssh_key::public::KeyData,
) -> Option<Place<'a>> {
    about(files, claim, names).into_iter().find(|(_, line)| line.key.key_data() == key)
}

/// A host that is known is not a new one, whatever kind of key is shown: the kinds it is known by were asked for
/// first. The line of the same kind is what changed, where there is one.
fn known_by_another<'a>(files: &'a [Arc<KnownHosts>], names: &Names, shown: &Algorithm) -> Option<Place<'a>> {
    let known = about(files, Claim::HostKey, &[names.own()]);
    let same_kind = known.iter().find(|(_, line)| line.key.algorithm() == *shown);
    same_kind.or(known.first()).copied()
}

fn about<'a>(files: &'a [Arc<KnownHosts>], claim: Claim, names: &[&str]) -> Vec<Place<'a>> {
    let mut places = Vec::new();
    for file in files {
        places.extend(file.about(claim, names).map(|line| (&**file, line)));
    }
    places
}
