//! After a storm the sums of the metrics are those of `stats()`.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use tokio::runtime::Runtime;
use xec_pool_core::{AcquireOptions, CloseReason, FailureKind, Lease, Pool, Stats};
use xec_pool_metrics::names::{self, Instrument};
use xec_pool_testkit::{
    MockHandle, MockTransport,
    mock::{Hook, Step},
};

use super::{
    lab::{Lab, series},
    scenes::{at_most, pool},
};

/// Longer than anything here takes.
const LONG: Duration = Duration::from_secs(30);

/// So few turns that an outbox of 8,192 events cannot overflow, whoever is kept from the processor how long.
const TURNS: u64 = 1_200;
const TASKS: u64 = 24;

/// The same numbers in every run.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % sides
    }
}

/// How callers who wait too long go away.
#[derive(Clone, Copy)]
enum Leave {
    /// By themselves: the pool may have answered already.
    Cancelled,
    /// At the pool's word.
    TimedOut,
}

impl Leave {
    async fn ask(self, pool: &Pool<MockTransport>, patience: Duration) -> Option<Lease<MockTransport>> {
        match self {
            Self::Cancelled => tokio::time::timeout(patience, pool.acquire()).await.ok()?.ok(),
            Self::TimedOut => pool.acquire_with(AcquireOptions::new().timeout(patience)).await.ok(),
        }
    }
}

async fn sailor(leave: Leave, pool: Pool<MockTransport>, handle: MockHandle, seed: u64, turns: Arc<AtomicU64>) {
    let mut dice = Dice(seed);
    while turns.fetch_add(1, Ordering::Relaxed) < TURNS {
        let patience = Duration::from_micros(dice.roll(400));
        let Some(lease) = leave.ask(&pool, patience).await else {
            tokio::task::yield_now().await;
            continue;
        };
        match dice.roll(20) {
            0 => _ = handle.break_connection(lease.id().get()),
            1 => _ = handle.lose(lease.id().get(), "storm"),
            2 => lease.discard("storm"),
            3 => lease.release().await,
            _ => tokio::task::yield_now().await,
        }
    }
}

/// A storm, and the calm after it: nobody asks, nothing dials, nothing is open.
async fn storm(leave: Leave, pool: &Pool<MockTransport>, handle: &MockHandle, round: u64) {
    let (turns, mut crew) = (Arc::new(AtomicU64::new(0)), tokio::task::JoinSet::new());
    for task in 0..TASKS {
        crew.spawn(sailor(leave, pool.clone(), handle.clone(), task + 100 * round, Arc::clone(&turns)));
    }
    crew.join_all().await;
    pool.drain(LONG).await;
    soon("all are closed", || handle.live() == 0).await;
}

async fn soon(what: &str, is_so: impl Fn() -> bool) {
    let begin = Instant::now();
    while !is_so() {
        assert!(begin.elapsed() < LONG, "not so after {LONG:?}: {what}");
        tokio::task::yield_now().await;
    }
}

/// What a series counts where it is told with an error, or with one of those.
fn failed(lab: &Lab, row: &Instrument, count: impl Fn(&str) -> bool) -> f64 {
    let told = lab.series(row);
    let errors = told.iter().filter_map(|(labels, value)| Some((labels.strip_prefix("error.type=")?, value)));
    errors.filter(|(error, _)| count(error)).map(|(_, value)| value).sum()
}

