//! How long one waits beside others who wait: a pool that lets late ones in first is quick on average, and somebody
//! starves.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use tokio::{runtime::Runtime, task::JoinSet, time::sleep};
use xec_pool_core_benches::{Bench, Case, Figure, Goal, Subject, percentile};

use crate::{
    contended::two_workers,
    peers::{BASE, Bb8Peer, DeadpoolPeer, Dialler, OurPeer, Peer, warm},
};

const NAME: &str = "fairness";
const CONNECTIONS: u32 = 10;
const TASKS: usize = 64;
const HELD_FOR: Duration = Duration::from_millis(1);

/// One measurement: some 5,000 waits, of which the worst five are beyond p99.9.
const LASTS: Duration = Duration::from_millis(1_200);

pub(crate) fn run(bench: &mut Bench) {
    if !bench.wants(NAME) {
        return;
    }
    let case = Case {
        name: NAME,
        about: "64 tasks on 10 connections, each holds one for 1 ms: how long they wait",
        base: BASE,
        figures: &[
            Figure { name: "p99.9", unit: "µs" },
            Figure { name: "p50", unit: "µs" },
            Figure { name: "max", unit: "µs" },
            Figure { name: "max-by-p50", unit: "×" },
        ],
        goals: &[Goal::Ratio("p99.9", 1.0), Goal::Value("max-by-p50", 2.5)],
        rounds: (42, 6),
    };
    let runtime = two_workers();
    bench.case(
        &case,
        vec![subject::<OurPeer>(&runtime), subject::<DeadpoolPeer>(&runtime), subject::<Bb8Peer>(&runtime)],
    );
}

fn subject<P: Peer>(runtime: &Arc<Runtime>) -> Subject<'static> {
    let runtime = Arc::clone(runtime);
    let pool = runtime.block_on(async {
        let pool = P::build(CONNECTIONS, Dialler::default());
        warm(&pool, 10).await;
        pool
    });
    Subject::new(P::NAME, move || {
        let mut waits = runtime.block_on(crowd(&pool));
        let p50 = percentile(&mut waits, 50.0);
        let max = percentile(&mut waits, 100.0);
        vec![percentile(&mut waits, 99.9), p50, max, max / p50]
    })
}

/// All waits in microseconds. The run has an end in time, not in borrows: else who barged in would be done early,
/// and leave the others in peace.
async fn crowd<P: Peer>(pool: &P) -> Vec<f64> {
    let end = Instant::now() + LASTS;
    let mut tasks = JoinSet::new();
    for _ in 0..TASKS {
        let pool = pool.clone();
        tasks.spawn(async move {
            let mut waits = Vec::new();
            while Instant::now() < end {
                let asked = Instant::now();
                let lease = pool.acquire().await;
                waits.push(asked.elapsed().as_secs_f64() * 1e6);
                sleep(HELD_FOR).await;
                drop(lease);
            }
            waits
        });
    }
    tasks.join_all().await.concat()
}
