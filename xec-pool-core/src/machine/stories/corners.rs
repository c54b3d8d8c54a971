//! Small rules that no other story needs: found by breaking each line of the machine once and seeing nobody object.

use expect_test::expect;

use super::{Limits, check, limits, span};

#[test]
fn suspended_what_is_dialled_or_comes_home_is_kept_though_somebody_waits() {
    check(
        limits(0, 2),
        "
        ask
        ask
        connected 1
        suspend
        ask
        connected 2
        returned 1
        resume
    ",
        expect![[r#"
            ask: Ticket(1) waits -> Connect(SlotId(1), Ticket(1), attempt 1)
            ask: Ticket(2) waits
            connected 1: -> Lend(SlotId(1), Ticket(1)) -> Connect(SlotId(2), Ticket(2), attempt 1)
            suspend:
            ask: Ticket(3) waits
            connected 2:
            returned 1:
            resume: -> Lend(SlotId(1), Ticket(2)) -> Lend(SlotId(2), Ticket(3))
        "#]],
    );
}

#[test]
fn whoever_never_waits_gets_an_older_one_if_a_check_has_proven_it_last() {
    check(
        limits(0, 2),
        "
        ask
        ask
        connected 1
        connected 2
        returned 1
        after 1s
        returned 2
        after 9s
        passed 1
        try
        try
    ",
        expect![[r#"
            ask: Ticket(1) waits -> Connect(SlotId(1), Ticket(1), attempt 1)
            ask: Ticket(2) waits
            connected 1: -> Lend(SlotId(1), Ticket(1)) -> Connect(SlotId(2), Ticket(2), attempt 1)
            connected 2: -> Lend(SlotId(2), Ticket(2))
            returned 1:
            after 1s:
            returned 2:
            after 9s: -> Validate(SlotId(1), Idle)
            passed 1:
            try: Lent(Loan { slot: SlotId(1), lease: LeaseId(3), waited: Span(0), reused: true })
            try: Refused(NoneIdle)
        "#]],
    );
}

#[test]
fn a_back_off_that_nobody_waits_for_wakes_nobody() {
    check(
        Limits { recreate_on_error: false, ..limits(0, 1) },
        "
        ask
        failed 1 unreachable 4s
        alarm
        gave-up 1
        alarm
    ",
        expect![[r#"
            ask: Ticket(1) waits -> Connect(SlotId(1), Ticket(1), attempt 1)
            failed 1 unreachable 4s: -> Vacate(SlotId(1))
            alarm: 4s
            gave-up 1:
            alarm: never
        "#]],
    );
}

#[test]
fn who_times_out_while_dials_back_off_is_told_so() {
    check(
        limits(0, 1),
        "
        ask 2s
        failed 1 unreachable 4s
        after 2s
    ",
        expect![[r#"
            ask 2s: Ticket(1) waits -> Connect(SlotId(1), Ticket(1), attempt 1)
            failed 1 unreachable 4s: -> Vacate(SlotId(1))
            after 2s: -> Refuse(Ticket(1), TimedOut { stage: BackOff, waited: Span(2000000000), limit: Span(2000000000) })
        "#]],
    );
}

#[test]
fn the_alarm_is_for_the_first_thing_due() {
    check(
        Limits { validate_interval: span("20s"), ..limits(1, 3) },
        "
        alarm
        ask
        alarm
        connected 1 for 25s
        alarm
        returned 1
        alarm
        ask 3s
        ask 7s
        alarm
        drain 2s
        alarm
    ",
        expect![[r#"
            alarm: never
            ask: Ticket(1) waits -> Connect(SlotId(1), Ticket(1), attempt 1)
            alarm: 10s
            connected 1 for 25s: -> Lend(SlotId(1), Ticket(1))
            alarm: 25s
            returned 1:
            alarm: 20s
            ask 3s: lent SlotId(1)
            ask 7s: Ticket(2) waits -> Connect(SlotId(2), Ticket(2), attempt 1)
            alarm: 7s
            drain 2s: -> Refuse(Ticket(2), Draining)
            alarm: 2s
        "#]],
    );
}

#[test]
fn a_drain_says_how_many_it_closed_and_killed() {
    check(
        Limits { recreate_on_error: false, ..limits(0, 3) },
        "
        ask
        ask
        ask
        connected 1
        connected 2
        connected 3
        returned 1
        discarded 3
        closed 3
        drain 5s
        closed 1
        after 5s
        returned 2
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
            discarded 3: -> Close(SlotId(3), Discarded)
            closed 3: -> Vacate(SlotId(3))
            drain 5s: -> Close(SlotId(1), Drained)
            closed 1: -> Vacate(SlotId(1))
            after 5s: -> Kill(SlotId(2)) -> Drained(closed 1, killed 1, done true)
            returned 2: -> Close(SlotId(2), Drained)
            closed 2: -> Vacate(SlotId(2))
        "#]],
    );
}
