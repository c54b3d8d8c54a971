//! Keep: one task a pool, asleep until the machine's next deadline. It holds the pool weakly, and ends when nothing
//! is due: an idle pool keeps no task.
//!
//! It runs on the runtime of the call that needed it. Whoever waits on another one relies on it only if it has threads
//! of its own; else it is relieved by one that runs there.
//!
//! Fact up: `Ticked`.

use std::{
    future::poll_fn,
    sync::{Arc, Weak},
    task::{Context, Poll, Waker},
    time::Duration,
};

use tokio::{
    runtime::{self, Handle, RuntimeFlavor},
    time::{Instant, timeout_at},
};

use crate::{
    Transport,
    flow::{caught, wake},
    ledger::{Ledger, State},
    machine::facts::Fact,
};

/// What wakes the housekeeper.
#[derive(Debug, Default)]
struct Bell {
    rung: bool,
    sleeper: Option<Waker>,
}

impl Bell {
    fn ring(&mut self) -> Option<Waker> {
        self.rung = true;
        self.sleeper.take()
    }

    fn poll_rung(&mut self, cx: &Context<'_>) -> Poll<()> {
        if std::mem::take(&mut self.rung) {
            return Poll::Ready(());
        }
        self.sleeper.get_or_insert_with(|| cx.waker().clone()).clone_from(cx.waker());
        Poll::Pending
    }
}

/// Who keeps house.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Keeps {
    serial: u64,
    runtime: runtime::Id,
    many_threads: bool,
}

impl Keeps {
    /// Whether somebody who waits here can rely on it: a runtime with one thread runs only while it is driven.
    pub(crate) fn serves_here(self) -> bool {
        self.many_threads || Handle::try_current().map_or(true, |here| here.id() == self.runtime)
    }
}

/// All that the pool knows of its housekeepers.
#[derive(Debug, Default)]
pub(crate) struct Household {
    pub(crate) keeper: Option<Keeps>,
    /// The last one's number, and that of the last one whose runtime went.
    serials: u64,
    deserted: u64,
    bell: Bell,
}

impl Household {
    fn is_kept_by(&self, serial: u64) -> bool {
        self.keeper.is_some_and(|keeper| keeper.serial == serial)
    }

    /// Wakes whoever keeps house; the waker is for after the lock.
    pub(crate) fn ring(&mut self) -> Option<Waker> {
        self.bell.ring()
    }
}

/// Stands for the running task. Dropped with it, also when its runtime goes: the next call starts another.
struct Keeper<T: Transport> {
    ledger: Weak<Ledger<T>>,
    serial: u64,
}

impl<T: Transport> Ledger<T> {
    /// Something is due earlier than the housekeeper thinks, or nobody keeps house for those who wait here. `false`:
    /// nobody can.
    pub(crate) fn wake_keeper(self: &Arc<Self>) -> bool {
        let mut state = self.lock();
        let (sleeper, served) = (state.household.ring(), state.household.keeper.is_some_and(Keeps::serves_here));
        let stored = state.runtime.clone();
        drop(state);
        // Where it serves elsewhere it is relieved, and finds out now.
        sleeper.into_iter().for_each(wake);
        served || {
            let here = Handle::try_current().ok().filter(has_timers);
            here.into_iter().chain(stored).any(|runtime| self.keep_house_on(runtime))
        }
    }

    /// `false`: that runtime has shut down.
    fn keep_house_on(self: &Arc<Self>, runtime: Handle) -> bool {
        let many_threads = runtime.runtime_flavor() != RuntimeFlavor::CurrentThread;
        let mut state = self.lock();
        let household = &mut state.household;
        household.serials += 1;
        let serial = household.serials;
        household.keeper = Some(Keeps { serial, runtime: runtime.id(), many_threads });
        let _old = state.runtime.replace(runtime.clone());
        drop(state);
        runtime.spawn(Keeper { ledger: Arc::downgrade(self), serial }.run());
        // Where the runtime has shut down the task was dropped at once, and has said so.
        self.lock().household.deserted != serial
    }

    /// The alarm rang. `None`: nothing is due any more, or another one keeps house.
    fn tick(self: &Arc<Self>, serial: u64) -> Option<Instant> {
        let (alarm, _old) = self.act(|state, now| {
            if !state.household.is_kept_by(serial) {
                return (None, Bell::default());
            }
            state.machine.take(Fact::Ticked, now);
            let alarm = self.clock.instant(state.machine.set_alarm(now));
            if alarm.is_none() {
                state.household.keeper = None;
            }
            state.rest();
            // Whoever listened is awake: this. Its waker would keep the room of a task that has ended.
            (alarm, std::mem::take(&mut state.household.bell))
        });
        alarm
    }
}

impl<T: Transport> State<T> {
    /// Gives back the room that only busy times need.
    fn rest(&mut self) {
        if self.machine.rest() {
            self.posts.rest();
            self.shelf.rest();
        }
    }
}

/// Whether a task of the pool's could sleep there. tokio tells by a panic only.
pub(super) fn has_timers(runtime: &Handle) -> bool {
    let _inside = runtime.enter();
    caught(|| tokio::time::sleep(Duration::ZERO)).is_some()
}

impl<T: Transport> Keeper<T> {
    async fn run(mut self) {
        // Strong only while it looks, so that sleeping keeps nothing alive.
        while let Some(ledger) = self.ledger.upgrade() {
            let alarm = ledger.tick(self.serial);
            if alarm.is_none() {
                // It goes because nothing is to do here: that leaves nobody waiting.
                self.ledger = Weak::new();
            }
            ledger.deliver();
            drop(ledger);
            let Some(alarm) = alarm else { return };
            // Whichever comes first, the reason is looked up anew.
            let _ = timeout_at(alarm, poll_fn(|cx| self.poll_rung(cx))).await;
        }
    }

    /// Rung, relieved, or the pool is gone.
    fn poll_rung(&self, cx: &Context<'_>) -> Poll<()> {
        let Some(ledger) = self.ledger.upgrade() else { return Poll::Ready(()) };
        let mut state = ledger.lock();
        if state.household.is_kept_by(self.serial) { state.household.bell.poll_rung(cx) } else { Poll::Ready(()) }
    }
}

impl<T: Transport> Drop for Keeper<T> {
    fn drop(&mut self) {
        let Some(ledger) = self.ledger.upgrade() else { return };
        let mut state = ledger.lock();
        if !state.household.is_kept_by(self.serial) {
            return;
        }
        state.household.keeper = None;
        state.household.deserted = self.serial;
        state.machine.forget_alarm();
        // The stored runtime is this task's, and it is going: with its last waker, perhaps, so not under the lock.
        let (_runtime, _bell) = (state.runtime.take(), std::mem::take(&mut state.household.bell));
        let waiting = state.posts.wakers();
        drop(state);
        // Those who wait on another runtime look again, and start another housekeeper there.
        waiting.into_iter().for_each(wake);
        ledger.look_again.notify_waiters();
    }
}
