//! How dials and checks end.
//!
//! Seed: Health Checks.

use super::{
    Machine,
    facts::{Denial, Order},
    moment::{Moment, Span},
    notes::Note,
    slot::SlotId,
};
use crate::{Check, CloseReason, ConnectionState, FailureKind, Phase};

/// A `warm` ends after that many throttled dials in a row: they are no attempts, but every wait has a bound.
const MOST_THROTTLED: u32 = 16;

impl Machine {
    pub(super) fn connected(&mut self, id: SlotId, lifetime: Span, now: Moment) {
        if !self.is_in(id, ConnectionState::Connecting) {
            bug!("{id:?} connected, but was not connecting");
            return;
        }
        self.tally.created += 1;
        self.dialling.succeeded(self.limits.max_concurrent_connects);
        self.dials_owed = self.dials_owed.saturating_sub(1);
        self.warms.iter_mut().for_each(|warm| (warm.failures, warm.throttled) = (0, 0));
        let slot = self.slots.at(id);
        let took = now.since(slot.born);
        (slot.opened, slot.born, slot.last_ok, slot.idle_since) = (true, now, now, now);
        slot.expires = now.after(lifetime);
        self.notes.event(Note::Created { id, took });
        self.lend_shelve_or_close(id, now);
    }

    pub(super) fn connect_failed(&mut self, id: SlotId, kind: FailureKind, retry_after: Span, now: Moment) {
        if !self.is_in(id, ConnectionState::Connecting) {
            bug!("the dial of {id:?} failed, but it was not connecting");
            return;
        }
        self.step(id, None);
        self.order(Order::Vacate(id));
        self.tally.connect_failures += 1;
        if self.phase != Phase::Open {
            return;
        }
        self.dials_owed = self.dials_owed.saturating_sub(1);
        self.dialling.failed(kind, retry_after, now);
        if kind.is_retried() {
            let failures = self.dialling.setbacks();
            self.notes.event(Note::RetryScheduled { failures, delay: retry_after, kind });
        } else {
            // The same cause for all who wait: another try would lock an account, or ask the same wrong host.
            self.refuse_failed(0);
            self.replacements = 0;
        }
        let most = self.limits.retry_attempts;
        for warm in &mut self.warms {
            let throttled = kind == FailureKind::Throttled;
            warm.throttled += u32::from(throttled);
            warm.failures += u32::from(!throttled);
            warm.given_up |= !kind.is_retried() || warm.failures > most || warm.throttled >= MOST_THROTTLED;
        }
    }

    pub(super) fn denied(&mut self, id: SlotId, denial: Denial, now: Moment) {
        if !self.is_in(id, ConnectionState::Connecting) {
            bug!("the dial of {id:?} was denied, but it was not connecting");
            return;
        }
        self.step(id, None);
        self.order(Order::Vacate(id));
        match denial {
            Denial::Shut { retry_after } => self.refuse_dials(retry_after, now),
            Denial::Busy => self.dialling.busy(self.limits.evict_interval, now),
            Denial::Outdated => self.dialling.ask_again(now),
        }
    }

    pub(super) fn shut(&mut self, retry_after: Span, now: Moment) {
        self.dialling.spoke_up();
        self.refuse_dials(retry_after, now);
    }

    fn refuse_dials(&mut self, retry_after: Span, now: Moment) {
        self.dialling.shut(retry_after, now);
        self.warms.iter_mut().for_each(|warm| warm.given_up = true);
    }

    pub(super) fn reopened(&mut self) {
        self.dialling.spoke_up();
        self.dialling.reopened();
    }

    /// How often the gate has spoken up, unasked: an answer of before that is outdated.
    pub(crate) fn gate_words(&self) -> u64 {
        self.dialling.gate_words()
    }

    pub(super) fn passed(&mut self, id: SlotId, now: Moment) {
        if !self.is_in(id, ConnectionState::Validating) {
            bug!("{id:?} passed a check, but was not validating");
            return;
        }
        self.slots.at(id).last_ok = now;
        self.lend_shelve_or_close(id, now);
    }

    pub(super) fn failed(&mut self, id: SlotId) {
        if !self.is_in(id, ConnectionState::Validating) {
            bug!("{id:?} failed a check, but was not validating");
            return;
        }
        let slot = self.slots.at(id);
        let (proven, check) = (slot.last_ok, slot.check);
        let reason = slot.doomed.unwrap_or(CloseReason::ValidationFailed);
        self.begin_close(id, reason);
        if check == Some(Check::Borrow) && self.phase == Phase::Open {
            self.dials_owed += u32::from(!self.queue.is_empty());
            self.check_idle_proven_by(proven);
        }
    }

    /// What was proven no later than one that is dead now may be dead too.
    fn check_idle_proven_by(&mut self, proven: Moment) {
        let doubted: Vec<_> = self
            .slots
            .idle
            .iter()
            .copied()
            .filter(|&id| self.slots.get(id).is_some_and(|s| s.last_ok <= proven))
            .collect();
        for id in doubted {
            self.slots.unshelve(id);
            self.check(id, Check::Idle);
        }
    }

    /// The connection said that it died.
    pub(super) fn lost(&mut self, id: SlotId) {
        let Some(state) = self.slots.get(id).and_then(|slot| slot.state) else { return };
        match state {
            ConnectionState::Idle => {
                self.slots.unshelve(id);
                self.begin_close(id, CloseReason::Lost);
            }
            ConnectionState::Connecting | ConnectionState::Validating => {
                self.slots.doom(id, CloseReason::Lost);
                self.order(Order::Kill(id));
            }
            ConnectionState::Active => {
                let known = self.slots.at(id).doomed.is_some();
                self.slots.doom(id, CloseReason::Lost);
                if !known {
                    self.want_replacement(id);
                }
            }
            ConnectionState::Closing => {}
        }
    }

    pub(super) fn is_in(&self, id: SlotId, state: ConnectionState) -> bool {
        self.slots.get(id).is_some_and(|slot| slot.is(state))
    }
}
