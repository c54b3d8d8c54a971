//! Does. One file a stage; [`Ledger::carry_out`] is the map of the pool.
//!
//! acquire → admit → create or recycle → validate → lend → return → evict
//!
//! An order is carried out in two halves: under the lock what only moves things, after it whatever runs a user's
//! code, wakes a caller or starts a task.

pub(crate) mod admit;

pub(crate) mod posts;

pub(crate) mod create;

pub(crate) mod validate;

pub(crate) mod lend;

pub(crate) mod evict;

pub(crate) mod housekeeper;

pub(crate) mod watch;

pub(crate) mod warm;

pub(crate) mod drain;

use std::{convert::Infallible, fmt, sync::Arc, task::Waker};

use tokio::{runtime::Handle, sync::oneshot};

use crate::{
    Cancelled, PoolEvent, Transport,
    flow::{create::Dial, evict::Ending, housekeeper::has_timers, validate::Checking},
    ledger::{Ledger, State},
    machine::{facts::Order, notes::Note},
};

/// What is left to do after the lock.
pub(crate) struct Deeds<T: Transport> {
    /// Those who were answered. Nearly always there is one, and nothing else.
    wake: Option<Waker>,
    wake_too: Vec<Waker>,
    more: Vec<Deed<T>>,
    wake_keepers: bool,
    /// A lease came home, and nothing is left to do but to tell, whose turn has begun.
    released: Option<Note>,
}

/// One thing to do after the lock.
pub(crate) enum Deed<T: Transport> {
    Connect(Dial<T>),
    Validate(Checking<T>),
    Close(Ending<T>),
    Cancel(Cancelled),
    LookAgain(Vec<Looker>),
    Run(Box<dyn FnOnce() + Send>),
}

impl<T: Transport> Deeds<T> {
    fn wake(&mut self, waker: Option<Waker>) {
        match (waker, &self.wake) {
            (Some(waker), None) => self.wake = Some(waker),
            (Some(waker), Some(_)) => self.wake_too.push(waker),
            (None, _) => {}
        }
    }
}

impl<T: Transport> Ledger<T> {
    /// Under the lock: turns orders into deeds, and notes into events. Orders come down here and nowhere else.
    pub(crate) fn carry_out(self: &Arc<Self>, state: &mut State<T>, answered: Option<Waker>) -> Deeds<T> {
        let wake_keepers = std::mem::take(&mut state.machine.wake_keeper);
        let (wake, wake_too, more, released) = (answered, Vec::new(), Vec::new(), None);
        let mut deeds = Deeds { wake, wake_too, more, wake_keepers, released };
        if !wake_keepers && state.machine.orders.is_empty() {
            deeds.released = state.begin_lone_release();
        }
        if deeds.released.is_some() {
            return deeds;
        }
        while let Some(order) = state.machine.orders.pop_front() {
            match order {
                Order::Connect { slot, ticket, attempt } => deeds.more.push(self.connect(state, slot, ticket, attempt)),
                Order::Validate { slot, check } => deeds.more.extend(self.validate(state, slot, check)),
                Order::Lend { ticket, loan } => deeds.wake(state.lend(ticket, loan)),
                Order::Close { slot, reason } => deeds.more.extend(self.close(state, slot, reason)),
                Order::Kill(slot) => deeds.more.push(Deed::Cancel(state.shelf.token(slot))),
                Order::Vacate(slot) => state.shelf.vacate(slot),
                Order::Refuse { ticket, refusal } => deeds.wake(self.refuse(state, ticket, refusal)),
                Order::Warmed(id) => deeds.more.extend(state.warmed(id)),
                Order::Drained => deeds.more.push(Deed::LookAgain(std::mem::take(&mut state.lookers))),
            }
        }
        debug_assert!(state.agrees(), "machine, shelf and waiting map disagree");
        state.write_down_notes();
        deeds
    }

    /// After the lock. Callers first: what follows may be gates' and watchers' code.
    pub(crate) fn perform(self: &Arc<Self>, deeds: Deeds<T>) {
        deeds.wake.into_iter().chain(deeds.wake_too).for_each(wake);
        if let Some(Note::Released { id, lease, used }) = deeds.released {
            return self.deliver_lone(&PoolEvent::Released { id: id.connection(), lease, used: used.duration() });
        }
        if deeds.wake_keepers {
            self.wake_keepers();
        }
        for deed in deeds.more {
            match deed {
                Deed::Connect(dial) => dial.start(),
                Deed::Validate(checking) => checking.start(),
                Deed::Close(ending) => ending.start(),
                Deed::Cancel(token) => cancel(&token),
                Deed::LookAgain(lookers) => look_again(lookers),
                Deed::Run(run) => _ = caught(run),
            }
        }
        if self.is_listening() {
            self.deliver();
        }
    }

    /// Starts a task on the runtime of this call, else on the one the pool was last used on; it needs timers. Where
    /// there is none the task is dropped, and its guard reports what that means.
    pub(crate) fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        let here = Handle::try_current().ok().filter(has_timers);
        let runtime = here.or_else(|| self.lock().runtime.clone());
        if let Some(runtime) = runtime {
            runtime.spawn(task);
        }
    }
}

/// Wakers are an executor's code: a panic in one is not for whoever happens to wake it.
pub(crate) fn wake(waker: Waker) {
    caught(|| waker.wake());
}

/// One who waits for a drain, a `warm` or a check, and looks again when this is dropped: it is over, or nobody keeps
/// house any more.
pub(crate) type Looker = oneshot::Sender<Infallible>;

/// Wakes them one by one, as in [`wake`].
pub(crate) fn look_again(lookers: Vec<Looker>) {
    for looker in lookers {
        caught(|| drop(looker));
    }
}

/// Wakes all who wait for this token, as in [`wake`]; but where a waker panics, those behind it on the same token do
/// not hear of it, which is tokio's doing.
pub(crate) fn cancel(token: &Cancelled) {
    caught(|| token.cancel());
}

/// An error in its own words, which are a user's code.
pub(crate) fn in_words(error: &impl fmt::Display) -> String {
    caught(|| error.to_string()).unwrap_or_else(|| "(an error whose Display panics)".to_owned())
}

/// Runs a user's code: a panic in it becomes `None`.
pub(crate) fn caught<R>(code: impl FnOnce() -> R) -> Option<R> {
    std::panic::catch_unwind(std::panic::AssertUnwindSafe(code)).ok()
}
