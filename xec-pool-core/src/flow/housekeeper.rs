//! Keep: one task, asleep until the machine's next deadline. It holds the pool weakly, and ends when nothing is due: an
//! idle pool keeps no task.
//!
//! It runs on the runtime of the call that needed it. Whoever waits on another one relies on it only if it has threads
//! of its own; else a second one is started there: a runtime with one thread runs only while it is driven.
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
    flow::{caught, look_again, wake},
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

/// One who keeps house.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Keeps {
    serial: u64,
    runtime: runtime::Id,
    many_threads: bool,
}

impl Keeps {
    /// Whether somebody who waits here can rely on it.
    pub(crate) fn serves_here(self) -> bool {
        self.many_threads || Handle::try_current().map_or(true, |here| here.id() == self.runtime)
    }
}

/// All that the pool knows of its housekeepers.
#[derive(Debug, Default)]
pub(crate) struct Household {
    /// One a runtime at most; nearly always one. The newest comes last.
    keepers: Vec<(Keeps, Bell)>,
    /// The last one's number, and that of the last one whose runtime went.
    serials: u64,
    deserted: u64,
}

impl Household {
    /// Whoever came last.
    pub(crate) fn keeper(&self) -> Option<Keeps> {
        self.keepers.last().map(|&(keeps, _)| keeps)
    }

    fn serves_here(&self) -> bool {
        self.keepers.iter().any(|(keeps, _)| keeps.serves_here())
    }

    fn bell(&mut self, serial: u64) -> Option<&mut Bell> {
        self.keepers.iter_mut().find(|(keeps, _)| keeps.serial == serial).map(|(_, bell)| bell)
    }

    /// Somebody keeps house no more. Its bell holds a waker: not to be dropped under the lock.
    fn part_with(&mut self, serial: u64) -> Option<(Keeps, Bell)> {
        let at = self.keepers.iter().position(|(keeps, _)| keeps.serial == serial)?;
        let gone = self.keepers.remove(at);
        if self.keepers.is_empty() {
            // An idle pool is small.
            self.keepers = Vec::new();
        }
        Some(gone)
    }

    /// Wakes whoever keeps house; the wakers are for after the lock.
    pub(crate) fn ring(&mut self) -> Vec<Waker> {
        self.keepers.iter_mut().filter_map(|(_, bell)| bell.ring()).collect()
    }
}

/// Stands for the running task. Dropped with it, also when its runtime goes: the next call starts another.
struct Keeper<T: Transport> {
    ledger: Weak<Ledger<T>>,
    serial: u64,
}

impl<T: Transport> Ledger<T> {
    /// Something is due earlier than whoever keeps house thinks.
    pub(crate) fn wake_keepers(self: &Arc<Self>) {
        let sleepers = self.lock().household.ring();
        sleepers.into_iter().for_each(wake);
        // Where there is no runtime, whoever waits finds out when it looks.
        let _kept = self.keep_house();
    }

    /// Makes sure that somebody keeps house for those who wait here. `false`: nobody can.
    pub(crate) fn keep_house(self: &Arc<Self>) -> bool {
        let state = self.lock();
        let (served, stored) = (state.household.serves_here(), state.runtime.clone());
        drop(state);
        served || {
            let here = Handle::try_current().ok().filter(has_timers);
            here.into_iter().chain(stored).any(|runtime| self.keep_house_on(runtime))
        }
    }

    /// `false`: that runtime has shut down.
    fn keep_house_on(self: &Arc<Self>, runtime: Handle) -> bool {
        let mut state = self.lock();
        let household = &mut state.household;
        if household.keepers.iter().any(|(keeps, _)| keeps.runtime == runtime.id()) {
            return true;
        }
        household.serials += 1;
        let serial = household.serials;
        let many_threads = runtime.runtime_flavor() != RuntimeFlavor::CurrentThread;
        household.keepers.reserve_exact(1);
        household.keepers.push((Keeps { serial, runtime: runtime.id(), many_threads }, Bell::default()));
        let _old = state.runtime.replace(runtime.clone());
        drop(state);
        runtime.spawn(Keeper { ledger: Arc::downgrade(self), serial }.run());
        // Where the runtime has shut down the task was dropped at once, and has said so.
        self.lock().household.deserted != serial
    }

    /// The alarm rang. `None`: nothing is due any more.
    fn tick(self: &Arc<Self>, serial: u64) -> Option<Instant> {
        let (alarm, others, _old) = self.act(|state, now| {
            let before = state.machine.alarm();
            state.machine.take(Fact::Ticked, now);
            let then = state.machine.set_alarm(now);
            // Not all that falls due is announced; the others sleep for as long as they found last.
            let others = if then < before { state.household.ring() } else { Vec::new() };
            let alarm = self.clock.instant(then);
            let old = match alarm {
                // Whoever listened is awake: this.
                Some(_) => state.household.bell(serial).map(std::mem::take),
                // Its waker would keep the room of a task that has ended.
                None => state.household.part_with(serial).map(|(_, bell)| bell),
            };
            state.rest();
            (alarm, others, old)
        });
        others.into_iter().for_each(wake);
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

    /// Rung, or the pool is gone.
    fn poll_rung(&self, cx: &Context<'_>) -> Poll<()> {
        let Some(ledger) = self.ledger.upgrade() else { return Poll::Ready(()) };
        let mut state = ledger.lock();
        state.household.bell(self.serial).map_or(Poll::Ready(()), |bell| bell.poll_rung(cx))
    }
}

impl<T: Transport> Drop for Keeper<T> {
    fn drop(&mut self) {
        let Some(ledger) = self.ledger.upgrade() else { return };
        let mut state = ledger.lock();
        let Some(gone) = state.household.part_with(self.serial) else { return };
        state.household.deserted = self.serial;
        // The next thing due calls for one, even if others are left: nobody may drive those.
        state.machine.forget_alarm();
        // With its last handle a runtime goes, perhaps: not under the lock.
        let _runtime = state.runtime.take_if(|runtime| runtime.id() == gone.0.runtime);
        let (waiting, lookers) = (state.posts.wakers(), std::mem::take(&mut state.lookers));
        drop(state);
        // Those who wait on another runtime look again, and start another housekeeper there.
        waiting.into_iter().for_each(wake);
        look_again(lookers);
    }
}
