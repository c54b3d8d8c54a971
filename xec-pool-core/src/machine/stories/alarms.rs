//! When the housekeeper wakes: found, as the corners were, by breaking lines.

use expect_test::expect;

use super::{Ask, Asked, Limits, Machine, Moment, Span, check, limits, span, tell};

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
fn one_past_its_lifetime_that_is_lent_rings_no_more() {
    check(
        limits(0, 1),
        "
        ask
        connected 1 for 5s
        alarm
        after 5s
        alarm
    ",
        expect![[r#"
            ask: Ticket(1) waits -> Connect(SlotId(1), Ticket(1), attempt 1)
            connected 1 for 5s: -> Lend(SlotId(1), Ticket(1))
            alarm: 5s
            after 5s:
            alarm: 30s
        "#]],
    );
}

#[test]
fn an_alarm_that_nobody_heard_calls_for_somebody_who_does() {
    let mut machine = Machine::new(limits(0, 1), Moment::START);
    let at = |text: &str| Moment::START.after(span(text));
    let waits = |machine: &mut Machine, timeout: &str, now: &str| {
        let asked = machine.ask_on(Ask { timeout: Some(span(timeout)), again: None }, at(now));
        assert!(matches!(asked, Asked::Waiting(_)), "{asked:?}");
        std::mem::take(&mut machine.wake_keeper)
    };
    assert!(waits(&mut machine, "5s", "0s"), "the first");
    assert!(!waits(&mut machine, "9s", "0s"), "one that is due later");
    assert!(!waits(&mut machine, "9s", "5s"), "it rings now");
    assert!(waits(&mut machine, "9s", "6s"), "it rang, and nobody came");
    assert!(!waits(&mut machine, "9s", "6s"), "told once");
}

#[test]
fn wrong_credentials_leave_the_minimum_nothing_to_wait_for() {
    check(
        limits(1, 1),
        "
        after 1s
        failed 1 unreachable 9s
        after 2s
        ask
        failed 2 credentials 0s
        alarm
    ",
        expect![[r#"
            after 1s: -> Connect(SlotId(1), attempt 1)
            failed 1 unreachable 9s: -> Vacate(SlotId(1))
            after 2s:
            ask: Ticket(1) waits -> Connect(SlotId(2), Ticket(1), attempt 2)
            failed 2 credentials 0s: -> Vacate(SlotId(2)) -> Refuse(Ticket(1), Connect { attempts: 1, kind: Credentials })
            alarm: never
        "#]],
    );
}

#[test]
fn a_dial_that_has_no_place_is_not_due() {
    check(
        limits(0, 2),
        "
        ask
        connected 1
        ask 5s
        failed 2 unreachable 2s
        alarm
        limits 0 1
        alarm
    ",
        expect![[r#"
            ask: Ticket(1) waits -> Connect(SlotId(1), Ticket(1), attempt 1)
            connected 1: -> Lend(SlotId(1), Ticket(1))
            ask 5s: Ticket(2) waits -> Connect(SlotId(2), Ticket(2), attempt 1)
            failed 2 unreachable 2s: -> Vacate(SlotId(2))
            alarm: 2s
            limits 0 1:
            alarm: 5s
        "#]],
    );
}
