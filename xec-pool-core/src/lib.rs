//! A connection pool for any transport: it decides and lends, and knows no protocol.
#![cfg_attr(docsrs, feature(doc_cfg))]

// What users plug in.
mod transport;

mod context;

mod gate;

mod observe;

// What they hear.
mod event;

mod stats;

mod error;

// What decides.
mod machine;

pub use crate::{
    context::{Cancelled, ConnectContext, LostSignal},
    error::{AcquireError, DialError, TimedOut, TimedOutStage},
    event::{CloseReason, ConnectionId, ConnectionState, LeaseId, PoolEvent},
    gate::{Cause, Denied, DialRequest, Gate, GateLink, Pass, PoolId, Settlement},
    observe::{Interest, Observation, Observer, Outcome, Start, WeakPool},
    stats::{Destroyed, Phase, Stats, Wait},
    transport::{Check, Endpoint, FailureKind, Transport},
};
