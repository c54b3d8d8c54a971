//! Who is served at once, who waits and until when, and who is turned away.
//!
//! Seed: Queue Management.

use super::{
    Machine,
    facts::{Ask, Asked, Fact, Loan, Order, Refusal},
    invariants,
    moment::{Moment, Span},
    notes::Note,
    queue::{Ticket, Waiter},
    slot::SlotId,
};
use crate::{ConnectionState, LeaseId, Phase, TimedOutStage};

impl Machine {
    /// A caller asks for a connection: both halves.
    #[cfg(test)]
    pub(crate) fn ask(&mut self, ask: Ask, now: Moment) -> Asked {
        match self.ask_now(ask, now) {
            Some(loan) => Asked::Lent(loan),
            None => self.ask_on(ask, now),
        }
    }

    /// A caller asks for a connection. The first half: what can be lent at once. `None`: nothing has changed.
    #[inline]
    pub(crate) fn ask_now(&mut self, ask: Ask, now: Moment) -> Option<Loan> {
        let now = self.advance(now);
        let loan = self.lend_at_once(ask, now)?;
        if !self.queue.is_empty() {
            // Time has gone on, for those who wait as well.
            self.settle(now);
        }
        invariants::check(self);
        Some(loan)
    }

    /// The second half: it waits, or is turned away.
    #[inline]
    pub(crate) fn ask_on(&mut self, ask: Ask, now: Moment) -> Asked {
        let now = self.advance(now);
        match self.admit(ask, now) {
            Ok(ticket) => Asked::Waiting(ticket),
            Err(refusal) => Asked::Refused(refusal),
        }
    }

    /// The long way: it waits, or is turned away.
    fn admit(&mut self, ask: Ask, now: Moment) -> Result<Ticket, Refusal> {
        let own = self.may_have_its_own() || ask.again.is_some();
        if let Some(refusal) = self.turn_away(own) {
            self.tally.refused(&refusal);
            if let Refusal::QueueFull { waiting } = refusal {
                self.notes.event(Note::QueueFull { waiting });
            }
            return Err(refusal);
        }
        let ticket = self.enqueue(ask, own, now);
        if self.queue.len() == 1 && ask.again.is_none() {
            self.dialling.admit_newcomer(self.limits.retry_delay, now);
            self.settle(now);
            self.dialling.newcomer_done();
        } else {
            self.settle(now);
        }
        if self.queue.get(ticket).is_some_and(|waiter| waiter.deadline <= now) {
            // It asks again, and its time is up; or it gave itself none.
            self.expire_waiters(now);
        }
        invariants::check(self);
        Ok(ticket)
    }

    /// A caller asks for an idle connection that needs no check, and never waits.
    pub(crate) fn ask_idle(&mut self, now: Moment) -> Asked {
        let now = self.advance(now);
        let loan = self.lend_at_once(Ask::default(), now).or_else(|| self.lend_any_fit(now));
        if !self.queue.is_empty() {
            // As in `ask_now`.
            self.settle(now);
        }
        invariants::check(self);
        if let Some(loan) = loan {
            return Asked::Lent(loan);
        }
        let refusal = self.refusal_by_phase().unwrap_or(Refusal::NoneIdle);
        self.tally.refused(&refusal);
        Asked::Refused(refusal)
    }

    /// The one that came home last is not fit, but another one may be: a check may have proven it later.
    fn lend_any_fit(&mut self, now: Moment) -> Option<Loan> {
        if self.phase != Phase::Open || self.suspended || !self.queue.is_empty() {
            return None;
        }
        let id = self.best_idle(now).filter(|&id| self.is_fit(id, now))?;
        self.slots.unshelve(id);
        Some(self.lend(id, Span(0), now))
    }

    /// The short way: nobody waits, and the idle connection that came home last needs no check.
    #[inline]
    fn lend_at_once(&mut self, ask: Ask, now: Moment) -> Option<Loan> {
        // One who asks again stands before everybody who waits.
        if self.phase != Phase::Open || self.suspended || !(self.queue.is_empty() || ask.again.is_some()) {
            return None;
        }
        let &id = self.slots.idle.last()?;
        if !self.is_fit(id, now) {
            return None;
        }
        self.slots.idle.pop();
        let waited = ask.again.map_or(Span(0), |again| now.since(again.asked_at));
        Some(self.lend(id, waited, now))
    }

    /// Puts a connection into a caller's hands.
    #[inline]
    pub(super) fn lend(&mut self, id: SlotId, waited: Span, now: Moment) -> Loan {
        self.step(id, Some(ConnectionState::Active));
        self.lease_out(id, waited, now)
    }

    /// The lease of one that is active now.
    #[inline]
    pub(super) fn lease_out(&mut self, id: SlotId, waited: Span, now: Moment) -> Loan {
        self.leases += 1;
        let lease = LeaseId(self.leases);
        let slot = self.slots.at(id);
        slot.leases += 1;
        slot.lease = lease;
        slot.lent_at = now;
        let reused = std::mem::replace(&mut slot.used, true).into();
        self.tally.lent(waited);
        Loan { slot: id, lease, waited, reused }
    }

