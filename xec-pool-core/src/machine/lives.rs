//! Random lives: any facts in any order that a real flow could report, every promise checked after each. The clock
//! goes from alarm to alarm, as the housekeeper's does, so an alarm that is set too late shows.

use std::{collections::BTreeMap, time::Duration};

use proptest::{prelude::*, test_runner::Config};

use super::{
    Machine,
    facts::{Again, Ask, Asked, Denial, Fact, Fate, Loan, Order, WarmId},
    invariants,
    limits::Limits,
    moment::{Moment, Span},
    queue::Ticket,
    slot::SlotId,
};
use crate::{CloseReason, ConnectionState, FailureKind, Phase};

/// What the world does next. The numbers pick among what is possible.
#[derive(Clone, Debug)]
enum Step {
    Ask(Option<u16>),
    TryAsk,
    GiveUp(usize),
    Connect(usize, bool),
    FailDial(usize, u8, u16),
    Deny(usize, Option<u16>, bool),
    Shut(Option<u16>),
    Reopen,
    EndCheck(usize, bool),
    ComeHome(usize, Homecoming),
    Lose(usize),
    EndClose(usize),
    Wait(u32),
    Decree(Decree),
}

/// How a lease ends.
#[derive(Clone, Debug)]
enum Homecoming {
    Return(u8),
    Unclaim(bool),
    Detach,
}

/// What a user decrees.
#[derive(Clone, Debug)]
enum Decree {
    Warm(u8),
    Unwarm(usize),
    Limits(u8, u8),
    Suspend,
    Resume,
    Drain(Option<u16>),
}

fn step() -> impl Strategy<Value = Step> {
    let pick = 0..64_usize;
    prop_oneof![
        12 => prop::option::weighted(0.2, 0..20_000_u16).prop_map(Step::Ask),
        2 => Just(Step::TryAsk),
        4 => pick.clone().prop_map(Step::GiveUp),
        12 => (pick.clone(), any::<bool>()).prop_map(|(n, mortal)| Step::Connect(n, mortal)),
        4 => (pick.clone(), 0..5_u8, 0..4_000_u16).prop_map(|(n, kind, wait)| Step::FailDial(n, kind, wait)),
        2 => (pick.clone(), prop::option::of(0..9_000_u16), prop::bool::weighted(0.2))
            .prop_map(|(n, wait, outdated)| Step::Deny(n, wait, outdated)),
        1 => prop::option::weighted(0.9, 0..9_000_u16).prop_map(Step::Shut),
        1 => Just(Step::Reopen),
        8 => (pick.clone(), prop::bool::weighted(0.7)).prop_map(|(n, passed)| Step::EndCheck(n, passed)),
        14 => (pick.clone(), 0..10_u8).prop_map(|(n, fate)| Step::ComeHome(n, Homecoming::Return(fate))),
        2 => (pick.clone(), any::<bool>()).prop_map(|(n, broken)| Step::ComeHome(n, Homecoming::Unclaim(broken))),
        1 => pick.clone().prop_map(|n| Step::ComeHome(n, Homecoming::Detach)),
        3 => pick.clone().prop_map(Step::Lose),
        8 => pick.clone().prop_map(Step::EndClose),
        8 => prop_oneof![0..900_u32, 0..70_000_u32].prop_map(Step::Wait),
        7 => decree().prop_map(Step::Decree),
    ]
}

fn decree() -> impl Strategy<Value = Decree> {
    prop_oneof![
        1 => (0..6_u8).prop_map(Decree::Warm),
        1 => (0..64_usize).prop_map(Decree::Unwarm),
        1 => (0..3_u8, 1..6_u8).prop_map(|(min, max)| Decree::Limits(min, max)),
        1 => Just(Decree::Suspend),
        2 => Just(Decree::Resume),
        1 => prop::option::of(0..9_000_u16).prop_map(Decree::Drain),
    ]
}

fn limits() -> impl Strategy<Value = Limits> {
    let flags = (any::<bool>(), prop::bool::weighted(0.8), any::<bool>(), any::<bool>(), any::<bool>());
    let bypass = prop_oneof![Just(Duration::ZERO), Just(Duration::from_millis(500))];
    let sizes = (0..3_u32, 1..6_u32, 0..5_u32, 0..3_u32, 1..5_u32);
    (flags, sizes, bypass).prop_map(|((lifo, check, borrow, back, recreate), sizes, bypass)| {
        let (min, max, queue, attempts, dials) = sizes;
        Limits {
            validate_bypass: bypass.into(),
            min: min.min(max),
            max,
            queue_capacity: queue,
            newest_first: lifo,
            validate: check,
            validate_on_borrow: borrow,
            validate_on_return: back,
            retry_attempts: attempts,
            recreate_on_error: recreate,
            max_concurrent_connects: dials,
            ..super::stories::limits(0, 1)
        }
    })
}

/// Everything that is under way outside the machine.
struct World {
    machine: Machine,
    now: Moment,
    alarm: Moment,
    dials: Vec<SlotId>,
    checks: Vec<SlotId>,
    closes: Vec<(SlotId, CloseReason)>,
    leases: Vec<Held>,
    waiting: BTreeMap<Ticket, Call>,
    warms: Vec<WarmId>,
    /// Places taken, as deadpool would count them.
    places: u32,
    phase: Phase,
    drained: bool,
}

