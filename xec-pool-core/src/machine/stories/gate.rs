//! What follows when the gate denies a dial, and when it speaks up unasked.

use expect_test::expect;

use super::{check, limits};

#[test]
fn a_shut_gate_refuses_those_nothing_can_serve_and_is_asked_again_in_time() {
    check(
        limits(0, 2),
        "
        ask
        shut 1 5s
        ask
        after 5s
        ask
        connected 2
    ",
        expect![[r#"
            ask: Ticket(1) waits -> Connect(SlotId(1), Ticket(1), attempt 1)
            shut 1 5s: -> Vacate(SlotId(1)) -> Refuse(Ticket(1), CircuitOpen { retry_after: Some(Span(5000000000)) })
            ask: CircuitOpen { retry_after: Some(Span(5000000000)) }
            after 5s:
            ask: Ticket(2) waits -> Connect(SlotId(2), Ticket(2), attempt 1)
            connected 2: -> Lend(SlotId(2), Ticket(2))
        "#]],
    );
}

#[test]
fn while_something_lent_can_serve_them_callers_wait_before_a_shut_gate() {
    check(
        limits(0, 2),
        "
        ask
        connected 1
        ask
        shut 2 5s
        ask
        returned 1
        returned 1
    ",
        expect![[r#"
            ask: Ticket(1) waits -> Connect(SlotId(1), Ticket(1), attempt 1)
            connected 1: -> Lend(SlotId(1), Ticket(1))
            ask: Ticket(2) waits -> Connect(SlotId(2), Ticket(2), attempt 1)
            shut 2 5s: -> Vacate(SlotId(2))
            ask: Ticket(3) waits
            returned 1: -> Lend(SlotId(1), Ticket(2))
            returned 1: -> Lend(SlotId(1), Ticket(3))
        "#]],
    );
}

#[test]
fn a_busy_gate_refuses_nobody_and_is_asked_again_when_it_reopens() {
    check(
        limits(0, 2),
        "
        ask
        busy 1
        ask
        after 1s
        reopened
    ",
        expect![[r#"
            ask: Ticket(1) waits -> Connect(SlotId(1), Ticket(1), attempt 1)
            busy 1: -> Vacate(SlotId(1))
            ask: Ticket(2) waits
            after 1s:
            reopened: -> Connect(SlotId(2), Ticket(1), attempt 1)
        "#]],
    );
}

#[test]
fn a_gate_that_shuts_refuses_at_once_those_who_wait_out_a_back_off() {
    check(
        limits(0, 2),
        "
        ask
        ask
        failed 1 unreachable 5s
        shut 30s
        ask
        after 30s
        ask
        connected 2
    ",
        expect![[r#"
            ask: Ticket(1) waits -> Connect(SlotId(1), Ticket(1), attempt 1)
            ask: Ticket(2) waits
            failed 1 unreachable 5s: -> Vacate(SlotId(1))
            shut 30s: -> Refuse(Ticket(1), CircuitOpen { retry_after: Some(Span(30000000000)) }) -> Refuse(Ticket(2), CircuitOpen { retry_after: Some(Span(30000000000)) })
            ask: CircuitOpen { retry_after: Some(Span(30000000000)) }
            after 30s:
            ask: Ticket(3) waits -> Connect(SlotId(2), Ticket(3), attempt 2)
            connected 2: -> Lend(SlotId(2), Ticket(3))
        "#]],
    );
}

#[test]
fn a_dial_under_way_when_the_gate_shuts_may_still_serve() {
    check(
        limits(0, 2),
        "
        ask
        shut 30s
        ask
        failed 1 unreachable 1s
        ask
    ",
        expect![[r#"
            ask: Ticket(1) waits -> Connect(SlotId(1), Ticket(1), attempt 1)
            shut 30s:
            ask: Ticket(2) waits
            failed 1 unreachable 1s: -> Vacate(SlotId(1)) -> Refuse(Ticket(1), CircuitOpen { retry_after: Some(Span(30000000000)) }) -> Refuse(Ticket(2), CircuitOpen { retry_after: Some(Span(30000000000)) })
            ask: CircuitOpen { retry_after: Some(Span(30000000000)) }
        "#]],
    );
}

#[test]
fn a_dial_under_way_when_the_gate_shuts_may_still_succeed() {
    check(
        limits(0, 2),
        "
        ask
        ask
        shut 30s
        connected 1
        shut 30s
        returned 1
    ",
        expect![[r#"
            ask: Ticket(1) waits -> Connect(SlotId(1), Ticket(1), attempt 1)
            ask: Ticket(2) waits
            shut 30s:
            connected 1: -> Lend(SlotId(1), Ticket(1)) -> Connect(SlotId(2), Ticket(2), attempt 1)
            shut 30s:
            returned 1: -> Lend(SlotId(1), Ticket(2))
        "#]],
    );
}

#[test]
fn a_warm_ends_when_the_gate_shuts() {
    check(
        limits(0, 4),
        "
        warm 1 2
        failed 1 unreachable 5s
        shut 30s
        warm 2 2
    ",
        expect![[r#"
            warm 1 2: -> Connect(SlotId(1), attempt 1)
            failed 1 unreachable 5s: -> Vacate(SlotId(1))
            shut 30s: -> Warmed(1)
            warm 2 2: -> Warmed(2)
        "#]],
    );
}

#[test]
fn an_answer_from_before_the_gate_reopened_is_not_taken_for_its_last_word() {
    check(
        limits(0, 2),
        "
        ask
        outdated 1
        after 1ms
    ",
        expect![[r#"
            ask: Ticket(1) waits -> Connect(SlotId(1), Ticket(1), attempt 1)
            outdated 1: -> Vacate(SlotId(1))
            after 1ms: -> Connect(SlotId(2), Ticket(1), attempt 1)
        "#]],
    );
}

#[test]
fn an_answer_from_before_the_gate_shut_leaves_it_shut() {
    check(
        limits(0, 2),
        "
        ask
        shut 5s
        outdated 1
        ask
    ",
        expect![[r#"
            ask: Ticket(1) waits -> Connect(SlotId(1), Ticket(1), attempt 1)
            shut 5s:
            outdated 1: -> Vacate(SlotId(1)) -> Refuse(Ticket(1), CircuitOpen { retry_after: Some(Span(5000000000)) })
            ask: CircuitOpen { retry_after: Some(Span(5000000000)) }
        "#]],
    );
}

#[test]
fn the_minimum_is_dialled_again_when_a_gate_that_shut_for_bad_credentials_reopens() {
    check(
        limits(1, 4),
        "
        look
        shut 600s
        failed 1 credentials 0ms
        after 60s
        ask
        reopened
    ",
        expect![[r#"
            look: -> Connect(SlotId(1), attempt 1)
            shut 600s:
            failed 1 credentials 0ms: -> Vacate(SlotId(1))
            after 60s:
            ask: CircuitOpen { retry_after: Some(Span(540000000000)) }
            reopened: -> Connect(SlotId(2), attempt 2)
        "#]],
    );
}
