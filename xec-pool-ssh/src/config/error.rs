//! Why a configuration cannot work. Each error names its field.

use std::time::Duration;

use crate::TargetError;

/// Why a configuration cannot work. Found when it is built or read, before anything is done with it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SshConfigError {
    /// `host` (or `username` or `port`) names no place.
    #[error("`{field}` cannot be used")]
    #[non_exhaustive]
    Target {
        /// The field.
        field: &'static str,
        /// What is wrong with it.
        #[source]
        source: TargetError,
    },
    /// No user is named, and the environment names none either.
    #[error("`username` is missing, and neither USER nor LOGNAME is set")]
    NoUser,
    /// A thing is said in two places, and not the same.
    #[error("`{field}` is given twice, as {first:?} and as {second:?}")]
    #[non_exhaustive]
    Twice {
        /// The field.
        field: &'static str,
        /// As part of the host.
        first: String,
        /// On its own.
        second: String,
    },
    /// A time limit of zero lets nothing through.
    #[error("`{field}` is 0; it must be longer")]
    #[non_exhaustive]
    Zero {
        /// The field.
        field: &'static str,
    },
    /// No clock goes that far.
    #[error("`{field}` is {given:?}; the longest is {most:?}")]
    #[non_exhaustive]
    TooLong {
        /// The field.
        field: &'static str,
        /// What was given.
        given: Duration,
        /// The longest that is allowed.
        most: Duration,
    },
    /// A connection that is idle would be taken for dead before it was asked whether it lives.
    #[error(
        "`inactivity_timeout` ({inactivity_timeout:?}) must be longer than `keepalive_interval` ({keepalive_interval:?})"
    )]
    #[non_exhaustive]
    Inactivity {
        /// The longest silence.
        inactivity_timeout: Duration,
        /// How often silence is broken.
        keepalive_interval: Duration,
    },
    /// A pinned fingerprint is none.
    #[error("`host_key` pins {text:?}, which is no fingerprint; write it as `ssh-keygen -l` prints it: SHA256:…")]
    #[non_exhaustive]
    Fingerprint {
        /// What was given.
        text: String,
    },
    /// The policy needs files, and there are none.
    #[error("`known_hosts` names no file, and the host key policy needs one")]
    NoFile,
    /// A passphrase without a key that it could open.
    #[error("`passphrase` is given without `private_key`")]
    PassphraseAlone,
    /// A path begins with `~` and there is no home, or it is another user's.
    #[error("`{field}` begins with '~' ({path:?}), which can only be one's own home, and that must be known")]
    #[non_exhaustive]
    Home {
        /// The field.
        field: &'static str,
        /// The path as given.
        path: String,
    },
    /// A value of the seed's grammar that does not follow it.
    #[error("`{field}` is {text:?}: {problem}")]
    #[non_exhaustive]
    Grammar {
        /// The field.
        field: &'static str,
        /// What was given.
        text: String,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// Something that this version cannot do yet is switched on.
    #[error("`{field}` is on, and multiplexing one connection is not supported yet; leave it out or set it to false")]
    #[non_exhaustive]
    NotYet {
        /// The field.
        field: &'static str,
    },
}
