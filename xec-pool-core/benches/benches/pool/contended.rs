//! Many tasks on few connections: nearly every borrow waits, and is handed what another one gave back.

use std::{sync::Arc, time::Instant};

use tokio::{
    runtime::{Builder, Runtime},
    task::{JoinSet, yield_now},
};
use xec_pool_core_benches::{Bench, Case, Figure, Goal, Subject};

use crate::peers::{BASE, Bb8Peer, DeadpoolPeer, Dialler, OurPeer, Peer, warm};

const NAME: &str = "contended";
const CONNECTIONS: u32 = 10;
const TASKS: u32 = 64;

/// Borrows of each task in one measurement.
const OPERATIONS: u32 = 500;

pub(crate) fn run(bench: &mut Bench) {
    if !bench.wants(NAME) {
        return;
    }
    let case = Case {
        name: NAME,
        about: "64 tasks on 10 connections, each yields once while it holds one; two worker threads",
        base: BASE,
        figures: &[Figure { name: "time", unit: "ns/op" }],
        goals: &[Goal::Ratio("time", 1.0)],
        rounds: (151, 41),
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
        let begin = Instant::now();
        runtime.block_on(crowd(&pool));
        vec![begin.elapsed().as_secs_f64() * 1e9 / f64::from(TASKS * OPERATIONS)]
    })
}

async fn crowd<P: Peer>(pool: &P) {
    let mut tasks = JoinSet::new();
    for _ in 0..TASKS {
        let pool = pool.clone();
        tasks.spawn(async move {
            for _ in 0..OPERATIONS {
                let lease = pool.acquire().await;
                yield_now().await;
                drop(lease);
            }
        });
    }
    tasks.join_all().await;
}

/// Enough threads to contend, few enough for a small machine.
pub(crate) fn two_workers() -> Arc<Runtime> {
    let runtime = Builder::new_multi_thread().worker_threads(2).enable_time().build();
    Arc::new(runtime.expect("a runtime without I/O starts"))
}
