//! After a storm the sums of the metrics are those of `stats()`.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use xec_pool_core::{CloseReason, Pool};
use xec_pool_metrics::names;
use xec_pool_testkit::{MockHandle, MockTransport};

use super::{
    lab::Lab,
    scenes::{at_most, pool},
};

/// So few turns that an outbox of 8,192 events cannot overflow, whoever is kept from the processor how long.
const TURNS: u64 = 1_500;
const TASKS: u64 = 24;

/// The same numbers in every run.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % sides
    }
}

async fn sailor(pool: Pool<MockTransport>, handle: MockHandle, seed: u64, turns: Arc<AtomicU64>) {
    let mut dice = Dice(seed);
    while turns.fetch_add(1, Ordering::Relaxed) < TURNS {
        let patience = Duration::from_micros(dice.roll(400));
        let Ok(Ok(lease)) = tokio::time::timeout(patience, pool.acquire()).await else {
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

#[test]
fn after_a_storm_with_cancels_the_sums_agree_with_stats() {
    let threads = tokio::runtime::Builder::new_multi_thread().worker_threads(4).enable_all().build().unwrap();
    let mut cancelled = 0.0;
    for round in 0..12 {
        let lab = Lab::new();
        cancelled += threads.block_on(async {
            let config = at_most(6).validate_bypass(Duration::ZERO).queue_capacity(1_000);
            let (pool, handle) = pool(&lab.telemetry, config.retry_delay(Duration::from_micros(50)));
            let (turns, mut crew) = (Arc::new(AtomicU64::new(0)), tokio::task::JoinSet::new());
            for task in 0..TASKS {
                crew.spawn(sailor(pool.clone(), handle.clone(), task + 100 * round, Arc::clone(&turns)));
            }
            crew.join_all().await;
            pool.drain(Duration::from_secs(5)).await;
            handle.until_live(0).await;
            let stats = pool.stats();
            let of = |row, labels: &str| lab.series(row).get(labels).copied().unwrap_or_default();
            // The last event comes after the last step: whoever sees the one may have to wait for the other.
            while lab.series(&names::LIFETIME).values().sum::<f64>() < stats.created as f64 {
                tokio::task::yield_now().await;
            }
            let stats = pool.stats();
            assert!(lab.series(&names::MISSED).is_empty());
            assert_eq!(of(&names::CREATE_TIME, ""), stats.created as f64);
            assert_eq!(of(&names::WAIT_TIME, ""), stats.acquired as f64);
            assert_eq!(of(&names::USE_TIME, ""), stats.released as f64);
            for reason in CloseReason::ALL {
                let ended = of(&names::LIFETIME, &format!("xec.pool.connection.close.reason={reason}"));
                assert_eq!(ended, stats.destroyed.by(reason) as f64, "{reason}");
            }
            assert!(stats.acquired > 100, "no storm: {stats}");
            let told = lab.seconds_of(&names::WAIT_TIME, "");
            assert!((told - stats.wait.total.as_secs_f64()).abs() < 1e-6, "{told} is not {:?}", stats.wait.total);
            let average = told / of(&names::WAIT_TIME, "");
            assert!((average - stats.wait.average.as_secs_f64()).abs() < 1e-6, "the seed's averageWaitTime");
            assert_eq!(of(&names::UTILIZATION, ""), stats.utilization());
            of(&names::WAIT_TIME, "error.type=cancelled")
        });
    }
    assert!(cancelled > 10.0, "{cancelled} callers in {TASKS} tasks left");
}
