//! Several successes are asked for before it closes, and the deadline waits for the host and not for its callers.

use expect_test::expect;

use super::{SECOND, check, exact};

#[tokio::test(start_paused = true)]
async fn a_host_that_answered_may_wait_for_the_next_probe_as_long_as_it_takes() {
    check(
        exact().failure_threshold(1).close_after(2).half_open_deadline(40 * SECOND),
        "
        dial
        failure 1
        after 30s
        dial
        success 2
        after 3600s
        dial
        after 39s
        success 3
    ",
        expect![[r#"
            dial: passes as 1 [closed]
            failure 1: -> circuit:open (30s) [open]
            after 30s: [half_open]
            dial: passes as 2 -> circuit:half-open [half_open]
            success 2: [half_open]
            after 3600s: [half_open]
            dial: passes as 3 [half_open]
            after 39s: [half_open]
            success 3: -> circuit:close [closed]
        "#]],
    )
    .await;
}

#[tokio::test(start_paused = true)]
async fn the_next_probe_after_a_success_has_a_deadline_of_its_own() {
    check(
        exact().failure_threshold(1).close_after(2).half_open_deadline(40 * SECOND),
        "
        dial
        failure 1
        after 30s
        dial
        success 2
        after 100s
        dial
        after 30s
        dropped 3
        dial
        after 10s
        dial
    ",
        expect![[r#"
            dial: passes as 1 [closed]
            failure 1: -> circuit:open (30s) [open]
            after 30s: [half_open]
            dial: passes as 2 -> circuit:half-open [half_open]
            success 2: [half_open]
            after 100s: [half_open]
            dial: passes as 3 [half_open]
            after 30s: [half_open]
            dropped 3: [half_open]
            dial: passes as 4 [half_open]
            after 10s: [open]
            dial: shut, retry after 30s -> circuit:open (30s) [open]
        "#]],
    )
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_success_while_another_probe_is_out_leaves_the_deadline_as_it_is() {
    check(
        exact().failure_threshold(1).half_open_probes(2).close_after(2).half_open_deadline(40 * SECOND),
        "
        dial
        failure 1
        after 30s
        dial
        dial
        after 30s
        success 2
        after 10s
        success 3
        dial
    ",
        expect![[r#"
            dial: passes as 1 [closed]
            failure 1: -> circuit:open (30s) [open]
            after 30s: [half_open]
            dial: passes as 2 -> circuit:half-open [half_open]
            dial: passes as 3 [half_open]
            after 30s: [half_open]
            success 2: [half_open]
            after 10s: [open]
            success 3: -> circuit:open (30s) [open]
            dial: shut, retry after 30s [open]
        "#]],
    )
    .await;
}
