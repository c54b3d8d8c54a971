//! What the machine counts, numbers and gives back: found, as the corners were, by breaking lines.

use std::time::Duration;

use super::{Ask, Fact, Limits, Machine, Moment, SlotId, Span, limits, span};
use crate::{
    ConnectionState, FailureKind,
    machine::{
        notes::Note,
        queue::{Queue, Waiter},
    },
};

#[test]
fn metrics_are_due_at_their_interval_and_not_before() {
    let limits = Limits { metrics_interval: span("5s"), ..limits(0, 1) };
    let mut machine = Machine::new(limits, Moment::START);
    machine.notes.events = true;
    let mut due = |seconds| {
        machine.take(Fact::Ticked, Moment::START.after(Span::from(Duration::from_secs(seconds))));
        let told = std::mem::take(&mut machine.notes.list);
        told.iter().filter(|note| matches!(note, Note::MetricsDue)).count()
    };
    assert_eq!([4, 5, 6, 10, 11].map(&mut due), [0, 1, 0, 1, 0]);
}

#[test]
fn a_slot_of_another_life_is_not_found() {
    let mut machine = Machine::new(limits(0, 1), Moment::START);
    machine.ask(Ask::default(), Moment::START);
    let (id, _) = machine.slots.all().next().expect("it dials");
    let old = SlotId { serial: id.serial + 1, ..id };
    for state in ConnectionState::ALL {
        assert_eq!(machine.slots.in_state(id, state).is_some(), state == ConnectionState::Connecting, "{state:?}");
        assert!(machine.slots.in_state(old, state).is_none(), "{state:?}");
    }
    assert_eq!((machine.slots.get(id).is_some(), machine.slots.get(old).is_some()), (true, false));
}

#[test]
fn a_number_is_never_used_twice_also_after_a_rest() {
    let mut machine = Machine::new(Limits { recreate_on_error: false, ..limits(0, 1) }, Moment::START);
    let mut dialled = || {
        machine.ask(Ask::default(), Moment::START);
        let (id, _) = machine.slots.all().next().expect("it dials");
        let kind = FailureKind::Credentials;
        machine.take(Fact::ConnectFailed { slot: id, kind, retry_after: Span(0) }, Moment::START);
        machine.orders.clear();
        assert!(machine.rest(), "nobody waits, and all orders are carried out");
        id.serial
    };
    assert_eq!([dialled(), dialled()], [1, 2]);
}

#[test]
fn failed_dials_and_waits_are_counted_one_by_one() {
    let mut machine = Machine::new(Limits { recreate_on_error: false, ..limits(0, 1) }, Moment::START);
    let mut now = Moment::START;
    for failures in 1..4 {
        now = now.after(span("60s"));
        machine.ask(Ask::default(), now);
        let (slot, _) = machine.slots.all().next().expect("it dials");
        let kind = FailureKind::Credentials;
        machine.take(Fact::ConnectFailed { slot, kind, retry_after: Span(0) }, now);
        assert_eq!(machine.tally.connect_failures, failures);
    }
    machine.ask(Ask::default(), now);
    let (slot, _) = machine.slots.all().next().expect("it dials");
    let (later, waited) = (now.after(Span(5)), Span(5));
    machine.take(Fact::Connected { slot, lifetime: Span::FOREVER }, later);
    assert_eq!((machine.tally.acquired, machine.tally.waited_total), (1, waited));
    machine.take(Fact::Unclaimed { slot, broken: false, waited, reused: false }, later);
    assert_eq!((machine.tally.acquired, machine.tally.waited_total), (0, Span(0)), "its caller never received it");
}

#[test]
fn a_rest_gives_back_the_room_of_slots() {
    let mut machine = Machine::new(Limits { recreate_on_error: false, ..limits(0, 1) }, Moment::START);
    machine.ask(Ask::default(), Moment::START);
    let (slot, _) = machine.slots.all().next().expect("it dials");
    let kind = FailureKind::Credentials;
    machine.take(Fact::ConnectFailed { slot, kind, retry_after: Span(0) }, Moment::START);
    machine.orders.clear();
    assert!(machine.rest());
    assert!(format!("{:?}", machine.slots).contains("slab: [], vacant: []"), "{:?}", machine.slots);
}

/// Somebody who asked then, in milliseconds.
fn waiter(asked_at: u64, deadline: u64) -> Waiter {
    let [asked_at, deadline] =
        [asked_at, deadline].map(|at| Moment::START.after(Span::from(Duration::from_millis(at))));
    Waiter { asked_at, deadline, counted: true, again: false, run: 0, failures: 0 }
}

#[test]
fn who_asks_again_stands_where_the_moment_it_first_asked_puts_it() {
    let mut queue = Queue::new();
    for asked_at in [10, 20, 30] {
        queue.enter(waiter(asked_at, 100), false);
    }
    for asked_at in [25, 5, 40, 5] {
        queue.enter(waiter(asked_at, 100), true);
    }
    let order: Vec<_> = queue.iter().map(|(_, waiter)| waiter.asked_at.0 / 1_000_000).collect();
    assert_eq!(order, [5, 5, 10, 20, 25, 30, 40]);
}

#[test]
fn deadlines_of_those_who_are_gone_take_no_room() {
    let mut queue = Queue::new();
    queue.enter(waiter(0, 5_000), false);
    for _ in 0..1_000 {
        let ticket = queue.enter(waiter(1, 4_000), false);
        queue.leave(ticket);
    }
    let kept = format!("{queue:?}").matches("Reverse").count();
    assert!(kept < 100, "{kept} for one who waits");
    let (_, first) = queue.first_deadline().expect("one waits");
    queue.leave(first);
    queue.rest();
    assert!(format!("{queue:?}").contains("slab: [], out_of_order: []"), "{queue:?}");
}
