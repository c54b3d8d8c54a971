//! Why a caller got no connection.
//!
//! Seed: Connection Failures, Error Handling.

#[cfg(test)]
mod tests;

use std::{error::Error, fmt, sync::Arc, time::Duration};

use crate::{Cause, FailureKind, Stats};

/// Why [`acquire`](crate::Pool::acquire) or [`try_acquire`](crate::Pool::try_acquire) gave nothing. `E` is the
/// transport's error.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AcquireError<E: Error + Send + Sync + 'static> {
    /// The pool is closed. It will not open again: build a new one.
    #[error("pool {pool}: closed")]
    #[non_exhaustive]
    Closed {
        /// The pool's name.
        pool: Arc<str>,
    },

    /// The pool is draining: it lends no more.
    #[error("pool {pool}: draining, lends no more")]
    #[non_exhaustive]
    Draining {
        /// The pool's name.
        pool: Arc<str>,
    },

    /// `queue_capacity` callers wait already. Shed load, or allow more connections.
    #[error("pool {pool}: queue full ({waiting} waiting)")]
    #[non_exhaustive]
    QueueFull {
        /// The pool's name.
        pool: Arc<str>,
        /// How many wait.
        waiting: u32,
    },

    /// `try_acquire` found no idle connection that may be lent unchecked.
    #[error("pool {pool}: no idle connection")]
    #[non_exhaustive]
    NoneIdle {
        /// The pool's name.
        pool: Arc<str>,
    },

    /// The gate (a circuit breaker) forbids dialling, and nothing else could serve this caller.
    #[error("pool {pool}: circuit open{}", Retry(*retry_after))]
    #[non_exhaustive]
    CircuitOpen {
        /// The pool's name.
        pool: Arc<str>,
        /// When dialling may be allowed again; `None`: not known.
        retry_after: Option<Duration>,
        /// What shut the gate.
        #[source]
        cause: Option<Cause>,
    },

    /// The transport could not connect, `attempts` times in a row while this caller waited.
    #[error("pool {pool}: cannot connect ({attempts} {}, {kind})", plural(*attempts))]
    #[non_exhaustive]
    Connect {
        /// The pool's name.
        pool: Arc<str>,
        /// Dials that failed in a row while the caller waited.
        attempts: u32,
        /// What kind of failure the last one was.
        kind: FailureKind,
        /// The last one. Every caller it failed gets the same.
        #[source]
        cause: Arc<DialError<E>>,
    },

    /// The caller would have to wait, and there is no tokio runtime with timers to wait on: neither where it asks,
    /// nor one that the pool was used on before. Call from within one, built with `enable_time` or `enable_all`.
    #[error("pool {pool}: no idle connection, and no tokio runtime with timers to wait on")]
    #[non_exhaustive]
    NoRuntime {
        /// The pool's name.
        pool: Arc<str>,
    },

    /// The caller's deadline came. The box says what the time went on.
    #[error(transparent)]
    TimedOut(Box<TimedOut<E>>),
}

impl<E: Error + Send + Sync + 'static> AcquireError<E> {
    /// Whether time was what lacked.
    #[must_use]
    pub fn is_timeout(&self) -> bool {
        matches!(self, Self::TimedOut(_))
    }

    /// Whether there were more callers than the pool serves: shed load or wait.
    #[must_use]
    pub fn is_overload(&self) -> bool {
        match self {
            Self::QueueFull { .. } | Self::NoneIdle { .. } => true,
            Self::TimedOut(timed_out) => timed_out.stage == TimedOutStage::Queue,
            Self::Closed { .. }
            | Self::Draining { .. }
            | Self::CircuitOpen { .. }
            | Self::Connect { .. }
            | Self::NoRuntime { .. } => false,
        }
    }

    /// Whether the same call may succeed later, with nothing changed.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::Closed { .. } | Self::Draining { .. } | Self::NoRuntime { .. } => false,
            Self::Connect { kind, .. } => kind.is_retried(),
            Self::QueueFull { .. } | Self::NoneIdle { .. } | Self::CircuitOpen { .. } | Self::TimedOut(_) => true,
        }
    }

    /// A short stable word, as in [`PoolEvent::AcquireFailed`](crate::PoolEvent::AcquireFailed).
    #[must_use]
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Closed { .. } => "closed",
            Self::Draining { .. } => "draining",
            Self::QueueFull { .. } => "queue_full",
            Self::NoneIdle { .. } => "none_idle",
            Self::CircuitOpen { .. } => "circuit_open",
            Self::Connect { .. } => "connect",
            Self::NoRuntime { .. } => "no_runtime",
            Self::TimedOut(_) => "timed_out",
        }
    }

    /// What kind of failure the last dial was, where dialling failed.
    #[must_use]
    pub fn kind(&self) -> Option<FailureKind> {
        match self {
            Self::Connect { kind, .. } => Some(*kind),
            Self::Closed { .. }
            | Self::Draining { .. }
            | Self::QueueFull { .. }
            | Self::NoneIdle { .. }
            | Self::CircuitOpen { .. }
            | Self::NoRuntime { .. }
            | Self::TimedOut(_) => None,
        }
    }

    /// The name of the pool that gave nothing.
    #[must_use]
    pub fn pool(&self) -> &str {
        match self {
            Self::Closed { pool }
            | Self::Draining { pool }
            | Self::QueueFull { pool, .. }
            | Self::NoneIdle { pool }
            | Self::CircuitOpen { pool, .. }
            | Self::Connect { pool, .. }
            | Self::NoRuntime { pool } => pool,
            Self::TimedOut(timed_out) => &timed_out.pool,
        }
    }
}

