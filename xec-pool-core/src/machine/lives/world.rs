//! The world around a machine: what is under way outside of it, and what must hold whatever happens there.

// How a life ends.
mod rest;

use std::{collections::BTreeMap, time::Duration};

use super::{
    super::{
        Machine,
        facts::{Again, Ask, Asked, Denial, Fact, Fate, Loan, Order, WarmId},
        invariants,
        limits::Limits,
        moment::{Moment, Span},
        queue::Ticket,
        slot::SlotId,
    },
    Decree, Homecoming, Step,
};
use crate::{CloseReason, ConnectionState, FailureKind, Phase};

/// Everything that is under way outside the machine.
pub(super) struct World {
    pub(super) machine: Machine,
    now: Moment,
    alarm: Moment,
    dials: Vec<SlotId>,
    checks: Vec<SlotId>,
    closes: Vec<(SlotId, CloseReason)>,
    leases: Vec<Held>,
    pub(super) waiting: BTreeMap<Ticket, Call>,
    warms: Vec<WarmId>,
    /// Places taken, as deadpool would count them.
    places: u32,
    phase: Phase,
    drained: bool,
}

/// A caller's one turn: since when, and until when at the latest, by the rules and not by what the machine says.
#[derive(Clone, Copy, Debug)]
pub(super) struct Call {
    asked_at: Moment,
    timeout: Option<Span>,
    latest: Moment,
    deadline: Option<Moment>,
}

/// A connection in a caller's hands.
#[derive(Clone, Copy, Debug)]
pub(super) struct Held {
    loan: Loan,
    call: Call,
}

impl World {
    pub(super) fn new(limits: Limits) -> Self {
        let mut world = Self {
            machine: Machine::new(limits, Moment::START),
            now: Moment::START,
            alarm: Moment::NEVER,
            dials: Vec::new(),
            checks: Vec::new(),
            closes: Vec::new(),
            leases: Vec::new(),
            waiting: BTreeMap::new(),
            warms: Vec::new(),
            places: 0,
            phase: Phase::Open,
            drained: false,
        };
        world.machine.look(world.now);
        world.after();
        world
    }

    fn take(&mut self, fact: Fact) {
        self.machine.take(fact, self.now);
        self.after();
    }

    fn give_back(&mut self, slot: SlotId, fate: Fate) {
        if let Some((ticket, loan)) = self.machine.give_back(slot, fate, self.now) {
            self.lent(ticket, loan);
        }
        self.after();
    }

    /// Whose turn it is: by the rules, and not by what the machine says.
    fn next_in_turn(&self) -> Option<Ticket> {
        if self.machine.limits.newest_first {
            // One who asks again is the newest, too.
            return self.waiting.keys().next_back().copied();
        }
        self.waiting.iter().map(|(ticket, call)| (call.asked_at, *ticket)).min().map(|(_, ticket)| ticket)
    }

    fn lent(&mut self, ticket: Ticket, loan: Loan) {
        let next = self.next_in_turn();
        assert_eq!(Some(ticket), next, "it was not its turn: {:#?}", self.waiting);
        let call = self.waiting.remove(&ticket).unwrap_or_else(|| panic!("{ticket:?} was answered twice"));
        self.leases.push(Held { loan, call });
    }

    fn ask(&mut self, ask: Ask) {
        let latest = self.now.after(ask.timeout.unwrap_or(self.machine.limits.acquire_timeout));
        self.ask_as(ask, Call { asked_at: self.now, timeout: ask.timeout, latest, deadline: None });
    }

    fn ask_as(&mut self, ask: Ask, call: Call) {
        match self.machine.ask(ask, self.now) {
            Asked::Lent(loan) => {
                let overtakes = self.waiting.values().any(|other| other.asked_at < call.asked_at);
                let allowed = self.machine.limits.newest_first && ask.again.is_some();
                assert!(!overtakes || allowed, "{call:?} was served before {:#?}", self.waiting);
                self.leases.push(Held { loan, call });
            }
            Asked::Waiting(ticket) => {
                let deadline = self.machine.queue.get(ticket).map(|waiter| waiter.deadline);
                // `None`: its time is up, and it is refused already.
                let moved = call.deadline.is_some_and(|old| deadline.is_some_and(|new| old != new));
                assert!(deadline <= Some(call.latest), "its deadline is later than any rule allows: {call:?}");
                assert!(!moved, "its deadline has moved: {call:?}");
                self.waiting.insert(ticket, Call { deadline, ..call });
            }
            Asked::Refused(_) => {}
        }
        self.after();
    }

