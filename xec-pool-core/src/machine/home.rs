//! How connections come home, and how they end.
//!
//! Seed: Connection Borrowing.

use super::{
    Machine,
    facts::{Fact, Fate, Loan, Order},
    invariants,
    moment::{Moment, Span},
    notes::Note,
    queue::Ticket,
    slot::{Slot, SlotId},
};
use crate::{Check, CloseReason, ConnectionState, Phase};

/// Where a new connection turns out dead in its first caller's hand, the next dial waits that long.
const STILLBORN_REST: Span = Span(100_000_000);

impl Machine {
    /// A lease ends. Where the connection is fine and somebody waits it goes straight to whoever is next, and no
    /// order says so; else as [`Fact::Returned`].
    #[inline]
    pub(crate) fn give_back(&mut self, id: SlotId, fate: Fate, now: Moment) -> Option<(Ticket, Loan)> {
        let now = self.advance(now);
        let next = if fate == Fate::Fine { self.hand_on(id, now) } else { None };
        if next.is_none() {
            self.take(Fact::Returned { slot: id, fate }, now);
        }
        next
    }

    /// The short way back. `None`: nobody is next, or it must not; nothing has changed then.
    #[inline]
    fn hand_on(&mut self, id: SlotId, now: Moment) -> Option<(Ticket, Loan)> {
        let slot = self.slots.get(id).filter(|slot| slot.is(ConnectionState::Active))?;
        let checked = self.limits.validate && self.limits.validate_on_return;
        if self.queue.is_empty() || self.suspended || checked || self.must_not_go_on(slot, now) {
            return None;
        }
        self.end_lease(id, now);
        self.slots.change_hands(id, &mut self.notes);
        let (ticket, asked_at) = self.queue.take_next(self.limits.newest_first)?;
        let loan = self.lease_out(id, now.since(asked_at), now);
        self.settle(now);
        invariants::check(self);
        Some((ticket, loan))
    }

    /// Whether it must be closed or checked first.
    #[inline]
    fn must_not_go_on(&self, slot: &Slot, now: Moment) -> bool {
        self.verdict(slot, now).is_some() || self.needs_check(slot, now)
    }

    pub(super) fn returned(&mut self, id: SlotId, fate: Fate, now: Moment) {
        if !self.end_lease(id, now) {
            return;
        }
        match fate {
            Fate::Fine => self.come_home(id, now),
            Fate::Broken => self.close_returned(id, CloseReason::Broken),
            Fate::Discarded => self.close_returned(id, CloseReason::Discarded),
        }
    }

    /// Its caller never received it: neither acquired nor released, and no more used than before.
    pub(super) fn unclaimed(&mut self, id: SlotId, (broken, reused): (bool, bool), waited: Span, now: Moment) {
        if !self.is_in(id, ConnectionState::Active) {
            bug!("{id:?} came home unclaimed, but was not lent");
            return;
        }
        self.tally.unclaimed(waited);
        let slot = self.slots.at(id);
        slot.leases -= 1;
        slot.used = reused;
        if broken {
            if !reused {
                // Dialling goes well, and what it brings is dead: without a rest this would go round and round.
                self.dialling.rest(now.after(STILLBORN_REST), now);
            }
            self.close_returned(id, CloseReason::Broken);
        } else {
            self.slots.at(id).idle_since = now;
            self.lend_shelve_or_close(id, now);
        }
    }

    /// Its holder keeps it: no longer ours, and not closed.
    pub(super) fn detached(&mut self, id: SlotId, now: Moment) {
        if self.end_lease(id, now) {
            self.step(id, None);
            self.bury(id, CloseReason::Detached, now);
        }
    }

    pub(super) fn closed(&mut self, id: SlotId, reason: CloseReason, now: Moment) {
        if !self.is_in(id, ConnectionState::Closing) {
            bug!("{id:?} closed, but was not closing");
            return;
        }
        self.step(id, None);
        self.bury(id, reason, now);
    }

    fn bury(&mut self, id: SlotId, reason: CloseReason, now: Moment) {
        self.tally.destroyed.count(reason);
        let age = now.since(self.slots.at(id).born);
        self.notes.event(Note::Destroyed { id, reason, age });
        self.order(Order::Vacate(id));
    }

    #[inline]
    fn end_lease(&mut self, id: SlotId, now: Moment) -> bool {
        let Some(slot) = self.slots.in_state(id, ConnectionState::Active) else {
            bug!("{id:?} came home, but was not lent");
            return false;
        };
        slot.leases -= 1;
        self.tally.released += 1;
        let (lease, used) = (slot.lease, now.since(slot.lent_at));
        self.notes.event(Note::Released { id, lease, used });
        true
    }

    fn close_returned(&mut self, id: SlotId, reason: CloseReason) {
        let reason = self.slots.at(id).doomed.unwrap_or(reason);
        self.begin_close(id, reason);
    }

    fn come_home(&mut self, id: SlotId, now: Moment) {
        self.slots.at(id).idle_since = now;
        let check = self.limits.validate && self.limits.validate_on_return;
        if check && self.verdict(self.slots.see(id), now).is_none() {
            self.check(id, Check::Return);
        } else {
            self.lend_shelve_or_close(id, now);
        }
    }

    /// The one place where a connection that is fine goes on: to the next caller, to the idle ones, or to its end.
    pub(super) fn lend_shelve_or_close(&mut self, id: SlotId, now: Moment) {
        let slot = self.slots.see(id);
        if let Some(reason) = self.verdict(slot, now) {
            self.begin_close(id, reason);
            return;
        }
        let served = !self.suspended && !self.queue.is_empty() && !self.needs_check(slot, now);
        if !served || slot.is(ConnectionState::Active) {
            self.step(id, Some(ConnectionState::Idle));
        }
        if served {
            self.lend_to_next(id, now);
            return;
        }
        self.slots.shelve(id);
        self.due(self.idle_due(self.slots.see(id)));
    }

    /// Why a connection may not stay.
    #[inline]
    fn verdict(&self, slot: &Slot, now: Moment) -> Option<CloseReason> {
        if slot.doomed.is_some() {
            return slot.doomed;
        }
        if self.phase != Phase::Open {
            return Some(CloseReason::Drained);
        }
        if self.supply() > self.limits.max {
            return Some(CloseReason::Shrunk);
        }
        slot.is_over_age(now).then_some(CloseReason::MaxLifetime)
    }
}
