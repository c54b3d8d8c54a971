//! A transport that does what a test says: a script for each hook, and a handle that knows all that happened.
//!
//! It opens nothing, so it is quick and exact, and works on a paused clock.
//!
//! # Examples
//!
//! ```
//! use xec_pool_core::{AcquireError, FailureKind, Pool};
//! use xec_pool_testkit::mock::{Hook, MockTransport, Step};
//!
//! # #[tokio::main(flavor = "current_thread")] async fn main() {
//! let (transport, handle) = MockTransport::new();
//! handle.script(Hook::Connect, [Step::fail(FailureKind::Credentials)]);
//! let pool = Pool::builder(transport).build().expect("the defaults are valid");
//!
//! let refused = pool.acquire().await.expect_err("the script says so");
//! assert!(matches!(refused, AcquireError::Connect { kind: FailureKind::Credentials, .. }));
//! let lease = pool.acquire().await.expect("the script is over, and by default all goes well");
//! handle.lose(lease.id().get(), "the cat");
//! drop(lease);
//! pool.close().await;
//! handle.assert_each_closed_once();
//! assert_eq!(handle.calls(Hook::Connect), 2);
//! # }
//! ```

use std::{fmt, sync::Arc};

use async_trait::async_trait;
use xec_pool_core::{Check, CloseReason, ConnectContext, Endpoint, FailureKind, Transport};

// What a test says.
mod step;

// What it holds.
mod handle;

// What happened.
mod world;

use self::world::World;
pub use self::{
    handle::MockHandle,
    step::{Hook, Step},
    world::Call,
};

/// The transport. Its [`MockHandle`] says what it does.
#[derive(Clone)]
pub struct MockTransport {
    world: Arc<World>,
    name: Option<String>,
    endpoint: Option<Endpoint>,
}

impl MockTransport {
    /// A transport whose hooks all succeed at once, and its handle.
    #[must_use]
    pub fn new() -> (Self, MockHandle) {
        let world = Arc::new(World::default());
        let handle = MockHandle::new(Arc::clone(&world));
        (Self { world, name: None, endpoint: None }, handle)
    }

    /// Answers this to [`Transport::name`].
    #[must_use]
    pub fn named(mut self, name: impl Into<String>) -> Self {
        self.name = Some(name.into());
        self
    }

    /// Answers this to [`Transport::endpoint`].
    #[must_use]
    pub fn at(mut self, endpoint: Endpoint) -> Self {
        self.endpoint = Some(endpoint);
        self
    }
}

#[async_trait]
impl Transport for MockTransport {
    type Connection = MockConnection;
    type Error = MockError;

    async fn connect(&self, cx: ConnectContext) -> Result<MockConnection, MockError> {
        let step = self.world.called(Hook::Connect, Call::Connect { id: cx.id().get(), attempt: cx.attempt().get() });
        cx.phase("dial");
        let _dialling = self.world.dialling();
        if step.dies_connecting() {
            cx.lost_signal().lost("died while connecting, as the script says");
            // What the pool makes of that is not heeded here: it may be there all the same.
            self.world.carry_out(Hook::Connect, &step).await?;
        } else {
            let dialled = cx.cancelled().unless(self.world.carry_out(Hook::Connect, &step)).await;
            dialled.unwrap_or(Err(MockError { kind: FailureKind::Lost }))?;
        }
        let serial = self.world.opened(&cx);
        let connection = MockConnection { world: Arc::clone(&self.world), serial, id: cx.id().get() };
        if let Some(after) = step.dies_after() {
            let (world, lost) = (Arc::clone(&self.world), cx.lost_signal().clone());
            tokio::spawn(async move {
                tokio::time::sleep(after).await;
                if world.break_serial(serial) {
                    lost.lost("died as the script says");
                }
            });
        }
        Ok(connection)
    }

    async fn validate(&self, connection: &MockConnection, check: Check) -> Result<(), MockError> {
        let step = self.world.called(Hook::Validate, Call::Validate { id: connection.id, check });
        self.world.carry_out(Hook::Validate, &step).await?;
        if connection.is_dead() { Err(MockError { kind: FailureKind::Lost }) } else { Ok(()) }
    }

    async fn close(&self, connection: MockConnection, reason: CloseReason) {
        let step = self.world.called(Hook::Close, Call::Close { id: connection.id, reason });
        self.world.closing(connection.serial);
        // Closing has no way to fail; what a script of failure says is only that it was slow.
        let _ = self.world.carry_out(Hook::Close, &step).await;
    }

    fn is_broken(&self, connection: &MockConnection) -> bool {
        let step = self.world.called(Hook::IsBroken, Call::IsBroken { id: connection.id });
        step.at_once() || connection.is_dead()
    }

    fn classify(&self, error: &MockError) -> FailureKind {
        error.kind
    }

    fn name(&self) -> Option<String> {
        self.name.clone()
    }

    fn endpoint(&self) -> Option<Endpoint> {
        self.endpoint.clone()
    }
}

impl fmt::Debug for MockTransport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MockTransport").field("name", &self.name).finish_non_exhaustive()
    }
}

/// A connection of a [`MockTransport`]. It tells the handle when it is dropped.
pub struct MockConnection {
    world: Arc<World>,
    serial: u64,
    id: u64,
}

impl MockConnection {
    /// Its number in the pool, as [`Lease::id`](xec_pool_core::Lease::id).
    #[must_use]
    pub fn id(&self) -> u64 {
        self.id
    }

    fn is_dead(&self) -> bool {
        self.world.is_dead(self.serial)
    }
}

impl Drop for MockConnection {
    fn drop(&mut self) {
        self.world.dropped(self.serial);
    }
}

impl fmt::Debug for MockConnection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MockConnection").field("id", &self.id).finish_non_exhaustive()
    }
}

/// A failure by script.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MockError {
    kind: FailureKind,
}

impl MockError {
    /// What the script said.
    #[must_use]
    pub fn kind(&self) -> FailureKind {
        self.kind
    }
}

impl fmt::Display for MockError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "failed as the script says ({})", self.kind)
    }
}

impl std::error::Error for MockError {}
