//! Tells those who watch: events wait in an outbox, written under the lock and so in the machine's order, and are
//! delivered after it by whoever finds nobody delivering.
//!
//! Seed: Monitoring and Metrics, Connection Events.

use std::{
    collections::VecDeque,
    sync::{Arc, MutexGuard, atomic::Ordering},
};

use crate::{
    Cause, Events, Interest, Observation, PoolEvent, Start, Stats, Transport, Wait,
    events::Subscriber,
    flow::{caught, wake},
    ledger::{Ledger, State},
    machine::{moment::Span, notes::Note, slot::SlotId},
};

/// More events than that wait for nobody: the oldest stay, the newest are counted as missed.
const MOST_WAITING: usize = 8_192;

/// Whoever delivers has other things to do: after this many the housekeeper goes on.
const MOST_AT_ONCE: usize = 256;

/// Events on their way to those who watch.
#[derive(Debug, Default)]
pub(crate) struct Outbox {
    waiting: VecDeque<PoolEvent>,
    missed: u64,
    delivering: bool,
    panics: u64,
}

impl Outbox {
    pub(crate) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// Nobody delivers, and there is nothing to deliver.
    fn is_at_rest(&self) -> bool {
        !self.delivering && self.waiting.is_empty() && self.missed == 0
    }

    /// Events hold users' values: one that finds no room must not come into being, lest it be dropped under the lock.
    fn push(&mut self, event: impl FnOnce() -> PoolEvent) {
        if self.waiting.len() >= MOST_WAITING {
            self.missed += 1;
            return;
        }
        if self.missed > 0 {
            let count = std::mem::take(&mut self.missed);
            self.waiting.push_back(PoolEvent::Missed { count });
        }
        self.waiting.push_back(event());
    }
}

impl<T: Transport> State<T> {
    /// Writes an event down, if anybody listens.
    pub(crate) fn event(&mut self, event: impl FnOnce() -> PoolEvent) {
        if self.machine.notes.events {
            self.outbox.push(event);
        }
    }

    /// Turns the machine's notes into events.
    pub(super) fn write_down_notes(&mut self) {
        if self.machine.notes.list.is_empty() {
            return;
        }
        for note in std::mem::take(&mut self.machine.notes.list) {
            let event = self.event_of(note);
            self.outbox.push(|| event);
        }
    }

    /// Nearly always there is one event, one observer to hear it, and nobody who tells it something else just now: then
    /// the event needs no outbox, and its turn begins here.
    #[inline]
    fn begin_lone(&mut self) -> bool {
        let lone = self.machine.notes.events && self.subscribers.is_empty() && self.outbox.is_at_rest();
        self.outbox.delivering |= lone;
        lone
    }

    /// The same where a lease came home, and nothing else happened.
    #[inline]
    pub(super) fn begin_lone_release(&mut self) -> Option<Note> {
        let lone = matches!(self.machine.notes.list[..], [Note::Released { .. }]) && self.begin_lone();
        if lone { self.machine.notes.list.pop() } else { None }
    }

    fn event_of(&self, note: Note) -> PoolEvent {
        match note {
            Note::Stepped { id, from, to } => PoolEvent::StateChanged { id: id.connection(), from, to },
            Note::Created { id, took } => PoolEvent::Created { id: id.connection(), took: took.duration() },
            Note::Released { id, lease, used } => {
                PoolEvent::Released { id: id.connection(), lease, used: used.duration() }
            }
            Note::Destroyed { id, reason, age } => {
                PoolEvent::Destroyed { id: id.connection(), reason, age: age.duration() }
            }
            Note::QueueFull { waiting } => PoolEvent::QueueFull { waiting },
            Note::RetryScheduled { failures, delay, kind } => {
                PoolEvent::RetryScheduled { failures, delay: delay.duration(), kind }
            }
            Note::MetricsDue => PoolEvent::Metrics { stats: Box::new(self.stats()) },
        }
    }

    /// One consistent snapshot.
    pub(crate) fn stats(&self) -> Stats {
        use crate::ConnectionState::{Active, Closing, Connecting, Idle, Validating};
        let (machine, tally) = (&self.machine, &self.machine.tally);
        let average = tally.waited_total.0.checked_div(tally.acquired).unwrap_or(0);
        Stats {
            connecting: machine.slots.count(Connecting),
            idle: machine.slots.count(Idle),
            active: machine.slots.count(Active),
            validating: machine.slots.count(Validating),
            closing: machine.slots.count(Closing),
            waiting: machine.queue.len(),
            leases: machine.slots.count(Active),
            min: machine.limits.min,
            max: machine.limits.max,
            created: tally.created,
            destroyed: tally.destroyed,
            connect_failures: tally.connect_failures,
            acquired: tally.acquired,
            released: tally.released,
            timeouts: tally.timeouts,
            rejected: tally.rejected,
            wait: Wait {
                total: tally.waited_total.duration(),
                max: tally.waited_max.duration(),
                average: Span(average).duration(),
            },
            observer_panics: self.outbox.panics,
            phase: machine.phase,
            suspended: machine.suspended,
        }
    }
}

impl<T: Transport> Ledger<T> {
    /// Tells of one event, in its turn.
    #[inline]
    pub(crate) fn announce(self: &Arc<Self>, event: impl FnOnce() -> PoolEvent) {
        let mut state = self.lock();
        if state.begin_lone() {
            drop(state);
            return self.deliver_lone(&event());
        }
        state.event(event);
        self.deliver_from(state);
    }

    /// Delivers what waits, unless somebody does already: so no event overtakes another, and an observer that calls
    /// the pool only adds to what waits.
    pub(crate) fn deliver(self: &Arc<Self>) {
        self.deliver_from(self.lock());
    }

