//! What happens by itself: deadlines, idle time-outs, lifetimes, checks at an interval; and when the next is due.

use std::collections::VecDeque;

use super::{
    Machine,
    moment::{Moment, Span},
    notes::Note,
    slot::{Slot, SlotId},
};
use crate::{Check, CloseReason, ConnectionState, Phase};

/// The alarm is never set for the past, lest the housekeeper spin.
const SHORTEST_NAP: Span = Span(1_000_000);

impl Machine {
    pub(super) fn ticked(&mut self, now: Moment) {
        self.expire_waiters(now);
        if self.phase == Phase::Open {
            for id in self.slots.idle.clone() {
                self.look_after(id, now);
            }
        }
        if self.metrics_due <= now {
            self.metrics_due = now.after(self.limits.metrics_interval);
            self.notes.event(Note::MetricsDue);
        }
    }

    /// One idle connection: is it too old, too long idle, too long unchecked?
    fn look_after(&mut self, id: SlotId, now: Moment) {
        let Some(slot) = self.slots.get(id) else { return };
        if slot.retiring {
            return;
        }
        let (expired, stale) = (slot.expires <= now, self.check_due(slot) <= now);
        let surplus = self.open() > self.limits.min;
        if expired && self.open() <= self.floor() && self.free_places() > 0 {
            // Its successor first, where there is room for both.
            self.slots.at(id).retiring = true;
            self.retiring += 1;
        } else if expired {
            self.evict(id, CloseReason::MaxLifetime);
        } else if surplus && self.slots.at(id).idle_since.after(self.limits.idle_timeout) <= now {
            self.evict(id, CloseReason::IdleTimeout);
        } else if stale {
            self.slots.unshelve(id);
            self.check(id, Check::Idle);
        }
    }

    fn evict(&mut self, id: SlotId, reason: CloseReason) {
        self.slots.unshelve(id);
        self.begin_close(id, reason);
    }

    /// Ends those past their lifetime whose successor is there, or cannot be had.
    pub(super) fn finish_retirements(&mut self) {
        if self.retiring == 0 {
            return;
        }
        for id in self.slots.idle.clone() {
            let retiring = self.slots.get(id).is_some_and(|slot| slot.retiring);
            if retiring && (self.open() > self.floor() || self.slots.count(ConnectionState::Connecting) == 0) {
                self.evict(id, CloseReason::MaxLifetime);
            }
        }
    }

    /// Sets the alarm, and says for when.
    pub(crate) fn set_alarm(&mut self, now: Moment) -> Moment {
        let now = self.advance(now);
        let mut due = self.metrics_due.min(self.dial_due()).min(self.drain_due());
        if let Some((deadline, _)) = self.queue.first_deadline() {
            due = due.min(deadline);
        }
        if self.phase == Phase::Open && (self.slots.taken() > 0 || !self.queue.is_empty()) {
            due = self.slots.all().map(|(_, slot)| self.slot_due(slot, now)).fold(due, Moment::min);
            due = due.min(now.after(self.limits.evict_interval));
        }
        self.wake_keeper = false;
        self.alarm = if due <= now { now.after(SHORTEST_NAP) } else { due };
        self.alarm
    }

    /// Gives back the room that only busy times need: a fleet has ten thousand pools, nearly all of them idle.
    /// `false`: these are busy times.
    pub(crate) fn rest(&mut self) -> bool {
        let idle = self.queue.is_empty() && self.orders.is_empty();
        if idle {
            self.orders = VecDeque::new();
            self.notes.list.shrink_to_fit();
            self.queue.rest();
            self.slots.rest();
        }
        idle
    }

    fn slot_due(&self, slot: &Slot, now: Moment) -> Moment {
        if slot.is(ConnectionState::Idle) && !slot.retiring {
            self.idle_due(slot)
        } else if slot.expires > now {
            // Looked at while it is lent too: else every return would find the alarm too late, and ring.
            slot.expires
        } else {
            Moment::NEVER
        }
    }

    /// When an idle connection must be looked at.
    pub(super) fn idle_due(&self, slot: &Slot) -> Moment {
        let surplus = self.open() > self.limits.min;
        let idle_out = if surplus { slot.idle_since.after(self.limits.idle_timeout) } else { Moment::NEVER };
        slot.expires.min(idle_out).min(self.check_due(slot))
    }

    fn check_due(&self, slot: &Slot) -> Moment {
        if !self.limits.validate {
            return Moment::NEVER;
        }
        slot.last_ok.max(slot.idle_since).after(self.limits.validate_interval)
    }

    /// Whether a caller must not get it unchecked.
    pub(super) fn needs_check(&self, slot: &Slot, now: Moment) -> bool {
        self.limits.validate && self.limits.validate_on_borrow && now.since(slot.last_ok) > self.limits.validate_bypass
    }
}
