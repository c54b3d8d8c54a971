//! What follows from where things stand: idle connections to those who wait, then dials for those still without,
//! then dials for `min_connections`, `warm` and losses; and who can hope no longer.

use super::{
    Machine,
    facts::{Order, Refusal},
    moment::Moment,
    slot::SlotId,
};
use crate::{Check, CloseReason, ConnectionState, Phase};

impl Machine {
    /// After every fact: whatever can happen now, happens.
    #[inline]
    pub(super) fn settle(&mut self, now: Moment) {
        if self.phase != Phase::Open {
            self.settle_drain(now);
            self.settle_warms();
        } else if !self.is_settled() {
            self.settle_open(now);
        }
    }

    fn settle_open(&mut self, now: Moment) {
        if !self.suspended {
            self.dials_owed = self.dials_owed.min(self.queue.len());
            self.serve_from_idle(now);
            // Before the dials: where nothing holds the next one back, it would be hope for ever.
            self.give_up_on_dials(now);
            self.start_dials(now);
            let connecting = self.slots.count(ConnectionState::Connecting);
            if self.dials_owed > connecting {
                // An owed dial that cannot start is no reason to let idle connections lie.
                self.dials_owed = connecting;
                self.serve_from_idle(now);
            }
        }
        self.finish_retirements();
        self.settle_warms();
    }

    /// The usual case, seen at a glance: nobody waits and enough are open, or all that wait can only wait.
    #[inline]
    fn is_settled(&self) -> bool {
        let calm = self.warms.is_empty() && self.retiring == 0 && self.dials_owed == 0;
        let connecting = self.slots.count(ConnectionState::Connecting);
        calm && if self.queue.is_empty() {
            self.replacements == 0 && self.open() + connecting >= self.limits.min
        } else {
            self.slots.idle.is_empty() && self.free_places() == 0 && self.supply() > 0
        }
    }

    /// Lends idle connections to those who wait; has one checked for each who is not promised a check yet.
    fn serve_from_idle(&mut self, now: Moment) {
        while !self.queue.is_empty() {
            let Some(id) = self.best_idle(now) else { return };
            let slot = self.slots.see(id);
            if slot.is_over_age(now) {
                self.slots.unshelve(id);
                self.begin_close(id, CloseReason::MaxLifetime);
            } else if !self.needs_check(slot, now) {
                self.slots.unshelve(id);
                self.lend_to_next(id, now);
            } else if self.queue.len() > self.slots.borrow_checks + self.dials_owed {
                self.slots.unshelve(id);
                self.check(id, Check::Borrow);
            } else {
                return;
            }
        }
    }

    /// The newest that needs no check, else the newest.
    pub(super) fn best_idle(&self, now: Moment) -> Option<SlotId> {
        let idle = &self.slots.idle;
        idle.iter().rev().find(|&&id| self.is_fit(id, now)).or(idle.last()).copied()
    }

    /// Whether a caller may get it as it is.
    #[inline]
    pub(super) fn is_fit(&self, id: SlotId, now: Moment) -> bool {
        let slot = self.slots.see(id);
        !self.needs_check(slot, now) && !slot.is_over_age(now)
    }

    pub(super) fn check(&mut self, id: SlotId, check: Check) {
        self.slots.check(id, check, &mut self.notes);
        self.order(Order::Validate { slot: id, check });
    }

    fn start_dials(&mut self, now: Moment) {
        loop {
            let (callers, others) = (self.dials_for_callers(), self.dials_for_others());
            if (callers == 0 && others == 0) || self.free_places() == 0 {
                return;
            }
            let connecting = self.slots.count(ConnectionState::Connecting);
            let background = callers == 0 && !self.is_warming();
            if !self.dialling.may_start(connecting, background, now) {
                self.due(self.dialling.next_try(background, now));
                return;
            }
            self.replacements = self.replacements.saturating_sub(1);
            // The first one whom nothing on the way will serve.
            let on_the_way = connecting + self.slots.borrow_checks;
            let newest_first = self.limits.newest_first;
            let next = || self.queue.nth(on_the_way, newest_first).or_else(|| self.queue.next(newest_first));
            let ticket = if callers > 0 { next() } else { None };
            let slot = self.slots.open(now, &mut self.notes);
            self.order(Order::Connect { slot, ticket, attempt: self.dialling.failures() + 1 });
        }
    }

    /// How many dials the waiting callers want beyond those under way.
    pub(super) fn dials_for_callers(&self) -> u32 {
        let (waiting, connecting) = (self.queue.len(), self.slots.count(ConnectionState::Connecting));
        let without = waiting.saturating_sub(connecting + self.slots.borrow_checks);
        without.max(self.dials_owed.min(waiting).saturating_sub(connecting))
    }

    /// How many dials `min_connections`, `warm` and losses want beyond those under way.
    fn dials_for_others(&self) -> u32 {
        let staying = self.open() + self.slots.count(ConnectionState::Connecting) - self.retiring;
        self.floor().saturating_sub(staying).max(self.replacements)
    }

    /// How many connections there should be, whether anybody waits or not.
    pub(super) fn floor(&self) -> u32 {
        let warmed = self.warms.iter().filter(|warm| !warm.given_up).map(|warm| warm.wanted).max().unwrap_or(0);
        self.limits.min.max(warmed).min(self.limits.max)
    }

    /// Somebody waits for a `warm` that still has hope.
    pub(super) fn is_warming(&self) -> bool {
        self.warms.iter().any(|warm| !warm.given_up)
    }

    /// When a dial that only lacks time can start.
    pub(super) fn dial_due(&self) -> Moment {
        let (callers, others) = (self.dials_for_callers(), self.dials_for_others());
        let wanted = self.phase == Phase::Open && !self.suspended && self.free_places() > 0;
        let background = callers == 0 && !self.is_warming();
        if wanted && callers + others > 0 { self.dialling.next_try(background, self.now) } else { Moment::NEVER }
    }

    /// Refuses those whom nothing can serve any more: the gate is shut, or enough dials have failed them.
    fn give_up_on_dials(&mut self, now: Moment) {
        if self.queue.is_empty() || self.supply() > 0 {
            return;
        }
        if let Some(until) = self.dialling.shut_until(now) {
            let retry_after = self.until(until);
            self.refuse_all(Refusal::CircuitOpen { retry_after });
        } else if self.dialling.failures() > self.limits.retry_attempts {
            self.refuse_failed(1 + self.limits.retry_attempts);
        }
    }

    /// Refuses all whom at least `attempts` dials in a row have failed.
    pub(super) fn refuse_failed(&mut self, attempts: u32) {
        let failed: Vec<_> = self
            .queue
            .iter()
            .map(|(ticket, waiter)| (ticket, self.dialling.failures_since(waiter.run, waiter.failures)))
            .filter(|&(_, failures)| failures >= attempts)
            .collect();
        let kind = self.dialling.last_kind();
        for (ticket, attempts) in failed {
            self.refuse(ticket, Refusal::Connect { attempts, kind });
        }
    }

    pub(super) fn refuse_all(&mut self, refusal: Refusal) {
        while let Some(ticket) = self.queue.next(false) {
            self.refuse(ticket, refusal);
        }
    }
}