    /// Gives a connection to whoever is next. It must not be on the idle list any more.
    pub(super) fn lend_to_next(&mut self, id: SlotId, now: Moment) {
        if let Some((ticket, asked_at)) = self.queue.take_next(self.limits.newest_first) {
            let loan = self.lend(id, now.since(asked_at), now);
            self.order(Order::Lend { ticket, loan });
        }
    }

    fn refusal_by_phase(&self) -> Option<Refusal> {
        match self.phase {
            Phase::Open => None,
            Phase::Draining => Some(Refusal::Draining),
            Phase::Closed => Some(Refusal::Closed),
        }
    }

    #[inline]
    fn turn_away(&self, own: bool) -> Option<Refusal> {
        if let Some(refusal) = self.refusal_by_phase() {
            return Some(refusal);
        }
        if let Some(until) = self.dialling.shut_until(self.now)
            && self.supply() == 0
            && !self.suspended
        {
            return Some(Refusal::CircuitOpen { retry_after: self.until(until) });
        }
        let full = !own && self.queue.counted() >= self.limits.queue_capacity;
        full.then(|| Refusal::QueueFull { waiting: self.queue.len() })
    }

    /// Whether a dial or a check can be the next caller's own: its rank is within what is on the way or free.
    fn may_have_its_own(&self) -> bool {
        use ConnectionState::{Connecting, Idle, Validating};
        let on_the_way =
            self.slots.count(Connecting) + self.slots.count(Validating) + self.slots.count(Idle) + self.free_places();
        self.queue.len() < on_the_way
    }

    /// How many more slots may be taken.
    pub(super) fn free_places(&self) -> u32 {
        self.limits.max.saturating_sub(self.slots.taken())
    }

    #[inline]
    fn enqueue(&mut self, ask: Ask, own: bool, now: Moment) -> Ticket {
        let by_rule =
            if own { self.limits.acquire_timeout } else { self.limits.acquire_timeout.min(self.limits.queue_timeout) };
        let asked_at = ask.again.map_or(now, |again| again.asked_at);
        let fresh = asked_at.after(ask.timeout.unwrap_or(by_rule));
        let deadline = ask.again.and_then(|again| again.deadline).unwrap_or(fresh);
        let (run, failures) = self.dialling.run();
        let waiter = Waiter { asked_at, deadline, counted: !own, again: ask.again.is_some(), run, failures };
        self.due(deadline);
        // Under lifo «next» is the back, so that is where one who asks again belongs.
        self.queue.enter(waiter, ask.again.is_some() && !self.limits.newest_first)
    }

    /// A caller went away: Fact::GaveUp.
    pub(super) fn gave_up(&mut self, ticket: Ticket) {
        if self.queue.leave(ticket).is_none() {
            bug!("{:?} of nobody who waits", Fact::GaveUp(ticket));
        }
    }

    /// Nobody keeps house, so nobody would tell this caller when its time is up.
    pub(crate) fn turn_out(&mut self, ticket: Ticket, now: Moment) {
        let now = self.advance(now);
        self.refuse(ticket, Refusal::NoRuntime);
        self.settle(now);
    }

    /// Refuses all whose deadline has come.
    pub(super) fn expire_waiters(&mut self, now: Moment) {
        // Found before the first one leaves, and moves all others up.
        let mut hopeful = None;
        while let Some((deadline, ticket)) = self.queue.first_deadline() {
            if deadline > now {
                return;
            }
            let hopeful = hopeful.get_or_insert_with(|| self.hopeful());
            let asked_at = self.queue.get(ticket).map_or(now, |waiter| waiter.asked_at);
            let refusal = Refusal::TimedOut {
                stage: self.lacked(ticket, hopeful),
                waited: now.since(asked_at),
                limit: deadline.since(asked_at),
            };
            self.refuse(ticket, refusal);
        }
    }

    /// Those whom a check or a dial that is under way will serve, if it goes well, in their turn: the checks first.
    fn hopeful(&self) -> Vec<Ticket> {
        let under_way = self.slots.borrow_checks + self.slots.count(ConnectionState::Connecting);
        let (waiting, newest_first) = (self.queue.len(), self.limits.newest_first);
        let first = if newest_first { waiting.saturating_sub(under_way) } else { 0 };
        let served = self.queue.iter().skip(first as usize).take(under_way as usize);
        let mut hopeful: Vec<Ticket> = served.map(|(ticket, _)| ticket).collect();
        if newest_first {
            hopeful.reverse();
        }
        hopeful
    }

    /// What a caller lacked when its time was up.
    fn lacked(&self, ticket: Ticket, hopeful: &[Ticket]) -> TimedOutStage {
        if self.suspended {
            return TimedOutStage::Suspended;
        }
        let dials = self.slots.count(ConnectionState::Connecting);
        match hopeful.iter().position(|&other| other == ticket) {
            Some(rank) if rank < self.slots.borrow_checks as usize => TimedOutStage::Validate,
            Some(_) => TimedOutStage::Connect,
            None if dials == 0 && self.free_places() > 0 && self.dialling.is_held_back(self.now) => {
                TimedOutStage::BackOff
            }
            None => TimedOutStage::Queue,
        }
    }
}
