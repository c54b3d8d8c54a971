//! What can go wrong between a target and a finished command, and what to make of it.

use std::{error::Error, fmt, io, sync::Arc, time::Duration};

use thiserror::Error;
use xec_pool_core::{AcquireError, FailureKind};

use crate::{AuthError, HostKeyError, KeyError};

/// Everything that can go wrong with an SSH connection or a command on one.
///
/// Each text names the host (`user@host:port`); the reason behind it, where there is one, is the
/// [`source`](std::error::Error::source). Neither ever holds a password, a passphrase or the text of a command.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum SshError {
    /// A key to log in with cannot be used. Nothing was sent. Correct the configuration.
    #[error("cannot use a key for {host}")]
    #[non_exhaustive]
    Key {
        /// Where to.
        host: Arc<str>,
        /// Which key, and why not.
        source: KeyError,
    },

    /// The name of the host leads nowhere. Check the name, then the name server.
    #[error("cannot look up {host}")]
    #[non_exhaustive]
    Resolve {
        /// Where to.
        host: Arc<str>,
        /// What the resolver said.
        source: io::Error,
    },

    /// Nobody answers at the host's port. Check that a server runs there and that no firewall stands between.
    #[error("cannot reach {host}")]
    #[non_exhaustive]
    Connect {
        /// Where to.
        host: Arc<str>,
        /// What the system said, about the last address tried.
        source: io::Error,
    },

    /// One part of connecting took too long.
    #[error("{host} took longer than {after:?} ({phase})")]
    #[non_exhaustive]
    TimedOut {
        /// Where to.
        host: Arc<str>,
        /// Which part.
        phase: Phase,
        /// The limit: the part's own, or what the parts before it had left of the pool's `connect_timeout`.
        after: Duration,
    },

    /// The server is there and hung up before it told its version: it takes no more connections for the moment
    /// (sshd's `MaxStartups` and `PerSourcePenalties`). Wait, and connect less at once.
    #[error("{host} takes no connection for the moment{}", in_its_words(said.as_deref()))]
    #[non_exhaustive]
    Throttled {
        /// Where to.
        host: Arc<str>,
        /// What it said, if anything.
        said: Option<String>,
    },

    /// Client and server have no algorithm in common. Update one of them, or allow more.
    #[error("no common {what} with {host} (ours: {}; theirs: {})", ours.join(", "), theirs.join(", "))]
    #[non_exhaustive]
    Negotiation {
        /// Where to.
        host: Arc<str>,
        /// Algorithm for what.
        what: &'static str,
        /// What we allow.
        ours: Vec<String>,
        /// What the server allows.
        theirs: Vec<String>,
    },

    /// The host did not prove that it is the host. No login was tried.
    #[error("cannot trust {host}")]
    #[non_exhaustive]
    HostKey {
        /// Where to.
        host: Arc<str>,
        /// What is wrong with its key, and where the right one is written.
        source: HostKeyError,
    },

    /// The server does not let the user in. Asking again with the same credentials may lock the account.
    #[error("cannot log in to {host}")]
    #[non_exhaustive]
    Auth {
        /// Where to.
        host: Arc<str>,
        /// What was tried.
        source: AuthError,
    },

    /// The pool lends no connection. The command was not sent.
    #[error("no connection to {host}")]
    #[non_exhaustive]
    Acquire {
        /// Where to.
        host: Arc<str>,
        /// Why not; the reason of a failed connect is at the end of its sources.
        source: Box<AcquireError<SshError>>,
    },

    /// The connection broke. [`SshError::maybe_ran`] tells whether a command may have run.
    #[error("lost the connection to {host} ({phase}): {cause}")]
    #[non_exhaustive]
    ConnectionLost {
        /// Where to.
        host: Arc<str>,
        /// What was going on.
        phase: Phase,
        /// How it ended.
        cause: LossCause,
    },

    /// The command cannot be sent. Nothing was.
    #[error("cannot run the command on {host}: {problem}")]
    #[non_exhaustive]
    InvalidCommand {
        /// Where to.
        host: Arc<str>,
        /// What is wrong with it.
        problem: &'static str,
    },

    /// The server opens no more sessions on this connection (sshd's `MaxSessions`), also after a while of asking.
    #[error("{host} opens no more sessions on this connection: {reason}")]
    #[non_exhaustive]
    ChannelRefused {
        /// Where to.
        host: Arc<str>,
        /// The server's reason.
        reason: String,
    },

    /// The server opened a session, but runs no commands in it.
    #[error("{host} refuses to run commands")]
    #[non_exhaustive]
    RequestRefused {
        /// Where to.
        host: Arc<str>,
    },

    /// The command took longer than its [`timeout`](crate::Command::timeout). It was sent a `TERM` and its session
    /// was closed; whether it ended is not known.
    #[error("a command on {host} took longer than {after:?} ({phase})")]
    #[non_exhaustive]
    CommandTimedOut {
        /// Where to.
        host: Arc<str>,
        /// The limit.
        after: Duration,
        /// How far it had got.
        phase: Phase,
    },

    /// The server does not keep to the protocol, or the library under this crate does not.
    #[error("trouble with the protocol to {host} ({phase})")]
    #[non_exhaustive]
    Protocol {
        /// Where to.
        host: Arc<str>,
        /// What was going on.
        phase: Phase,
        /// What the library under this crate said.
        source: Box<dyn Error + Send + Sync>,
    },
}

fn in_its_words(said: Option<&str>) -> String {
    said.map(|said| format!(": «{said}»")).unwrap_or_default()
}

