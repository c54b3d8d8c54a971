//! The rules of the machine, each told as a story: what happens, and what the machine orders.

mod admit;

mod alarms;

mod books;

mod corners;

mod dialling;

mod gate;

mod keep;

mod resize;

mod verbs;

use std::time::Duration;

use expect_test::Expect;

use super::{
    Machine,
    facts::{Ask, Asked, Denial, Fact, Fate, Order, WarmId},
    limits::Limits,
    moment::{Moment, Span},
    slot::SlotId,
};
use crate::{CloseReason, FailureKind};

fn span(text: &str) -> Span {
    let (digits, unit) = text.split_at(text.find(|c: char| !c.is_ascii_digit()).expect("a unit"));
    let number: u64 = digits.parse().expect("a number");
    Span::from(match unit {
        "ms" => Duration::from_millis(number),
        "s" => Duration::from_secs(number),
        other => panic!("no such unit: {other}"),
    })
}

/// The defaults of the design, with these bounds.
pub(super) fn limits(min: u32, max: u32) -> Limits {
    Limits {
        min,
        max,
        idle_timeout: span("60s"),
        acquire_timeout: span("10s"),
        queue_timeout: span("5s"),
        queue_capacity: 100,
        newest_first: false,
        evict_interval: span("30s"),
        validate: true,
        validate_on_borrow: true,
        validate_on_return: false,
        validate_interval: span("10s"),
        validate_bypass: span("500ms"),
        retry_attempts: 3,
        retry_delay: span("1s"),
        recreate_on_error: true,
        max_concurrent_connects: 4,
        metrics_interval: Span::FOREVER,
    }
}

struct Story {
    machine: Machine,
    now: Moment,
    close_reasons: Vec<(SlotId, CloseReason)>,
}

impl Story {
    fn slot(&self, word: &str) -> SlotId {
        let serial: u64 = word.parse().expect("a connection's number");
        self.machine.slots.all().map(|(id, _)| id).find(|id| id.serial == serial).expect("a living connection")
    }

    fn reason(&self, id: SlotId) -> CloseReason {
        self.close_reasons.iter().rev().find(|(other, _)| *other == id).expect("it was ordered to close").1
    }

    #[expect(clippy::too_many_lines, reason = "one short arm for each kind of line")]
    fn tell(&mut self, line: &str) -> String {
        let words: Vec<_> = line.split_whitespace().collect();
        let kind = |word: &str| match word {
            "unreachable" => FailureKind::Unreachable,
            "throttled" => FailureKind::Throttled,
            "credentials" => FailureKind::Credentials,
            other => panic!("no such kind: {other}"),
        };
        let now = self.now;
        let mut said = String::new();
        let fact = match words[..] {
            ["after", time] => {
                self.now = now.after(span(time));
                Fact::Ticked
            }
            ["unnoticed", time] => {
                self.now = now.after(span(time));
                return said;
            }
            ["ask"] => {
                said = self.ask(Ask::default());
                return said + &self.orders();
            }
            ["ask", timeout] => {
                said = self.ask(Ask { timeout: Some(span(timeout)), again: None });
                return said + &self.orders();
            }
            ["try"] => {
                if let asked @ (Asked::Lent(_) | Asked::Refused(_)) = self.machine.ask_idle(now) {
                    said = format!(" {asked:?}");
                }
                return said + &self.orders();
            }
            ["warm", id, count] => {
                let id = WarmId(id.parse().expect("a number"));
                self.machine.warm(id, count.parse().expect("a number"), now);
                return self.orders();
            }
            ["unwarm", id] => {
                self.machine.unwarm(WarmId(id.parse().expect("a number")));
                return self.orders();
            }
            ["give-up-warm", id] => {
                self.machine.give_up_warm(WarmId(id.parse().expect("a number")), now);
                return self.orders();
            }
            ["alarm"] => {
                let then = self.machine.set_alarm(now);
                return if then == Moment::NEVER {
                    " never".to_owned()
                } else {
                    format!(" {:?}", then.since(now).duration())
                };
            }
            ["look"] => {
                self.machine.look(now);
                return self.orders();
            }
            ["drain"] => {
                self.machine.drain(Moment::NEVER, now);
                return self.orders();
            }
            ["drain", within] => {
                self.machine.drain(now.after(span(within)), now);
                return self.orders();
            }
            ["limits", min, max] => {
                self.machine.set_limits(min.parse().expect("min"), max.parse().expect("max"), now);
                return self.orders();
            }
            ["suspend"] => {
                self.machine.suspend(now);
                return self.orders();
            }
            ["resume"] => {
                self.machine.resume(now);
                return self.orders();
            }
            ["connected", id] => Fact::Connected { slot: self.slot(id), lifetime: Span::FOREVER },
            ["connected", id, "for", life] => Fact::Connected { slot: self.slot(id), lifetime: span(life) },
            ["failed", id, why, wait] => {
                Fact::ConnectFailed { slot: self.slot(id), kind: kind(why), retry_after: span(wait) }
            }
            ["failed", id] => Fact::Failed(self.slot(id)),
            ["passed", id] => Fact::Passed(self.slot(id)),
            ["returned", id] => return self.give_back(id, Fate::Fine),
            ["broken", id] => return self.give_back(id, Fate::Broken),
            ["discarded", id] => return self.give_back(id, Fate::Discarded),
            ["unclaimed", id] => Fact::Unclaimed { slot: self.slot(id), broken: false, waited: Span(0), reused: true },
            ["stillborn", id] => Fact::Unclaimed { slot: self.slot(id), broken: true, waited: Span(0), reused: false },
            ["detached", id] => Fact::Detached(self.slot(id)),
            ["lost", id] => Fact::Lost(self.slot(id)),
            ["closed", id] => Fact::Closed { slot: self.slot(id), reason: self.reason(self.slot(id)) },
            ["gave-up", serial] => {
                let serial: u64 = serial.parse().expect("a ticket's number");
                let ticket = self.machine.queue.iter().map(|(ticket, _)| ticket).find(|t| t.serial == serial);
                Fact::GaveUp(ticket.expect("somebody who waits"))
            }
            ["shut", id, time] => {
                Fact::Denied { slot: self.slot(id), denied: Denial::Shut { retry_after: span(time) } }
            }
            ["shut", time] => Fact::Shut { retry_after: span(time) },
            ["outdated", id] => Fact::Denied { slot: self.slot(id), denied: Denial::Outdated },
            ["busy", id] => Fact::Denied { slot: self.slot(id), denied: Denial::Busy },
            ["reopened"] => Fact::Reopened,
            _ => panic!("no such line: {line}"),
        };
        self.machine.take(fact, self.now);
        said + &self.orders()
    }