    /// Carries the orders out as far as the flow would at once, and checks every promise.
    fn after(&mut self) {
        for order in std::mem::take(&mut self.machine.orders) {
            match order {
                Order::Connect { slot, .. } => {
                    self.places += 1;
                    self.dials.push(slot);
                }
                Order::Validate { slot, .. } => self.checks.push(slot),
                Order::Lend { ticket, loan } => self.lent(ticket, loan),
                Order::Refuse { ticket, .. } => {
                    assert!(self.waiting.remove(&ticket).is_some(), "{ticket:?} was answered twice");
                }
                Order::Close { slot, reason } => self.closes.push((slot, reason)),
                Order::Kill(slot) => {
                    assert!(self.machine.slots.get(slot).is_some(), "{slot:?} was killed after its death");
                }
                Order::Vacate(_) => self.places -= 1,
                Order::Warmed(id) => {
                    assert!(self.warms.contains(&id), "{id:?} was ended twice");
                    self.warms.retain(|other| *other != id);
                }
                Order::Drained => assert!(!std::mem::replace(&mut self.drained, true), "drained twice"),
            }
        }
        invariants::check(&mut self.machine);
        self.agrees_with_the_machine();
        if self.machine.wake_keeper {
            self.alarm = self.machine.set_alarm(self.now);
        }
    }

    fn agrees_with_the_machine(&mut self) {
        let slots = &self.machine.slots;
        assert_eq!(self.places, slots.taken(), "a place was kept, or given back twice");
        let counts = [self.dials.len(), self.leases.len(), self.checks.len(), self.closes.len()];
        let states = [
            ConnectionState::Connecting,
            ConnectionState::Active,
            ConnectionState::Validating,
            ConnectionState::Closing,
        ];
        assert_eq!(counts.map(|count| count as u32), states.map(|state| slots.count(state)));
        assert_eq!(self.waiting.len() as u32, self.machine.queue.len(), "somebody waits that the machine forgot");
        assert!(self.machine.phase >= self.phase, "a phase went back");
        self.phase = self.machine.phase;
    }

    /// Time passes, and the housekeeper wakes when its alarm rings.
    fn wait(&mut self, span: Span) {
        let until = self.now.after(span);
        let mut rings = 0;
        while self.alarm <= until {
            self.now = self.now.max(self.alarm);
            self.machine.take(Fact::Ticked, self.now);
            self.alarm = self.machine.set_alarm(self.now);
            self.machine.rest();
            self.after();
            rings += 1;
            assert!(rings < 5_000, "the housekeeper spins");
        }
        self.now = until;
        let late: Vec<_> = self.waiting.iter().filter(|(_, call)| call.deadline <= Some(until)).collect();
        assert!(late.is_empty(), "waits past its deadline: {late:?} at {until:?}");
    }

