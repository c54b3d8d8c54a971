//! What a dial is told, and how a connection tells the pool that it died.

use std::{
    fmt,
    num::NonZeroU32,
    sync::Arc,
    time::{Duration, Instant},
};

use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};

use crate::{Commands, ConnectionId, Observation};

/// What the pool tells [`Transport::connect`](crate::Transport::connect) about the connection it asks for.
#[derive(Clone)]
pub struct ConnectContext {
    id: ConnectionId,
    attempt: NonZeroU32,
    cancel: Cancelled,
    lost: LostSignal,
    commands: Commands,
    deadline: Instant,
    observation: Option<Arc<dyn Observation>>,
}

impl ConnectContext {
    pub(crate) fn new(
        id: ConnectionId,
        attempt: NonZeroU32,
        cancel: Cancelled,
        lost: LostSignal,
        commands: Commands,
        deadline: Instant,
        observation: Option<Arc<dyn Observation>>,
    ) -> Self {
        Self { id, attempt, cancel, lost, commands, deadline, observation }
    }

    /// A context that no pool stands behind, to call a transport by hand or in a test: connection 1, first attempt,
    /// never cancelled, 15 seconds (`connect_timeout`'s default).
    #[must_use]
    pub fn detached() -> Self {
        Self {
            id: ConnectionId::new(1),
            attempt: NonZeroU32::MIN,
            cancel: Cancelled(CancellationToken::new()),
            lost: LostSignal { report: None },
            commands: Commands::default(),
            deadline: Instant::now() + Duration::from_secs(15),
            observation: None,
        }
    }

    /// The same, ended by `cancel` and reporting its death to `lost`: what a test of a transport listens to.
    #[must_use]
    pub fn detached_with(cancel: Cancelled, lost: impl Fn(&str) + Send + Sync + 'static) -> Self {
        Self { cancel, lost: LostSignal { report: Some(Arc::new(lost)) }, ..Self::detached() }
    }

    /// The number of the connection that is to be opened.
    #[must_use]
    pub fn id(&self) -> ConnectionId {
        self.id
    }

    /// 1, and one more for each dial in a row that failed before this one.
    #[must_use]
    pub fn attempt(&self) -> NonZeroU32 {
        self.attempt
    }

    /// Tells when the connection must end at once, even while it is lent. Keep a clone in the connection.
    #[must_use]
    pub fn cancelled(&self) -> &Cancelled {
        &self.cancel
    }

    /// Where the connection reports that it died while nobody looked. Keep a clone in the connection.
    #[must_use]
    pub fn lost_signal(&self) -> &LostSignal {
        &self.lost
    }

    /// Where a connection that runs commands tells those who watch the pool. Keep a clone in the connection.
    #[must_use]
    pub fn commands(&self) -> &Commands {
        &self.commands
    }

    /// When `connect_timeout` ends this dial (on tokio's clock).
    #[must_use]
    pub fn deadline(&self) -> Instant {
        self.deadline
    }

    /// Says which part of connecting begins now (`"tcp"`, `"kex"`, `"auth"`), for telemetry.
    pub fn phase(&self, name: &'static str) {
        if let Some(observation) = &self.observation {
            let _ = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| observation.phase(name)));
        }
    }
}

impl fmt::Debug for ConnectContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ConnectContext").field("id", &self.id).field("attempt", &self.attempt).finish_non_exhaustive()
    }
}

/// Tells that a connection must end at once. Cloneable; clones share one fate.
#[derive(Clone, Debug, Default)]
pub struct Cancelled(CancellationToken);

impl Cancelled {
    /// One that nobody has cancelled yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Whether it has happened.
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        self.0.is_cancelled()
    }

    /// Completes when it happens; at once if it has.
    ///
    /// # Cancel safety
    ///
    /// Safe to drop; nothing is lost.
    pub fn wait(&self) -> impl Future<Output = ()> + Send + Sync + 'static {
        let wait: WaitForCancellationFutureOwned = self.0.clone().cancelled_owned();
        wait
    }

    /// Runs a future unless it happens, before or meanwhile: then `None`.
    ///
    /// # Cancel safety
    ///
    /// As the future's.
    pub async fn unless<F: Future>(&self, future: F) -> Option<F::Output> {
        self.0.run_until_cancelled(future).await
    }

    /// Makes it happen, for all clones. The pool does this; tests of a transport may.
    pub fn cancel(&self) {
        self.0.cancel();
    }
}

/// How a connection tells its pool that it died: the pool then closes and replaces it at once, not at the next
/// borrow.
///
/// Callable from any thread, from `Drop`, before `connect` has returned and without a runtime. It never panics and
/// never blocks on user code. Late and repeated signals do nothing.
#[derive(Clone)]
pub struct LostSignal {
    #[expect(clippy::type_complexity, reason = "named nowhere else")]
    report: Option<Arc<dyn Fn(&str) + Send + Sync>>,
}

impl LostSignal {
    pub(crate) fn new(report: impl Fn(&str) + Send + Sync + 'static) -> Self {
        Self { report: Some(Arc::new(report)) }
    }

    /// The connection is dead; `why` ends up in the event, so no secrets.
    ///
    /// Connecting: the dial has failed. Idle: it is closed now. Validating: the check has failed. Active: it stays
    /// with its holder, and is closed when it comes back.
    pub fn lost(&self, why: &str) {
        if let Some(report) = &self.report {
            report(why);
        }
    }
}

impl fmt::Debug for LostSignal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("LostSignal")
    }
}