    fn ask(&mut self, ask: Ask) -> String {
        match self.machine.ask(ask, self.now) {
            Asked::Waiting(ticket) => format!(" {ticket:?} waits"),
            Asked::Lent(loan) => format!(" lent {:?}", loan.slot),
            Asked::Refused(refusal) => format!(" {refusal:?}"),
        }
    }

    fn give_back(&mut self, id: &str, fate: Fate) -> String {
        let next = self.machine.give_back(self.slot(id), fate, self.now);
        let lent = next.map_or_else(String::new, |(ticket, loan)| format!(" -> Lend({:?}, {ticket:?})", loan.slot));
        lent + &self.orders()
    }

    fn orders(&mut self) -> String {
        let mut said = String::new();
        for order in std::mem::take(&mut self.machine.orders) {
            said += &match order {
                Order::Connect { slot, ticket: Some(ticket), attempt } => {
                    format!(" -> Connect({slot:?}, {ticket:?}, attempt {attempt})")
                }
                Order::Connect { slot, ticket: None, attempt } => format!(" -> Connect({slot:?}, attempt {attempt})"),
                Order::Validate { slot, check } => format!(" -> Validate({slot:?}, {check:?})"),
                Order::Lend { ticket, loan } => format!(" -> Lend({:?}, {ticket:?})", loan.slot),
                Order::Close { slot, reason } => {
                    self.close_reasons.push((slot, reason));
                    format!(" -> Close({slot:?}, {reason:?})")
                }
                Order::Kill(slot) => format!(" -> Kill({slot:?})"),
                Order::Vacate(slot) => format!(" -> Vacate({slot:?})"),
                Order::Refuse { ticket, refusal } => format!(" -> Refuse({ticket:?}, {refusal:?})"),
                Order::Warmed(WarmId(id)) => format!(" -> Warmed({id})"),
                Order::Drained => {
                    let (closed, killed, done) = self.machine.drained();
                    format!(" -> Drained(closed {closed}, killed {killed}, done {done})")
                }
            };
        }
        said
    }
}

/// Tells a story, and compares what the machine answered.
#[track_caller]
fn check(limits: Limits, story: &str, expected: Expect) {
    expected.assert_eq(&tell(limits, story));
}

/// Tells a story, and says what the machine answered.
fn tell(limits: Limits, story: &str) -> String {
    let mut told =
        Story { machine: Machine::new(limits, Moment::START), now: Moment::START, close_reasons: Vec::new() };
    let lines = story.lines().map(str::trim).filter(|line| !line.is_empty());
    lines.map(|line| format!("{line}:{}\n", told.tell(line))).collect()
}
