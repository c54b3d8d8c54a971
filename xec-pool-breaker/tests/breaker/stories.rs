//! Each row of the circuit's table, told through the gate, on paused time. What happens stands before the colon; after
//! it what the gate answered, what a pool's watchers heard, and where the circuit stands.

// What somebody decides by hand.
mod by_hand;

// The second policy.
mod rates;

// One success is not enough.
mod successes;

use std::fmt::Write as _;

use expect_test::{Expect, expect};
use xec_pool_breaker::{Breaker, BreakerConfigBuilder};
use xec_pool_core::{Denied, Events, FailureKind, Gate, Pass, Pool, Settlement};
use xec_pool_testkit::mock::MockTransport;

use super::{MS, SECOND, breaker, exact, hasty, heard, pool, request};

struct Story {
    breaker: Breaker,
    passes: Vec<Option<Pass>>,
    events: Events,
    _pool: Pool<MockTransport>,
}

impl Story {
    async fn tell(&mut self, line: &str) -> String {
        let words: Vec<_> = line.split_whitespace().collect();
        let mut said = String::new();
        match words[..] {
            ["dial"] => said = self.dial(),
            ["success", n] => self.pass(n).settle(Settlement::Success),
            ["failure", n] => self.pass(n).settle(Settlement::Failure(FailureKind::Unreachable, cause())),
            ["throttled", n] => self.pass(n).settle(Settlement::Failure(FailureKind::Throttled, cause())),
            ["dropped", n] => drop(self.pass(n)),
            ["after", time] => tokio::time::advance(span(time)).await,
            ["force-open"] => self.breaker.force_open(),
            ["force-close"] => self.breaker.force_close(),
            ["reset"] => self.breaker.reset(),
            _ => panic!("no such line: {line}"),
        }
        let events: String = heard(&mut self.events).into_iter().map(|event| format!(" -> {event}")).collect();
        format!("{said}{events} [{}]", self.breaker.state())
    }

    fn dial(&mut self) -> String {
        match self.breaker.admit(&request(1)) {
            Ok(pass) => {
                self.passes.push(Some(pass));
                format!(" passes as {}", self.passes.len())
            }
            Err(Denied::Shut { retry_after: Some(after), .. }) => format!(" shut, retry after {after:?}"),
            Err(Denied::Shut { .. }) => " shut".to_owned(),
            Err(_) => " busy".to_owned(),
        }
    }

    fn pass(&mut self, n: &str) -> Pass {
        let n: usize = n.parse().expect("the number of a pass");
        self.passes[n - 1].take().expect("a dial ends once")
    }
}

fn cause() -> xec_pool_core::Cause {
    std::sync::Arc::new(std::io::Error::other("nobody is there"))
}

fn span(text: &str) -> std::time::Duration {
    let (number, unit) = match text.strip_suffix("ms") {
        Some(number) => (number, MS),
        None => (text.strip_suffix('s').expect("ms or s"), SECOND),
    };
    unit * number.parse().expect("a number")
}

async fn check(config: BreakerConfigBuilder, story: &str, expected: Expect) {
    let breaker = breaker(config);
    let (pool, _handle) = pool(hasty(), breaker.clone());
    let mut told = Story { breaker, passes: Vec::new(), events: pool.subscribe(), _pool: pool };
    let mut answer = String::new();
    for line in story.lines().map(str::trim).filter(|line| !line.is_empty()) {
        writeln!(answer, "{line}:{}", told.tell(line).await).expect("a string takes everything");
    }
    expected.assert_eq(&answer);
}

