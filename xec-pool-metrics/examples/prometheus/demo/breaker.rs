//! A breaker, as small as one can be. A program takes `xec-pool-breaker`; this stands in for it, so that the example
//! needs nothing but what it is about.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use xec_pool_core::{Denied, DialRequest, FailureKind, Gate, GateLink, Pass, PoolEvent, Settlement};

/// Failures in a row that open it, and how long it stays so.
const FAILURES: u32 = 2;
const OPEN_FOR: Duration = Duration::from_secs(4);

/// Shuts after a few failures in a row, and lets one dial through after a while.
#[derive(Clone, Default)]
pub(crate) struct Breaker(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    link: Option<GateLink>,
    failures: u32,
    open_until: Option<Instant>,
    probing: bool,
}

impl Breaker {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn settled(&self, settlement: &Settlement) {
        let mut state = self.lock();
        let was_open = state.open_until.is_some();
        state.probing = false;
        let event = match settlement {
            Settlement::Success => {
                (state.failures, state.open_until) = (0, None);
                was_open.then_some(PoolEvent::CircuitClosed)
            }
            // What says nothing of the host.
            Settlement::Failure(FailureKind::Credentials | FailureKind::Trust | FailureKind::Config, _) => None,
            Settlement::Failure(_, cause) => {
                state.failures += 1;
                let opens = state.failures >= FAILURES;
                state.open_until = opens.then(|| Instant::now() + OPEN_FOR);
                opens.then(|| PoolEvent::circuit_opened(Some(OPEN_FOR), Some(Arc::clone(cause))))
            }
            Settlement::Neutral | _ => None,
        };
        self.say(state, event);
    }

    /// After the lock: the pool may ask at once.
    fn say(&self, state: MutexGuard<'_, State>, event: Option<PoolEvent>) {
        let link = state.link.clone();
        drop(state);
        if let (Some(link), Some(event)) = (link, event) {
            let closed = matches!(event, PoolEvent::CircuitClosed);
            link.emit(event);
            if closed {
                link.reopened();
            }
        }
    }
}

impl Gate for Breaker {
    fn attach(&self, link: GateLink) {
        self.lock().link = Some(link);
    }

    fn admit(&self, _: &DialRequest) -> Result<Pass, Denied> {
        let mut state = self.lock();
        if let Some(until) = state.open_until {
            let left = until.saturating_duration_since(Instant::now());
            if !left.is_zero() {
                return Err(Denied::shut(Some(left), None));
            }
            if state.probing {
                return Err(Denied::Busy);
            }
            state.probing = true;
            self.say(state, Some(PoolEvent::CircuitHalfOpened));
        }
        let breaker = self.clone();
        Ok(Pass::new(move |settlement| breaker.settled(&settlement)))
    }
}
