//! The breaker that users hold.
//!
//! Seed: Circuit Breaker.

use std::{fmt, sync::Arc};

use xec_pool_core::{Cause, Denied, DialRequest, Gate, GateLink, Pass};

use crate::{
    BreakerConfig, BreakerState, Snapshot,
    ledger::{Ledger, State},
};

/// A gate that shuts when connects keep failing, and lets them come back gently. Clones are the same breaker: give one
/// to each pool of a host, keep one.
///
/// It counts dials, not commands, and not connections that die later. Unreachable, timed out, lost and other failures
/// count; a throttled dial says nothing. Refused credentials, an untrusted host and a configuration that cannot work
/// say nothing of the host either, but shut out the pool they happen to, until [`reset`](Self::reset): to ask again
/// locks accounts. Another user's pool behind the same breaker goes on.
///
/// Without a gate a pool has nobody to remember that: each caller who comes after a refusal costs the server another
/// login, and OpenSSH 9.8 and later bars an address for 5 seconds a login that fails, as soon as that adds up to 15.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
/// use xec_pool_breaker::{Breaker, BreakerConfig, BreakerState};
/// use xec_pool_core::{AcquireError, FailureKind, Pool, PoolConfig};
/// use xec_pool_testkit::mock::{Hook, MockTransport, Step};
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let breaker = Breaker::new(BreakerConfig::builder().failure_threshold(1).build()?);
/// let (transport, host) = MockTransport::new();
/// let pool = Pool::builder(transport).gate(breaker.clone()).build()?;
///
/// host.script(Hook::Connect, [Step::fail(FailureKind::Unreachable)]);
/// let error = pool.acquire().await.unwrap_err();
/// assert!(matches!(error, AcquireError::CircuitOpen { .. }));
/// assert_eq!(breaker.state(), BreakerState::Open);
///
/// breaker.reset();
/// pool.acquire().await?;
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct Breaker {
    ledger: Arc<Ledger>,
}

impl Breaker {
    /// A closed one.
    #[must_use]
    pub fn new(config: BreakerConfig) -> Self {
        Self { ledger: Arc::new(Ledger::new(config)) }
    }

    /// Whether dials pass now. Asking changes nothing: no event comes of it.
    #[must_use]
    pub fn state(&self) -> BreakerState {
        self.ledger.look(|_, circuit, _| circuit.state())
    }

    /// All there is to know, in one moment. Asking changes nothing.
    #[must_use]
    pub fn snapshot(&self) -> Snapshot {
        self.ledger.look(|state, circuit, now| state.snapshot(circuit, now))
    }

    /// Shuts it, whatever succeeds, until [`force_close`](Self::force_close) or [`reset`](Self::reset): maintenance.
    /// Connections that are open go on.
    pub fn force_open(&self) {
        let cause: Cause = Arc::new(HeldOpen);
        self.ledger.act(|state, now| {
            let old = state.cause.replace(cause);
            state.discarded.extend(old);
            state.circuit.force_open(now);
        });
    }

    /// Lets every dial pass, whatever fails, until [`force_open`](Self::force_open) or [`reset`](Self::reset). Pools
    /// whose own credentials were refused stay shut out.
    pub fn force_close(&self) {
        self.ledger.act(|state, now| state.circuit.force_close(now));
    }

    /// As new: closed, nothing counted, nobody shut out. The one way back for a pool whose own credentials were
    /// refused.
    pub fn reset(&self) {
        self.ledger.act(|state, now| {
            state.circuit.reset(now);
            state.let_all_in();
        });
    }

    /// Nobody would miss it: no pool is behind it, nobody else holds it, and it has nothing to remember.
    pub(crate) fn is_forgettable(&self) -> bool {
        let alone = Arc::strong_count(&self.ledger) == 1;
        let is_empty = |state: &State| state.pools.iter().all(GateLink::is_gone);
        alone && self.ledger.look(|state, circuit, now| circuit.is_at_rest(now) && is_empty(state))
    }
}

impl Gate for Breaker {
    fn attach(&self, link: GateLink) {
        self.ledger.act(|state, now| state.welcome(link, now));
    }

    fn admit(&self, request: &DialRequest) -> Result<Pass, Denied> {
        let issued = self.ledger.act(|state, now| state.admit(request.pool, now))?;
        let ledger = Arc::clone(&self.ledger);
        Ok(Pass::new(move |settlement| ledger.settle(&issued, &settlement)))
    }
}

impl fmt::Debug for Breaker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Breaker").field("snapshot", &self.snapshot()).finish_non_exhaustive()
    }
}

/// Why it is open when somebody wants it so.
#[derive(Debug, thiserror::Error)]
#[error("held open by hand (Breaker::force_open)")]
struct HeldOpen;
