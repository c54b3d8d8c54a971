//! How a connection that runs commands tells those who watch its pool.

use std::{fmt, sync::Arc};

use crate::{Observation, Outcome, flow::caught};

/// Where a connection tells that a command begins on it: keep a clone in the connection
/// ([`ConnectContext::commands`](crate::ConnectContext::commands)). Keeps no pool alive.
#[derive(Clone, Default)]
pub struct Commands {
    #[expect(clippy::type_complexity, reason = "named nowhere else")]
    begin: Option<Arc<dyn Fn(&str) -> Option<Arc<dyn Observation>> + Send + Sync>>,
}

impl Commands {
    pub(crate) fn new(begin: impl Fn(&str) -> Option<Arc<dyn Observation>> + Send + Sync + 'static) -> Self {
        Self { begin: Some(Arc::new(begin)) }
    }

    /// A command begins. Call it on the task of whoever waits for the command: that is where a watcher finds out what
    /// it belongs to.
    ///
    /// `text` is what the command says, without what it is given in its environment or on its input. It reaches only
    /// who asked for it ([`Interest::COMMAND_TEXT`](crate::Interest::COMMAND_TEXT)).
    #[must_use = "dropped, the command was cancelled"]
    pub fn begin(&self, text: &str) -> CommandUnderWay {
        CommandUnderWay(self.begin.as_ref().and_then(|begin| begin(text)))
    }
}

impl fmt::Debug for Commands {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Commands")
    }
}

/// A command that has not ended. Dropped without [`end`](Self::end): it was cancelled.
pub struct CommandUnderWay(Option<Arc<dyn Observation>>);

impl CommandUnderWay {
    /// Whether anybody watches it. If not, nobody needs an outcome.
    #[must_use]
    pub fn is_watched(&self) -> bool {
        self.0.is_some()
    }

    /// It ended.
    pub fn end(mut self, outcome: &Outcome<'_>) {
        if let Some(observation) = self.0.take() {
            caught(|| observation.end(outcome));
        }
    }
}

impl Drop for CommandUnderWay {
    fn drop(&mut self) {
        // A panic of a watcher's is nobody's business but its own.
        let left = self.0.take();
        caught(|| drop(left));
    }
}

impl fmt::Debug for CommandUnderWay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("CommandUnderWay").field(&self.is_watched()).finish()
    }
}
