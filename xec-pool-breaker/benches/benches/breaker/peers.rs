//! The breakers that are measured, behind one trait: five failures open them, for half a minute unless said otherwise.

use std::{io, num::NonZeroU32, sync::Arc, time::Duration};

use failsafe::{CircuitBreaker as _, StateMachine, backoff::Constant, failure_policy::ConsecutiveFailures};
use recloser::Recloser;
use xec_pool_breaker::{Breaker, BreakerConfig};
use xec_pool_core::{Cause, DialRequest, FailureKind, Gate as _, PoolId, Settlement};
use xec_pool_core_benches::OURS;

/// The name of the peer that ratios are made to.
pub(crate) const BASE: &str = FailsafePeer::NAME;

pub(crate) const FAILURES: u32 = 5;

/// A breaker that can be measured.
pub(crate) trait Peer: Send + Sync {
    const NAME: &'static str;

    fn build(open_for: Duration) -> Self;

    /// Does `work` if it may, and counts how it went. Whether it did.
    fn call(&self, work: impl FnOnce() -> bool) -> bool;

    /// One that has just opened.
    fn opened(open_for: Duration) -> Self
    where
        Self: Sized,
    {
        let peer = Self::build(open_for);
        // recloser looks at a rate, and only once its window is full.
        for _ in 0..=FAILURES {
            peer.call(|| false);
        }
        peer
    }
}

pub(crate) struct OurPeer {
    breaker: Breaker,
    request: DialRequest,
    cause: Cause,
}

impl Peer for OurPeer {
    const NAME: &'static str = OURS;

    fn build(open_for: Duration) -> Self {
        let config = BreakerConfig::builder().failure_threshold(FAILURES).open_for(open_for).build().expect("valid");
        let request = DialRequest::new(PoolId::new(1), "bench", None, NonZeroU32::MIN);
        Self { breaker: Breaker::new(config), request, cause: Arc::new(io::Error::other("refused")) }
    }

    fn call(&self, work: impl FnOnce() -> bool) -> bool {
        let Ok(pass) = self.breaker.admit(&self.request) else { return false };
        pass.settle(match work() {
            true => Settlement::Success,
            false => Settlement::Failure(FailureKind::Unreachable, Arc::clone(&self.cause)),
        });
        true
    }
}

pub(crate) struct FailsafePeer(StateMachine<ConsecutiveFailures<Constant>, ()>);

impl Peer for FailsafePeer {
    const NAME: &'static str = "failsafe";

    fn build(open_for: Duration) -> Self {
        let policy = failsafe::failure_policy::consecutive_failures(FAILURES, failsafe::backoff::constant(open_for));
        Self(failsafe::Config::new().failure_policy(policy).build())
    }

    fn call(&self, work: impl FnOnce() -> bool) -> bool {
        !matches!(self.0.call(|| work().then_some(()).ok_or(())), Err(failsafe::Error::Rejected))
    }
}

pub(crate) struct RecloserPeer(Recloser);

impl Peer for RecloserPeer {
    const NAME: &'static str = "recloser";

    fn build(open_for: Duration) -> Self {
        // It knows rates only: all of the last five.
        let recloser = Recloser::custom().error_rate(1.0).closed_len(FAILURES as usize).half_open_len(1);
        Self(recloser.open_wait(open_for).build())
    }

    fn call(&self, work: impl FnOnce() -> bool) -> bool {
        !matches!(self.0.call(|| work().then_some(()).ok_or(())), Err(recloser::Error::Rejected))
    }
}