    #[expect(clippy::too_many_lines, reason = "one short arm for each step")]
    pub(super) fn live(&mut self, step: &Step) {
        let pick = |count: usize, n: usize| (count > 0).then(|| n % count.max(1));
        match *step {
            Step::Ask(timeout) => {
                let timeout = timeout.map(|ms| Span::from(Duration::from_millis(u64::from(ms) + 1)));
                self.ask(Ask { timeout, again: None });
            }
            Step::TryAsk => {
                if let Asked::Lent(loan) = self.machine.ask_idle(self.now) {
                    assert!(self.waiting.is_empty(), "who never waits was served before who does");
                    let call = Call { asked_at: self.now, timeout: None, latest: Moment::NEVER, deadline: None };
                    self.leases.push(Held { loan, call });
                }
                self.after();
            }
            Step::GiveUp(n) => {
                if let Some(at) = pick(self.waiting.len(), n) {
                    let ticket = *self.waiting.keys().nth(at).expect("picked among them");
                    self.waiting.remove(&ticket);
                    self.take(Fact::GaveUp(ticket));
                }
            }
            Step::Connect(n, mortal) => {
                if let Some(at) = pick(self.dials.len(), n) {
                    let slot = self.dials.remove(at);
                    let lifetime = if mortal { Span::from(Duration::from_secs(20)) } else { Span::FOREVER };
                    self.take(Fact::Connected { slot, lifetime });
                }
            }
            Step::FailDial(n, kind, wait) => {
                if let Some(at) = pick(self.dials.len(), n) {
                    let slot = self.dials.remove(at);
                    let kind = match kind {
                        0 => FailureKind::Throttled,
                        1 => FailureKind::Credentials,
                        _ => FailureKind::Unreachable,
                    };
                    let retry_after = Span::from(Duration::from_millis(u64::from(wait)));
                    self.take(Fact::ConnectFailed { slot, kind, retry_after });
                }
            }
            Step::Deny(n, wait, outdated) => {
                if let Some(at) = pick(self.dials.len(), n) {
                    let slot = self.dials.remove(at);
                    let denied = match wait.map(|ms| Duration::from_millis(u64::from(ms)).into()) {
                        _ if outdated => Denial::Outdated,
                        Some(retry_after) => Denial::Shut { retry_after },
                        None => Denial::Busy,
                    };
                    self.take(Fact::Denied { slot, denied });
                }
            }
            Step::Shut(wait) => {
                let retry_after = wait.map(|ms| Duration::from_millis(u64::from(ms))).into();
                self.take(Fact::Shut { retry_after });
            }
            Step::Reopen => self.take(Fact::Reopened),
            Step::EndCheck(n, passed) => {
                if let Some(at) = pick(self.checks.len(), n) {
                    let slot = self.checks.remove(at);
                    self.take(if passed { Fact::Passed(slot) } else { Fact::Failed(slot) });
                }
            }
            Step::ComeHome(n, ref how) => self.come_home(n, how),
            Step::Lose(n) => {
                let slot = self.machine.slots.all().map(|(id, _)| id).nth(n % 8);
                if let Some(slot) = slot {
                    self.take(Fact::Lost(slot));
                }
            }
            Step::EndClose(n) => {
                if let Some(at) = pick(self.closes.len(), n) {
                    let (slot, reason) = self.closes.remove(at);
                    self.take(Fact::Closed { slot, reason });
                }
            }
            Step::Wait(ms) => self.wait(Span::from(Duration::from_millis(u64::from(ms)))),
            Step::Decree(ref decree) => self.decree(decree),
        }
    }

    fn come_home(&mut self, n: usize, how: &Homecoming) {
        if self.leases.is_empty() {
            return;
        }
        let Held { loan, call } = self.leases.remove(n % self.leases.len());
        let slot = loan.slot;
        match *how {
            Homecoming::Return(fate) => {
                let fate = match fate {
                    0 => Fate::Broken,
                    1 => Fate::Discarded,
                    _ => Fate::Fine,
                };
                self.give_back(slot, fate);
            }
            Homecoming::Unclaim(broken) => {
                self.take(Fact::Unclaimed { slot, broken, waited: loan.waited, reused: loan.reused.is_yes() });
                if broken {
                    let again = Again { asked_at: call.asked_at, deadline: call.deadline };
                    self.ask_as(Ask { timeout: call.timeout, again: Some(again) }, call);
                }
            }
            Homecoming::Detach => self.take(Fact::Detached(slot)),
        }
    }

    fn decree(&mut self, decree: &Decree) {
        match *decree {
            Decree::Warm(count) => {
                let id = WarmId(self.machine.tally.created + self.warms.len() as u64 * 1_000_003 + self.now.0);
                if !self.warms.contains(&id) {
                    self.warms.push(id);
                    self.machine.warm(id, u32::from(count), self.now);
                }
            }
            Decree::Unwarm(n) if !self.warms.is_empty() => {
                let id = self.warms.remove(n % self.warms.len());
                self.machine.unwarm(id);
            }
            Decree::Limits(min, max) => {
                self.machine.set_limits(u32::from(min.min(max)), u32::from(max), self.now);
            }
            Decree::Suspend => self.machine.suspend(self.now),
            Decree::Resume => self.machine.resume(self.now),
            Decree::Drain(within) => {
                let end =
                    within.map_or(Moment::NEVER, |ms| self.now.after(Span::from(Duration::from_millis(u64::from(ms)))));
                self.machine.drain(end, self.now);
            }
            Decree::Unwarm(_) => {}
        }
        self.after();
    }
}
