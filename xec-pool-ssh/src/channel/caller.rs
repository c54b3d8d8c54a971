//! Who waits for a command's answer, and how long.

use std::{sync::Arc, time::Duration};

use tokio::time::{Instant, sleep_until};

use super::{Carrier, Reply};
use crate::{Output, SshError, error::Phase};

/// The far end of an answer. It may go away at any moment; then the command is abandoned.
pub(super) struct Caller {
    reply: Option<Reply>,
    limit: Option<(Duration, Instant)>,
}

/// Why nobody waits any more.
#[derive(Clone, Copy)]
pub(super) enum Left {
    /// The caller dropped its future.
    Gone,
    /// The command's own time is over.
    TimedOut(Duration),
}

impl Caller {
    pub(super) fn new(reply: Reply, timeout: Option<Duration>) -> Self {
        // A time beyond the clock is no limit.
        let limit = timeout.and_then(|after| Some((after, Instant::now().checked_add(after)?)));
        Self { reply: Some(reply), limit }
    }

    /// Completes when nobody waits any more.
    pub(super) async fn left(&mut self) -> Left {
        let Some(reply) = &mut self.reply else { return Left::Gone };
        match self.limit {
            None => {
                reply.closed().await;
                Left::Gone
            }
            Some((after, at)) => {
                tokio::select! {
                    () = reply.closed() => Left::Gone,
                    () = sleep_until(at) => Left::TimedOut(after),
                }
            }
        }
    }

    /// Says that it is over, to whoever can still hear it.
    pub(super) fn dismiss(&mut self, left: Left, carrier: &Carrier, phase: Phase) {
        match left {
            Left::Gone => self.reply = None,
            Left::TimedOut(after) => {
                self.answer(Err(SshError::CommandTimedOut { host: Arc::clone(&carrier.host), after, phase }));
            }
        }
    }

    /// Answers; the first answer counts.
    pub(super) fn answer(&mut self, result: Result<Output, SshError>) {
        if let Some(reply) = self.reply.take() {
            // A caller who has left does not need it.
            let _ = reply.send(result);
        }
    }
}