impl SshError {
    /// What was going on.
    #[must_use]
    pub const fn phase(&self) -> Phase {
        match self {
            Self::Key { .. } => Phase::Prepare,
            Self::Resolve { .. } => Phase::Resolve,
            Self::Connect { .. } => Phase::Tcp,
            Self::Throttled { .. } => Phase::Banner,
            Self::Negotiation { .. } | Self::HostKey { .. } => Phase::Kex,
            Self::Auth { .. } => Phase::Auth,
            Self::Acquire { .. } | Self::InvalidCommand { .. } | Self::ChannelRefused { .. } => Phase::NotSent,
            Self::RequestRefused { .. } => Phase::Requested,
            Self::TimedOut { phase, .. }
            | Self::ConnectionLost { phase, .. }
            | Self::CommandTimedOut { phase, .. }
            | Self::Protocol { phase, .. } => *phase,
        }
    }

    /// Whether the command may have run, at least in part. If not, running it again runs it once.
    #[must_use]
    pub const fn maybe_ran(&self) -> bool {
        match self.phase() {
            // The server said itself that it did not start it.
            Phase::Requested => !matches!(self, Self::RequestRefused { .. }),
            Phase::Running => true,
            Phase::Prepare
            | Phase::Resolve
            | Phase::Tcp
            | Phase::Banner
            | Phase::Kex
            | Phase::Auth
            | Phase::NotSent => false,
        }
    }

    /// Whether the same thing may work a little later, and cannot have happened already.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::InvalidCommand { .. } | Self::RequestRefused { .. } => false,
            Self::Acquire { source, .. } => source.is_retryable(),
            Self::Key { .. }
            | Self::Resolve { .. }
            | Self::Connect { .. }
            | Self::TimedOut { .. }
            | Self::Throttled { .. }
            | Self::Negotiation { .. }
            | Self::HostKey { .. }
            | Self::Auth { .. }
            | Self::ConnectionLost { .. }
            | Self::ChannelRefused { .. }
            | Self::CommandTimedOut { .. }
            | Self::Protocol { .. } => self.kind().is_retried() && !self.maybe_ran(),
        }
    }

    /// What kind of failure it is for a pool.
    #[must_use]
    pub fn kind(&self) -> FailureKind {
        match self {
            Self::Resolve { .. } | Self::Connect { .. } => FailureKind::Unreachable,
            Self::TimedOut { .. } | Self::CommandTimedOut { .. } => FailureKind::TimedOut,
            Self::Throttled { .. } => FailureKind::Throttled,
            Self::Acquire { source, .. } => match &**source {
                AcquireError::Connect { kind, .. } => *kind,
                AcquireError::TimedOut(_) => FailureKind::TimedOut,
                AcquireError::Closed { .. }
                | AcquireError::Draining { .. }
                | AcquireError::QueueFull { .. }
                | AcquireError::NoneIdle { .. }
                | AcquireError::CircuitOpen { .. }
                | AcquireError::NoRuntime { .. }
                | _ => FailureKind::Other,
            },
            Self::ConnectionLost { .. } => FailureKind::Lost,
            Self::Auth { .. } => FailureKind::Credentials,
            Self::HostKey { .. } => FailureKind::Trust,
            Self::Key { .. } | Self::Negotiation { .. } | Self::InvalidCommand { .. } => FailureKind::Config,
            Self::ChannelRefused { .. } | Self::RequestRefused { .. } | Self::Protocol { .. } => FailureKind::Other,
        }
    }
}

/// How far connecting, or a command, had got.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Phase {
    /// Reading keys and known hosts.
    Prepare,
    /// Looking up the name.
    Resolve,
    /// Connecting the socket.
    Tcp,
    /// Waiting for the server's version.
    Banner,
    /// Agreeing on keys; the host key is checked.
    Kex,
    /// Logging in.
    Auth,
    /// Connected; the command was not sent: it cannot have run.
    NotSent,
    /// The command was sent, and not yet confirmed: it may have run.
    Requested,
    /// The command was running.
    Running,
}

impl Phase {
    /// A few words, as in error texts.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Prepare => "preparing",
            Self::Resolve => "looking up the name",
            Self::Tcp => "connecting",
            Self::Banner => "waiting for its version",
            Self::Kex => "key exchange",
            Self::Auth => "logging in",
            Self::NotSent => "before the command was sent",
            Self::Requested => "after the command was sent",
            Self::Running => "while the command ran",
        }
    }
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// How a connection ended that nobody wanted to end.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum LossCause {
    /// The server hung up, and said why.
    #[non_exhaustive]
    Disconnected {
        /// Its words.
        message: String,
    },
    /// The server hung up without a word.
    Closed,
    /// The network gave up.
    Network(io::ErrorKind),
    /// The server answered nothing any more, not even a ping.
    Silent,
    /// It was ended on this side: its pool closed it, or its holder dropped it.
    Ended,
    /// One side broke the protocol.
    Protocol(String),
    /// The task that drove it stopped: its runtime was shut down.
    Stopped,
}

impl fmt::Display for LossCause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Disconnected { message } if message.is_empty() => f.write_str("the server disconnected"),
            Self::Disconnected { message } => write!(f, "the server disconnected: «{message}»"),
            Self::Closed => f.write_str("the server hung up without a word"),
            Self::Network(kind) => write!(f, "{kind}"),
            Self::Silent => f.write_str("the server stopped answering"),
            Self::Ended => f.write_str("it was closed on this side"),
            Self::Protocol(text) => f.write_str(text),
            Self::Stopped => f.write_str("its runtime was shut down"),
        }
    }
}
