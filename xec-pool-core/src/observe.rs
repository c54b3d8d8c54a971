//! Who may watch a pool: metrics, traces, logs. Watching never slows a caller by more than the watcher's own work,
//! and never breaks one: a panic in here is caught; those of [`Observer::on_event`] are counted
//! ([`Stats::observer_panics`]).

use std::{fmt, ops::BitOr, panic::Location, sync::Arc, time::Duration};

use crate::{ConnectionId, Endpoint, FailureKind, LeaseId, PoolEvent, PoolId, Stats};

/// Watches one pool or several. Runs without any lock of the pool's, so it may call the pool.
pub trait Observer: Send + Sync + 'static {
    /// What it wants to hear. Asked once for each pool, after [`attach`](Self::attach); what nobody wants costs nothing.
    fn interest(&self) -> Interest {
        Interest::ALL
    }

    /// Told once for each pool, while that is being built: before its first event, and before it has figures. `pool`
    /// keeps nothing alive.
    ///
    /// Events do not say which pool they are from. Who watches several and must know answers with an observer for this
    /// one, which then hears everything in its place (its own `attach` is not called).
    fn attach(&self, pool: WeakPool) -> Option<Arc<dyn Observer>> {
        let _ = pool;
        None
    }

    /// Something happened. Called in the order of the events, never twice at once for one pool, on the thread of
    /// whoever delivers: often of whoever caused the event, but also of one who caused another, or the housekeeper's.
    fn on_event(&self, event: &PoolEvent) {
        let _ = event;
    }

    /// Something begins that will take a while (a span). `parent` is the observation that it belongs to. `None`:
    /// not interested in this one.
    fn begin(&self, start: &Start<'_>, parent: Option<&dyn Observation>) -> Option<Arc<dyn Observation>> {
        let _ = (start, parent);
        None
    }
}

/// What an [`Observer`] wants to hear.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Interest(u8);

impl Interest {
    /// Nothing.
    pub const NONE: Self = Self(0);
    /// All events but [`PoolEvent::StateChanged`].
    pub const EVENTS: Self = Self(1);
    /// [`PoolEvent::StateChanged`].
    pub const STATES: Self = Self(2);
    /// [`Observer::begin`], but for [`Start::Command`].
    pub const SPANS: Self = Self(4);
    /// [`Observer::begin`] with [`Start::Command`].
    pub const COMMANDS: Self = Self(8);
    /// What a command says. It may hold secrets, so it is not part of [`ALL`](Self::ALL) and must be asked for by name,
    /// together with [`COMMANDS`](Self::COMMANDS).
    pub const COMMAND_TEXT: Self = Self(16);
    /// Everything but [`COMMAND_TEXT`](Self::COMMAND_TEXT).
    pub const ALL: Self = Self(15);

    /// Whether all of `other` is in it.
    #[must_use]
    pub const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }
}

impl BitOr for Interest {
    type Output = Self;
    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

/// What an [`Observation`] is of.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Start<'a> {
    /// A caller asks for a connection.
    #[non_exhaustive]
    Acquire {
        /// The pool's name.
        pool: &'a str,
        /// Where the caller stands.
        caller: &'static Location<'static>,
    },
    /// A dial. Its parent is the acquire that it is for, where it is for one.
    #[non_exhaustive]
    Connect {
        /// The pool's name.
        pool: &'a str,
        /// The connection that is to be.
        id: ConnectionId,
        /// 1, and one more for each dial in a row that failed before.
        attempt: u32,
    },
    /// A lease, from acquire to release. Its parent is the acquire.
    #[non_exhaustive]
    Lease {
        /// The pool's name.
        pool: &'a str,
        /// The connection.
        id: ConnectionId,
        /// The lease.
        lease: LeaseId,
    },
    /// A command on a connection, where the transport runs such ([`ConnectContext::commands`]). It has no parent: a
    /// connection does not know who holds it.
    ///
    /// [`ConnectContext::commands`]: crate::ConnectContext::commands
    #[non_exhaustive]
    Command {
        /// The pool's name.
        pool: &'a str,
        /// The connection.
        id: ConnectionId,
        /// What it says, for those who asked for [`Interest::COMMAND_TEXT`].
        text: Option<&'a str>,
    },
}

