//! What happens by itself: idleness, lifetimes, checks.

use expect_test::expect;

use super::{Limits, check, limits, span};

#[test]
fn idle_connections_beyond_the_minimum_end_oldest_first() {
    check(
        limits(1, 2),
        "
        ask
        ask
        connected 1
        connected 2
        returned 1
        returned 2
        after 9s
        after 51s
        closed 1
        after 60s
    ",
        expect![[r#"
            ask: Ticket(1) waits -> Connect(SlotId(1), Ticket(1), attempt 1)
            ask: Ticket(2) waits
            connected 1: -> Lend(SlotId(1), Ticket(1)) -> Connect(SlotId(2), Ticket(2), attempt 1)
            connected 2: -> Lend(SlotId(2), Ticket(2))
            returned 1:
            returned 2:
            after 9s:
            after 51s: -> Close(SlotId(1), IdleTimeout) -> Validate(SlotId(2), Idle)
            closed 1: -> Vacate(SlotId(1))
            after 60s:
        "#]],
    );
}

#[test]
fn an_idle_connection_is_checked_at_an_interval_and_keeps_its_place() {
    check(
        limits(2, 2),
        "
        look
        connected 1
        connected 2
        after 10s
        passed 2
        passed 1
        try
    ",
        expect![[r#"
            look: -> Connect(SlotId(1), attempt 1)
            connected 1: -> Connect(SlotId(2), attempt 1)
            connected 2:
            after 10s: -> Validate(SlotId(1), Idle) -> Validate(SlotId(2), Idle)
            passed 2:
            passed 1:
            try: Lent(Loan { slot: SlotId(1), lease: LeaseId(1), waited: Span(0), reused: false })
        "#]],
    );
}

#[test]
fn past_its_lifetime_a_connection_is_replaced_first_where_there_is_room() {
    check(
        limits(1, 2),
        "
        look
        connected 1 for 5s
        after 5s
        connected 2
        closed 1
    ",
        expect![[r#"
            look: -> Connect(SlotId(1), attempt 1)
            connected 1 for 5s:
            after 5s: -> Connect(SlotId(2), attempt 1)
            connected 2: -> Close(SlotId(1), MaxLifetime)
            closed 1: -> Vacate(SlotId(1))
        "#]],
    );
}

#[test]
fn past_its_lifetime_a_connection_goes_where_there_is_no_room() {
    check(
        limits(1, 1),
        "
        look
        connected 1 for 5s
        after 5s
        closed 1
        connected 2
    ",
        expect![[r#"
            look: -> Connect(SlotId(1), attempt 1)
            connected 1 for 5s:
            after 5s: -> Close(SlotId(1), MaxLifetime)
            closed 1: -> Vacate(SlotId(1)) -> Connect(SlotId(2), attempt 1)
            connected 2:
        "#]],
    );
}

#[test]
fn past_its_lifetime_a_connection_is_not_lent_and_ends_on_return() {
    check(
        limits(0, 1),
        "
        ask
        connected 1 for 5s
        after 6s
        returned 1
    ",
        expect![[r#"
            ask: Ticket(1) waits -> Connect(SlotId(1), Ticket(1), attempt 1)
            connected 1 for 5s: -> Lend(SlotId(1), Ticket(1))
            after 6s:
            returned 1: -> Close(SlotId(1), MaxLifetime)
        "#]],
    );
}

#[test]
fn a_failed_check_is_paid_for_once_and_its_elders_are_checked_in_the_background() {
    check(
        limits(0, 3),
        "
        ask
        ask
        ask
        connected 1
        connected 2
        connected 3
        returned 1
        returned 2
        returned 3
        after 1s
        ask
        failed 3
        failed 2
        passed 1
    ",
        expect![[r#"
            ask: Ticket(1) waits -> Connect(SlotId(1), Ticket(1), attempt 1)
            ask: Ticket(2) waits
            ask: Ticket(3) waits
            connected 1: -> Lend(SlotId(1), Ticket(1)) -> Connect(SlotId(2), Ticket(2), attempt 1) -> Connect(SlotId(3), Ticket(3), attempt 1)
            connected 2: -> Lend(SlotId(2), Ticket(2))
            connected 3: -> Lend(SlotId(3), Ticket(3))
            returned 1:
            returned 2:
            returned 3:
            after 1s:
            ask: Ticket(4) waits -> Validate(SlotId(3), Borrow)
            failed 3: -> Close(SlotId(3), ValidationFailed) -> Validate(SlotId(1), Idle) -> Validate(SlotId(2), Idle)
            failed 2: -> Close(SlotId(2), ValidationFailed)
            passed 1: -> Lend(SlotId(1), Ticket(4))
        "#]],
    );
}

#[test]
fn a_check_on_return_serves_the_next_caller() {
    check(
        Limits { validate_on_return: true, ..limits(0, 1) },
        "
        ask
        connected 1
        ask
        after 1s
        returned 1
        passed 1
    ",
        expect![[r#"
            ask: Ticket(1) waits -> Connect(SlotId(1), Ticket(1), attempt 1)
            connected 1: -> Lend(SlotId(1), Ticket(1))
            ask: Ticket(2) waits
            after 1s:
            returned 1: -> Validate(SlotId(1), Return)
            passed 1: -> Lend(SlotId(1), Ticket(2))
        "#]],
    );
}

#[test]
fn a_returned_connection_is_checked_before_it_goes_to_one_who_waits() {
    check(
        limits(0, 1),
        "
        ask
        connected 1
        ask
        after 1s
        returned 1
        passed 1
    ",
        expect![[r#"
            ask: Ticket(1) waits -> Connect(SlotId(1), Ticket(1), attempt 1)
            connected 1: -> Lend(SlotId(1), Ticket(1))
            ask: Ticket(2) waits
            after 1s:
            returned 1: -> Validate(SlotId(1), Borrow)
            passed 1: -> Lend(SlotId(1), Ticket(2))
        "#]],
    );
}

#[test]
fn without_validation_nothing_is_checked() {
    check(
        Limits { validate: false, ..limits(1, 1) },
        "
        look
        connected 1
        after 20s
        ask
    ",
        expect![[r#"
            look: -> Connect(SlotId(1), attempt 1)
            connected 1:
            after 20s:
            ask: lent SlotId(1)
        "#]],
    );
}

#[test]
fn a_connection_lost_in_a_check_is_killed_and_closed() {
    check(
        limits(0, 1),
        "
        ask
        connected 1
        returned 1
        after 1s
        ask
        lost 1
        failed 1
        closed 1
    ",
        expect![[r#"
            ask: Ticket(1) waits -> Connect(SlotId(1), Ticket(1), attempt 1)
            connected 1: -> Lend(SlotId(1), Ticket(1))
            returned 1:
            after 1s:
            ask: Ticket(2) waits -> Validate(SlotId(1), Borrow)
            lost 1: -> Kill(SlotId(1))
            failed 1: -> Close(SlotId(1), Lost)
            closed 1: -> Vacate(SlotId(1)) -> Connect(SlotId(2), Ticket(2), attempt 1)
        "#]],
    );
}

#[test]
fn without_a_bypass_a_passed_check_still_serves_who_waited_for_it() {
    check(
        Limits { validate_bypass: span("0ms"), ..limits(0, 1) },
        "
        ask
        connected 1
        returned 1
        after 1ms
        ask
        passed 1
    ",
        expect![[r#"
            ask: Ticket(1) waits -> Connect(SlotId(1), Ticket(1), attempt 1)
            connected 1: -> Lend(SlotId(1), Ticket(1))
            returned 1:
            after 1ms:
            ask: Ticket(2) waits -> Validate(SlotId(1), Borrow)
            passed 1: -> Lend(SlotId(1), Ticket(2))
        "#]],
    );
}

#[test]
fn the_first_successor_ends_one_of_two_who_are_past_their_time() {
    check(
        Limits { validate: false, ..limits(2, 4) },
        "
        after 1s
        connected 1 for 20s
        connected 2 for 20s
        after 20s
        connected 3
        connected 4
    ",
        expect![[r#"
            after 1s: -> Connect(SlotId(1), attempt 1)
            connected 1 for 20s: -> Connect(SlotId(2), attempt 1)
            connected 2 for 20s:
            after 20s: -> Connect(SlotId(3), attempt 1) -> Connect(SlotId(4), attempt 1)
            connected 3: -> Close(SlotId(1), MaxLifetime)
            connected 4: -> Close(SlotId(2), MaxLifetime)
        "#]],
    );
}