    /// Delivers the event whose turn has begun with [`State::begin_lone`].
    #[inline]
    pub(super) fn deliver_lone(self: &Arc<Self>, event: &PoolEvent) {
        let panicked = !self.tell(event, &[]);
        let mut state = self.lock();
        state.outbox.panics += u64::from(panicked);
        state.outbox.delivering = false;
        if !state.outbox.is_empty() {
            self.deliver_from(state);
        }
    }

    /// After [`MOST_AT_ONCE`] events the housekeeper goes on, where there is one.
    fn deliver_from<'a>(self: &'a Arc<Self>, mut state: MutexGuard<'a, State<T>>) {
        if state.outbox.delivering || state.outbox.is_empty() {
            return;
        }
        state.outbox.delivering = true;
        let mut delivered = 0;
        while !state.outbox.is_empty() && (delivered < MOST_AT_ONCE || state.household.keeper().is_none()) {
            let mut batch = std::mem::take(&mut state.outbox.waiting);
            if batch.len() > MOST_AT_ONCE {
                state.outbox.waiting = batch.split_off(MOST_AT_ONCE);
            }
            let gone = self.forget_gone(&mut state);
            let subscribers = state.subscribers.clone();
            drop(state);
            delivered += batch.len();
            let panics = batch.iter().map(|event| u64::from(!self.tell(event, &subscribers))).sum::<u64>();
            // Users' values: not dropped under the lock, and what they do then must not end the delivering.
            caught(|| drop(batch));
            caught(|| drop((gone, subscribers)));
            state = self.lock();
            state.outbox.panics += panics;
        }
        state.outbox.delivering = false;
        let keepers = if state.outbox.is_empty() { Vec::new() } else { state.household.ring() };
        drop(state);
        keepers.into_iter().for_each(wake);
    }

    /// `false`: the observer panicked.
    fn tell(&self, event: &PoolEvent, subscribers: &[Arc<Subscriber>]) -> bool {
        subscribers.iter().for_each(|subscriber| subscriber.push(event));
        let wanted = match event {
            PoolEvent::StateChanged { .. } => Interest::STATES,
            PoolEvent::Created { .. }
            | PoolEvent::Acquired { .. }
            | PoolEvent::Released { .. }
            | PoolEvent::Destroyed { .. }
            | PoolEvent::QueueFull { .. }
            | PoolEvent::Metrics { .. }
            | PoolEvent::ConnectFailed { .. }
            | PoolEvent::BackgroundError { .. }
            | PoolEvent::AcquireFailed { .. }
            | PoolEvent::RetryScheduled { .. }
            | PoolEvent::Validated { .. }
            | PoolEvent::Warning { .. }
            | PoolEvent::CircuitOpened { .. }
            | PoolEvent::CircuitHalfOpened
            | PoolEvent::CircuitClosed
            | PoolEvent::Missed { .. } => Interest::EVENTS,
        };
        match &self.observer {
            Some(observer) if self.interest.contains(wanted) => caught(|| observer.on_event(event)).is_some(),
            Some(_) | None => true,
        }
    }

    pub(crate) fn begin(&self, start: &Start<'_>, parent: Option<&dyn Observation>) -> Option<Arc<dyn Observation>> {
        let wanted = match start {
            Start::Acquire { .. } | Start::Connect { .. } | Start::Lease { .. } => Interest::SPANS,
            Start::Command { .. } => Interest::COMMANDS,
        };
        if !self.interest.contains(wanted) {
            return None;
        }
        let observer = self.observer.as_ref()?;
        caught(|| observer.begin(start, parent)).flatten()
    }

    /// What is allowed, but unwise.
    pub(crate) fn warn(self: &Arc<Self>, warnings: Vec<String>) {
        for message in warnings {
            tracing::warn!(target: "xec_pool", pool = &*self.name, "{message}");
            self.act(|state, _| state.event(|| PoolEvent::Warning { message }));
        }
    }

    /// A hook of a user's panicked where no caller is told.
    #[cold]
    pub(crate) fn complain(self: &Arc<Self>, slot: Option<SlotId>, hook: &'static str) {
        let (id, cause): (_, Cause) = (slot.map(SlotId::connection), Arc::new(Panicked(hook)));
        self.act(|state, _| state.event(|| PoolEvent::BackgroundError { id, cause }));
    }

    /// Somebody else wants to hear everything from now on.
    pub(crate) fn subscribe(&self) -> Events {
        let subscriber = Arc::new(Subscriber::default());
        let mut state = self.lock();
        let gone = self.forget_gone(&mut state);
        state.subscribers.push(Arc::clone(&subscriber));
        self.listen(&mut state);
        drop(state);
        // What they left unread is users' values.
        caught(|| drop(gone));
        Events::new(subscriber)
    }

    /// Under the lock: those who dropped their stream are told no more. What they left unread is for after the lock.
    fn forget_gone(&self, state: &mut State<T>) -> Vec<Arc<Subscriber>> {
        let gone: Vec<_> = state.subscribers.extract_if(.., |subscriber| subscriber.is_gone()).collect();
        if !gone.is_empty() {
            self.listen(state);
        }
        gone
    }

    /// Under the lock: events are written down while somebody reads them.
    fn listen(&self, state: &mut State<T>) {
        let subscribed = !state.subscribers.is_empty();
        let notes = &mut state.machine.notes;
        notes.events = subscribed || self.interest.contains(Interest::EVENTS);
        notes.states = subscribed || self.interest.contains(Interest::STATES);
        self.listening.store(notes.events || notes.states, Ordering::Relaxed);
    }
}

#[derive(Debug, thiserror::Error)]
#[error("{0} panicked")]
struct Panicked(&'static str);
