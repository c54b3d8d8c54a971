//! What all parts of a pool share: its state behind one lock, and what it was built with.
//!
//! Lock order: this lock, then a subscriber's or a post's. Nothing of a user's runs under them, and nothing is awaited.
//! Of an executor's, a waker is cloned there: to do that before would cost each call that finds a connection at once.

use std::{
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    task::Waker,
    time::Duration,
};

use backon::{BackoffBuilder, ExponentialBuilder};
use tokio::runtime::Handle;

use crate::{
    Cause, DialError, Endpoint, Gate, Interest, Observer, PoolId, Transport,
    builder::Validator,
    clock::Clock,
    events::Subscriber,
    flow::{Looker, caught, housekeeper::Household, posts::Posts, wake, warm::Warming, watch::Outbox},
    machine::{Machine, moment::Moment, slot::SlotId},
    name::Name,
    shelf::Shelf,
};

/// One pool, whoever holds it: handles, leases, tasks.
///
/// What is seldom read comes first: it shares a cache line with the counts of the `Arc`, which every lease writes.
#[repr(C)]
pub(crate) struct Ledger<T: Transport> {
    pub(crate) times: Times,
    pub(crate) clock: Clock,
    state: Box<Locked<T>>,
    pub(crate) name: Name,
    pub(crate) gate: Option<Arc<dyn Gate>>,
    pub(crate) observer: Option<Arc<dyn Observer>>,
    pub(crate) validator: Option<Validator<T>>,
    pub(crate) endpoint: Option<Endpoint>,
    pub(crate) id: PoolId,
    pub(crate) interest: Interest,
    /// Somebody hears events. The one thing the short way looks at.
    pub(crate) listening: AtomicBool,
    pub(crate) transport: T,
}

/// Apart from all else: what every call writes and what every call only reads shall not share a cache line.
#[repr(align(64))]
struct Locked<T: Transport>(Mutex<State<T>>);

/// The durations that the flow applies itself.
#[derive(Debug)]
pub(crate) struct Times {
    pub(crate) connect: Duration,
    pub(crate) close: Duration,
    pub(crate) validate: Duration,
    pub(crate) lifetime: Option<Duration>,
    pub(crate) lifetime_jitter: f64,
    pub(crate) retry_delay: Duration,
    pub(crate) retry_max_delay: Duration,
}

/// A nanosecond, doubled so often, is longer than any duration of a configuration.
const MOST_DELAYS: usize = 64;

impl Times {
    /// The plain delay before the next dial, where `setbacks` in a row came before this one.
    pub(crate) fn after_setbacks(&self, setbacks: u32) -> Duration {
        let most = self.retry_max_delay.max(self.retry_delay);
        let delays = ExponentialBuilder::default().with_min_delay(self.retry_delay).with_max_delay(most);
        let delays = delays.with_factor(2.0).without_max_times().build();
        delays.take(MOST_DELAYS).take(setbacks as usize + 1).last().unwrap_or(most)
    }
}

/// Everything under the lock.
///
/// In this order: what is seldom used fills the cache line of the lock, at which others may be waiting, and what every
/// call writes begins on the next.
#[repr(C)]
pub(crate) struct State<T: Transport> {
    pub(crate) warming: Vec<Warming<T>>,
    pub(crate) warms: u64,
    /// Who waits for a check on return to end.
    pub(crate) check_watchers: Vec<(SlotId, Looker)>,
    pub(crate) machine: Machine,
    pub(crate) shelf: Shelf<T::Connection>,
    pub(crate) posts: Posts<T>,
    pub(crate) outbox: Outbox,
    pub(crate) subscribers: Vec<Arc<Subscriber>>,
    /// Why the last dial failed, if none has succeeded since.
    pub(crate) last_error: Option<Arc<DialError<T::Error>>>,
    /// What the gate said when it was last shut.
    pub(crate) gate_cause: Option<Cause>,
    pub(crate) household: Household,
    /// Who waits for a drain or a `warm`.
    pub(crate) lookers: Vec<Looker>,
    /// Where tasks go when the call that needs them stands outside of any runtime.
    pub(crate) runtime: Option<Handle>,
}

