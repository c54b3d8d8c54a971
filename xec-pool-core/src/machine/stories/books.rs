//! What the machine counts, numbers and gives back: found, as the corners were, by breaking lines.

use std::time::Duration;

use super::{Ask, Asked, Fact, Fate, Limits, Machine, Moment, SlotId, Span, limits, span};
use crate::{
    ConnectionState, FailureKind,
    machine::{
        dialling::Dialling,
        facts::Again,
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
    assert_eq!(machine.tally.waited_max, waited, "and the longest wait stays the longest");
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
    assert!(queue.enter(waiter(0, 1), false).serial > first.serial, "numbers go on");
}

#[test]
fn the_queue_is_counted_from_whichever_end_is_served() {
    let mut queue = Queue::new();
    let tickets = [1, 2, 3].map(|asked_at| queue.enter(waiter(asked_at, 100), false));
    for others in 0..3 {
        assert_eq!(queue.nth(others, false), Some(tickets[others as usize]));
        assert_eq!(queue.nth(others, true), Some(tickets[2 - others as usize]));
    }
    assert_eq!((queue.nth(3, false), queue.nth(3, true)), (None, None));
}

#[test]
fn who_asks_again_is_next_whoever_is_served_first() {
    for newest_first in [false, true] {
        let mut machine = Machine::new(Limits { newest_first, ..limits(0, 1) }, Moment::START);
        let at = |milliseconds| Moment::START.after(Span::from(Duration::from_millis(milliseconds)));
        machine.ask(Ask::default(), at(0));
        let (slot, _) = machine.slots.all().next().expect("it dials");
        machine.take(Fact::Connected { slot, lifetime: Span::FOREVER }, at(1));
        let mut wait = |again, now| match machine.ask(Ask { timeout: None, again }, at(now)) {
            Asked::Waiting(ticket) => ticket,
            other @ (Asked::Lent(_) | Asked::Refused(_)) => panic!("{other:?}"),
        };
        let (_, _) = (wait(None, 2), wait(None, 3));
        let again = wait(Some(Again { asked_at: at(1), deadline: None }), 4);
        let (next, _) = machine.give_back(slot, Fate::Fine, at(5)).expect("somebody waits");
        assert_eq!(next, again, "newest first: {newest_first}");
    }
}

#[test]
fn what_the_gate_says_unasked_is_counted() {
    let mut machine = Machine::new(limits(0, 1), Moment::START);
    machine.take(Fact::Shut { retry_after: span("1s") }, Moment::START);
    machine.take(Fact::Reopened, Moment::START);
    assert_eq!(machine.gate_words(), 2);
}

#[test]
fn while_somebody_waits_no_room_is_given_back() {
    let mut machine = Machine::new(limits(0, 1), Moment::START);
    machine.ask(Ask::default(), Moment::START);
    machine.orders.clear();
    assert!(!machine.rest());
}

#[test]
fn refusals_are_counted_by_what_they_are() {
    let mut machine = Machine::new(Limits { queue_capacity: 0, ..limits(0, 1) }, Moment::START);
    machine.ask(Ask::default(), Moment::START);
    machine.ask(Ask::default(), Moment::START);
    machine.take(Fact::Ticked, Moment::START.after(span("10s")));
    assert_eq!((machine.tally.rejected, machine.tally.timeouts), (1, 1), "the queue was full; its time was up");
}

#[test]
fn the_housekeeper_is_woken_when_a_drain_ends_before_its_time() {
    let mut machine = Machine::new(limits(0, 1), Moment::START);
    machine.ask(Ask::default(), Moment::START);
    let (slot, _) = machine.slots.all().next().expect("it dials");
    machine.take(Fact::Connected { slot, lifetime: Span::FOREVER }, Moment::START);
    machine.drain(Moment::START.after(span("3600s")), Moment::START);
    machine.set_alarm(Moment::START);
    machine.take(Fact::Detached(slot), Moment::START);
    assert!(machine.wake_keeper, "else it would sleep for an hour");
}

#[test]
fn no_limit_is_for_ever() {
    assert_eq!(Span::from(None), Span::FOREVER);
    assert_eq!(Span::from(Some(Duration::from_secs(1))), span("1s"));
}

#[test]
fn a_connection_that_changes_hands_passes_through_idle_for_those_who_watch() {
    let mut machine = Machine::new(limits(0, 1), Moment::START);
    machine.ask(Ask::default(), Moment::START);
    let (slot, _) = machine.slots.all().next().expect("it dials");
    machine.take(Fact::Connected { slot, lifetime: Span::FOREVER }, Moment::START);
    machine.ask(Ask::default(), Moment::START);
    machine.notes.states = true;
    machine.give_back(slot, Fate::Fine, Moment::START).expect("somebody waits");
    let stepped = |note: &Note| match note {
        Note::Stepped { from, to, .. } => Some((*from, *to)),
        Note::Created { .. }
        | Note::Released { .. }
        | Note::Destroyed { .. }
        | Note::QueueFull { .. }
        | Note::RetryScheduled { .. }
        | Note::MetricsDue => None,
    };
    let (idle, active) = (Some(ConnectionState::Idle), Some(ConnectionState::Active));
    assert_eq!(machine.notes.list.iter().filter_map(stepped).collect::<Vec<_>>(), [(active, idle), (idle, active)]);
}

#[test]
fn a_throttled_dial_halves_how_many_go_at_once() {
    let mut dialling = Dialling::new();
    (0..2).for_each(|_| dialling.succeeded(4));
    dialling.failed(FailureKind::Throttled, Span(0), Moment::START);
    let starts = [0, 1, 2].map(|connecting| dialling.may_start(connecting, false, Moment::START));
    assert_eq!(starts, [true, true, false], "two, of four");
}

#[test]
fn a_back_off_is_over_when_it_ends() {
    let mut dialling = Dialling::new();
    dialling.failed(FailureKind::Unreachable, span("1s"), Moment::START);
    let end = Moment::START.after(span("1s"));
    let before = Moment(end.0 - 1);
    assert_eq!([before, end].map(|now| dialling.is_held_back(now)), [true, false]);
    assert_eq!([before, end].map(|now| dialling.next_try(false, now)), [end, Moment::NEVER]);
}

#[test]
#[should_panic(expected = "was not validating")]
fn a_report_of_a_check_that_nobody_ordered_is_a_bug() {
    let mut machine = Machine::new(limits(0, 1), Moment::START);
    machine.ask(Ask::default(), Moment::START);
    let (slot, _) = machine.slots.all().next().expect("it dials");
    machine.take(Fact::Passed(slot), Moment::START);
}

#[test]
fn setbacks_in_a_row_are_counted_until_a_dial_goes_well() {
    let mut machine = Machine::new(limits(1, 1), Moment::START);
    let mut now = Moment::START;
    for setbacks in 0..3 {
        assert_eq!(machine.setbacks(), setbacks);
        machine.take(Fact::Ticked, now);
        let slot = machine.slots.all().map(|(id, _)| id).next().expect("dialled for the minimum");
        machine.take(Fact::ConnectFailed { slot, kind: FailureKind::Unreachable, retry_after: span("1s") }, now);
        now = now.after(span("1s"));
    }
    machine.take(Fact::Ticked, now);
    let slot = machine.slots.all().map(|(id, _)| id).next().expect("dialled for the minimum");
    machine.take(Fact::Connected { slot, lifetime: Span::FOREVER }, now);
    assert_eq!(machine.setbacks(), 0);
}
