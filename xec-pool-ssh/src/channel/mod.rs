//! One command on one session channel, from opening to close, in a task that the connection owns.
//!
//! The caller only waits for an answer. So a caller who leaves, or who is never polled again, can neither leak the
//! channel nor stop the reading of it: russh's session stands still for everybody while one channel is not read.

// Who waits.
mod caller;

// Getting a channel.
mod open;

// Reading and writing it until it is closed.
mod pump;

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use russh::client::Handle;
use tokio::sync::oneshot;
use xec_pool_core::{Commands, Outcome};

use crate::{
    Output, SshError,
    error::{LossCause, Phase},
    session::{Link, SessionHandler},
};

/// The answer a caller waits for.
pub(crate) type Reply = oneshot::Sender<Result<Output, SshError>>;

/// What a command comes down to.
#[derive(Clone, Debug)]
pub(crate) struct Order {
    /// The command line, as the remote shell gets it.
    pub(crate) line: String,
    /// Where in it the command itself begins, after its directory and its variables.
    pub(crate) text_at: usize,
    pub(crate) stdin: Bytes,
    pub(crate) max_output: usize,
    pub(crate) timeout: Option<Duration>,
}

/// What the tasks of a connection share.
pub(crate) struct Carrier {
    pub(crate) handle: Handle<SessionHandler>,
    pub(crate) link: Arc<Link>,
    pub(crate) host: Arc<str>,
    commands: Commands,
    runtime: tokio::runtime::Handle,
}

impl Carrier {
    /// Takes over a session that is logged in. Its tasks run on the runtime of this call.
    pub(crate) fn new(
        handle: Handle<SessionHandler>,
        link: Arc<Link>,
        host: Arc<str>,
        commands: Commands,
    ) -> Arc<Self> {
        Arc::new(Self { handle, link, host, commands, runtime: tokio::runtime::Handle::current() })
    }

    /// Runs a command to its end.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future abandons the command: its process is sent a `TERM` and its channel is closed, both by the
    /// connection's own task. The connection stays usable.
    pub(crate) async fn run(self: &Arc<Self>, order: Order) -> Result<Output, SshError> {
        let under_way = self.commands.begin(&order.line[order.text_at..]);
        let result = self.run_unwatched(order).await;
        if under_way.is_watched() {
            match &result {
                Ok(output) => under_way.end(&Outcome::exited(output.status.code(), output.status.signal())),
                Err(error) => under_way.end(&Outcome::failed(error.kind(), &error.to_string())),
            }
        }
        result
    }

    async fn run_unwatched(self: &Arc<Self>, order: Order) -> Result<Output, SshError> {
        if self.is_closed() {
            return Err(self.lost(Phase::NotSent));
        }
        let (reply, answer) = oneshot::channel();
        self.spawn(pump::run(Arc::clone(self), order, reply));
        match answer.await {
            Ok(result) => result,
            // Only a runtime that shuts down takes a task's answer away, and nobody knows how far it had come.
            Err(_) => Err(self.lost(Phase::Running)),
        }
    }

    /// Runs something on the connection's runtime, whichever the caller's is.
    pub(crate) fn spawn(&self, work: impl Future<Output = ()> + Send + 'static) {
        self.runtime.spawn(work);
    }

    /// The closed flag: no I/O.
    pub(crate) fn is_closed(&self) -> bool {
        self.handle.is_closed() || self.link.has_ended() || self.link.socket.is_killed()
    }

    pub(crate) fn lost(&self, phase: Phase) -> SshError {
        let cause = if self.link.has_ended() { self.link.cause() } else { LossCause::Ended };
        SshError::ConnectionLost { host: Arc::clone(&self.host), phase, cause }
    }

    /// As [`lost`](Self::lost), once the session has said why it ended.
    async fn lost_for_good(&self, phase: Phase) -> SshError {
        // Bounded: whoever calls this saw the session's task let go of its channels, which is its end.
        self.link.ended().await;
        self.lost(phase)
    }
}
