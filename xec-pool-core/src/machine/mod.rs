//! Decides. Facts go in, orders come out; no clock, no lock, no task, nothing of async.
//!
//! Every method takes the time. A fact may cause orders (what the flow must do) and notes (what happened, for those
//! who watch); both wait in lists until the flow takes them, under the same lock.

pub(crate) mod moment;

// What there is: slots and those who wait.
pub(crate) mod slot;

mod slots;

pub(crate) mod queue;

// What goes in and out.
pub(crate) mod limits;

pub(crate) mod facts;

pub(crate) mod notes;

// The way of a call.
mod admit;

mod supply;

mod dialling;

mod outcome;

mod home;

// What happens by itself, and by decree.
mod keep;

mod verbs;

// What must always hold.
mod tally;

pub(crate) mod invariants;

#[cfg(test)]
mod stories;

#[cfg(test)]
mod lives;

use std::collections::VecDeque;

use self::{
    dialling::Dialling,
    facts::{Fact, Order, Refusal},
    limits::Limits,
    moment::{Moment, Span},
    notes::Notes,
    queue::Queue,
    slot::SlotId,
    slots::Slots,
    tally::Tally,
    verbs::{Drain, Warm},
};
use crate::{CloseReason, ConnectionState, Phase};

/// The whole state of a pool's decisions.
///
/// In this order, as its parts are: what every call writes lies together, on two cache lines and a bit.
#[derive(Debug)]
#[repr(C)]
pub(crate) struct Machine {
    pub(crate) queue: Queue,
    now: Moment,
    leases: u64,
    pub(crate) tally: Tally,
    pub(crate) slots: Slots,
    pub(crate) limits: Limits,
    dialling: Dialling,
    pub(crate) phase: Phase,
    pub(crate) suspended: bool,
    drain: Drain,
    warms: Vec<Warm>,
    /// Connections lost that are still to be dialled again.
    replacements: u32,
    /// Waiting callers whose next supply must be a dial, because a check failed them.
    dials_owed: u32,
    /// Idle ones past their lifetime that wait for their successor.
    retiring: u32,
    /// The most slots that may be taken: the maximum, or what was taken when it was lowered.
    pub(super) most_allowed: u32,
    /// The largest maximum there ever was.
    pub(super) most_ever: u32,
    /// When the housekeeper wakes.
    alarm: Moment,
    /// The housekeeper must wake earlier than it thinks.
    pub(crate) wake_keeper: bool,
    metrics_due: Moment,
    pub(crate) orders: VecDeque<Order>,
    pub(crate) notes: Notes,
}

impl Machine {
    pub(crate) fn new(limits: Limits, now: Moment) -> Self {
        Self {
            slots: Slots::default(),
            queue: Queue::new(),
            dialling: Dialling::new(),
            tally: Tally::default(),
            phase: Phase::Open,
            suspended: false,
            drain: Drain::default(),
            warms: Vec::new(),
            replacements: 0,
            dials_owed: 0,
            retiring: 0,
            leases: 0,
            most_allowed: limits.max,
            most_ever: limits.max,
            now,
            alarm: Moment::NEVER,
            wake_keeper: false,
            metrics_due: now.after(limits.metrics_interval),
            orders: VecDeque::new(),
            notes: Notes::default(),
            limits,
        }
    }

    /// Takes a fact and decides what follows.
    #[inline]
    pub(crate) fn take(&mut self, fact: Fact, now: Moment) {
        let now = self.advance(now);
        match fact {
            Fact::GaveUp(ticket) => self.gave_up(ticket),
            Fact::Connected { slot, lifetime } => self.connected(slot, lifetime, now),
            Fact::ConnectFailed { slot, kind, retry_after } => self.connect_failed(slot, kind, retry_after, now),
            Fact::Denied { slot, denied } => self.denied(slot, denied, now),
            Fact::Shut { retry_after } => self.shut(retry_after, now),
            Fact::Reopened => self.reopened(),
            Fact::Passed(slot) => self.passed(slot, now),
            Fact::Failed(slot) => self.failed(slot),
            Fact::Returned { slot, fate } => self.returned(slot, fate, now),
            Fact::Unclaimed { slot, broken, waited, reused } => self.unclaimed(slot, (broken, reused), waited, now),
            Fact::Detached(slot) => self.detached(slot, now),
            Fact::Lost(slot) => self.lost(slot),
            Fact::Closed { slot, reason } => self.closed(slot, reason, now),
            Fact::Ticked => self.ticked(now),
        }
        self.settle(now);
        invariants::check(self);
    }

    /// Time never goes backwards here, whatever order threads come in.
    fn advance(&mut self, now: Moment) -> Moment {
        self.now = self.now.max(now);
        self.now
    }

    fn step(&mut self, id: SlotId, to: Option<ConnectionState>) {
        self.slots.step(id, to, &mut self.notes);
    }

    fn order(&mut self, order: Order) {
        self.orders.push_back(order);
    }

    /// Ends a connection. It holds its place until the flow reports it `Closed`.
    fn begin_close(&mut self, id: SlotId, reason: CloseReason) {
        let slot = self.slots.at(id);
        if std::mem::take(&mut slot.retiring) {
            self.retiring -= 1;
        }
        let ended_by_itself = reason.is_failure() || reason == CloseReason::Discarded;
        if ended_by_itself && self.slots.get(id).is_some_and(|slot| !slot.replaced) {
            self.want_replacement(id);
        }
        self.step(id, Some(ConnectionState::Closing));
        self.order(Order::Close { slot: id, reason });
    }

    /// One dial for each loss, `recreate_on_error` permitting.
    fn want_replacement(&mut self, id: SlotId) {
        self.slots.at(id).replaced = true;
        if self.limits.recreate_on_error && self.phase == Phase::Open {
            self.replacements = (self.replacements + 1).min(self.limits.max);
        }
    }

    /// Ends a caller's wait with an error.
    fn refuse(&mut self, ticket: queue::Ticket, refusal: Refusal) {
        if self.queue.leave(ticket).is_some() {
            self.tally.refused(&refusal);
            self.order(Order::Refuse { ticket, refusal });
        }
    }

    /// Something is due then: the housekeeper must not sleep longer. Where the alarm has passed and nobody has come,
    /// whoever keeps house may stand still, on a runtime that nobody drives: that calls for one, too.
    fn due(&mut self, then: Moment) {
        if then < self.alarm || self.alarm < self.now {
            self.alarm = then;
            self.wake_keeper = true;
        }
    }

    /// For when whoever keeps house was last told to wake.
    pub(crate) fn alarm(&self) -> Moment {
        self.alarm
    }

    /// Nobody keeps house: the next thing due must call for a housekeeper.
    pub(crate) fn forget_alarm(&mut self) {
        self.alarm = Moment::NEVER;
    }

    pub(crate) fn setbacks(&self) -> u32 {
        self.dialling.setbacks()
    }

    /// How long until `then`.
    fn until(&self, then: Moment) -> Option<Span> {
        (then != Moment::NEVER).then(|| then.since(self.now))
    }

    /// Connections that are open and stay so.
    pub(crate) fn open(&self) -> u32 {
        use ConnectionState::{Active, Idle, Validating};
        self.slots.count(Idle) + self.slots.count(Active) - self.slots.doomed_active + self.slots.count(Validating)
    }

    /// Whatever may come free for a caller without a new dial being allowed.
    fn supply(&self) -> u32 {
        self.open() + self.slots.count(ConnectionState::Connecting)
    }
}
