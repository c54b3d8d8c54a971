//! What we tell russh about the protocol: limits, algorithms, and when to give a silent server up.

use std::{borrow::Cow, time::Duration};

use russh::{Limits, Preferred, cipher, client, compression, keys::Algorithm};

use crate::SshConfig;

/// As good as never. A rekey by time kills a connection with several busy downloads: russh counts what is in flight
/// for the whole connection against the window of one channel.
const NEVER: Duration = Duration::from_secs(10 * 365 * 24 * 3600);

/// After how many bytes, in either direction, keys are changed. OpenSSH does it after 1 to 4 GiB of its own accord,
/// and when the server begins nothing is lost, so ours comes last.
pub(crate) const REKEY_AFTER: u64 = 4 << 30;

/// russh's settings for one dial. `keys` and `certificates`: what host keys are asked for, best first.
pub(crate) fn settings(
    config: &SshConfig,
    rekey_after: u64,
    keys: Vec<Algorithm>,
    certificates: Vec<Algorithm>,
) -> client::Config {
    let rekey_after = usize::try_from(rekey_after).unwrap_or(usize::MAX);
    client::Config {
        limits: Limits { rekey_write_limit: rekey_after, rekey_read_limit: rekey_after, rekey_time_limit: NEVER },
        preferred: Preferred {
            key: Cow::Owned(keys),
            host_key_certificates: Cow::Owned(certificates),
            cipher: Cow::Borrowed(if has_aes() { AES_FIRST } else { CHACHA_FIRST }),
            // A peer that compresses can make little into much, and a pipe is rarely the bottleneck.
            compression: Cow::Borrowed(&[compression::NONE]),
            ..Preferred::DEFAULT
        },
        // Both: keepalives alone do not notice a peer that stops reading while we write, and without keepalives an
        // idle connection would be taken for a dead one.
        keepalive_interval: config.keepalive_interval(),
        keepalive_max: config.keepalive_max() as usize,
        inactivity_timeout: config.inactivity_timeout(),
        ..client::Config::default()
    }
}

/// Half again as fast as ChaCha20 where the processor helps; slower, and open to timing attacks, where it does not.
const AES_FIRST: &[cipher::Name] = &[
    cipher::AES_256_GCM,
    cipher::AES_128_GCM,
    cipher::CHACHA20_POLY1305,
    cipher::AES_256_CTR,
    cipher::AES_192_CTR,
    cipher::AES_128_CTR,
];

const CHACHA_FIRST: &[cipher::Name] = &[
    cipher::CHACHA20_POLY1305,
    cipher::AES_256_GCM,
    cipher::AES_128_GCM,
    cipher::AES_256_CTR,
    cipher::AES_192_CTR,
    cipher::AES_128_CTR,
];

fn has_aes() -> bool {
    #[cfg(any(target_arch = "x86", target_arch = "x86_64"))]
    return std::arch::is_x86_feature_detected!("aes") && std::arch::is_x86_feature_detected!("pclmulqdq");
    #[cfg(target_arch = "aarch64")]
    return std::arch::is_aarch64_feature_detected!("aes");
    #[cfg(not(any(target_arch = "x86", target_arch = "x86_64", target_arch = "aarch64")))]
    return false;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_settings_are_those_that_keep_connections_alive_and_quick() {
        let config = SshConfig::builder("a@b".parse().unwrap()).password("x").build().unwrap();
        let settings = settings(&config, REKEY_AFTER, vec![Algorithm::Ed25519], Vec::new());
        assert_eq!(settings.limits.rekey_read_limit as u64, REKEY_AFTER);
        assert_eq!(settings.limits.rekey_write_limit as u64, REKEY_AFTER);
        assert!(settings.limits.rekey_time_limit > Duration::from_secs(365 * 24 * 3600), "by bytes alone");
        assert!(settings.keepalive_interval.is_some() && settings.inactivity_timeout.is_some());
        assert_eq!(*settings.preferred.compression, [compression::NONE]);
        let first = settings.preferred.cipher[0].as_ref();
        assert_eq!(first.starts_with("aes256-gcm"), has_aes(), "{first}");
    }
}
