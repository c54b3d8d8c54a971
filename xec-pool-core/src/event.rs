//! What a pool tells those who watch it.
//!
//! Seed: Connection States, Pool Metrics, Connection Events.

use std::{fmt, num::NonZeroU64, time::Duration};

use crate::{Cause, Check, FailureKind, Stats};

/// The number of a connection: counts from 1 in each pool, in the order of the dials, never used twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ConnectionId(NonZeroU64);

impl ConnectionId {
    pub(crate) const fn new(id: u64) -> Self {
        match NonZeroU64::new(id) {
            Some(id) => Self(id),
            None => Self(NonZeroU64::MIN),
        }
    }

    /// The number.
    #[must_use]
    pub const fn get(self) -> u64 {
        self.0.get()
    }
}

impl fmt::Display for ConnectionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// The number of a lease: counts from 1 in each pool, never used twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct LeaseId(pub(crate) u64);

impl LeaseId {
    /// The number.
    #[must_use]
    pub const fn get(self) -> u64 {
        self.0
    }
}

impl fmt::Display for LeaseId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// What a connection is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ConnectionState {
    /// Being opened.
    Connecting,
    /// Open and free.
    Idle,
    /// Lent.
    Active,
    /// Being checked.
    Validating,
    /// Being ended. Holds its place until that is done.
    Closing,
}

impl ConnectionState {
    /// All of them, in the order of a life.
    pub const ALL: [Self; 5] = [Self::Connecting, Self::Idle, Self::Active, Self::Validating, Self::Closing];

    /// The seed's word for it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Connecting => "connecting",
            Self::Idle => "idle",
            Self::Active => "active",
            Self::Validating => "validating",
            Self::Closing => "closing",
        }
    }
}

impl fmt::Display for ConnectionState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Why a connection ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum CloseReason {
    /// Idle longer than `idle_timeout`.
    IdleTimeout,
    /// Older than `max_lifetime`.
    MaxLifetime,
    /// It said itself that it was lost ([`LostSignal`](crate::LostSignal)).
    Lost,
    /// [`Transport::is_broken`](crate::Transport::is_broken) said so.
    Broken,
    /// It failed a check.
    ValidationFailed,
    /// Its holder threw it away ([`Lease::discard`](crate::Lease::discard)).
    Discarded,
    /// Its holder kept it ([`Lease::detach`](crate::Lease::detach)): it is no longer the pool's, and not closed.
    Detached,
    /// `max_connections` was lowered.
    Shrunk,
    /// The pool is draining or closed.
    Drained,
}

impl CloseReason {
    /// All of them.
    pub const ALL: [Self; 9] = [
        Self::IdleTimeout,
        Self::MaxLifetime,
        Self::Lost,
        Self::Broken,
        Self::ValidationFailed,
        Self::Discarded,
        Self::Detached,
        Self::Shrunk,
        Self::Drained,
    ];

    /// A short stable word, for logs and metrics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::IdleTimeout => "idle_timeout",
            Self::MaxLifetime => "max_lifetime",
            Self::Lost => "lost",
            Self::Broken => "broken",
            Self::ValidationFailed => "validation_failed",
            Self::Discarded => "discarded",
            Self::Detached => "detached",
            Self::Shrunk => "shrunk",
            Self::Drained => "drained",
        }
    }

    /// Whether the connection is taken for dead: it failed, rather than being ended by somebody's choice.
    #[must_use]
    pub const fn is_failure(self) -> bool {
        match self {
            Self::Lost | Self::Broken | Self::ValidationFailed => true,
            Self::IdleTimeout | Self::MaxLifetime | Self::Discarded | Self::Detached | Self::Shrunk | Self::Drained => {
                false
            }
        }
    }
}

