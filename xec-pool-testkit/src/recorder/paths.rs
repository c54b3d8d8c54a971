//! «Each connection's events form a legal path.»

use std::collections::{BTreeMap, BTreeSet};

use xec_pool_core::{ConnectionId, ConnectionState, LeaseId, PoolEvent};

type State = Option<ConnectionState>;

/// One connection, as far as its events have told.
#[derive(Default)]
struct Path<'a> {
    state: State,
    born: bool,
    created: bool,
    destroyed: bool,
    leases: BTreeSet<LeaseId>,
    told: Vec<&'a PoolEvent>,
}

/// The first thing that cannot be, with the whole path that leads there.
pub(super) fn check(events: &[PoolEvent]) -> Result<(), String> {
    let mut paths: BTreeMap<ConnectionId, Path<'_>> = BTreeMap::new();
    for event in events {
        let Some(id) = connection(event) else { continue };
        let path = paths.entry(id).or_default();
        path.told.push(event);
        path.take(event).map_err(|why| format!("connection {id}: {why}, after {:#?}", path.told))?;
    }
    Ok(())
}

impl Path<'_> {
    fn take(&mut self, event: &PoolEvent) -> Result<(), String> {
        match event {
            PoolEvent::StateChanged { from, to, .. } => self.step(*from, *to),
            PoolEvent::Created { .. } if self.created => Err("created twice".into()),
            PoolEvent::Created { .. } if !self.born => Err("created without a dial".into()),
            PoolEvent::Created { .. } => {
                self.created = true;
                Ok(())
            }
            PoolEvent::Destroyed { .. } if self.destroyed => Err("destroyed twice".into()),
            PoolEvent::Destroyed { .. } if !self.created => Err("destroyed before it was created".into()),
            PoolEvent::Destroyed { .. } if !self.leases.is_empty() => Err("destroyed while it is lent".into()),
            PoolEvent::Destroyed { .. } => {
                self.destroyed = true;
                Ok(())
            }
            PoolEvent::Acquired { lease, .. } => self.acquired(*lease),
            PoolEvent::Released { lease, .. } if !self.leases.remove(lease) => {
                Err(format!("lease {lease} ended, but had not begun"))
            }
            PoolEvent::Released { .. } => Ok(()),
            PoolEvent::ConnectFailed { .. } if self.created => Err("its dial failed after it was created".into()),
            PoolEvent::Validated { .. } if self.destroyed => Err("checked after its end".into()),
            PoolEvent::ConnectFailed { .. }
            | PoolEvent::Validated { .. }
            | PoolEvent::QueueFull { .. }
            | PoolEvent::Metrics { .. }
            | PoolEvent::BackgroundError { .. }
            | PoolEvent::AcquireFailed { .. }
            | PoolEvent::RetryScheduled { .. }
            | PoolEvent::Warning { .. }
            | PoolEvent::CircuitOpened { .. }
            | PoolEvent::CircuitHalfOpened
            | PoolEvent::CircuitClosed
            | PoolEvent::Missed { .. }
            | _ => Ok(()),
        }
    }

    fn step(&mut self, from: State, to: State) -> Result<(), String> {
        if from != self.state {
            return Err(format!("steps from {} but was {}", word(from), word(self.state)));
        }
        if from.is_none() && self.born {
            return Err("lives twice".into());
        }
        if !is_legal(from, to) {
            return Err(format!("may not step from {} to {}", word(from), word(to)));
        }
        self.born = true;
        self.state = to;
        Ok(())
    }

    fn acquired(&mut self, lease: LeaseId) -> Result<(), String> {
        if self.state != Some(ConnectionState::Active) {
            return Err(format!("lease {lease} began while it was {}", word(self.state)));
        }
        if !self.leases.insert(lease) {
            return Err(format!("lease {lease} began twice"));
        }
        Ok(())
    }
}

/// The table of ARCHITECTURE.md, «Life of a connection», written down a second time on purpose.
fn is_legal(from: State, to: State) -> bool {
    use ConnectionState::{Active, Closing, Connecting, Idle, Validating};
    matches!(
        (from, to),
        (None, Some(Connecting))
            | (Some(Connecting), None | Some(Idle | Active | Closing))
            | (Some(Idle), Some(Active | Validating | Closing))
            | (Some(Active), None | Some(Idle | Validating | Closing))
            | (Some(Validating), Some(Idle | Active | Closing))
            | (Some(Closing), None)
    )
}

fn word(state: State) -> &'static str {
    state.map_or("nothing", ConnectionState::as_str)
}

/// Whose event it is.
fn connection(event: &PoolEvent) -> Option<ConnectionId> {
    match event {
        PoolEvent::Created { id, .. }
        | PoolEvent::Acquired { id, .. }
        | PoolEvent::Released { id, .. }
        | PoolEvent::Destroyed { id, .. }
        | PoolEvent::StateChanged { id, .. }
        | PoolEvent::ConnectFailed { id, .. }
        | PoolEvent::Validated { id, .. } => Some(*id),
        PoolEvent::BackgroundError { id, .. } => *id,
        PoolEvent::QueueFull { .. }
        | PoolEvent::Metrics { .. }
        | PoolEvent::AcquireFailed { .. }
        | PoolEvent::RetryScheduled { .. }
        | PoolEvent::Warning { .. }
        | PoolEvent::CircuitOpened { .. }
        | PoolEvent::CircuitHalfOpened
        | PoolEvent::CircuitClosed
        | PoolEvent::Missed { .. }
        | _ => None,
    }
}