impl<T: Transport> Ledger<T> {
    #[expect(clippy::too_many_arguments, reason = "called by the builder alone")]
    pub(crate) fn new(
        transport: T,
        gate: Option<Arc<dyn Gate>>,
        observer: Option<Arc<dyn Observer>>,
        validator: Option<Validator<T>>,
        times: Times,
        (id, name, endpoint): (PoolId, Name, Option<Endpoint>),
        clock: Clock,
        machine: Machine,
    ) -> Self {
        let asked = observer.as_ref().and_then(|observer| caught(|| observer.interest()));
        let interest = asked.unwrap_or(Interest::NONE);
        let mut state = State {
            shelf: Shelf::new(machine.limits.max),
            machine,
            posts: Posts::default(),
            warming: Vec::new(),
            warms: 0,
            check_watchers: Vec::new(),
            outbox: Outbox::default(),
            subscribers: Vec::new(),
            last_error: None,
            gate_cause: None,
            household: Household::default(),
            lookers: Vec::new(),
            runtime: None,
        };
        state.machine.notes.events = interest.contains(Interest::EVENTS);
        state.machine.notes.states = interest.contains(Interest::STATES);
        let listening = AtomicBool::new(state.machine.notes.events || state.machine.notes.states);
        let state = Box::new(Locked(Mutex::new(state)));
        Self { transport, gate, observer, interest, validator, times, id, name, endpoint, clock, listening, state }
    }

    /// The lock. Poison means nothing here: no code of a user's runs under it.
    pub(crate) fn lock(&self) -> MutexGuard<'_, State<T>> {
        self.state.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn is_listening(&self) -> bool {
        self.listening.load(Ordering::Relaxed)
    }

    /// Changes the state, then does what the machine ordered.
    #[inline]
    pub(crate) fn act<R>(self: &Arc<Self>, change: impl FnOnce(&mut State<T>, Moment) -> R) -> R {
        self.act_and_wake(|state, now| (change(state, now), None))
    }

    /// The same, where the change has answered a caller already: woken before all else, whatever watchers and gates
    /// do then.
    #[inline]
    pub(crate) fn act_and_wake<R>(
        self: &Arc<Self>,
        change: impl FnOnce(&mut State<T>, Moment) -> (R, Option<Waker>),
    ) -> R {
        // Read before the lock, to hold it 23 ns less. The machine never lets time go backwards.
        let now = self.clock.now();
        let mut state = self.lock();
        let (result, answered) = change(&mut state, now);
        if state.is_settled() {
            drop(state);
            answered.into_iter().for_each(wake);
            return result;
        }
        let deeds = self.carry_out(&mut state, answered);
        drop(state);
        self.perform(deeds);
        result
    }
}

impl<T: Transport> State<T> {
    /// Nothing is ordered, noted or due: the short way ends here.
    #[inline]
    fn is_settled(&self) -> bool {
        let machine = &self.machine;
        machine.orders.is_empty() && !machine.wake_keeper && machine.notes.list.is_empty() && self.outbox.is_empty()
    }

    /// At rest: machine = shelf = waiting map.
    pub(crate) fn agrees(&self) -> bool {
        let (places, stored) = self.shelf.counts();
        places == self.machine.slots.taken() as usize
            && stored == self.machine.slots.idle.len()
            && self.posts.waiting() == self.machine.queue.len() as usize
    }
}

impl<T: Transport> Drop for Ledger<T> {
    fn drop(&mut self) {
        let state = self.state.0.get_mut().unwrap_or_else(PoisonError::into_inner);
        state.subscribers.drain(..).for_each(|subscriber| subscriber.close());
        state.household.ring().into_iter().for_each(wake);
    }
}

#[cfg(test)]
mod tests {
    use super::{Duration, Times};
    use crate::config::LONGEST;

    #[test]
    fn a_back_off_doubles_with_each_setback_up_to_its_longest() {
        let (ns, ms, second) = (Duration::from_nanos(1), Duration::from_millis(1), Duration::from_secs(1));
        for (first, longest) in [
            (second, 30 * second),
            (100 * ms, 3 * second),
            (ms, LONGEST),
            (ns, LONGEST),
            (LONGEST, LONGEST),
            // Where the first is the longer one, it holds.
            (60 * second, 30 * second),
            (Duration::ZERO, 30 * second),
        ] {
            let times = Times { retry_delay: first, retry_max_delay: longest, ..times() };
            let most = first.max(longest);
            for setbacks in (0..=70).chain([u32::MAX]) {
                let doubled = first.as_secs_f64() * 2_f64.powi(setbacks.min(100).cast_signed());
                let (told, expected) = (times.after_setbacks(setbacks), doubled.min(most.as_secs_f64()));
                // Single precision is enough for a wait.
                let error = (told.as_secs_f64() - expected).abs();
                assert!(error <= expected * 1e-6, "{first:?} to {longest:?} after {setbacks}: {told:?}");
                assert!(told <= most, "{first:?} to {longest:?} after {setbacks}: {told:?}");
            }
        }
    }

    fn times() -> Times {
        let second = Duration::from_secs(1);
        Times {
            connect: second,
            close: second,
            validate: second,
            lifetime: None,
            lifetime_jitter: 0.0,
            retry_delay: second,
            retry_max_delay: second,
        }
    }
}
