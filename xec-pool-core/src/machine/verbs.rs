//! What users decree: warm, drain, suspend, new limits.
//!
//! Seed: Pre-warming Strategies.

use super::{
    Machine,
    facts::{Order, Refusal, WarmId},
    moment::Moment,
};
use crate::{CloseReason, ConnectionState, Phase};

/// A running `warm`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Warm {
    pub(super) id: WarmId,
    pub(super) wanted: u32,
    /// Failed dials in a row since it began, and throttled ones, which are no attempts.
    pub(super) failures: u32,
    pub(super) throttled: u32,
    pub(super) given_up: bool,
}

/// How far a drain is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Drain {
    end: Moment,
    destroyed_before: u64,
    pub(crate) killed: u32,
    pub(crate) done: bool,
}

impl Default for Drain {
    fn default() -> Self {
        Self { end: Moment::NEVER, destroyed_before: 0, killed: 0, done: false }
    }
}

impl Machine {
    /// Wants at least `count` connections open.
    pub(crate) fn warm(&mut self, id: WarmId, count: u32, now: Moment) {
        let now = self.advance(now);
        let wanted = count.min(self.limits.max);
        self.warms.push(Warm {
            id,
            wanted,
            failures: 0,
            throttled: 0,
            given_up: self.dialling.shut_until(now).is_some(),
        });
        self.settle(now);
    }

    /// Nobody could go on with that `warm`.
    pub(crate) fn give_up_warm(&mut self, id: WarmId, now: Moment) {
        let now = self.advance(now);
        self.warms.iter_mut().filter(|warm| warm.id == id).for_each(|warm| warm.given_up = true);
        self.settle(now);
    }

    /// Nobody waits for that `warm` any more.
    pub(crate) fn unwarm(&mut self, id: WarmId) {
        self.warms.retain(|warm| warm.id != id);
    }

    /// Ends each `warm` that has what it wants, or cannot get it.
    pub(super) fn settle_warms(&mut self) {
        if self.warms.is_empty() {
            return;
        }
        let hopeless = self.phase != Phase::Open || self.suspended;
        let (open, max) = (self.open(), self.limits.max);
        let (done, going): (Vec<_>, Vec<_>) = std::mem::take(&mut self.warms)
            .into_iter()
            .partition(|warm| hopeless || warm.given_up || open >= warm.wanted.min(max));
        self.warms = going;
        for warm in done {
            self.order(Order::Warmed(warm.id));
        }
    }

    /// No new callers from now on; whatever is left at `end` is killed. Only ever moves the end earlier.
    pub(crate) fn drain(&mut self, end: Moment, now: Moment) {
        let now = self.advance(now);
        if self.phase == Phase::Open {
            self.phase = Phase::Draining;
            self.drain.destroyed_before = self.tally.destroyed.total();
            self.replacements = 0;
            self.dials_owed = 0;
            self.refuse_all(Refusal::Draining);
            for id in std::mem::take(&mut self.slots.idle) {
                self.begin_close(id, CloseReason::Drained);
            }
            self.settle_warms();
        }
        self.drain.end = self.drain.end.min(end);
        self.due(self.drain.end);
        self.settle_drain(now);
    }

    pub(super) fn drain_due(&self) -> Moment {
        if self.phase == Phase::Draining { self.drain.end } else { Moment::NEVER }
    }

    /// Ends the draining when its time is up or nothing is left.
    pub(super) fn settle_drain(&mut self, now: Moment) {
        if self.phase == Phase::Draining && (self.drain.end <= now || self.slots.taken() == 0) {
            self.phase = Phase::Closed;
            self.kill_the_rest();
        }
        let held = self.slots.count(ConnectionState::Active);
        if self.phase == Phase::Closed && self.slots.taken() == held && !self.drain.done {
            self.drain.done = true;
            self.order(Order::Drained);
            // The housekeeper sleeps until the end that this drain no longer needs; woken, it goes.
            self.wake_keeper |= self.alarm != Moment::NEVER;
        }
    }

    fn kill_the_rest(&mut self) {
        use ConnectionState::{Active, Connecting, Validating};
        let held = |slot: &super::slot::Slot| slot.is(Active) || slot.is(Connecting) || slot.is(Validating);
        let rest: Vec<_> = self.slots.all().filter(|(_, slot)| held(slot)).map(|(id, _)| id).collect();
        self.drain.killed = self.slots.count(Active);
        for id in rest {
            // Dead when it comes home, and not for a reason of its own.
            self.slots.doom(id, CloseReason::Drained);
            self.order(Order::Kill(id));
        }
    }

    /// Connections destroyed since the draining began; killed at its end; whether all is done.
    pub(crate) fn drained(&self) -> (u64, u32, bool) {
        let closed = self.tally.destroyed.total() - self.drain.destroyed_before;
        (closed, self.drain.killed, self.drain.done)
    }

    /// Changes `min_connections` and `max_connections`. What is too many goes: idle ones now, lent ones on return.
    pub(crate) fn set_limits(&mut self, min: u32, max: u32, now: Moment) {
        let now = self.advance(now);
        (self.limits.min, self.limits.max) = (min, max);
        while self.supply() > max && !self.slots.idle.is_empty() {
            let oldest = self.slots.idle.remove(0);
            self.begin_close(oldest, CloseReason::Shrunk);
        }
        self.most_allowed = max.max(self.slots.taken());
        self.most_ever = self.most_ever.max(max);
        self.settle(now);
        self.wake_keeper = true;
    }

    /// Lends and dials nothing until `resume`.
    pub(crate) fn suspend(&mut self, now: Moment) {
        let now = self.advance(now);
        self.suspended = true;
        self.settle(now);
    }

    pub(crate) fn resume(&mut self, now: Moment) {
        let now = self.advance(now);
        self.suspended = false;
        self.settle(now);
        self.wake_keeper = true;
    }

    /// Looks at where things stand, with no new fact: at the very start, for `min_connections`.
    pub(crate) fn look(&mut self, now: Moment) {
        let now = self.advance(now);
        self.due(self.metrics_due);
        self.settle(now);
    }
}
