//! The handle that users hold.
//!
//! Seed: Basic Usage, Advanced Pool Management, Connection Reuse Patterns, Connection Borrowing.

use std::{fmt, panic::Location, sync::Arc, time::Duration};

use tokio::runtime::Handle;

use crate::{
    Acquire, AcquireError, AcquireOptions, ConfigError, DrainReport, Endpoint, Events, Lease, PoolBuilder, PoolConfig,
    PoolId, Stats, Transport, WarmReport,
    ledger::Ledger,
    machine::{
        facts::{Asked, Refusal},
        moment::Span,
    },
};

/// A pool of connections to one place. Cheap to clone; all clones are the same pool.
///
/// Dropping the last clone closes the pool without waiting: idle connections at once, lent ones when they come back.
///
/// # Runtimes
///
/// Dials, checks, closes and the housekeeper, who keeps deadlines, are tasks on the tokio runtime of the call that needs
/// them; it must have timers. A pool may be used from several: who waits relies on a housekeeper on a multi-threaded
/// runtime, else on one of its own runtime, and starts it where there is none. Only a multi-threaded runtime whose
/// threads are all blocked keeps deadlines from others; and who waits outside of any runtime, or on one without timers,
/// relies on the runtime that the pool was last used on.
///
/// A task stands still with its runtime: a dial, check or close that began on a one-threaded runtime holds its place
/// until that is driven again, or dropped.
pub struct Pool<T: Transport> {
    handle: Arc<LastOne<T>>,
}

/// Dropped with the last handle.
struct LastOne<T: Transport> {
    ledger: Arc<Ledger<T>>,
}

impl<T: Transport> Pool<T> {
    /// Starts to put a pool together.
    pub fn builder(transport: T) -> PoolBuilder<T> {
        PoolBuilder::new(transport)
    }

    pub(crate) fn new(ledger: Arc<Ledger<T>>) -> Self {
        Self { handle: Arc::new(LastOne { ledger }) }
    }

    fn ledger(&self) -> &Arc<Ledger<T>> {
        &self.handle.ledger
    }

