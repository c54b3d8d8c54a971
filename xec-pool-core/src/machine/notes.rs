//! What happened, in order, for those who watch. Kept only while somebody does.

use super::{moment::Span, slot::SlotId};
use crate::{CloseReason, ConnectionState, FailureKind, LeaseId};

/// One thing that happened.
#[derive(Clone, Debug)]
pub(crate) enum Note {
    Stepped { id: SlotId, from: Option<ConnectionState>, to: Option<ConnectionState> },
    Created { id: SlotId, took: Span },
    Released { id: SlotId, lease: LeaseId, used: Span },
    Destroyed { id: SlotId, reason: CloseReason, age: Span },
    QueueFull { waiting: u32 },
    RetryScheduled { failures: u32, delay: Span, kind: FailureKind },
    MetricsDue,
}

/// The notes since the flow last took them.
#[derive(Debug, Default)]
pub(crate) struct Notes {
    /// Somebody listens to events.
    pub(crate) events: bool,
    /// Somebody listens to every step.
    pub(crate) states: bool,
    pub(crate) list: Vec<Note>,
}

impl Notes {
    pub(crate) fn push(&mut self, note: Note) {
        self.list.push(note);
    }

    pub(crate) fn event(&mut self, note: Note) {
        if self.events {
            self.list.push(note);
        }
    }
}
