//! Create: a dial, from the gate's leave to its result. It belongs to the pool: no caller's going away ends it.
//!
//! Order down: `Connect`. Facts up: `Connected`, `ConnectFailed`, `Denied`.

use std::{num::NonZeroU32, sync::Arc, time::Duration};

use crate::{
    Cancelled, Cause, CloseReason, Commands, ConnectContext, ConnectionId, ConnectionState, Denied, DialError,
    DialRequest, FailureKind, Interest, LostSignal, Observation, Outcome, Pass, PoolEvent, Settlement, Start,
    Transport,
    flow::{Deed, admit::end, cancel, caught, evict, in_words},
    ledger::{Ledger, State},
    machine::{
        facts::{Denial, Fact},
        moment::{Moment, Span},
        queue::Ticket,
        slot::SlotId,
    },
};

/// A dial that was stopped is not repeated at once, also where no back-off is configured: its runtime may be gone,
/// and would stop the next one as well.
const STOPPED_REST: Duration = Duration::from_millis(100);

/// Also where no back-off is configured: `min_connections` would dial a refused port as fast as a processor can.
const SHORTEST_REST: Duration = Duration::from_millis(1);

/// A dial. Dropped before its end, it reports that it was stopped.
pub(crate) struct Dial<T: Transport> {
    ledger: Arc<Ledger<T>>,
    slot: SlotId,
    attempt: u32,
    token: Cancelled,
    parent: Option<Arc<dyn Observation>>,
    observation: Option<Arc<dyn Observation>>,
    pass: Option<Pass>,
    /// How often the gate had spoken up when this dial was ordered.
    gate_words: u64,
    began: Moment,
    over: bool,
}

impl<T: Transport> Ledger<T> {
    /// Under the lock: takes the place.
    pub(super) fn connect(
        self: &Arc<Self>,
        state: &mut State<T>,
        slot: SlotId,
        ticket: Option<Ticket>,
        attempt: u32,
    ) -> Deed<T> {
        let token = Cancelled::new();
        state.shelf.occupy(slot, token.clone());
        let parent = ticket.and_then(|ticket| state.posts.observation_of(ticket));
        let (began, gate_words) = (self.clock.now(), state.machine.gate_words());
        let (observation, pass, over) = (None, None, false);
        let ledger = Arc::clone(self);
        Deed::Connect(Dial { ledger, slot, attempt, token, parent, observation, pass, gate_words, began, over })
    }

    /// A connection says that it died: any thread, any time, also after it is gone.
    fn lost(self: &Arc<Self>, slot: SlotId, why: &str) {
        self.act(|state, now| {
            if state
                .machine
                .slots
                .get(slot)
                .is_none_or(|slot| slot.is(ConnectionState::Closing) || slot.doomed.is_some())
            {
                return;
            }
            let cause: Cause = Arc::new(Lost(why.to_owned()));
            state.event(|| PoolEvent::BackgroundError { id: Some(slot.connection()), cause });
            state.machine.take(Fact::Lost(slot), now);
        });
    }
}

impl<T: Transport> Dial<T> {
    /// After the lock: asks the gate, then starts the task.
    pub(super) fn start(mut self) {
        match self.ask_gate() {
            Ok(pass) => self.pass = Some(pass),
            Err(denied) => return self.denied(denied),
        }
        let attempt = self.attempt;
        let start = Start::Connect { pool: &self.ledger.name, id: self.slot.connection(), attempt };
        // Let go at once: a caller who leaves ends its own observation, not when the dial ends.
        let parent = self.parent.take();
        self.observation = self.ledger.begin(&start, parent.as_deref());
        caught(|| drop(parent));
        let ledger = Arc::clone(&self.ledger);
        ledger.spawn(self.run());
    }

    fn ask_gate(&self) -> Result<Pass, Denied> {
        let Some(gate) = &self.ledger.gate else { return Ok(Pass::free()) };
        let attempt = NonZeroU32::new(self.attempt).unwrap_or(NonZeroU32::MIN);
        let (name, endpoint) = (self.ledger.name.shared(), self.ledger.endpoint.clone());
        let request = DialRequest { pool: self.ledger.id, name, endpoint, attempt };
        // A gate that panics is no reason to dial a host it may guard, nor one to refuse callers.
        caught(|| gate.admit(&request)).unwrap_or_else(|| {
            self.ledger.complain(Some(self.slot), "the gate's admit");
            Err(Denied::Busy)
        })
    }

    fn denied(mut self, denied: Denied) {
        self.over = true;
        let parent = self.parent.take();
        caught(|| drop(parent));
        let old = self.ledger.act(|state, now| {
            let outdated = state.machine.gate_words() != self.gate_words;
            let (denied, old) = match denied {
                Denied::Shut { cause, .. } if outdated => (Denial::Outdated, cause),
                Denied::Busy if outdated => (Denial::Outdated, None),
                Denied::Shut { retry_after, cause } => {
                    let denied = Denial::Shut { retry_after: Span::from(retry_after) };
                    (denied, std::mem::replace(&mut state.gate_cause, cause))
                }
                Denied::Busy => (Denial::Busy, None),
            };
            state.machine.take(Fact::Denied { slot: self.slot, denied }, now);
            old
        });
        // Causes are users' values: what is replaced is dropped after the lock.
        caught(|| drop(old));
    }