#[tokio::test(start_paused = true)]
async fn closed_every_dial_passes_and_a_success_starts_the_count_anew() {
    check(
        exact().failure_threshold(2),
        "
        dial
        dial
        failure 1
        success 2
        dial
        failure 3
        dial
        failure 4
    ",
        expect![[r#"
            dial: passes as 1 [closed]
            dial: passes as 2 [closed]
            failure 1: [closed]
            success 2: [closed]
            dial: passes as 3 [closed]
            failure 3: [closed]
            dial: passes as 4 [closed]
            failure 4: -> circuit:open (30s) [open]
        "#]],
    )
    .await;
}

#[tokio::test(start_paused = true)]
async fn the_last_failure_in_a_row_opens_it_and_it_is_shut_for_its_time() {
    check(
        exact().failure_threshold(3),
        "
        dial
        dial
        dial
        failure 1
        failure 2
        failure 3
        dial
        after 29s
        dial
    ",
        expect![[r#"
            dial: passes as 1 [closed]
            dial: passes as 2 [closed]
            dial: passes as 3 [closed]
            failure 1: [closed]
            failure 2: [closed]
            failure 3: -> circuit:open (30s) [open]
            dial: shut, retry after 30s [open]
            after 29s: [open]
            dial: shut, retry after 1s [open]
        "#]],
    )
    .await;
}

#[tokio::test(start_paused = true)]
async fn failures_longer_ago_than_the_window_do_not_count() {
    check(
        exact().failure_threshold(3),
        "
        dial
        failure 1
        after 50s
        dial
        failure 2
        after 11s
        dial
        failure 3
        after 49s
        dial
        failure 4
    ",
        expect![[r#"
            dial: passes as 1 [closed]
            failure 1: [closed]
            after 50s: [closed]
            dial: passes as 2 [closed]
            failure 2: [closed]
            after 11s: [closed]
            dial: passes as 3 [closed]
            failure 3: [closed]
            after 49s: [closed]
            dial: passes as 4 [closed]
            failure 4: -> circuit:open (30s) [open]
        "#]],
    )
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_dial_that_is_cancelled_or_throttled_says_nothing() {
    check(
        exact().failure_threshold(2),
        "
        dial
        failure 1
        dial
        dropped 2
        dial
        throttled 3
        dial
        failure 4
    ",
        expect![[r#"
            dial: passes as 1 [closed]
            failure 1: [closed]
            dial: passes as 2 [closed]
            dropped 2: [closed]
            dial: passes as 3 [closed]
            throttled 3: [closed]
            dial: passes as 4 [closed]
            failure 4: -> circuit:open (30s) [open]
        "#]],
    )
    .await;
}

#[tokio::test(start_paused = true)]
async fn when_its_time_is_over_exactly_one_probe_passes_and_its_success_closes_it() {
    check(
        exact().failure_threshold(1),
        "
        dial
        failure 1
        after 30s
        dial
        dial
        success 2
        dial
    ",
        expect![[r#"
            dial: passes as 1 [closed]
            failure 1: -> circuit:open (30s) [open]
            after 30s: [half_open]
            dial: passes as 2 -> circuit:half-open [half_open]
            dial: busy [half_open]
            success 2: -> circuit:close [closed]
            dial: passes as 3 [closed]
        "#]],
    )
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_probe_that_fails_opens_it_again() {
    check(
        exact().failure_threshold(1),
        "
        dial
        failure 1
        after 30s
        dial
        failure 2
        dial
        after 30s
        dial
    ",
        expect![[r#"
            dial: passes as 1 [closed]
            failure 1: -> circuit:open (30s) [open]
            after 30s: [half_open]
            dial: passes as 2 -> circuit:half-open [half_open]
            failure 2: -> circuit:open (30s) [open]
            dial: shut, retry after 30s [open]
            after 30s: [half_open]
            dial: passes as 3 -> circuit:half-open [half_open]
        "#]],
    )
    .await;
}

#[tokio::test(start_paused = true)]
async fn each_opening_in_a_row_is_longer_up_to_a_limit_until_it_was_closed() {
    check(
        exact().failure_threshold(1).open_for_multiplier(2.0).max_open_for(100 * SECOND),
        "
        dial
        failure 1
        after 30s
        dial
        failure 2
        after 60s
        dial
        failure 3
        after 100s
        dial
        success 4
        dial
        failure 5
    ",
        expect![[r#"
            dial: passes as 1 [closed]
            failure 1: -> circuit:open (30s) [open]
            after 30s: [half_open]
            dial: passes as 2 -> circuit:half-open [half_open]
            failure 2: -> circuit:open (60s) [open]
            after 60s: [half_open]
            dial: passes as 3 -> circuit:half-open [half_open]
            failure 3: -> circuit:open (100s) [open]
            after 100s: [half_open]
            dial: passes as 4 -> circuit:half-open [half_open]
            success 4: -> circuit:close [closed]
            dial: passes as 5 [closed]
            failure 5: -> circuit:open (30s) [open]
        "#]],
    )
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_probe_that_is_cancelled_frees_its_place_and_decides_nothing() {
    check(
        exact().failure_threshold(1),
        "
        dial
        failure 1
        after 30s
        dial
        dropped 2
        dial
        dial
        success 3
    ",
        expect![[r#"
            dial: passes as 1 [closed]
            failure 1: -> circuit:open (30s) [open]
            after 30s: [half_open]
            dial: passes as 2 -> circuit:half-open [half_open]
            dropped 2: [half_open]
            dial: passes as 3 [half_open]
            dial: busy [half_open]
            success 3: -> circuit:close [closed]
        "#]],
    )
    .await;
}

#[tokio::test(start_paused = true)]
async fn without_a_verdict_by_the_deadline_of_the_first_probe_it_opens_again() {
    check(
        exact().failure_threshold(1).half_open_deadline(40 * SECOND),
        "
        dial
        failure 1
        after 30s
        dial
        after 25s
        dropped 2
        dial
        after 15s
        dial
        success 3
        after 29s
        dial
        after 1s
        dial
    ",
        expect![[r#"
            dial: passes as 1 [closed]
            failure 1: -> circuit:open (30s) [open]
            after 30s: [half_open]
            dial: passes as 2 -> circuit:half-open [half_open]
            after 25s: [half_open]
            dropped 2: [half_open]
            dial: passes as 3 [half_open]
            after 15s: [open]
            dial: shut, retry after 30s -> circuit:open (30s) [open]
            success 3: [open]
            after 29s: [open]
            dial: shut, retry after 1s [open]
            after 1s: [half_open]
            dial: passes as 4 -> circuit:half-open [half_open]
        "#]],
    )
    .await;
}

#[tokio::test(start_paused = true)]
async fn looked_at_late_it_has_opened_and_half_opened_in_between() {
    check(
        exact().failure_threshold(1).half_open_deadline(40 * SECOND),
        "
        dial
        failure 1
        after 30s
        dial
        after 100s
        dial
        success 3
    ",
        expect![[r#"
            dial: passes as 1 [closed]
            failure 1: -> circuit:open (30s) [open]
            after 30s: [half_open]
            dial: passes as 2 -> circuit:half-open [half_open]
            after 100s: [half_open]
            dial: passes as 3 -> circuit:open (0ns) -> circuit:half-open [half_open]
            success 3: -> circuit:close [closed]
        "#]],
    )
    .await;
}

#[tokio::test(start_paused = true)]
async fn several_probes_may_be_out_and_several_successes_be_asked_for() {
    check(
        exact().failure_threshold(1).half_open_probes(2).close_after(3),
        "
        dial
        failure 1
        after 30s
        dial
        dial
        dial
        success 2
        dial
        dial
        success 3
        success 4
    ",
        expect![[r#"
            dial: passes as 1 [closed]
            failure 1: -> circuit:open (30s) [open]
            after 30s: [half_open]
            dial: passes as 2 -> circuit:half-open [half_open]
            dial: passes as 3 [half_open]
            dial: busy [half_open]
            success 2: [half_open]
            dial: passes as 4 [half_open]
            dial: busy [half_open]
            success 3: [half_open]
            success 4: -> circuit:close [closed]
        "#]],
    )
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_result_from_before_a_change_does_not_count() {
    check(
        exact().failure_threshold(1),
        "
        dial
        dial
        dial
        failure 1
        success 2
        after 30s
        dial
        failure 3
        success 4
    ",
        expect![[r#"
            dial: passes as 1 [closed]
            dial: passes as 2 [closed]
            dial: passes as 3 [closed]
            failure 1: -> circuit:open (30s) [open]
            success 2: [open]
            after 30s: [half_open]
            dial: passes as 4 -> circuit:half-open [half_open]
            failure 3: [half_open]
            success 4: -> circuit:close [closed]
        "#]],
    )
    .await;
}
