//! Small rules that no other story needs: found by breaking each line of the machine once and seeing nobody object.

use expect_test::expect;

use super::{Limits, Span, check, limits, span, tell};

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
        suspend
        try
        resume
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
            suspend:
            try: Refused(NoneIdle)
            resume:
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

#[test]
fn past_its_lifetime_one_is_closed_at_once_where_there_is_no_room_for_a_successor() {
    check(
        limits(2, 2),
        "
        look
        connected 1 for 5s
        after 5s
        closed 1
    ",
        expect![[r#"
            look: -> Connect(SlotId(1), attempt 1)
            connected 1 for 5s: -> Connect(SlotId(2), attempt 1)
            after 5s: -> Close(SlotId(1), MaxLifetime)
            closed 1: -> Vacate(SlotId(1)) -> Connect(SlotId(3), attempt 1)
        "#]],
    );
}

#[test]
fn an_owed_dial_that_cannot_start_does_not_let_idle_connections_lie() {
    check(
        limits(0, 3),
        "
        ask
        ask
        ask
        connected 1
        connected 2
        failed 3 unreachable 60s
        gave-up 3
        returned 1
        after 1s
        returned 2
        after 9s
        after 1s
        passed 2
        after 1s
        passed 1
        after 2s
        ask
        failed 2
        passed 1
    ",
        expect![[r#"
            ask: Ticket(1) waits -> Connect(SlotId(1), Ticket(1), attempt 1)
            ask: Ticket(2) waits
            ask: Ticket(3) waits
            connected 1: -> Lend(SlotId(1), Ticket(1)) -> Connect(SlotId(2), Ticket(2), attempt 1) -> Connect(SlotId(3), Ticket(3), attempt 1)
            connected 2: -> Lend(SlotId(2), Ticket(2))
            failed 3 unreachable 60s: -> Vacate(SlotId(3))
            gave-up 3:
            returned 1:
            after 1s:
            returned 2:
            after 9s: -> Validate(SlotId(1), Idle)
            after 1s: -> Validate(SlotId(2), Idle)
            passed 2:
            after 1s:
            passed 1:
            after 2s:
            ask: Ticket(4) waits -> Validate(SlotId(2), Borrow)
            failed 2: -> Close(SlotId(2), ValidationFailed) -> Validate(SlotId(1), Borrow)
            passed 1: -> Lend(SlotId(1), Ticket(4))
        "#]],
    );
}

#[test]
fn a_busy_gate_is_asked_again_in_time_also_after_wrong_credentials() {
    check(
        limits(0, 1),
        "
        ask
        failed 1 credentials 0s
        ask 60s
        busy 2
        alarm
        after 30s
    ",
        expect![[r#"
            ask: Ticket(1) waits -> Connect(SlotId(1), Ticket(1), attempt 1)
            failed 1 credentials 0s: -> Vacate(SlotId(1)) -> Refuse(Ticket(1), Connect { attempts: 1, kind: Credentials })
            ask 60s: Ticket(2) waits -> Connect(SlotId(2), Ticket(2), attempt 2)
            busy 2: -> Vacate(SlotId(2))
            alarm: 30s
            after 30s: -> Connect(SlotId(3), Ticket(2), attempt 2)
        "#]],
    );
}

#[test]
fn after_one_that_was_dead_on_arrival_the_next_dial_rests() {
    check(
        Limits { recreate_on_error: false, ..limits(0, 1) },
        "
        ask
        connected 1
        stillborn 1
        closed 1
        ask
        alarm
        after 99ms
        after 1ms
    ",
        expect![[r#"
            ask: Ticket(1) waits -> Connect(SlotId(1), Ticket(1), attempt 1)
            connected 1: -> Lend(SlotId(1), Ticket(1))
            stillborn 1: -> Close(SlotId(1), Broken)
            closed 1: -> Vacate(SlotId(1))
            ask: Ticket(2) waits
            alarm: 100ms
            after 99ms:
            after 1ms: -> Connect(SlotId(2), Ticket(2), attempt 1)
        "#]],
    );
}

#[test]
fn idle_ones_beyond_the_minimum_are_looked_at_when_they_idle_out_and_no_others() {
    let story = "
        ask
        connected 1
        returned 1
        alarm
    ";
    let unchecked = |min| Limits { validate: false, evict_interval: Span::FOREVER, ..limits(min, 2) };
    let told = |alarm: &str| {
        format!(
            "ask: Ticket(1) waits -> Connect(SlotId(1), Ticket(1), attempt 1)\n\
             connected 1: -> Lend(SlotId(1), Ticket(1))\nreturned 1:\nalarm: {alarm}\n"
        )
    };
    assert_eq!([tell(unchecked(0), story), tell(unchecked(1), story)], [told("60s"), told("never")]);
}

#[test]
fn what_is_dialled_for_the_minimum_is_neither_more_nor_less() {
    let mut told = tell(
        limits(8, 10),
        "look\nconnected 1\nconnected 2\nconnected 3\nconnected 4\nconnected 5\nconnected 6\nconnected 7\nconnected 8",
    );
    told.retain(|letter| letter == '>');
    assert_eq!(told.len(), 8, "one order to connect for each");
}

#[test]
fn a_dial_that_waits_rings_only_if_it_may_start_then() {
    check(
        limits(0, 1),
        "
        ask
        failed 1 unreachable 1s
        alarm
        suspend
        alarm
    ",
        expect![[r#"
            ask: Ticket(1) waits -> Connect(SlotId(1), Ticket(1), attempt 1)
            failed 1 unreachable 1s: -> Vacate(SlotId(1))
            alarm: 1s
            suspend:
            alarm: 10s
        "#]],
    );
}

#[test]
fn a_warm_that_waits_after_wrong_credentials_rings_in_time() {
    check(
        limits(0, 4),
        "
        ask
        connected 1
        warm 1 3
        failed 2 unreachable 9s
        failed 3 credentials 1s
        warm 2 2
        alarm
    ",
        expect![[r#"
            ask: Ticket(1) waits -> Connect(SlotId(1), Ticket(1), attempt 1)
            connected 1: -> Lend(SlotId(1), Ticket(1))
            warm 1 3: -> Connect(SlotId(2), attempt 1) -> Connect(SlotId(3), attempt 1)
            failed 2 unreachable 9s: -> Vacate(SlotId(2))
            failed 3 credentials 1s: -> Vacate(SlotId(3)) -> Warmed(1)
            warm 2 2:
            alarm: 9s
        "#]],
    );
}

#[test]
fn one_that_comes_home_broken_goes_to_nobody() {
    check(
        limits(0, 1),
        "
        ask
        connected 1
        ask
        broken 1
        closed 1
    ",
        expect![[r#"
            ask: Ticket(1) waits -> Connect(SlotId(1), Ticket(1), attempt 1)
            connected 1: -> Lend(SlotId(1), Ticket(1))
            ask: Ticket(2) waits
            broken 1: -> Close(SlotId(1), Broken)
            closed 1: -> Vacate(SlotId(1)) -> Connect(SlotId(2), Ticket(2), attempt 1)
        "#]],
    );
}

#[test]
fn those_who_leave_take_nobodys_deadline_along() {
    let mut story = "ask\nconnected 1\nask 10s\nask 5s\n".to_owned();
    (4..104).for_each(|serial| story += &format!("ask 4s\ngave-up {serial}\n"));
    let told = tell(limits(0, 1), &(story + "after 5s"));
    assert!(told.contains("after 5s: -> Refuse(Ticket(3), TimedOut { stage: Queue"), "{told}");
}

#[test]
fn failures_of_before_a_success_are_nobodys_any_more() {
    check(
        Limits { retry_attempts: 1, ..limits(0, 1) },
        "
        ask
        failed 1 unreachable 1s
        ask
        after 1s
        connected 2
        broken 2
        closed 2
        failed 3 unreachable 1s
        after 1s
        failed 4 unreachable 2s
    ",
        expect![[r#"
            ask: Ticket(1) waits -> Connect(SlotId(1), Ticket(1), attempt 1)
            failed 1 unreachable 1s: -> Vacate(SlotId(1))
            ask: Ticket(2) waits
            after 1s: -> Connect(SlotId(2), Ticket(1), attempt 2)
            connected 2: -> Lend(SlotId(2), Ticket(1))
            broken 2: -> Close(SlotId(2), Broken)
            closed 2: -> Vacate(SlotId(2)) -> Connect(SlotId(3), Ticket(2), attempt 1)
            failed 3 unreachable 1s: -> Vacate(SlotId(3))
            after 1s: -> Connect(SlotId(4), Ticket(2), attempt 2)
            failed 4 unreachable 2s: -> Vacate(SlotId(4)) -> Refuse(Ticket(2), Connect { attempts: 2, kind: Unreachable })
        "#]],
    );
}
