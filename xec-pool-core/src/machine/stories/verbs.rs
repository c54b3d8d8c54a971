//! Warm, drain, suspend; the minimum.

use expect_test::expect;

use super::{Limits, check, limits};

#[test]
fn the_minimum_is_dialled_and_kept() {
    check(
        limits(2, 4),
        "
        look
        connected 1
        connected 2
        ask
        discarded 2
        closed 2
    ",
        expect![[r#"
            look: -> Connect(SlotId(1), attempt 1)
            connected 1: -> Connect(SlotId(2), attempt 1)
            connected 2:
            ask: lent SlotId(2)
            discarded 2: -> Close(SlotId(2), Discarded) -> Connect(SlotId(3), attempt 1)
            closed 2: -> Vacate(SlotId(2))
        "#]],
    );
}

#[test]
fn warm_opens_what_is_missing_and_takes_nothing_away() {
    check(
        limits(0, 4),
        "
        ask
        connected 1
        warm 1 3
        connected 2
        connected 3
    ",
        expect![[r#"
            ask: Ticket(1) waits -> Connect(SlotId(1), Ticket(1), attempt 1)
            connected 1: -> Lend(SlotId(1), Ticket(1))
            warm 1 3: -> Connect(SlotId(2), attempt 1) -> Connect(SlotId(3), attempt 1)
            connected 2:
            connected 3: -> Warmed(1)
        "#]],
    );
}

#[test]
fn warm_ends_with_the_first_run_of_failures() {
    check(
        Limits { retry_attempts: 1, ..limits(0, 4) },
        "
        warm 1 3
        failed 1 unreachable 1s
        after 1s
        failed 2 unreachable 2s
        after 2s
    ",
        expect![[r#"
            warm 1 3: -> Connect(SlotId(1), attempt 1)
            failed 1 unreachable 1s: -> Vacate(SlotId(1))
            after 1s: -> Connect(SlotId(2), attempt 2)
            failed 2 unreachable 2s: -> Vacate(SlotId(2)) -> Warmed(1)
            after 2s:
        "#]],
    );
}

#[test]
fn warm_ends_at_a_shut_gate_and_at_wrong_credentials() {
    check(
        limits(0, 4),
        "
        warm 1 1
        shut 1 5s
        reopened
        warm 2 1
        failed 2 credentials 0ms
    ",
        expect![[r#"
            warm 1 1: -> Connect(SlotId(1), attempt 1)
            shut 1 5s: -> Vacate(SlotId(1)) -> Warmed(1)
            reopened:
            warm 2 1: -> Connect(SlotId(2), attempt 1)
            failed 2 credentials 0ms: -> Vacate(SlotId(2)) -> Warmed(2)
        "#]],
    );
}

#[test]
fn dropping_a_warm_lowers_what_is_wanted() {
    check(
        limits(0, 4),
        "
        warm 1 4
        unwarm 1
        connected 1
    ",
        expect![[r#"
            warm 1 4: -> Connect(SlotId(1), attempt 1)
            unwarm 1:
            connected 1:
        "#]],
    );
}

#[test]
fn a_warm_that_is_given_up_ends_and_no_other_does() {
    check(
        limits(0, 4),
        "
        warm 1 3
        warm 2 1
        give-up-warm 1
        connected 1
    ",
        expect![[r#"
            warm 1 3: -> Connect(SlotId(1), attempt 1)
            warm 2 1:
            give-up-warm 1: -> Warmed(1)
            connected 1: -> Warmed(2)
        "#]],
    );
}

#[test]
fn after_wrong_credentials_only_who_is_there_dials() {
    check(
        limits(1, 4),
        "
        look
        failed 1 credentials 1s
        after 60s
        warm 1 2
        connected 2
        connected 3
    ",
        expect![[r#"
            look: -> Connect(SlotId(1), attempt 1)
            failed 1 credentials 1s: -> Vacate(SlotId(1))
            after 60s:
            warm 1 2: -> Connect(SlotId(2), attempt 2)
            connected 2: -> Connect(SlotId(3), attempt 1)
            connected 3: -> Warmed(1)
        "#]],
    );
}

#[test]
fn a_drain_closes_the_idle_waits_for_the_lent_and_refuses_the_rest() {
    check(
        limits(0, 2),
        "
        ask
        ask
        connected 1
        connected 2
        ask
        returned 1
        returned 1
        drain
        ask
        closed 1
        returned 2
        closed 2
        ask
    ",
        expect![[r#"
            ask: Ticket(1) waits -> Connect(SlotId(1), Ticket(1), attempt 1)
            ask: Ticket(2) waits
            connected 1: -> Lend(SlotId(1), Ticket(1)) -> Connect(SlotId(2), Ticket(2), attempt 1)
            connected 2: -> Lend(SlotId(2), Ticket(2))
            ask: Ticket(3) waits
            returned 1: -> Lend(SlotId(1), Ticket(3))
            returned 1:
            drain: -> Close(SlotId(1), Drained)
            ask: Draining
            closed 1: -> Vacate(SlotId(1))
            returned 2: -> Close(SlotId(2), Drained)
            closed 2: -> Vacate(SlotId(2)) -> Drained(closed 2, killed 0, done true)
            ask: Closed
        "#]],
    );
}

#[test]
fn at_the_end_of_a_drain_the_rest_is_killed() {
    check(
        limits(0, 3),
        "
        ask
        ask
        connected 1
        drain 5s
        after 4s
        after 1s
        failed 2 unreachable 1s
        returned 1
        closed 1
    ",
        expect![[r#"
            ask: Ticket(1) waits -> Connect(SlotId(1), Ticket(1), attempt 1)
            ask: Ticket(2) waits
            connected 1: -> Lend(SlotId(1), Ticket(1)) -> Connect(SlotId(2), Ticket(2), attempt 1)
            drain 5s: -> Refuse(Ticket(2), Draining)
            after 4s:
            after 1s: -> Kill(SlotId(1)) -> Kill(SlotId(2))
            failed 2 unreachable 1s: -> Vacate(SlotId(2)) -> Drained(closed 0, killed 1, done true)
            returned 1: -> Close(SlotId(1), Drained)
            closed 1: -> Vacate(SlotId(1))
        "#]],
    );
}

#[test]
fn a_dial_in_flight_does_not_outlive_a_drain() {
    check(
        limits(0, 2),
        "
        ask
        drain
        connected 1
        closed 1
    ",
        expect![[r#"
            ask: Ticket(1) waits -> Connect(SlotId(1), Ticket(1), attempt 1)
            drain: -> Refuse(Ticket(1), Draining)
            connected 1: -> Close(SlotId(1), Drained)
            closed 1: -> Vacate(SlotId(1)) -> Drained(closed 1, killed 0, done true)
        "#]],
    );
}

#[test]
fn a_second_drain_only_moves_the_end_earlier() {
    check(
        limits(0, 1),
        "
        ask
        connected 1
        drain 5s
        drain 60s
        drain 1s
        after 1s
    ",
        expect![[r#"
            ask: Ticket(1) waits -> Connect(SlotId(1), Ticket(1), attempt 1)
            connected 1: -> Lend(SlotId(1), Ticket(1))
            drain 5s:
            drain 60s:
            drain 1s:
            after 1s: -> Kill(SlotId(1)) -> Drained(closed 0, killed 1, done true)
        "#]],
    );
}

#[test]
fn suspended_nothing_is_lent_or_dialled_until_resumed() {
    check(
        limits(0, 2),
        "
        ask
        connected 1
        returned 1
        suspend
        ask
        ask
        after 9s
        resume
    ",
        expect![[r#"
            ask: Ticket(1) waits -> Connect(SlotId(1), Ticket(1), attempt 1)
            connected 1: -> Lend(SlotId(1), Ticket(1))
            returned 1:
            suspend:
            ask: Ticket(2) waits
            ask: Ticket(3) waits
            after 9s:
            resume: -> Validate(SlotId(1), Borrow) -> Connect(SlotId(2), Ticket(3), attempt 1)
        "#]],
    );
}

#[test]
fn who_waits_suspended_times_out_as_suspended() {
    check(
        limits(0, 1),
        "
        suspend
        ask
        after 10s
    ",
        expect![[r#"
            suspend:
            ask: Ticket(1) waits
            after 10s: -> Refuse(Ticket(1), TimedOut { stage: Suspended, waited: Span(10000000000), limit: Span(10000000000) })
        "#]],
    );
}

#[test]
fn a_detached_connection_frees_its_place() {
    check(
        limits(0, 1),
        "
        ask
        connected 1
        ask
        detached 1
    ",
        expect![[r#"
            ask: Ticket(1) waits -> Connect(SlotId(1), Ticket(1), attempt 1)
            connected 1: -> Lend(SlotId(1), Ticket(1))
            ask: Ticket(2) waits
            detached 1: -> Vacate(SlotId(1)) -> Connect(SlotId(2), Ticket(2), attempt 1)
        "#]],
    );
}
