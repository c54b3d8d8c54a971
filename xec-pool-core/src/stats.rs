//! A pool's figures, taken in one moment.
//!
//! Seed: Pool Metrics, Advanced Pool Management.

use std::{fmt, time::Duration};

use crate::CloseReason;

/// One consistent snapshot of a pool.
///
/// At any moment `created - destroyed` connections are open ([`open`](Self::open)), and `acquired - released` are
/// lent.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Stats {
    /// Connections being opened.
    pub connecting: u32,
    /// Connections open and free.
    pub idle: u32,
    /// Connections lent.
    pub active: u32,
    /// Connections being checked.
    pub validating: u32,
    /// Connections being ended.
    pub closing: u32,
    /// Callers waiting.
    pub waiting: u32,
    /// Leases out.
    pub leases: u32,
    /// `min_connections` as it is now.
    pub min: u32,
    /// `max_connections` as it is now.
    pub max: u32,
    /// Connections opened since the pool was built (seed `connectionsCreated`).
    pub created: u64,
    /// Connections ended, by reason (seed `connectionsDestroyed`: [`total`](Destroyed::total)).
    pub destroyed: Destroyed,
    /// Dials that failed.
    pub connect_failures: u64,
    /// Leases given (seed `totalAcquired`).
    pub acquired: u64,
    /// Leases that came home (seed `totalReleased`).
    pub released: u64,
    /// Callers that reached their deadline.
    pub timeouts: u64,
    /// Callers refused for any other reason: queue full, gate shut, connect failed, draining, closed.
    pub rejected: u64,
    /// What the callers who got a connection waited.
    pub wait: Wait,
    /// How often an observer panicked in `on_event`.
    pub observer_panics: u64,
    /// Where the pool is in its life.
    pub phase: Phase,
    /// Whether [`suspend`](crate::Pool::suspend) holds it.
    pub suspended: bool,
}

impl Stats {
    /// Connections that are open: idle, active, validating and closing.
    #[must_use]
    pub fn open(&self) -> u32 {
        self.idle + self.active + self.validating + self.closing
    }

    /// Active connections over the maximum, 0 to 1 (seed `utilizationRate`).
    #[must_use]
    pub fn utilization(&self) -> f64 {
        if self.max == 0 { 0.0 } else { f64::from(self.active) / f64::from(self.max) }
    }
}

impl fmt::Display for Stats {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} active, {} idle, {} connecting, {} validating, {} closing of at most {}; {} waiting",
            self.active, self.idle, self.connecting, self.validating, self.closing, self.max, self.waiting
        )
    }
}

/// Ended connections, by reason.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Destroyed {
    by_reason: [u64; CloseReason::ALL.len()],
}

impl Destroyed {
    pub(crate) fn count(&mut self, reason: CloseReason) {
        self.by_reason[reason as usize] += 1;
    }

    /// How many ended for this reason.
    #[must_use]
    pub fn by(&self, reason: CloseReason) -> u64 {
        self.by_reason[reason as usize]
    }

    /// How many ended.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.by_reason.iter().sum()
    }
}

/// Waits of callers who got a connection, from the call to the connection. Those who got one at once count as zero.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Wait {
    /// All waits together.
    pub total: Duration,
    /// The longest; also that of a caller who was lent one and had gone, or found it dead.
    pub max: Duration,
    /// The mean (seed `averageWaitTime`).
    pub average: Duration,
}

/// Where a pool is in its life. Only ever goes forward.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Phase {
    /// Lends.
    Open,
    /// Lends no more; waits for what is lent.
    Draining,
    /// Everything is closed or cancelled.
    Closed,
}