/// Why a dial failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DialError<E: Error + Send + Sync + 'static> {
    /// The transport said so.
    #[error(transparent)]
    Transport(E),

    /// `connect_timeout` ended it.
    #[error("no connection within {after:?} (connect_timeout)")]
    #[non_exhaustive]
    TimedOut {
        /// `connect_timeout`.
        after: Duration,
    },

    /// The connection said that it was lost before it was there.
    #[error("the connection was lost while connecting")]
    Lost,

    /// [`Transport::connect`](crate::Transport::connect) panicked.
    #[error("the transport panicked while connecting")]
    Panicked,

    /// The dial was stopped: the pool was closed, or the async runtime it ran on is gone.
    #[error("stopped while connecting (pool closed, or runtime shut down)")]
    Stopped,
}

/// What a caller's time went on until its deadline came.
#[derive(Debug)]
pub struct TimedOut<E: Error + Send + Sync + 'static> {
    pub(crate) pool: Arc<str>,
    pub(crate) limit: Duration,
    pub(crate) waited: Duration,
    pub(crate) stage: TimedOutStage,
    pub(crate) stats: Stats,
    pub(crate) last_error: Option<Arc<DialError<E>>>,
}

impl<E: Error + Send + Sync + 'static> TimedOut<E> {
    /// The limit that was reached.
    #[must_use]
    pub fn limit(&self) -> Duration {
        self.limit
    }

    /// How long the caller waited.
    #[must_use]
    pub fn waited(&self) -> Duration {
        self.waited
    }

    /// What it lacked.
    #[must_use]
    pub fn stage(&self) -> TimedOutStage {
        self.stage
    }

    /// The pool at that moment.
    #[must_use]
    pub fn stats(&self) -> &Stats {
        &self.stats
    }

    /// Why the last dial failed, if none has succeeded since.
    #[must_use]
    pub fn last_error(&self) -> Option<&Arc<DialError<E>>> {
        self.last_error.as_ref()
    }
}

impl<E: Error + Send + Sync + 'static> fmt::Display for TimedOut<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { pool, limit, stage, stats, .. } = self;
        write!(f, "pool {pool}: no connection within {limit:?}: {stage} ({stats})")
    }
}

impl<E: Error + Send + Sync + 'static> Error for TimedOut<E> {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.last_error.as_ref().map(|error| &**error as &(dyn Error + 'static))
    }
}

/// What a caller lacked when its time was up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum TimedOutStage {
    /// A connection to come free: all were lent. Allow more, or hold them shorter.
    Queue,
    /// A dial to end.
    Connect,
    /// A dial to begin: the pool backs off after failures, or the gate holds it back.
    BackOff,
    /// A check to end.
    Validate,
    /// Somebody to resume the pool.
    Suspended,
}

impl fmt::Display for TimedOutStage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Queue => "all were lent",
            Self::Connect => "still connecting",
            Self::BackOff => "backing off after failed connects",
            Self::Validate => "still validating",
            Self::Suspended => "suspended",
        })
    }
}

struct Retry(Option<Duration>);

impl fmt::Display for Retry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(after) => write!(f, ", retry after {after:?}"),
            None => Ok(()),
        }
    }
}

fn plural(attempts: u32) -> &'static str {
    if attempts == 1 { "attempt" } else { "attempts" }
}