    async fn run(mut self) {
        let ledger = Arc::clone(&self.ledger);
        let limit = ledger.times.connect;
        let cx = self.context(limit);
        let dial = async {
            match tokio::time::timeout(limit, ledger.transport.connect(cx)).await {
                Ok(result) => result.map_err(DialError::Transport),
                Err(_) => Err(DialError::TimedOut { after: limit }),
            }
        };
        let token = self.token.clone();
        let result = match token.unless(dial).await {
            // A transport that heeds its token fails in words of its own; but it was the pool that ended this.
            None | Some(Err(_)) if token.is_cancelled() => Err(self.killed()),
            None => Err(DialError::Stopped),
            Some(result) => result,
        };
        match result {
            Ok(connection) if self.is_lost() => {
                // It died before it was here: the dial has failed, but the connection must still be closed.
                cancel(&token);
                evict::end(&ledger, Arc::new(connection), CloseReason::Lost).await;
                let error = self.killed();
                self.failed(error);
            }
            Ok(connection) => self.connected(connection),
            Err(error) => self.failed(error),
        }
    }

    fn context(&self, limit: Duration) -> ConnectContext {
        let (weak, slot) = (Arc::downgrade(&self.ledger), self.slot);
        let lost = LostSignal::new(move |why| {
            if let Some(ledger) = weak.upgrade() {
                ledger.lost(slot, why);
            }
        });
        let (id, attempt) = (slot.connection(), NonZeroU32::new(self.attempt).unwrap_or(NonZeroU32::MIN));
        let (token, commands) = (self.token.clone(), self.ledger.commands(id));
        let deadline = self.ledger.clock.deadline(limit);
        ConnectContext::new(id, attempt, token, lost, commands, deadline, self.observation.clone())
    }

    fn is_lost(&self) -> bool {
        self.ledger.lock().machine.slots.get(self.slot).is_some_and(|slot| slot.doomed == Some(CloseReason::Lost))
    }

    /// Why the token was cancelled.
    fn killed(&self) -> DialError<T::Error> {
        if self.is_lost() { DialError::Lost } else { DialError::Stopped }
    }

    fn connected(mut self, connection: T::Connection) {
        self.over = true;
        self.settle(Settlement::Success);
        end(self.observation.take(), &Outcome::Connected);
        let lifetime = self.ledger.lifetime();
        let _old = self.ledger.act(|state, now| {
            state.shelf.put(self.slot, Arc::new(connection));
            state.machine.take(Fact::Connected { slot: self.slot, lifetime }, now);
            state.last_error.take()
        });
    }

    fn failed(&mut self, error: DialError<T::Error>) {
        self.over = true;
        let kind = self.kind(&error);
        let error = Arc::new(error);
        self.settle(match *error {
            DialError::Stopped => Settlement::Neutral,
            DialError::Transport(_) | DialError::TimedOut { .. } | DialError::Lost | DialError::Panicked => {
                Settlement::Failure(kind, Arc::clone(&error) as Cause)
            }
        });
        if let Some(observation) = self.observation.take() {
            let message = in_words(&*error);
            let outcome = Outcome::Failed { error: kind.as_str(), kind: Some(kind), message: &message };
            end(Some(observation), &outcome);
        }
        let jitter = 0.5 + 0.5 * fastrand::f64();
        let old = self.ledger.act(|state, now| {
            let took = now.since(self.began).duration();
            state.event(|| {
                let cause = Arc::clone(&error) as Cause;
                PoolEvent::ConnectFailed { id: self.slot.connection(), kind, cause, took }
            });
            let old = state.note_dial_failure(&error);
            let plain = self.ledger.times.after_setbacks(state.machine.setbacks());
            let shortest = if matches!(*error, DialError::Stopped) { STOPPED_REST } else { SHORTEST_REST };
            let retry_after = Span::from(plain.mul_f64(jitter).max(shortest));
            state.machine.take(Fact::ConnectFailed { slot: self.slot, kind, retry_after }, now);
            old
        });
        caught(|| drop(old));
    }

    fn kind(&self, error: &DialError<T::Error>) -> FailureKind {
        match error {
            DialError::Transport(error) => {
                caught(|| self.ledger.transport.classify(error)).unwrap_or(FailureKind::Other)
            }
            DialError::TimedOut { .. } => FailureKind::TimedOut,
            DialError::Lost => FailureKind::Lost,
            DialError::Panicked | DialError::Stopped => FailureKind::Other,
        }
    }

    fn settle(&mut self, settlement: Settlement) {
        if let Some(pass) = self.pass.take() {
            caught(|| pass.settle(settlement));
        }
    }
}

impl<T: Transport> Drop for Dial<T> {
    fn drop(&mut self) {
        if !self.over {
            self.failed(if std::thread::panicking() { DialError::Panicked } else { DialError::Stopped });
        }
    }
}

impl<T: Transport> Ledger<T> {
    /// What a connection keeps to tell of its commands.
    fn commands(self: &Arc<Self>, id: ConnectionId) -> Commands {
        if !self.interest.contains(Interest::COMMANDS) {
            return Commands::default();
        }
        let weak = Arc::downgrade(self);
        Commands::new(move |text| {
            let ledger = weak.upgrade()?;
            let text = ledger.interest.contains(Interest::COMMAND_TEXT).then_some(text);
            ledger.begin(&Start::Command { pool: &ledger.name, id, text }, None)
        })
    }

    /// `max_lifetime`, shortened at random, so that connections opened together do not end together.
    fn lifetime(&self) -> Span {
        let jitter = 1.0 - self.times.lifetime_jitter * fastrand::f64();
        self.times.lifetime.map_or(Span::FOREVER, |lifetime| Span::from(lifetime.mul_f64(jitter)))
    }
}

#[derive(Debug, thiserror::Error)]
#[error("connection lost: {0}")]
struct Lost(String);