/// One thing that takes a while, as an [`Observer`] sees it. Dropped without [`end`](Self::end): it was cancelled.
pub trait Observation: Send + Sync + 'static {
    /// A part of it begins now.
    fn phase(&self, name: &'static str) {
        let _ = name;
    }

    /// It ended. Called at most once.
    fn end(&self, outcome: &Outcome<'_>);

    /// Itself, so that an observer finds its own type again in a `parent`.
    fn as_any(&self) -> &dyn std::any::Any;
}

/// How an [`Observation`] ended.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Outcome<'a> {
    /// A caller got a connection.
    #[non_exhaustive]
    Acquired {
        /// Which.
        id: ConnectionId,
        /// From the call to the connection.
        waited: Duration,
        /// Whether somebody had it before.
        reused: bool,
    },
    /// The connection is open.
    Connected,
    /// The lease came home.
    Released,
    /// The command came to its end, as its server told. Neither code nor signal: the server told neither.
    #[non_exhaustive]
    Exited {
        /// The exit code.
        code: Option<u32>,
        /// The name of the signal that ended it, without `SIG`.
        signal: Option<&'a str>,
    },
    /// It failed.
    #[non_exhaustive]
    Failed {
        /// A short stable word, as in [`PoolEvent::AcquireFailed`] or [`FailureKind::as_str`].
        error: &'static str,
        /// The kind, where a dial failed.
        kind: Option<FailureKind>,
        /// The whole text.
        message: &'a str,
    },
}

impl<'a> Outcome<'a> {
    /// [`Outcome::Exited`], for a transport that runs commands.
    #[must_use]
    pub const fn exited(code: Option<u32>, signal: Option<&'a str>) -> Self {
        Self::Exited { code, signal }
    }

    /// [`Outcome::Failed`], for a transport that runs commands: `message` without secrets, nor the command's text.
    #[must_use]
    pub const fn failed(kind: FailureKind, message: &'a str) -> Self {
        Self::Failed { error: kind.as_str(), kind: Some(kind), message }
    }
}

/// A pool as a watcher holds it: not generic, and keeps nothing alive.
#[derive(Clone)]
pub struct WeakPool {
    pub(crate) id: PoolId,
    pub(crate) name: Arc<str>,
    pub(crate) endpoint: Option<Endpoint>,
    pub(crate) gated: bool,
    pub(crate) far_end: Arc<dyn WeakFarEnd>,
}

/// The pool's side of a [`WeakPool`].
pub(crate) trait WeakFarEnd: Send + Sync {
    fn stats(&self) -> Option<Stats>;
}

impl WeakPool {
    /// Which pool, unique in this process.
    #[must_use]
    pub fn id(&self) -> PoolId {
        self.id
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Where it dials to, where the transport tells.
    #[must_use]
    pub fn endpoint(&self) -> Option<&Endpoint> {
        self.endpoint.as_ref()
    }

    /// Whether a [`Gate`](crate::Gate) guards it.
    #[must_use]
    pub fn is_gated(&self) -> bool {
        self.gated
    }

    /// Its figures; `None` once it is gone. Takes the pool's lock for a moment; no user code ever runs under it.
    #[must_use]
    pub fn stats(&self) -> Option<Stats> {
        self.far_end.stats()
    }
}

impl fmt::Debug for WeakPool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WeakPool").field("id", &self.id).field("name", &self.name).finish_non_exhaustive()
    }
}

impl<O: Observer + ?Sized> Observer for Arc<O> {
    fn interest(&self) -> Interest {
        (**self).interest()
    }

    fn attach(&self, pool: WeakPool) -> Option<Arc<dyn Observer>> {
        (**self).attach(pool)
    }

    fn on_event(&self, event: &PoolEvent) {
        (**self).on_event(event);
    }

    fn begin(&self, start: &Start<'_>, parent: Option<&dyn Observation>) -> Option<Arc<dyn Observation>> {
        (**self).begin(start, parent)
    }
}
