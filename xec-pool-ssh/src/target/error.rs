//! Why a text is no target.

use super::MAX_HOST_BYTES;

/// Why a text is no target. Found before any I/O.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TargetError {
    /// There is no host in it.
    #[error("the target names no host; write [user@]host[:port]")]
    NoHost,
    /// The host begins with `-`: a program would take it for an option.
    #[error("the host {host:?} begins with '-'")]
    #[non_exhaustive]
    HostDash {
        /// The host as given.
        host: String,
    },
    /// The host has a character in it that no host name has: white space, a control character, a wildcard.
    #[error("the host {host:?} has {character:?} in it; a host is of letters, digits, '.', '-' and '_', or an address")]
    #[non_exhaustive]
    HostCharacter {
        /// The host as given.
        host: String,
        /// The first character that is wrong.
        character: char,
    },
    /// The host is longer than any name can be.
    #[error("the host is {length_bytes} bytes long, more than the {MAX_HOST_BYTES} of the longest name")]
    #[non_exhaustive]
    HostTooLong {
        /// Its length.
        length_bytes: usize,
    },
    /// It has more than one colon, or brackets, but is no IPv6 address.
    #[error("{text:?} is no IPv6 address; write host:port or [address]:port")]
    #[non_exhaustive]
    Address {
        /// What should have been one.
        text: String,
    },
    /// There is an `@` with no user before it.
    #[error("the user before the '@' is empty")]
    NoUser,
    /// The user begins with `-`: a program would take it for an option.
    #[error("the user {user:?} begins with '-'")]
    #[non_exhaustive]
    UserDash {
        /// The user as given.
        user: String,
    },
    /// The user has white space or a control character in it.
    #[error("the user {user:?} has {character:?} in it")]
    #[non_exhaustive]
    UserCharacter {
        /// The user as given.
        user: String,
        /// The first character that is wrong.
        character: char,
    },
    /// The port is not a number from 1 to 65535.
    #[error("the port {text:?} is not a number from 1 to 65535")]
    #[non_exhaustive]
    Port {
        /// The port as given.
        text: String,
    },
}
