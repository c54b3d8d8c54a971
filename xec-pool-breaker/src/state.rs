//! What a breaker tells of itself.

use std::{fmt, time::Duration};

use xec_pool_core::{Cause, PoolId};

/// Whether dials pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum BreakerState {
    /// All pass.
    Closed,
    /// None passes until its time is over.
    Open,
    /// Probes pass; what becomes of them decides.
    HalfOpen,
    /// None passes until somebody decides otherwise ([`Breaker::force_open`](crate::Breaker::force_open)).
    ForcedOpen,
    /// All pass, whatever becomes of them ([`Breaker::force_close`](crate::Breaker::force_close)).
    ForcedClosed,
}

impl BreakerState {
    /// A short stable word, for logs and metrics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Closed => "closed",
            Self::Open => "open",
            Self::HalfOpen => "half_open",
            Self::ForcedOpen => "forced_open",
            Self::ForcedClosed => "forced_closed",
        }
    }
}

impl fmt::Display for BreakerState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A breaker in one moment: [`Breaker::snapshot`](crate::Breaker::snapshot).
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Snapshot {
    /// Whether dials pass.
    pub state: BreakerState,
    /// How long it stays open; `None` unless it is, and where somebody holds it open.
    pub retry_after: Option<Duration>,
    /// What opened it, unless it is closed.
    pub cause: Option<Cause>,
    /// Failures that count towards the next opening.
    pub failures: u32,
    /// Probes that have not ended.
    pub probes: u32,
    /// How often it opened in a row, without having been closed in between.
    pub openings: u32,
    /// How often it has opened since it was made, by failures or by hand.
    pub opened: u64,
    /// Dials it has refused since it was made.
    pub refused: u64,
    /// Results that came too late to count: the circuit had opened, or closed, since their dial began.
    pub stale: u64,
    /// Pools that may not dial because their own credentials were refused, in the order of their numbers.
    pub credentials: Vec<PoolId>,
}
