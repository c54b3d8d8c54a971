//! A share of failures in a sliding window, of so many calls or of a time.

use expect_test::expect;
use xec_pool_breaker::FailureRate;

use super::{SECOND, check, exact};

#[tokio::test(start_paused = true)]
async fn a_share_of_the_last_calls_opens_it_however_many_went_well_before() {
    check(
        exact().failure_rate(FailureRate::over_calls(0.5, 4).min_calls(4)),
        "
        dial
        success 1
        dial
        success 2
        dial
        success 3
        dial
        success 4
        dial
        success 5
        dial
        failure 6
        dial
        failure 7
        dial
    ",
        expect![[r#"
            dial: passes as 1 [closed]
            success 1: [closed]
            dial: passes as 2 [closed]
            success 2: [closed]
            dial: passes as 3 [closed]
            success 3: [closed]
            dial: passes as 4 [closed]
            success 4: [closed]
            dial: passes as 5 [closed]
            success 5: [closed]
            dial: passes as 6 [closed]
            failure 6: [closed]
            dial: passes as 7 [closed]
            failure 7: -> circuit:open (30s) [open]
            dial: shut, retry after 30s [open]
        "#]],
    )
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_share_of_fewer_calls_than_the_minimum_says_nothing() {
    check(
        exact().failure_rate(FailureRate::over_calls(0.5, 10).min_calls(3)),
        "
        dial
        failure 1
        dial
        failure 2
        dial
        failure 3
    ",
        expect![[r#"
            dial: passes as 1 [closed]
            failure 1: [closed]
            dial: passes as 2 [closed]
            failure 2: [closed]
            dial: passes as 3 [closed]
            failure 3: -> circuit:open (30s) [open]
        "#]],
    )
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_share_of_the_calls_of_a_time_forgets_what_is_older() {
    check(
        exact().failure_rate(FailureRate::over_time(0.5, 10 * SECOND).min_calls(2)),
        "
        dial
        success 1
        dial
        success 2
        dial
        failure 3
        after 10001ms
        dial
        failure 4
        dial
        failure 5
    ",
        expect![[r#"
            dial: passes as 1 [closed]
            success 1: [closed]
            dial: passes as 2 [closed]
            success 2: [closed]
            dial: passes as 3 [closed]
            failure 3: [closed]
            after 10001ms: [closed]
            dial: passes as 4 [closed]
            failure 4: [closed]
            dial: passes as 5 [closed]
            failure 5: -> circuit:open (30s) [open]
        "#]],
    )
    .await;
}
