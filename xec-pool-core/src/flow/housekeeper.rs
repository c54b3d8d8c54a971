//! Keep: one task a pool, asleep until the machine's next deadline. It holds the pool weakly.
//!
//! Fact up: `Ticked`.

use std::{
    sync::{Arc, Weak},
    task::Waker,
    time::Duration,
};

use tokio::{runtime::Handle, sync::Notify, time::Instant};

use crate::{Transport, flow::caught, ledger::Ledger, machine::facts::Fact};

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
            drop(state);
            self.alarm_bell.notify_one();
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
        runtime.spawn(keeper.run(Arc::clone(&self.alarm_bell)));
        true
    }

    /// The alarm rang. `None`: sleep until the bell; the outer `None`: there is nothing to keep any more.
    fn tick(self: &Arc<Self>) -> Option<Instant> {
        let alarm = self.act(|state, now| {
            state.machine.take(Fact::Ticked, now);
            state.machine.set_alarm(now)
        });
        self.deliver();
        self.clock.instant(alarm)
    }
}

/// Whether a housekeeper could sleep there. tokio tells by a panic only.
fn has_timers(runtime: &Handle) -> bool {
    let _inside = runtime.enter();
    caught(|| tokio::time::sleep(Duration::ZERO)).is_some()
}

impl<T: Transport> Keeper<T> {
    async fn run(self, bell: Arc<Notify>) {
        loop {
            // Strong only while it looks, so that sleeping keeps nothing alive.
            let Some(alarm) = self.ledger.upgrade().map(|ledger| ledger.tick()) else { return };
            match alarm {
                Some(alarm) => {
                    // Whichever comes first, the reason is looked up anew.
                    let _ = tokio::time::timeout_at(alarm, bell.notified()).await;
                }
                None => bell.notified().await,
            }
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
