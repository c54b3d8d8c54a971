//! New limits.

use expect_test::expect;

use super::{check, limits};

#[test]
fn a_lower_maximum_closes_the_idle_now_and_the_lent_on_return() {
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
        limits 0 1
        returned 2
        returned 3
        closed 1
        closed 2
    ",
        expect![[r#"
            ask: Ticket(1) waits -> Connect(SlotId(1), Ticket(1), attempt 1)
            ask: Ticket(2) waits
            ask: Ticket(3) waits
            connected 1: -> Lend(SlotId(1), Ticket(1)) -> Connect(SlotId(2), Ticket(2), attempt 1) -> Connect(SlotId(3), Ticket(3), attempt 1)
            connected 2: -> Lend(SlotId(2), Ticket(2))
            connected 3: -> Lend(SlotId(3), Ticket(3))
            returned 1:
            limits 0 1: -> Close(SlotId(1), Shrunk)
            returned 2: -> Close(SlotId(2), Shrunk)
            returned 3:
            closed 1: -> Vacate(SlotId(1))
            closed 2: -> Vacate(SlotId(2))
        "#]],
    );
}

#[test]
fn a_higher_maximum_serves_those_who_wait() {
    check(
        limits(0, 1),
        "
        ask
        connected 1
        ask
        limits 0 2
    ",
        expect![[r#"
            ask: Ticket(1) waits -> Connect(SlotId(1), Ticket(1), attempt 1)
            connected 1: -> Lend(SlotId(1), Ticket(1))
            ask: Ticket(2) waits
            limits 0 2: -> Connect(SlotId(2), Ticket(2), attempt 1)
        "#]],
    );
}

#[test]
fn a_higher_minimum_is_dialled_at_once_as_far_as_dials_may_start() {
    check(
        limits(0, 4),
        "
        look
        limits 2 4
        connected 1
        connected 2
        limits 4 4
        failed 3 unreachable 1s
        failed 4 unreachable 2s
        limits 3 4
        after 2s
    ",
        expect![[r#"
            look:
            limits 2 4: -> Connect(SlotId(1), attempt 1)
            connected 1: -> Connect(SlotId(2), attempt 1)
            connected 2:
            limits 4 4: -> Connect(SlotId(3), attempt 1) -> Connect(SlotId(4), attempt 1)
            failed 3 unreachable 1s: -> Vacate(SlotId(3))
            failed 4 unreachable 2s: -> Vacate(SlotId(4))
            limits 3 4:
            after 2s: -> Connect(SlotId(5), attempt 3)
        "#]],
    );
}
