//! Keep: one task a pool, asleep until the machine's next deadline. It holds the pool weakly, and ends when nothing
//! is due: an idle pool keeps no task.
//!
//! Fact up: `Ticked`.

use std::{
    future::poll_fn,
    sync::{Arc, Weak},
    task::{Context, Poll, Waker},
    time::Duration,
};

use tokio::{
    runtime::Handle,
    time::{Instant, timeout_at},
};

use crate::{
    Transport,
    flow::caught,
    ledger::{Ledger, State},
    machine::facts::Fact,
};

/// What wakes the housekeeper.
#[derive(Debug, Default)]
pub(crate) struct Bell {
    rung: bool,
    sleeper: Option<Waker>,
}

impl Bell {
    /// Under the lock; the waker is for after it.
    pub(crate) fn ring(&mut self) -> Option<Waker> {
        self.rung = true;
        self.sleeper.take()
    }

    fn poll_rung(&mut self, cx: &Context<'_>) -> Poll<()> {
        if std::mem::take(&mut self.rung) {
            return Poll::Ready(());
        }
        self.sleeper = Some(cx.waker().clone());
        Poll::Pending
    }
}

/// Stands for the running task. Dropped with it, also when its runtime goes: the next call starts another.
struct Keeper<T: Transport> {
    ledger: Weak<Ledger<T>>,
}

impl<T: Transport> Ledger<T> {
    /// Something is due earlier than the housekeeper thinks, or nobody keeps house. `false`: nobody can.
    pub(crate) fn wake_keeper(self: &Arc<Self>) -> bool {
        let here = Handle::try_current().ok().filter(has_timers);
        let mut state = self.lock();
        if state.keeper_runs {
            let sleeper = state.bell.ring();
            drop(state);
            sleeper.into_iter().for_each(Waker::wake);
            return true;
        }
        let Some(runtime) = here.or_else(|| state.runtime.clone()) else {
            state.machine.forget_alarm();
            return false;
        };
        state.keeper_runs = true;
        state.runtime = Some(runtime.clone());
        drop(state);
        let keeper = Keeper { ledger: Arc::downgrade(self) };
        runtime.spawn(keeper.run());
        true
    }

    /// The alarm rang. `None`: nothing is due any more, and nobody keeps house from here on.
    fn tick(self: &Arc<Self>) -> Option<Instant> {
        let alarm = self.act(|state, now| {
            state.machine.take(Fact::Ticked, now);
            let alarm = self.clock.instant(state.machine.set_alarm(now));
            state.keeper_runs = alarm.is_some();
            // Whoever listened is awake: this. Its waker would keep the room of a task that has ended.
            state.bell = Bell::default();
            state.rest();
            alarm
        });
        self.deliver();
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

/// Whether a housekeeper could sleep there. tokio tells by a panic only.
fn has_timers(runtime: &Handle) -> bool {
    let _inside = runtime.enter();
    caught(|| tokio::time::sleep(Duration::ZERO)).is_some()
}

impl<T: Transport> Keeper<T> {
    async fn run(mut self) {
        // Strong only while it looks, so that sleeping keeps nothing alive.
        while let Some(alarm) = self.ledger.upgrade().and_then(|ledger| ledger.tick()) {
            // Whichever comes first, the reason is looked up anew.
            let _ = timeout_at(alarm, poll_fn(|cx| self.poll_rung(cx))).await;
        }
        // It goes because nothing is to do: that leaves nobody waiting.
        self.ledger = Weak::new();
    }

    /// Rung, or the pool is gone.
    fn poll_rung(&self, cx: &Context<'_>) -> Poll<()> {
        match self.ledger.upgrade() {
            Some(ledger) => ledger.lock().bell.poll_rung(cx),
            None => Poll::Ready(()),
        }
    }
}

impl<T: Transport> Drop for Keeper<T> {
    fn drop(&mut self) {
        let Some(ledger) = self.ledger.upgrade() else { return };
        let waiting = {
            let mut state = ledger.lock();
            state.keeper_runs = false;
            state.machine.forget_alarm();
            // The stored runtime is this task's, and it is going.
            state.runtime = None;
            state.posts.wakers()
        };
        // Those who wait on another runtime look again, and start another housekeeper there.
        waiting.into_iter().for_each(Waker::wake);
        ledger.look_again.notify_waiters();
    }
}
