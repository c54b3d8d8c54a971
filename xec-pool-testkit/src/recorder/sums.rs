//! «The events add up to the stats.»

use std::collections::BTreeMap;

use xec_pool_core::{CloseReason, ConnectionId, ConnectionState, Phase, PoolEvent, Stats};

/// What was counted from the events.
#[derive(Default)]
struct Sums {
    created: u64,
    destroyed: Vec<CloseReason>,
    connect_failures: u64,
    acquired: u64,
    released: u64,
    timeouts: u64,
    rejected: u64,
    cancelled: u64,
    states: BTreeMap<ConnectionId, ConnectionState>,
}

impl Sums {
    fn of(events: &[PoolEvent]) -> Self {
        let mut sums = Self::default();
        events.iter().for_each(|event| sums.add(event));
        sums
    }

    fn add(&mut self, event: &PoolEvent) {
        match event {
            PoolEvent::Created { .. } => self.created += 1,
            PoolEvent::Destroyed { reason, .. } => self.destroyed.push(*reason),
            PoolEvent::ConnectFailed { .. } => self.connect_failures += 1,
            PoolEvent::Acquired { .. } => self.acquired += 1,
            PoolEvent::Released { .. } => self.released += 1,
            PoolEvent::AcquireFailed { error: "timed_out", .. } => self.timeouts += 1,
            PoolEvent::AcquireFailed { error: "cancelled", .. } => self.cancelled += 1,
            PoolEvent::AcquireFailed { .. } => self.rejected += 1,
            PoolEvent::StateChanged { id, to: Some(state), .. } => {
                self.states.insert(*id, *state);
            }
            PoolEvent::StateChanged { id, to: None, .. } => {
                self.states.remove(id);
            }
            PoolEvent::QueueFull { .. }
            | PoolEvent::Metrics { .. }
            | PoolEvent::BackgroundError { .. }
            | PoolEvent::RetryScheduled { .. }
            | PoolEvent::Validated { .. }
            | PoolEvent::Warning { .. }
            | PoolEvent::CircuitOpened { .. }
            | PoolEvent::CircuitHalfOpened
            | PoolEvent::CircuitClosed
            | PoolEvent::Missed { .. }
            | _ => {}
        }
    }

    fn in_state(&self, state: ConnectionState) -> u64 {
        self.states.values().filter(|other| **other == state).count() as u64
    }
}

/// One sentence for each figure that differs.
pub(super) fn differences(events: &[PoolEvent], stats: &Stats) -> Vec<String> {
    let sums = Sums::of(events);
    let mut differ = Vec::new();
    let mut check = |what: &str, events: u64, stats: u64| {
        if events != stats {
            differ.push(format!("{what}: {events} by events, {stats} by stats"));
        }
    };
    check("created", sums.created, stats.created);
    for reason in CloseReason::ALL {
        let count = sums.destroyed.iter().filter(|other| **other == reason).count() as u64;
        check(&format!("destroyed ({reason})"), count, stats.destroyed.by(reason));
    }
    check("acquired", sums.acquired, stats.acquired);
    check("released", sums.released, stats.released);
    check("leases", sums.acquired.saturating_sub(sums.released), stats.leases.into());
    check("connecting", sums.in_state(ConnectionState::Connecting), stats.connecting.into());
    check("idle", sums.in_state(ConnectionState::Idle), stats.idle.into());
    check("active", sums.in_state(ConnectionState::Active), stats.active.into());
    check("validating", sums.in_state(ConnectionState::Validating), stats.validating.into());
    check("closing", sums.in_state(ConnectionState::Closing), stats.closing.into());
    check("open", sums.created.saturating_sub(sums.destroyed.len() as u64), stats.open().into());
    // A dial that a closing pool has stopped is told, but not counted against anybody.
    if stats.phase == Phase::Open || sums.connect_failures < stats.connect_failures {
        check("connect failures", sums.connect_failures, stats.connect_failures);
    }
    // Whoever left before the refusal reached them is told as cancelled, and counted as refused.
    let (told, counted) = (sums.timeouts + sums.rejected, stats.timeouts + stats.rejected);
    if counted < told || counted > told + sums.cancelled {
        check("refused", told, counted);
    }
    differ
}
