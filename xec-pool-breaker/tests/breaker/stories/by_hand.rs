//! Held open, held closed, reset.

use expect_test::expect;

use super::{check, exact};

#[tokio::test(start_paused = true)]
async fn held_open_it_lets_nobody_pass_until_somebody_decides_otherwise() {
    check(
        exact().failure_threshold(1),
        "
        dial
        force-open
        dial
        after 600s
        success 1
        dial
        force-close
        dial
        failure 2
        dial
        reset
        dial
        failure 4
    ",
        expect![[r#"
            dial: passes as 1 [closed]
            force-open: -> circuit:open [forced_open]
            dial: shut [forced_open]
            after 600s: [forced_open]
            success 1: [forced_open]
            dial: shut [forced_open]
            force-close: -> circuit:close [forced_closed]
            dial: passes as 2 [forced_closed]
            failure 2: [forced_closed]
            dial: passes as 3 [forced_closed]
            reset: [closed]
            dial: passes as 4 [closed]
            failure 4: -> circuit:open (30s) [open]
        "#]],
    )
    .await;
}

#[tokio::test(start_paused = true)]
async fn an_open_one_that_is_held_open_has_no_date_any_more_and_a_reset_closes_it() {
    check(
        exact().failure_threshold(1),
        "
        dial
        failure 1
        force-open
        after 60s
        dial
        reset
        dial
    ",
        expect![[r#"
            dial: passes as 1 [closed]
            failure 1: -> circuit:open (30s) [open]
            force-open: -> circuit:open [forced_open]
            after 60s: [forced_open]
            dial: shut [forced_open]
            reset: -> circuit:close [closed]
            dial: passes as 2 [closed]
        "#]],
    )
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_reset_forgets_failures_and_the_results_of_dials_under_way() {
    check(
        exact().failure_threshold(2),
        "
        dial
        failure 1
        dial
        reset
        failure 2
        dial
        failure 3
    ",
        expect![[r#"
            dial: passes as 1 [closed]
            failure 1: [closed]
            dial: passes as 2 [closed]
            reset: [closed]
            failure 2: [closed]
            dial: passes as 3 [closed]
            failure 3: [closed]
        "#]],
    )
    .await;
}
