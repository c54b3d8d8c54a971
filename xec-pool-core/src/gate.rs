//! Who may forbid dialling: a circuit breaker, a maintenance switch, a rate limit.
//!
//! Seed: Circuit Breaker.

use std::{error::Error, fmt, num::NonZeroU32, sync::Arc, time::Duration};

use crate::{Endpoint, FailureKind, PoolEvent};

/// Why something failed, with its type erased. Shared, because everybody who waits gets the same one.
pub type Cause = Arc<dyn Error + Send + Sync>;

/// Asked once before each dial, whoever wants it: a caller, `min_connections`, `warm` or a replacement.
///
/// Idle connections flow whatever it says. It runs without any lock of the pool's and must not block.
pub trait Gate: Send + Sync + 'static {
    /// Told once for each pool that it guards, before the first dial. `link` is weak.
    fn attach(&self, link: GateLink) {
        let _ = link;
    }

    /// Says whether this dial may start.
    ///
    /// # Errors
    ///
    /// [`Denied::Shut`]: nobody may dial now. [`Denied::Busy`]: a probe is out, wait for its result.
    fn admit(&self, request: &DialRequest) -> Result<Pass, Denied>;
}

/// The dial that a [`Gate`] is asked about.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct DialRequest {
    /// The asking pool, unique in this process, also where two pools have one name after another.
    pub pool: PoolId,
    /// The pool's name.
    pub name: Arc<str>,
    /// Where it dials to, where the transport tells.
    pub endpoint: Option<Endpoint>,
    /// 1, and one more for each dial in a row that failed before this one.
    pub attempt: NonZeroU32,
}

impl DialRequest {
    /// A request as a pool makes it; for tests of a gate.
    #[must_use]
    pub fn new(pool: PoolId, name: impl Into<Arc<str>>, endpoint: Option<Endpoint>, attempt: NonZeroU32) -> Self {
        Self { pool, name: name.into(), endpoint, attempt }
    }
}

/// Tells the pools of a process apart. Never used twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PoolId(u64);

impl PoolId {
    /// A number; for tests of a gate. The pools of this process count from 1.
    #[must_use]
    pub const fn new(id: u64) -> Self {
        Self(id)
    }
}

impl fmt::Display for PoolId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// Leave to dial once. Settled with the result; dropped, it counts as [`Settlement::Neutral`].
#[must_use = "an unsettled pass counts as neutral"]
pub struct Pass {
    settle: Option<Box<dyn FnOnce(Settlement) + Send>>,
}

impl Pass {
    /// A pass that reports its result to `settle`, exactly once.
    pub fn new(settle: impl FnOnce(Settlement) + Send + 'static) -> Self {
        Self { settle: Some(Box::new(settle)) }
    }

    /// A pass that reports nothing.
    pub fn free() -> Self {
        Self { settle: None }
    }

    /// Reports how the dial went.
    pub fn settle(mut self, settlement: Settlement) {
        if let Some(settle) = self.settle.take() {
            settle(settlement);
        }
    }
}

impl Drop for Pass {
    fn drop(&mut self) {
        if let Some(settle) = self.settle.take() {
            settle(Settlement::Neutral);
        }
    }
}

impl fmt::Debug for Pass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Pass")
    }
}

/// How a dial went, as told to the [`Gate`] that let it pass.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Settlement {
    /// It connected.
    Success,
    /// It did not.
    Failure(FailureKind, Cause),
    /// It says nothing about the host: cancelled, or the pool was closed.
    Neutral,
}

/// Why a dial may not start.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Denied {
    /// Nobody may dial. Callers whom nothing lent, connecting or validating can serve fail with
    /// [`AcquireError::CircuitOpen`](crate::AcquireError::CircuitOpen).
    #[non_exhaustive]
    Shut {
        /// When to ask again; `None`: at [`GateLink::reopened`].
        retry_after: Option<Duration>,
        /// What shut it.
        cause: Option<Cause>,
    },
    /// A probe is out. Nobody is refused; the pool asks again when a dial of its own settles, or at
    /// [`GateLink::reopened`].
    Busy,
}

impl Denied {
    /// [`Denied::Shut`] with its facts.
    #[must_use]
    pub fn shut(retry_after: Option<Duration>, cause: Option<Cause>) -> Self {
        Self::Shut { retry_after, cause }
    }
}

/// A [`Gate`]'s way back to a pool. Weak: it keeps no pool alive, and does nothing once the pool is gone.
#[derive(Clone)]
pub struct GateLink {
    pool: PoolId,
    name: Arc<str>,
    endpoint: Option<Endpoint>,
    far_end: Arc<dyn GateFarEnd>,
}

/// The pool's side of a [`GateLink`].
pub(crate) trait GateFarEnd: Send + Sync {
    fn emit(&self, event: PoolEvent);
    fn shut(&self, retry_after: Option<Duration>, cause: Option<Cause>);
    fn reopened(&self);
    fn is_gone(&self) -> bool;
}

impl GateLink {
    pub(crate) fn new(pool: PoolId, name: Arc<str>, endpoint: Option<Endpoint>, far_end: Arc<dyn GateFarEnd>) -> Self {
        Self { pool, name, endpoint, far_end }
    }

    /// The pool at the other end.
    #[must_use]
    pub fn pool(&self) -> PoolId {
        self.pool
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

    /// Gives an event to the pool's observer and subscribers.
    pub fn emit(&self, event: PoolEvent) {
        self.far_end.emit(event);
    }

    /// The gate has shut: to the pool it is as if it had just been told [`Denied::Shut`]. Unless told so, it learns of
    /// it with its next dial, and so do the callers who wait for that.
    pub fn shut(&self, retry_after: Option<Duration>, cause: Option<Cause>) {
        self.far_end.shut(retry_after, cause);
    }

    /// The gate may answer otherwise now: the pool asks again if it has a reason to dial.
    pub fn reopened(&self) {
        self.far_end.reopened();
    }

    /// Whether the pool is gone, so that the link can be forgotten.
    #[must_use]
    pub fn is_gone(&self) -> bool {
        self.far_end.is_gone()
    }
}

impl fmt::Debug for GateLink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GateLink").field("pool", &self.pool).field("name", &self.name).finish_non_exhaustive()
    }
}

impl<G: Gate + ?Sized> Gate for Arc<G> {
    fn attach(&self, link: GateLink) {
        (**self).attach(link);
    }

    fn admit(&self, request: &DialRequest) -> Result<Pass, Denied> {
        (**self).admit(request)
    }
}
