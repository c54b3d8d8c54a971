//! Who is served, who waits, who is turned away.

use expect_test::expect;

use super::{Limits, check, limits};

#[test]
fn an_idle_connection_is_lent_at_once_and_a_lone_caller_dials() {
    check(
        limits(0, 1),
        "
        ask
        connected 1
        returned 1
        ask
    ",
        expect![[r#"
            ask: Ticket(1) waits -> Connect(SlotId(1), Ticket(1), attempt 1)
            connected 1: -> Lend(SlotId(1), Ticket(1))
            returned 1:
            ask: lent SlotId(1)
        "#]],
    );
}

#[test]
fn an_idle_connection_is_checked_before_it_is_lent_once_the_bypass_is_over() {
    check(
        limits(0, 1),
        "
        ask
        connected 1
        returned 1
        after 600ms
        ask
        passed 1
    ",
        expect![[r#"
            ask: Ticket(1) waits -> Connect(SlotId(1), Ticket(1), attempt 1)
            connected 1: -> Lend(SlotId(1), Ticket(1))
            returned 1:
            after 600ms:
            ask: Ticket(2) waits -> Validate(SlotId(1), Borrow)
            passed 1: -> Lend(SlotId(1), Ticket(2))
        "#]],
    );
}

#[test]
fn a_waiter_takes_whichever_comes_first_dial_or_return() {
    check(
        limits(0, 2),
        "
        ask
        connected 1
        ask
        returned 1
        connected 2
    ",
        expect![[r#"
            ask: Ticket(1) waits -> Connect(SlotId(1), Ticket(1), attempt 1)
            connected 1: -> Lend(SlotId(1), Ticket(1))
            ask: Ticket(2) waits -> Connect(SlotId(2), Ticket(2), attempt 1)
            returned 1: -> Lend(SlotId(1), Ticket(2))
            connected 2:
        "#]],
    );
}

#[test]
fn waiters_are_served_in_the_order_they_came() {
    check(
        limits(0, 1),
        "
        ask
        connected 1
        ask
        ask
        ask
        gave-up 3
        returned 1
        returned 1
    ",
        expect![[r#"
            ask: Ticket(1) waits -> Connect(SlotId(1), Ticket(1), attempt 1)
            connected 1: -> Lend(SlotId(1), Ticket(1))
            ask: Ticket(2) waits
            ask: Ticket(3) waits
            ask: Ticket(4) waits
            gave-up 3:
            returned 1: -> Lend(SlotId(1), Ticket(2))
            returned 1: -> Lend(SlotId(1), Ticket(4))
        "#]],
    );
}

#[test]
fn under_lifo_the_newest_is_served_first() {
    check(
        Limits { newest_first: true, ..limits(0, 1) },
        "
        ask
        connected 1
        ask
        ask
        returned 1
        returned 1
    ",
        expect![[r#"
            ask: Ticket(1) waits -> Connect(SlotId(1), Ticket(1), attempt 1)
            connected 1: -> Lend(SlotId(1), Ticket(1))
            ask: Ticket(2) waits
            ask: Ticket(3) waits
            returned 1: -> Lend(SlotId(1), Ticket(3))
            returned 1: -> Lend(SlotId(1), Ticket(2))
        "#]],
    );
}

#[test]
fn a_full_queue_refuses_but_a_caller_with_a_dial_of_its_own_is_not_counted() {
    check(
        Limits { queue_capacity: 1, ..limits(0, 2) },
        "
        ask
        ask
        ask
        ask
    ",
        expect![[r#"
            ask: Ticket(1) waits -> Connect(SlotId(1), Ticket(1), attempt 1)
            ask: Ticket(2) waits
            ask: Ticket(3) waits
            ask: QueueFull { waiting: 3 }
        "#]],
    );
}

#[test]
fn without_a_queue_callers_dial_but_never_wait_for_a_return() {
    check(
        Limits { queue_capacity: 0, ..limits(0, 1) },
        "
        ask
        connected 1
        ask
        returned 1
        ask
    ",
        expect![[r#"
            ask: Ticket(1) waits -> Connect(SlotId(1), Ticket(1), attempt 1)
            connected 1: -> Lend(SlotId(1), Ticket(1))
            ask: QueueFull { waiting: 0 }
            returned 1:
            ask: lent SlotId(1)
        "#]],
    );
}

#[test]
fn one_without_a_supply_of_its_own_waits_no_longer_than_the_queue_timeout() {
    check(
        limits(0, 1),
        "
        ask
        connected 1
        ask
        after 4s
        after 1s
    ",
        expect![[r#"
            ask: Ticket(1) waits -> Connect(SlotId(1), Ticket(1), attempt 1)
            connected 1: -> Lend(SlotId(1), Ticket(1))
            ask: Ticket(2) waits
            after 4s:
            after 1s: -> Refuse(Ticket(2), TimedOut { stage: Queue, waited: Span(5000000000), limit: Span(5000000000) })
        "#]],
    );
}

#[test]
fn one_with_a_dial_of_its_own_waits_as_long_as_the_acquire_timeout() {
    check(
        limits(0, 1),
        "
        ask
        after 9s
        after 1s
        connected 1
    ",
        expect![[r#"
            ask: Ticket(1) waits -> Connect(SlotId(1), Ticket(1), attempt 1)
            after 9s:
            after 1s: -> Refuse(Ticket(1), TimedOut { stage: Connect, waited: Span(10000000000), limit: Span(10000000000) })
            connected 1:
        "#]],
    );
}

#[test]
fn an_explicit_timeout_replaces_both() {
    check(
        limits(0, 1),
        "
        ask
        connected 1
        ask 20s
        after 19s
        after 1s
    ",
        expect![[r#"
            ask: Ticket(1) waits -> Connect(SlotId(1), Ticket(1), attempt 1)
            connected 1: -> Lend(SlotId(1), Ticket(1))
            ask 20s: Ticket(2) waits
            after 19s:
            after 1s: -> Refuse(Ticket(2), TimedOut { stage: Queue, waited: Span(20000000000), limit: Span(20000000000) })
        "#]],
    );
}

#[test]
fn try_lends_only_what_needs_no_check() {
    check(
        limits(0, 1),
        "
        try
        ask
        connected 1
        returned 1
        try
        returned 1
        after 600ms
        try
    ",
        expect![[r#"
            try: Refused(NoneIdle)
            ask: Ticket(1) waits -> Connect(SlotId(1), Ticket(1), attempt 1)
            connected 1: -> Lend(SlotId(1), Ticket(1))
            returned 1:
            try: Lent(Loan { slot: SlotId(1), lease: LeaseId(2), waited: Span(0), reused: true })
            returned 1:
            after 600ms:
            try: Refused(NoneIdle)
        "#]],
    );
}

#[test]
fn a_lease_its_caller_never_received_goes_to_the_next() {
    check(
        limits(0, 1),
        "
        ask
        ask
        connected 1
        unclaimed 1
    ",
        expect![[r#"
            ask: Ticket(1) waits -> Connect(SlotId(1), Ticket(1), attempt 1)
            ask: Ticket(2) waits
            connected 1: -> Lend(SlotId(1), Ticket(1))
            unclaimed 1: -> Lend(SlotId(1), Ticket(2))
        "#]],
    );
}

#[test]
fn who_times_out_learns_what_it_lacked_also_beside_others() {
    check(
        limits(0, 2),
        "
        ask
        connected 1
        returned 1
        after 1s
        ask 2s
        ask 2s
        ask 2s
        after 2s
    ",
        expect![[r#"
            ask: Ticket(1) waits -> Connect(SlotId(1), Ticket(1), attempt 1)
            connected 1: -> Lend(SlotId(1), Ticket(1))
            returned 1:
            after 1s:
            ask 2s: Ticket(2) waits -> Validate(SlotId(1), Borrow)
            ask 2s: Ticket(3) waits -> Connect(SlotId(2), Ticket(3), attempt 1)
            ask 2s: Ticket(4) waits
            after 2s: -> Refuse(Ticket(2), TimedOut { stage: Validate, waited: Span(2000000000), limit: Span(2000000000) }) -> Refuse(Ticket(3), TimedOut { stage: Connect, waited: Span(2000000000), limit: Span(2000000000) }) -> Refuse(Ticket(4), TimedOut { stage: Queue, waited: Span(2000000000), limit: Span(2000000000) })
        "#]],
    );
}
