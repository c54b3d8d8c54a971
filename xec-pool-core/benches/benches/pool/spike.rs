//! Many callers at once find few warm connections, and connecting is slow: a pool that dials for each of them opens
//! far too many, and lets callers wait for dials while connections come back.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use tokio::{runtime::Runtime, sync::Barrier, task::JoinSet, time::sleep};
use xec_pool_core_benches::{Bench, Case, Figure, Goal, Subject};

use crate::{
    contended::two_workers,
    peers::{BASE, Bb8Peer, DeadpoolPeer, Dialler, OurPeer, Peer, warm},
};

// From: HikariCP, «Welcome to the Jungle» — a sudden spike on a pool of slow connects and short work.
const NAME: &str = "spike";
const CONNECT_TAKES: Duration = Duration::from_millis(150);
const WORK_TAKES: Duration = Duration::from_millis(2);
const WARM: usize = 5;
const CALLERS: usize = 50;
const MAX: u32 = 50;

pub(crate) fn run(bench: &mut Bench) {
    if !bench.wants(NAME) {
        return;
    }
    let case = Case {
        name: NAME,
        about: "50 callers at once, 5 warm connections, connecting takes 150 ms, work 2 ms: until all are served",
        base: BASE,
        figures: &[Figure { name: "time", unit: "ms" }, Figure { name: "opened", unit: "conns" }],
        goals: &[Goal::Ratio("time", 0.35), Goal::Value("opened", 12.0)],
        rounds: (15, 5),
    };
    let runtime = two_workers();
    bench.case(
        &case,
        vec![subject::<OurPeer>(&runtime), subject::<DeadpoolPeer>(&runtime), subject::<Bb8Peer>(&runtime)],
    );
}

/// Each measurement has a pool of its own: the last one's would be warm.
fn subject<P: Peer>(runtime: &Arc<Runtime>) -> Subject<'static> {
    let runtime = Arc::clone(runtime);
    Subject::new(P::NAME, move || {
        runtime.block_on(async {
            let dialler = Dialler::taking(CONNECT_TAKES);
            let pool = P::build(MAX, dialler.clone());
            warm(&pool, WARM).await;
            let took = spike(&pool).await;
            // Dials that are on their way count too: they will have cost the server a connection.
            let opened = u32::try_from(dialler.dialled()).expect("a caller causes a dial or two");
            vec![took.as_secs_f64() * 1e3, f64::from(opened)]
        })
    })
}

async fn spike<P: Peer>(pool: &P) -> Duration {
    let go = Arc::new(Barrier::new(CALLERS + 1));
    let mut callers = JoinSet::new();
    for _ in 0..CALLERS {
        let (pool, go) = (pool.clone(), Arc::clone(&go));
        callers.spawn(async move {
            go.wait().await;
            let lease = pool.acquire().await;
            sleep(WORK_TAKES).await;
            drop(lease);
        });
    }
    go.wait().await;
    let begin = Instant::now();
    callers.join_all().await;
    begin.elapsed()
}
