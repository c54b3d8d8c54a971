//! Small rules that no other story needs: found by breaking each line of the machine once and seeing nobody object.

use expect_test::expect;

use super::{Limits, check, limits, tell};

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
fn the_minimum_is_dialled_without_a_pause() {
    check(
        limits(8, 10),
        "
        look
        connected 1
        connected 2
        connected 3
        connected 4
        connected 5
    ",
        expect![[r#"
            look: -> Connect(SlotId(1), attempt 1)
            connected 1: -> Connect(SlotId(2), attempt 1) -> Connect(SlotId(3), attempt 1)
            connected 2: -> Connect(SlotId(4), attempt 1) -> Connect(SlotId(5), attempt 1) -> Connect(SlotId(6), attempt 1)
            connected 3: -> Connect(SlotId(7), attempt 1)
            connected 4: -> Connect(SlotId(8), attempt 1)
            connected 5:
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

#[test]
fn what_was_lost_is_dialled_again_also_where_nothing_is_kept() {
    check(
        limits(0, 2),
        "
        ask
        connected 1
        discarded 1
        closed 1
    ",
        expect![[r#"
            ask: Ticket(1) waits -> Connect(SlotId(1), Ticket(1), attempt 1)
            connected 1: -> Lend(SlotId(1), Ticket(1))
            discarded 1: -> Close(SlotId(1), Discarded) -> Connect(SlotId(2), attempt 1)
            closed 1: -> Vacate(SlotId(1))
        "#]],
    );
}

#[test]
fn a_check_in_passing_that_fails_casts_no_doubt_on_others() {
    check(
        Limits { recreate_on_error: false, ..limits(0, 2) },
        "
        ask
        ask
        connected 1
        connected 2
        returned 1
        after 1s
        returned 2
        after 9s
        failed 1
        after 1s
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
            failed 1: -> Close(SlotId(1), ValidationFailed)
            after 1s: -> Validate(SlotId(2), Idle)
        "#]],
    );
}

#[test]
fn a_warm_bears_with_sixteen_throttled_dials_and_no_more() {
    let rounds = |count| (1..=count).map(|n| format!("failed {n} throttled 1s\nafter 1s\n")).collect::<String>();
    let told = |count| tell(limits(0, 1), &format!("warm 1 1\n{}", rounds(count)));
    assert!(!told(15).contains("Warmed(1)"));
    assert!(told(16).contains("Warmed(1)"));
}

#[test]
fn where_no_place_is_free_nobody_lacks_a_dial_that_backs_off() {
    check(
        limits(0, 2),
        "
        ask
        connected 1
        ask 5s
        failed 2 unreachable 60s
        limits 0 1
        after 5s
    ",
        expect![[r#"
            ask: Ticket(1) waits -> Connect(SlotId(1), Ticket(1), attempt 1)
            connected 1: -> Lend(SlotId(1), Ticket(1))
            ask 5s: Ticket(2) waits -> Connect(SlotId(2), Ticket(2), attempt 1)
            failed 2 unreachable 60s: -> Vacate(SlotId(2))
            limits 0 1:
            after 5s: -> Refuse(Ticket(2), TimedOut { stage: Queue, waited: Span(5000000000), limit: Span(5000000000) })
        "#]],
    );
}

#[test]
fn under_lifo_the_dial_is_the_newest_callers_hope() {
    check(
        Limits { newest_first: true, ..limits(0, 1) },
        "
        ask 5s
        ask 5s
        after 5s
    ",
        expect![[r#"
            ask 5s: Ticket(1) waits -> Connect(SlotId(1), Ticket(1), attempt 1)
            ask 5s: Ticket(2) waits
            after 5s: -> Refuse(Ticket(1), TimedOut { stage: Queue, waited: Span(5000000000), limit: Span(5000000000) }) -> Refuse(Ticket(2), TimedOut { stage: Connect, waited: Span(5000000000), limit: Span(5000000000) })
        "#]],
    );
}
