//! When dials start, and what follows when they fail.

use expect_test::expect;

use super::{Limits, check, limits};

#[test]
fn dials_at_once_start_at_one_and_double_with_each_success() {
    check(
        limits(0, 10),
        "
        ask
        ask
        ask
        ask
        ask
        ask
        connected 1
        connected 2
    ",
        expect![[r#"
            ask: Ticket(1) waits -> Connect(SlotId(1), Ticket(1), attempt 1)
            ask: Ticket(2) waits
            ask: Ticket(3) waits
            ask: Ticket(4) waits
            ask: Ticket(5) waits
            ask: Ticket(6) waits
            connected 1: -> Lend(SlotId(1), Ticket(1)) -> Connect(SlotId(2), Ticket(2), attempt 1) -> Connect(SlotId(3), Ticket(3), attempt 1)
            connected 2: -> Lend(SlotId(2), Ticket(2)) -> Connect(SlotId(4), Ticket(4), attempt 1) -> Connect(SlotId(5), Ticket(5), attempt 1) -> Connect(SlotId(6), Ticket(6), attempt 1)
        "#]],
    );
}

#[test]
fn surplus_dials_are_not_started_and_a_finished_one_nobody_wants_is_shelved() {
    check(
        limits(0, 4),
        "
        ask
        ask
        connected 1
        returned 1
        connected 2
    ",
        expect![[r#"
            ask: Ticket(1) waits -> Connect(SlotId(1), Ticket(1), attempt 1)
            ask: Ticket(2) waits
            connected 1: -> Lend(SlotId(1), Ticket(1)) -> Connect(SlotId(2), Ticket(2), attempt 1)
            returned 1: -> Lend(SlotId(1), Ticket(2))
            connected 2:
        "#]],
    );
}

#[test]
fn whoever_comes_after_the_back_off_and_before_the_housekeeper_starts_the_dial_that_is_due() {
    check(
        limits(0, 2),
        "
        ask
        failed 1 unreachable 1s
        unnoticed 2s
        try
    ",
        expect![[r#"
            ask: Ticket(1) waits -> Connect(SlotId(1), Ticket(1), attempt 1)
            failed 1 unreachable 1s: -> Vacate(SlotId(1))
            unnoticed 2s:
            try: Refused(NoneIdle) -> Connect(SlotId(2), Ticket(1), attempt 2)
        "#]],
    );
}

#[test]
fn after_a_failure_nothing_is_dialled_before_the_back_off_is_over() {
    check(
        limits(0, 4),
        "
        ask
        ask
        failed 1 unreachable 800ms
        after 700ms
        after 100ms
        connected 2
    ",
        expect![[r#"
            ask: Ticket(1) waits -> Connect(SlotId(1), Ticket(1), attempt 1)
            ask: Ticket(2) waits
            failed 1 unreachable 800ms: -> Vacate(SlotId(1))
            after 700ms:
            after 100ms: -> Connect(SlotId(2), Ticket(1), attempt 2)
            connected 2: -> Lend(SlotId(2), Ticket(1)) -> Connect(SlotId(3), Ticket(2), attempt 1)
        "#]],
    );
}

#[test]
fn a_caller_fails_after_one_dial_and_its_retries() {
    check(
        Limits { retry_attempts: 1, ..limits(0, 4) },
        "
        ask
        failed 1 unreachable 800ms
        after 800ms
        ask
        failed 2 unreachable 2s
        after 2s
        failed 3 unreachable 4s
    ",
        expect![[r#"
            ask: Ticket(1) waits -> Connect(SlotId(1), Ticket(1), attempt 1)
            failed 1 unreachable 800ms: -> Vacate(SlotId(1))
            after 800ms: -> Connect(SlotId(2), Ticket(1), attempt 2)
            ask: Ticket(2) waits
            failed 2 unreachable 2s: -> Vacate(SlotId(2)) -> Refuse(Ticket(1), Connect { attempts: 2, kind: Unreachable })
            after 2s: -> Connect(SlotId(3), Ticket(2), attempt 3)
            failed 3 unreachable 4s: -> Vacate(SlotId(3)) -> Refuse(Ticket(2), Connect { attempts: 2, kind: Unreachable })
        "#]],
    );
}

#[test]
fn without_a_back_off_a_caller_still_fails_after_one_dial_and_its_retries() {
    check(
        Limits { retry_attempts: 1, ..limits(0, 4) },
        "
        ask
        failed 1 unreachable 0ms
        ask
        failed 2 unreachable 0ms
        failed 3 unreachable 0ms
    ",
        expect![[r#"
            ask: Ticket(1) waits -> Connect(SlotId(1), Ticket(1), attempt 1)
            failed 1 unreachable 0ms: -> Vacate(SlotId(1)) -> Connect(SlotId(2), Ticket(1), attempt 2)
            ask: Ticket(2) waits
            failed 2 unreachable 0ms: -> Vacate(SlotId(2)) -> Refuse(Ticket(1), Connect { attempts: 2, kind: Unreachable }) -> Connect(SlotId(3), Ticket(2), attempt 3)
            failed 3 unreachable 0ms: -> Vacate(SlotId(3)) -> Refuse(Ticket(2), Connect { attempts: 2, kind: Unreachable })
        "#]],
    );
}

#[test]
fn a_caller_whom_a_lent_connection_can_serve_waits_on() {
    check(
        Limits { retry_attempts: 0, ..limits(0, 2) },
        "
        ask
        connected 1
        ask
        failed 2 unreachable 1s
        returned 1
    ",
        expect![[r#"
            ask: Ticket(1) waits -> Connect(SlotId(1), Ticket(1), attempt 1)
            connected 1: -> Lend(SlotId(1), Ticket(1))
            ask: Ticket(2) waits -> Connect(SlotId(2), Ticket(2), attempt 1)
            failed 2 unreachable 1s: -> Vacate(SlotId(2))
            returned 1: -> Lend(SlotId(1), Ticket(2))
        "#]],
    );
}

#[test]
fn when_the_last_hope_dies_the_failures_count() {
    check(
        Limits { retry_attempts: 0, recreate_on_error: false, ..limits(0, 2) },
        "
        ask
        connected 1
        ask
        failed 2 unreachable 5s
        lost 1
    ",
        expect![[r#"
            ask: Ticket(1) waits -> Connect(SlotId(1), Ticket(1), attempt 1)
            connected 1: -> Lend(SlotId(1), Ticket(1))
            ask: Ticket(2) waits -> Connect(SlotId(2), Ticket(2), attempt 1)
            failed 2 unreachable 5s: -> Vacate(SlotId(2))
            lost 1: -> Refuse(Ticket(2), Connect { attempts: 1, kind: Unreachable })
        "#]],
    );
}

#[test]
fn wrong_credentials_fail_all_who_wait_at_once_and_only_a_later_caller_dials_again() {
    check(
        limits(1, 4),
        "
        ask
        ask
        ask
        failed 1 credentials 0ms
        after 60s
        ask
        ask
        failed 2 credentials 0ms
    ",
        expect![[r#"
            ask: Ticket(1) waits -> Connect(SlotId(1), Ticket(1), attempt 1)
            ask: Ticket(2) waits
            ask: Ticket(3) waits
            failed 1 credentials 0ms: -> Vacate(SlotId(1)) -> Refuse(Ticket(1), Connect { attempts: 1, kind: Credentials }) -> Refuse(Ticket(2), Connect { attempts: 1, kind: Credentials }) -> Refuse(Ticket(3), Connect { attempts: 1, kind: Credentials })
            after 60s:
            ask: Ticket(4) waits -> Connect(SlotId(2), Ticket(4), attempt 2)
            ask: Ticket(5) waits
            failed 2 credentials 0ms: -> Vacate(SlotId(2)) -> Refuse(Ticket(4), Connect { attempts: 1, kind: Credentials }) -> Refuse(Ticket(5), Connect { attempts: 1, kind: Credentials })
        "#]],
    );
}

#[test]
fn throttled_halves_the_dials_and_is_no_attempt() {
    check(
        Limits { retry_attempts: 0, ..limits(0, 8) },
        "
        warm 1 4
        connected 1
        connected 2
        connected 3
        ask
        ask
        ask
        ask
        ask
        ask
        ask
        failed 5 throttled 1s
        failed 6 throttled 2s
    ",
        expect![[r#"
            warm 1 4: -> Connect(SlotId(1), attempt 1)
            connected 1: -> Connect(SlotId(2), attempt 1) -> Connect(SlotId(3), attempt 1)
            connected 2: -> Connect(SlotId(4), attempt 1)
            connected 3:
            ask: lent SlotId(3)
            ask: lent SlotId(2)
            ask: lent SlotId(1)
            ask: Ticket(1) waits
            ask: Ticket(2) waits -> Connect(SlotId(5), Ticket(2), attempt 1)
            ask: Ticket(3) waits -> Connect(SlotId(6), Ticket(3), attempt 1)
            ask: Ticket(4) waits -> Connect(SlotId(7), Ticket(4), attempt 1)
            failed 5 throttled 1s: -> Vacate(SlotId(5))
            failed 6 throttled 2s: -> Vacate(SlotId(6))
        "#]],
    );
}

#[test]
fn a_newcomer_that_finds_nobody_waiting_need_not_sit_out_a_long_back_off() {
    check(
        Limits { retry_attempts: 0, ..limits(0, 4) },
        "
        ask
        failed 1 unreachable 30s
        ask
        gave-up 2
        after 1s
        ask
    ",
        expect![[r#"
            ask: Ticket(1) waits -> Connect(SlotId(1), Ticket(1), attempt 1)
            failed 1 unreachable 30s: -> Vacate(SlotId(1)) -> Refuse(Ticket(1), Connect { attempts: 1, kind: Unreachable })
            ask: Ticket(2) waits
            gave-up 2:
            after 1s:
            ask: Ticket(3) waits -> Connect(SlotId(2), Ticket(3), attempt 2)
        "#]],
    );
}

#[test]
fn a_lost_connection_is_dialled_again_at_once() {
    check(
        limits(0, 2),
        "
        ask
        connected 1
        returned 1
        lost 1
        closed 1
    ",
        expect![[r#"
            ask: Ticket(1) waits -> Connect(SlotId(1), Ticket(1), attempt 1)
            connected 1: -> Lend(SlotId(1), Ticket(1))
            returned 1:
            lost 1: -> Close(SlotId(1), Lost) -> Connect(SlotId(2), attempt 1)
            closed 1: -> Vacate(SlotId(1))
        "#]],
    );
}

#[test]
fn a_connection_lost_while_lent_stays_with_its_holder_and_is_replaced_once() {
    check(
        limits(0, 2),
        "
        ask
        connected 1
        lost 1
        connected 2
        returned 1
        closed 1
    ",
        expect![[r#"
            ask: Ticket(1) waits -> Connect(SlotId(1), Ticket(1), attempt 1)
            connected 1: -> Lend(SlotId(1), Ticket(1))
            lost 1: -> Connect(SlotId(2), attempt 1)
            connected 2:
            returned 1: -> Close(SlotId(1), Lost)
            closed 1: -> Vacate(SlotId(1))
        "#]],
    );
}

#[test]
fn a_connection_lost_while_connecting_is_killed() {
    check(
        limits(0, 2),
        "
        ask
        lost 1
        failed 1 unreachable 1s
    ",
        expect![[r#"
            ask: Ticket(1) waits -> Connect(SlotId(1), Ticket(1), attempt 1)
            lost 1: -> Kill(SlotId(1))
            failed 1 unreachable 1s: -> Vacate(SlotId(1))
        "#]],
    );
}

#[test]
fn whose_check_failed_is_owed_a_dial_and_not_the_next_check() {
    check(
        limits(0, 3),
        "
        ask
        connected 1
        after 1s
        ask
        connected 2
        returned 2
        returned 1
        after 2s
        ask
        failed 1
    ",
        expect![[r#"
            ask: Ticket(1) waits -> Connect(SlotId(1), Ticket(1), attempt 1)
            connected 1: -> Lend(SlotId(1), Ticket(1))
            after 1s:
            ask: Ticket(2) waits -> Connect(SlotId(2), Ticket(2), attempt 1)
            connected 2: -> Lend(SlotId(2), Ticket(2))
            returned 2:
            returned 1:
            after 2s:
            ask: Ticket(3) waits -> Validate(SlotId(1), Borrow)
            failed 1: -> Close(SlotId(1), ValidationFailed) -> Connect(SlotId(3), Ticket(3), attempt 1)
        "#]],
    );
}
