//! What the machine is told, and what it answers: facts in the past tense, orders in the imperative.

use std::fmt;

use super::{
    moment::{Moment, Span},
    queue::Ticket,
    slot::SlotId,
};
use crate::{Check, CloseReason, FailureKind, LeaseId, TimedOutStage};

/// Something that has happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fact {
    /// A caller went away before it was answered.
    GaveUp(Ticket),
    Connected {
        slot: SlotId,
        /// `max_lifetime`, jittered.
        lifetime: Span,
    },
    ConnectFailed {
        slot: SlotId,
        kind: FailureKind,
        /// The back-off for this many setbacks in a row, jittered.
        retry_after: Span,
    },
    /// The gate did not let the dial start.
    Denied {
        slot: SlotId,
        denied: Denial,
    },
    /// The gate says, unasked, that nobody may dial.
    Shut {
        retry_after: Span,
    },
    /// The gate says that it may answer otherwise now.
    Reopened,
    Passed(SlotId),
    Failed(SlotId),
    /// A lease ended.
    Returned {
        slot: SlotId,
        fate: Fate,
    },
    /// A lease ended that its caller never received.
    Unclaimed {
        slot: SlotId,
        broken: bool,
        waited: Span,
        /// Whether somebody had it before that.
        reused: bool,
    },
    /// Its holder keeps the connection for good.
    Detached(SlotId),
    /// The connection said that it died.
    Lost(SlotId),
    /// The connection is gone.
    Closed {
        slot: SlotId,
        reason: CloseReason,
    },
    /// The alarm rang.
    Ticked,
}

/// How a connection was when it came home.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    Fine,
    Broken,
    Discarded,
}

/// How a gate refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Denial {
    Shut {
        retry_after: Span,
    },
    Busy,
    /// It has spoken up since it was asked, so its answer says nothing any more.
    Outdated,
}

/// Something the flow must do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Order {
    Connect {
        slot: SlotId,
        /// Whom it is for, where it is for somebody.
        ticket: Option<Ticket>,
        attempt: u32,
    },
    Validate {
        slot: SlotId,
        check: Check,
    },
    Lend {
        ticket: Ticket,
        loan: Loan,
    },
    Close {
        slot: SlotId,
        reason: CloseReason,
    },
    /// End a connection that somebody still holds, by its token.
    Kill(SlotId),
    /// The slot's life is over: its place is free.
    Vacate(SlotId),
    Refuse {
        ticket: Ticket,
        refusal: Refusal,
    },
    Warmed(WarmId),
    /// Nothing is left that a drain waits for.
    Drained,
}

/// A connection in a caller's hands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Loan {
    pub(crate) slot: SlotId,
    pub(crate) lease: LeaseId,
    pub(crate) waited: Span,
    pub(crate) reused: Reused,
}

/// Whether somebody had the connection before. A whole word: copies of a loan that read a byte just written together
/// with the padding beside it would stall, on the way of every call.
#[derive(Clone, Copy, PartialEq, Eq)]
#[repr(u64)]
pub(crate) enum Reused {
    No,
    Yes,
}

impl Reused {
    pub(crate) fn is_yes(self) -> bool {
        self == Self::Yes
    }
}

impl From<bool> for Reused {
    fn from(reused: bool) -> Self {
        if reused { Self::Yes } else { Self::No }
    }
}

impl fmt::Debug for Reused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.is_yes().fmt(f)
    }
}

/// A running `warm`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct WarmId(pub(crate) u64);

/// What a caller is told at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Asked {
    Lent(Loan),
    Waiting(Ticket),
    Refused(Refusal),
}

/// Why a caller gets nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    Closed,
    Draining,
    QueueFull {
        waiting: u32,
    },
    NoneIdle,
    CircuitOpen {
        /// `None`: until the gate says so.
        retry_after: Option<Span>,
    },
    Connect {
        attempts: u32,
        kind: FailureKind,
    },
    /// It would have to wait, and nobody could tell it when its time is up.
    NoRuntime,
    TimedOut {
        stage: TimedOutStage,
        waited: Span,
        limit: Span,
    },
}

/// What a caller asks for.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Ask {
    /// Replaces `acquire_timeout` and `queue_timeout`.
    pub(crate) timeout: Option<Span>,
    /// It was lent a broken connection: its turn is not over.
    pub(crate) again: Option<Again>,
}

/// What a caller keeps when it asks again: its turn, and its one deadline.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Again {
    pub(crate) asked_at: Moment,
    /// As set at admission. `None`: it was served at once, so none was set yet.
    pub(crate) deadline: Option<Moment>,
}