/// A caller's one turn: since when, and until when at the latest, by the rules and not by what the machine says.
#[derive(Clone, Copy, Debug)]
struct Call {
    asked_at: Moment,
    timeout: Option<Span>,
    latest: Moment,
    deadline: Option<Moment>,
}

/// A connection in a caller's hands.
#[derive(Clone, Copy, Debug)]
struct Held {
    loan: Loan,
    call: Call,
}

impl World {
    fn new(limits: Limits) -> Self {
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

    fn lent(&mut self, ticket: Ticket, loan: Loan) {
        let call = self.waiting.remove(&ticket).unwrap_or_else(|| panic!("{ticket:?} was answered twice"));
        self.leases.push(Held { loan, call });
    }

    fn ask(&mut self, ask: Ask) {
        let latest = self.now.after(ask.timeout.unwrap_or(self.machine.limits.acquire_timeout));
        self.ask_as(ask, Call { asked_at: self.now, timeout: ask.timeout, latest, deadline: None });
    }

    fn ask_as(&mut self, ask: Ask, call: Call) {
        match self.machine.ask(ask, self.now) {
            Asked::Lent(loan) => self.leases.push(Held { loan, call }),
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
    fn live(&mut self, step: &Step) {
        let pick = |count: usize, n: usize| (count > 0).then(|| n % count.max(1));
        match *step {
            Step::Ask(timeout) => {
                let timeout = timeout.map(|ms| Span::from(Duration::from_millis(u64::from(ms) + 1)));
                self.ask(Ask { timeout, again: None });
            }
            Step::TryAsk => {
                if let Asked::Lent(loan) = self.machine.ask_idle(self.now) {
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

    /// Everything under way ends well; then nothing may be missing.
    fn come_to_rest(&mut self) {
        self.machine.resume(self.now);
        self.after();
        for _ in 0..10_000 {
            if let Some(slot) = self.dials.pop() {
                self.take(Fact::Connected { slot, lifetime: Span::FOREVER });
            } else if let Some(slot) = self.checks.pop() {
                self.take(Fact::Passed(slot));
            } else if let Some(held) = self.leases.pop() {
                self.give_back(held.loan.slot, Fate::Fine);
            } else if let Some((slot, reason)) = self.closes.pop() {
                self.take(Fact::Closed { slot, reason });
            } else if self.waiting.is_empty() && self.warms.is_empty() {
                break;
            } else {
                self.wait(Span::from(Duration::from_secs(1)));
            }
        }
        assert!(self.waiting.is_empty(), "somebody waits for ever: {:?}", self.waiting);
        assert!(self.warms.is_empty(), "a warm waits for ever");
        let capacity = if self.phase == Phase::Open { self.machine.limits.max } else { 0 };
        self.whole_capacity(capacity);
        self.machine.drain(self.now, self.now);
        self.after();
        while let Some((slot, reason)) = self.closes.pop() {
            self.take(Fact::Closed { slot, reason });
        }
        assert!(self.drained, "nobody was told that the drain is over");
    }

    /// As many callers as there may be connections get one each, at the same time.
    fn whole_capacity(&mut self, capacity: u32) {
        for _ in 0..capacity {
            self.take(Fact::Reopened);
            self.ask(Ask::default());
            for _ in 0..100 {
                if let Some(slot) = self.dials.pop() {
                    self.take(Fact::Connected { slot, lifetime: Span::FOREVER });
                } else if let Some(slot) = self.checks.pop() {
                    self.take(Fact::Passed(slot));
                } else if let Some((slot, reason)) = self.closes.pop() {
                    self.take(Fact::Closed { slot, reason });
                } else if !self.waiting.is_empty() {
                    self.wait(Span::from(Duration::from_millis(100)));
                } else {
                    break;
                }
            }
        }
        assert_eq!(self.leases.len() as u32, capacity, "capacity was lost");
    }
}

/// Found by 100,000 lives.
#[test]
fn a_caller_who_asks_again_when_its_time_is_up_is_told_at_once() {
    let limits = Limits { queue_capacity: 0, ..super::stories::limits(0, 2) };
    let mut world = World::new(limits);
    let dead_in_the_hand = Step::ComeHome(0, Homecoming::Unclaim(true));
    for step in [
        Step::Ask(None),
        Step::Wait(10_000),
        Step::Connect(0, false),
        Step::Ask(None),
        Step::Ask(None),
        Step::Wait(10_000),
        dead_in_the_hand,
        Step::Wait(0),
    ] {
        world.live(&step);
    }
    assert!(world.waiting.is_empty(), "{:?}", world.waiting);
}

fn lives() -> u32 {
    std::env::var("XEC_POOL_LIVES").ok().and_then(|text| text.parse().ok()).unwrap_or(2_000)
}

proptest! {
    #![proptest_config(Config { cases: lives(), max_shrink_iters: 20_000, failure_persistence: None, ..Config::default() })]

    #[test]
    fn every_promise_holds_in_every_life(limits in limits(), steps in prop::collection::vec(step(), 1..160)) {
        let mut world = World::new(limits);
        world.machine.notes.events = true;
        for step in &steps {
            world.live(step);
        }
        world.come_to_rest();
    }
}
