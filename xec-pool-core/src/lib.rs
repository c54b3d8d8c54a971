//! A connection pool for any transport: it decides and lends, and knows no protocol.
//!
//! ```text
//! acquire → admit → create or recycle → validate → lend → return → evict
//! ```
//!
//! Plug in a [`Transport`], build a [`Pool`], [`acquire`](Pool::acquire) a [`Lease`], drop it to give it back. A
//! [`Gate`] may forbid dialling (a circuit breaker), an [`Observer`] may watch.
//!
//! Not here: any transport, any exporter, any breaker. `ARCHITECTURE.md` beside this crate is the map of the inside.

/// A broken promise of ours: loud in debug builds, logged in release builds.
macro_rules! bug {
    ($($text:tt)*) => {{
        if cfg!(debug_assertions) { panic!($($text)*) }
        tracing::error!(target: "xec_pool", $($text)*);
    }};
}

// What users hold.
mod pool;

mod builder;

mod lease;

mod config;

mod error;

// What users plug in.
mod transport;

mod context;

mod command;

mod gate;

mod observe;

// What they hear.
mod event;

mod events;

mod stats;

// Inside: it decides, it does, it keeps.
mod machine;

mod flow;

mod ledger;

mod shelf;

mod clock;

mod name;

/// Not for users: what `cargo xtask fuzz` drives.
#[cfg(all(any(test, fuzzing), feature = "serde"))]
#[doc(hidden)]
pub mod fuzzing;

pub use crate::{
    builder::{BoxFuture, PoolBuilder},
    command::{CommandUnderWay, Commands},
    config::{ConfigError, Discipline, PoolConfig, PoolConfigBuilder},
    context::{Cancelled, ConnectContext, LostSignal},
    error::{AcquireError, DialError, TimedOut, TimedOutStage},
    event::{CloseReason, ConnectionId, ConnectionState, LeaseId, PoolEvent},
    events::Events,
    flow::{
        admit::{Acquire, AcquireOptions},
        drain::DrainReport,
        warm::WarmReport,
    },
    gate::{Cause, Denied, DialRequest, Gate, GateLink, Pass, PoolId, Settlement},
    lease::Lease,
    observe::{Interest, Observation, Observer, Outcome, Start, WeakPool},
    pool::Pool,
    stats::{Destroyed, Phase, Stats, Wait},
    transport::{Check, Endpoint, FailureKind, Transport},
};
