//! A gate that does what a test says, and speaks of it as a breaker does.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use xec_pool_core::{Denied, DialRequest, Gate, GateLink, Pass, PoolEvent};

/// The gate.
#[derive(Default)]
pub(crate) struct Doorman {
    link: Mutex<Option<GateLink>>,
    answer: Mutex<Option<Denied>>,
}

impl Doorman {
    pub(crate) fn opens_circuit(&self, retry_after: Option<Duration>) {
        let cause = Some(Arc::new(std::io::Error::other("nobody home")) as _);
        *self.answer.lock().unwrap() = Some(Denied::shut(retry_after, None));
        self.says(PoolEvent::circuit_opened(retry_after, cause));
    }

    pub(crate) fn half_opens(&self) {
        self.says(PoolEvent::CircuitHalfOpened);
    }

    pub(crate) fn closes_circuit(&self) {
        *self.answer.lock().unwrap() = None;
        self.says(PoolEvent::CircuitClosed);
        self.link().reopened();
    }

    fn says(&self, event: PoolEvent) {
        self.link().emit(event);
    }

    fn link(&self) -> GateLink {
        self.link.lock().unwrap().clone().unwrap()
    }
}

impl Gate for Doorman {
    fn attach(&self, link: GateLink) {
        *self.link.lock().unwrap() = Some(link);
    }

    fn admit(&self, _: &DialRequest) -> Result<Pass, Denied> {
        self.answer.lock().unwrap().clone().map_or_else(|| Ok(Pass::free()), Err)
    }
}