/// One sentence for each figure that differs.
fn differences(lab: &Lab, stats: &Stats) -> Vec<String> {
    let of = |row, labels: &str| lab.series(row).get(labels).copied().unwrap_or_default();
    let ended = |reason| of(&names::LIFETIME, &format!("xec.pool.connection.close.reason={reason}"));
    // Who goes away by itself is no refusal.
    let refused = failed(lab, &names::WAIT_TIME, |error| !["timed_out", "cancelled"].contains(&error));
    let mut figures = vec![
        ("created".to_owned(), of(&names::CREATE_TIME, ""), stats.created),
        ("connect failures".to_owned(), failed(lab, &names::CREATE_TIME, |_| true), stats.connect_failures),
        ("acquired".to_owned(), of(&names::WAIT_TIME, ""), stats.acquired),
        ("released".to_owned(), of(&names::USE_TIME, ""), stats.released),
        ("timeouts".to_owned(), of(&names::TIMEOUTS, ""), stats.timeouts),
        ("timed out".to_owned(), of(&names::WAIT_TIME, "error.type=timed_out"), stats.timeouts),
        ("rejected".to_owned(), refused, stats.rejected),
    ];
    figures.extend(CloseReason::ALL.map(|reason| (reason.to_string(), ended(reason), stats.destroyed.by(reason))));
    let differ = figures.into_iter().filter(|(_, told, counted)| *told != *counted as f64);
    differ.map(|(figure, told, counted)| format!("{figure}: {told} told, {counted} counted")).collect()
}

/// The last event comes after the last step: whoever sees the one may have to wait for the other.
async fn agrees(lab: &Lab, stats: &Stats) {
    let begin = Instant::now();
    loop {
        let differ = differences(lab, stats);
        if differ.is_empty() {
            return;
        }
        assert!(begin.elapsed() < LONG, "{}", differ.join("; "));
        tokio::task::yield_now().await;
    }
}

fn threads() -> Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(4).enable_all().build().unwrap()
}

#[test]
fn after_a_storm_with_cancels_the_sums_agree_with_stats() {
    let mut cancelled = 0.0;
    for round in 0..12 {
        let lab = Lab::new();
        cancelled += threads().block_on(async {
            let config = at_most(6).validate_bypass(Duration::ZERO).queue_capacity(1_000);
            let (pool, handle) = pool(&lab.telemetry, config.retry_delay(Duration::from_micros(50)));
            storm(Leave::Cancelled, &pool, &handle, round).await;
            let stats = pool.stats();
            agrees(&lab, &stats).await;
            assert!(lab.series(&names::MISSED).is_empty());
            assert!(stats.acquired > 100, "no storm: {stats}");
            let told = lab.seconds_of(&names::WAIT_TIME, "");
            assert!((told - stats.wait.total.as_secs_f64()).abs() < 1e-6, "{told} is not {:?}", stats.wait.total);
            let average = told / stats.acquired as f64;
            assert!((average - stats.wait.average.as_secs_f64()).abs() < 1e-6, "the seed's averageWaitTime");
            assert_eq!(lab.series(&names::UTILIZATION), series([("", stats.utilization())]));
            failed(&lab, &names::WAIT_TIME, |error| error == "cancelled")
        });
    }
    assert!(cancelled > 10.0, "{cancelled} callers in {TASKS} tasks left");
}

#[test]
fn after_a_storm_of_failing_dials_and_refused_callers_the_sums_agree_with_stats() {
    let mut seen = [0; 3];
    for round in 0..6 {
        let lab = Lab::new();
        let stats = threads().block_on(async {
            let config = at_most(6).validate_bypass(Duration::ZERO).queue_capacity(8).retry_attempts(1);
            let (pool, handle) = pool(&lab.telemetry, config.retry_delay(Duration::from_micros(50)));
            let mut dice = Dice(round);
            let dials = (0..TURNS).map(|_| match dice.roll(6) {
                0 => Step::fail(FailureKind::Unreachable),
                1 => Step::fail(FailureKind::Credentials).slow(Duration::from_micros(100)),
                2 => Step::ok().slow(Duration::from_micros(300)),
                _ => Step::ok(),
            });
            handle.script(Hook::Connect, dials);
            storm(Leave::TimedOut, &pool, &handle, round).await;
            let stats = pool.stats();
            agrees(&lab, &stats).await;
            assert!(lab.series(&names::MISSED).is_empty());
            stats
        });
        let counted = [stats.connect_failures, stats.timeouts, stats.rejected];
        seen.iter_mut().zip(counted).for_each(|(sum, count)| *sum += count);
    }
    assert!(seen.iter().all(|count| *count > 50), "no storm: {seen:?} failed dials, timeouts, refusals");
}