impl fmt::Display for CloseReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Something that happened in a pool. The seed's name of each stands in brackets.
///
/// Delivered in the order in which it happened, without any lock held.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum PoolEvent {
    /// A connection was opened (`connection:create`).
    #[non_exhaustive]
    Created {
        /// Which.
        id: ConnectionId,
        /// How long the dial took.
        took: Duration,
    },
    /// A caller got a connection (`connection:acquire`).
    #[non_exhaustive]
    Acquired {
        /// Which connection.
        id: ConnectionId,
        /// Which lease.
        lease: LeaseId,
        /// From the call to the connection (seed `waitTime`).
        waited: Duration,
        /// Whether somebody had it before.
        reused: bool,
    },
    /// A lease ended (`connection:release`).
    #[non_exhaustive]
    Released {
        /// Which connection.
        id: ConnectionId,
        /// Which lease.
        lease: LeaseId,
        /// How long it was held (seed `duration`).
        used: Duration,
    },
    /// A connection is no more (`connection:destroy`).
    #[non_exhaustive]
    Destroyed {
        /// Which.
        id: ConnectionId,
        /// Why.
        reason: CloseReason,
        /// How long it was open.
        age: Duration,
    },
    /// A connection's state changed (`connection:state`). `None` is before its first and after its last.
    #[non_exhaustive]
    StateChanged {
        /// Which.
        id: ConnectionId,
        /// From.
        from: Option<ConnectionState>,
        /// To.
        to: Option<ConnectionState>,
    },
    /// A caller was refused because the queue is full (`pool:queue:full`).
    #[non_exhaustive]
    QueueFull {
        /// How many wait.
        waiting: u32,
    },
    /// The pool's figures, each `metrics_interval` (`pool:metrics`).
    #[non_exhaustive]
    Metrics {
        /// The figures.
        stats: Box<Stats>,
    },
    /// A dial failed (`pool:error`).
    #[non_exhaustive]
    ConnectFailed {
        /// The connection that was to be.
        id: ConnectionId,
        /// What kind of failure.
        kind: FailureKind,
        /// The failure itself.
        cause: Cause,
        /// How long the dial took.
        took: Duration,
    },
    /// Something failed that no caller hears of otherwise: a connection said that it was lost, a lease was thrown
    /// away, a hook panicked, closing took too long (`pool:error`).
    #[non_exhaustive]
    BackgroundError {
        /// The connection, where there is one.
        id: Option<ConnectionId>,
        /// What happened.
        cause: Cause,
    },
    /// A caller did not get a connection.
    #[non_exhaustive]
    AcquireFailed {
        /// A short stable word: `closed`, `draining`, `queue_full`, `circuit_open`, `connect`, `timed_out`,
        /// `no_runtime`, `cancelled`.
        error: &'static str,
        /// What kind of failure, where it is `connect`.
        kind: Option<FailureKind>,
        /// From the call to the answer.
        waited: Duration,
    },
    /// A dial failed; nothing is dialled before `delay` is over.
    #[non_exhaustive]
    RetryScheduled {
        /// How many dials failed in a row.
        failures: u32,
        /// The wait.
        delay: Duration,
        /// The kind of the failure.
        kind: FailureKind,
    },
    /// A check ended.
    #[non_exhaustive]
    Validated {
        /// Which connection.
        id: ConnectionId,
        /// Which check.
        check: Check,
        /// Whether it passed.
        passed: bool,
        /// How long it took.
        took: Duration,
        /// Why it failed, where somebody said so: the transport's error, a panic, `validate_timeout`.
        cause: Option<Cause>,
    },
    /// The configuration is allowed, but unwise.
    #[non_exhaustive]
    Warning {
        /// What, and what to do.
        message: String,
    },
    /// A breaker shut the gate (`circuit:open`).
    #[non_exhaustive]
    CircuitOpened {
        /// For how long at least.
        retry_after: Option<Duration>,
        /// What opened it.
        cause: Option<Cause>,
    },
    /// A breaker lets probes through (`circuit:half-open`).
    CircuitHalfOpened,
    /// A breaker lets everybody through (`circuit:close`).
    CircuitClosed,
    /// The watcher was too slow; this many events before the next one are lost to it.
    #[non_exhaustive]
    Missed {
        /// How many.
        count: u64,
    },
}

impl PoolEvent {
    /// [`PoolEvent::CircuitOpened`], for a [`Gate`](crate::Gate).
    #[must_use]
    pub fn circuit_opened(retry_after: Option<Duration>, cause: Option<Cause>) -> Self {
        Self::CircuitOpened { retry_after, cause }
    }

    /// [`PoolEvent::BackgroundError`], for a [`Gate`](crate::Gate).
    #[must_use]
    pub fn background_error(cause: Cause) -> Self {
        Self::BackgroundError { id: None, cause }
    }

    /// The seed's name of this event, where it has one.
    #[must_use]
    pub const fn seed_name(&self) -> Option<&'static str> {
        match self {
            Self::Created { .. } => Some("connection:create"),
            Self::Acquired { .. } => Some("connection:acquire"),
            Self::Released { .. } => Some("connection:release"),
            Self::Destroyed { .. } => Some("connection:destroy"),
            Self::StateChanged { .. } => Some("connection:state"),
            Self::QueueFull { .. } => Some("pool:queue:full"),
            Self::Metrics { .. } => Some("pool:metrics"),
            Self::ConnectFailed { .. } | Self::BackgroundError { .. } => Some("pool:error"),
            Self::CircuitOpened { .. } => Some("circuit:open"),
            Self::CircuitHalfOpened => Some("circuit:half-open"),
            Self::CircuitClosed => Some("circuit:close"),
            Self::AcquireFailed { .. }
            | Self::RetryScheduled { .. }
            | Self::Validated { .. }
            | Self::Warning { .. }
            | Self::Missed { .. } => None,
        }
    }
}
