//! The mock keeps the promises that it stands in for.

use std::sync::Arc;

use xec_pool_core::FailureKind;
use xec_pool_testkit::{
    MockHandle, MockTransport,
    conformance::{Environment, Peer},
    mock::{Hook, Step},
};

pub(crate) struct Mocked {
    transport: Arc<MockTransport>,
    pub(crate) handle: MockHandle,
}

impl Mocked {
    pub(crate) fn new() -> Self {
        let (transport, handle) = MockTransport::new();
        Self { transport: Arc::new(transport), handle }
    }
}

#[async_trait::async_trait]
impl Environment for Mocked {
    type Transport = MockTransport;

    fn transport(&self) -> Arc<MockTransport> {
        Arc::clone(&self.transport)
    }

    async fn set_peer(&self, peer: Peer) {
        let (connect, validate) = match peer {
            Peer::Frozen => (Step::hang(), Step::hang()),
            Peer::Away => (Step::fail(FailureKind::Unreachable), Step::ok()),
            Peer::Well | _ => (Step::ok(), Step::ok()),
        };
        self.handle.always(Hook::Connect, connect);
        self.handle.always(Hook::Validate, validate);
        if peer == Peer::Away {
            self.handle.lose_all("away");
        }
    }

    async fn kill_connections(&self) {
        self.handle.lose_all("killed");
    }

    async fn until_open(&self, count: usize) {
        self.handle.until_open(count).await;
    }
}

xec_pool_testkit::conformance!(Mocked::new());
