//! What a user plugs in to pool connections of their own: one trait, five hooks.

use std::{fmt, sync::Arc};

use async_trait::async_trait;

use crate::{CloseReason, ConnectContext};

/// Opens, checks and closes connections of one kind to one place.
///
/// Object-safe: `Arc<dyn Transport<Connection = …, Error = …>>` is a transport too.
///
/// Every hook runs in a task of the pool's or on the thread of the call that needs it, never under a lock of the
/// pool's, so a hook may call the pool. A panic in a hook is caught and treated as that hook's failure.
///
/// # Examples
///
/// ```
/// use std::convert::Infallible;
/// use xec_pool_core::{Check, CloseReason, ConnectContext, Pool, Transport};
///
/// struct Counter;
///
/// #[async_trait::async_trait]
/// impl Transport for Counter {
///     type Connection = u64;
///     type Error = Infallible;
///     async fn connect(&self, cx: ConnectContext) -> Result<u64, Infallible> {
///         Ok(cx.id().get())
///     }
///     async fn validate(&self, _: &u64, _: Check) -> Result<(), Infallible> {
///         Ok(())
///     }
///     async fn close(&self, _: u64, _: CloseReason) {}
///     fn is_broken(&self, _: &u64) -> bool {
///         false
///     }
/// }
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() {
/// let pool = Pool::builder(Counter).build().expect("the defaults are valid");
/// let lease = pool.acquire().await.expect("Counter never fails");
/// assert_eq!(*lease, 1);
/// # }
/// ```
#[async_trait]
pub trait Transport: Send + Sync + 'static {
    /// An open connection, as lent to callers.
    type Connection: Send + Sync + 'static;

    /// Why a connect or a check failed. Its text ends up in error messages: no secrets.
    type Error: std::error::Error + Send + Sync + 'static;

    /// Opens a connection. Runs in a task of the pool's, bounded by `connect_timeout`, and may outlive the caller
    /// who caused it: the connection is then kept for the next one.
    ///
    /// # Cancel safety
    ///
    /// The pool drops this future at `connect_timeout`, on `close()` and at the end of a drain. Whatever it opened
    /// must end with it.
    async fn connect(&self, cx: ConnectContext) -> Result<Self::Connection, Self::Error>;

    /// Says whether the connection still works. Runs in a task of the pool's, bounded by `validate_timeout`.
    ///
    /// # Cancel safety
    ///
    /// Dropped at `validate_timeout`, or when the connection is lost meanwhile; the connection is then closed.
    async fn validate(&self, connection: &Self::Connection, check: Check) -> Result<(), Self::Error>;

    /// Ends a connection in good order. Called exactly once for each connection that was opened and not detached,
    /// in a task of the pool's, bounded by `close_timeout`. Where there is no async runtime any more, the connection
    /// is dropped instead.
    ///
    /// # Cancel safety
    ///
    /// Dropped at `close_timeout`, with the connection in it: dropping must end it too.
    async fn close(&self, connection: Self::Connection, reason: CloseReason);

    /// Whether the connection is known to be dead. Asked at every acquire and release: cheap, no I/O, no waiting.
    fn is_broken(&self, connection: &Self::Connection) -> bool;

    /// What kind of failure an error is. It decides about retries, see [`FailureKind`].
    fn classify(&self, error: &Self::Error) -> FailureKind {
        let _ = error;
        FailureKind::Other
    }

    /// The pool's name where the user gives none: in every event and error text. No secrets.
    fn name(&self) -> Option<String> {
        None
    }

    /// Where the connections lead, for telemetry.
    fn endpoint(&self) -> Option<Endpoint> {
        None
    }
}

#[async_trait]
impl<T: Transport + ?Sized> Transport for Arc<T> {
    type Connection = T::Connection;
    type Error = T::Error;

    async fn connect(&self, cx: ConnectContext) -> Result<Self::Connection, Self::Error> {
        (**self).connect(cx).await
    }

    async fn validate(&self, connection: &Self::Connection, check: Check) -> Result<(), Self::Error> {
        (**self).validate(connection, check).await
    }

    async fn close(&self, connection: Self::Connection, reason: CloseReason) {
        (**self).close(connection, reason).await;
    }

    fn is_broken(&self, connection: &Self::Connection) -> bool {
        (**self).is_broken(connection)
    }

    fn classify(&self, error: &Self::Error) -> FailureKind {
        (**self).classify(error)
    }

    fn name(&self) -> Option<String> {
        (**self).name()
    }

    fn endpoint(&self) -> Option<Endpoint> {
        (**self).endpoint()
    }
}

/// The moment a connection is checked at. A transport may answer each in its own way: before a borrow quickly,
/// while idle thoroughly.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Check {
    /// A caller is about to get it, and waits.
    Borrow,
    /// It just came back (`validate_on_return`).
    Return,
    /// It has been idle and unchecked for `validate_interval`, or another one that was as old just failed a check.
    Idle,
}

/// What kind of failure a connect ended in. Reported by [`Transport::classify`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum FailureKind {
    /// Nobody answers there: refused, no route, no such host. Retried.
    Unreachable,
    /// It took too long. Retried.
    TimedOut,
    /// The host is there and refuses for the moment (sshd's `MaxStartups`). Retried with fewer dials at once; no
    /// attempt is counted.
    Throttled,
    /// It broke while being opened. Retried.
    Lost,
    /// The credentials were refused. Never retried (that locks accounts): all who wait get this cause.
    Credentials,
    /// The host is not who it should be. Never retried.
    Trust,
    /// The configuration cannot work, whoever answers. Never retried.
    Config,
    /// Anything else. Retried.
    Other,
}

impl FailureKind {
    /// Whether the pool dials again by itself after this kind of failure.
    #[must_use]
    pub const fn is_retried(self) -> bool {
        match self {
            Self::Unreachable | Self::TimedOut | Self::Throttled | Self::Lost | Self::Other => true,
            Self::Credentials | Self::Trust | Self::Config => false,
        }
    }

    /// A short stable word, for logs and metrics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Unreachable => "unreachable",
            Self::TimedOut => "timed_out",
            Self::Throttled => "throttled",
            Self::Lost => "lost",
            Self::Credentials => "credentials",
            Self::Trust => "trust",
            Self::Config => "config",
            Self::Other => "other",
        }
    }
}

impl fmt::Display for FailureKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A host and a port, as telemetry names them.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Endpoint {
    /// Host name or address.
    pub host: String,
    /// TCP port.
    pub port: u16,
}

impl Endpoint {
    /// An endpoint.
    pub fn new(host: impl Into<String>, port: u16) -> Self {
        Self { host: host.into(), port }
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}