    /// Borrows a connection: an idle one, else a newly dialled one, else the next that comes back, by the deadline.
    ///
    /// # Errors
    ///
    /// [`AcquireError`] says why there is none.
    ///
    /// # Cancel safety
    ///
    /// Safe to drop at any await. The place in the queue is given up; a connection that was on its way is kept for
    /// the next caller.
    #[track_caller]
    pub fn acquire(&self) -> Acquire<'_, T> {
        Acquire::new(self.ledger(), &AcquireOptions::new(), Location::caller())
    }

    /// Borrows a connection, waiting as `options` say.
    ///
    /// # Errors
    ///
    /// [`AcquireError`] says why there is none.
    ///
    /// # Cancel safety
    ///
    /// As [`acquire`](Self::acquire).
    #[track_caller]
    pub fn acquire_with(&self, options: AcquireOptions) -> Acquire<'_, T> {
        Acquire::new(self.ledger(), &options, Location::caller())
    }

    /// Borrows an idle connection that needs no check. Never waits, never dials, never overtakes one who waits, and
    /// needs no runtime.
    ///
    /// # Errors
    ///
    /// [`AcquireError::NoneIdle`] where there is none, or the pool's phase.
    pub fn try_acquire(&self) -> Result<Lease<T>, AcquireError<T::Error>> {
        let ledger = self.ledger();
        loop {
            let asked = ledger.act(|state, now| match state.machine.ask_idle(now) {
                Asked::Lent(loan) => Ok((loan, state.take_lent(loan.slot))),
                Asked::Refused(refusal) => Err(ledger.error(state, refusal)),
                Asked::Waiting(_) => Err(ledger.error(state, Refusal::NoneIdle)),
            });
            let (loan, connection) = match asked {
                Ok(lent) => lent,
                Err(AcquireError::NoneIdle { pool }) => return Err(AcquireError::NoneIdle { pool }),
                Err(error) => return Err(ledger.tell_refused(error, None, None)),
            };
            // A broken one is closed, and the next is looked at: at most as many as there are.
            if let Ok(lease) = ledger.receive(loan, connection, &mut None) {
                return Ok(lease);
            }
        }
    }

    /// Borrows a connection for one closure, written `pool.with(async |connection| …)`. If the closure panics, the
    /// connection is thrown away.
    ///
    /// # Errors
    ///
    /// [`AcquireError`] says why there is no connection; the closure has not run then.
    ///
    /// # Cancel safety
    ///
    /// Dropped while it waits: as [`acquire`](Self::acquire). Dropped while the closure runs: the closure ends where
    /// it stands and the connection goes back to the pool.
    ///
    /// # Examples
    ///
    /// ```
    /// # use std::convert::Infallible;
    /// # use xec_pool_core::{Check, CloseReason, ConnectContext, Pool, Transport};
    /// # struct Counter;
    /// # #[async_trait::async_trait]
    /// # impl Transport for Counter {
    /// #     type Connection = u64;
    /// #     type Error = Infallible;
    /// #     async fn connect(&self, cx: ConnectContext) -> Result<u64, Infallible> { Ok(cx.id().get()) }
    /// #     async fn validate(&self, _: &u64, _: Check) -> Result<(), Infallible> { Ok(()) }
    /// #     async fn close(&self, _: u64, _: CloseReason) {}
    /// #     fn is_broken(&self, _: &u64) -> bool { false }
    /// # }
    /// # #[tokio::main(flavor = "current_thread")] async fn main() {
    /// # let pool = Pool::builder(Counter).build().expect("the defaults are valid");
    /// let double = pool.with(async |number| number * 2).await.expect("Counter never fails");
    /// assert_eq!(double, 2);
    /// # }
    /// ```
    #[track_caller]
    pub fn with<'a, F, R>(
        &'a self,
        work: F,
    ) -> impl Future<Output = Result<R, AcquireError<T::Error>>> + use<'a, T, F, R>
    where
        F: AsyncFnOnce(&T::Connection) -> R,
    {
        let acquire = self.acquire();
        async move {
            let lease = Careful(Some(acquire.await?));
            let connection = lease.0.as_ref().expect("held until dropped");
            Ok(work(connection).await)
        }
    }

    /// Opens connections ahead of need until at least `count` are open, or `max_connections`: lent and idle ones
    /// count, none is taken away from anybody, and waiting callers are served first.
    ///
    /// Ends early with the first `1 + retry.attempts` failures in a row, a failure that is never retried, a shut
    /// gate, or when the pool is suspended, draining or closed.
    ///
    /// # Cancel safety
    ///
    /// Safe to drop: dials under way are kept, further ones are not started for it.
    pub async fn warm(&self, count: u32) -> WarmReport<T::Error> {
        self.ledger().warm(count).await
    }

    /// Ends the pool in good order: no new callers, queued ones are refused, idle connections are closed now, lent
    /// ones when they come back. After `within` the rest is killed through their tokens.
    ///
    /// Returns when nothing is left to wait for: at the latest `within` plus `close_timeout`, unless a task of the
    /// pool's stands still with its runtime (see [`Pool`]). May be called again; that only moves the end earlier.
    ///
    /// # Cancel safety
    ///
    /// Safe to drop; the draining goes on.
    pub async fn drain(&self, within: Duration) -> DrainReport {
        self.ledger().drain(within).await
    }

    /// Ends everything at once, lent connections through their tokens: [`drain`](Self::drain) with no time.
    ///
    /// # Cancel safety
    ///
    /// Safe to drop; the closing goes on.
    pub async fn close(&self) -> DrainReport {
        self.drain(Duration::ZERO).await
    }

    /// Changes `min_connections` and `max_connections`. What is too many goes: idle connections now, lent ones when
    /// they come back.
    ///
    /// # Errors
    ///
    /// As the builder's: zero for `max`, or less than `min`. Nothing has changed then.
    pub fn set_limits(&self, min: u32, max: u32) -> Result<(), ConfigError> {
        let config = PoolConfig::builder().min_connections(min).max_connections(max).build()?;
        self.ledger().warn(config.warnings());
        self.ledger().act(|state, now| {
            state.shelf.grow(config.max_connections());
            state.machine.set_limits(config.min_connections(), config.max_connections(), now);
        });
        Ok(())
    }

    /// Holds the pool: nothing is lent or dialled until [`resume`](Self::resume). Callers wait by their deadlines;
    /// what is lent stays lent.
    pub fn suspend(&self) {
        self.ledger().act(|state, now| state.machine.suspend(now));
    }

    /// Lets the pool go on.
    pub fn resume(&self) {
        self.ledger().act(|state, now| state.machine.resume(now));
    }

    /// One consistent snapshot (seed `getPoolStats`).
    #[must_use]
    pub fn stats(&self) -> Stats {
        self.ledger().lock().stats()
    }

    /// Everything that happens from now on.
    #[must_use]
    pub fn subscribe(&self) -> Events {
        self.ledger().subscribe()
    }

    /// Its name, unique among the living pools of this process.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.ledger().name
    }

    /// Its number, never used twice in this process.
    #[must_use]
    pub fn id(&self) -> PoolId {
        self.ledger().id
    }

    /// Where it dials to, where the transport tells.
    #[must_use]
    pub fn endpoint(&self) -> Option<&Endpoint> {
        self.ledger().endpoint.as_ref()
    }

    /// How long [`acquire`](Self::acquire) waits at most, in all (`acquire_timeout`); `None`: for ever.
    #[must_use]
    pub fn acquire_timeout(&self) -> Option<Duration> {
        let limit = self.ledger().lock().machine.limits.acquire_timeout;
        (limit != Span::FOREVER).then(|| limit.duration())
    }

    /// The transport it was built with.
    #[must_use]
    pub fn transport(&self) -> &T {
        &self.ledger().transport
    }
}

impl<T: Transport> Ledger<T> {
    /// At the start: `min_connections`, and the housekeeper's first date. Outside of a runtime nothing can start;
    /// the first call inside one catches up.
    pub(crate) fn begin_work(self: &Arc<Self>) {
        if Handle::try_current().is_ok() {
            self.act(|state, now| state.machine.look(now));
        }
    }
}

/// A lease that does not go back from a closure that panicked.
struct Careful<T: Transport>(Option<Lease<T>>);

impl<T: Transport> Drop for Careful<T> {
    fn drop(&mut self) {
        let panicked = std::thread::panicking();
        if let Some(lease) = self.0.take_if(|_| panicked) {
            lease.discard("the closure that used it panicked");
        }
    }
}

impl<T: Transport> Clone for Pool<T> {
    fn clone(&self) -> Self {
        Self { handle: Arc::clone(&self.handle) }
    }
}

impl<T: Transport> fmt::Debug for Pool<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pool").field("name", &self.name()).field("stats", &self.stats()).finish_non_exhaustive()
    }
}

impl<T: Transport> Drop for LastOne<T> {
    fn drop(&mut self) {
        self.ledger.begin_drain(None);
    }
}
