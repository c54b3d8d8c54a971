//! One task borrows and gives back, over and over: nobody waits, nothing is dialled.

use std::{hint::black_box, time::Instant};

use tokio::runtime::{Builder, Runtime};
use xec_pool_core_benches::{Bench, Case, Figure, Goal, Probe, Subject};

use crate::peers::{BASE, Bb8Peer, DeadpoolPeer, Dialler, OurPeer, Peer, warm};

const NAME: &str = "uncontended";
const CONNECTIONS: u32 = 10;
const OPERATIONS: u32 = 20_000;

/// Operations whose allocations are counted: fewer than tokio lets a task do in one go. Where it makes a task that does
/// more yield, tokio allocates, whoever's operation it is.
const COUNTED: u32 = 100;

pub(crate) fn probes() -> [Probe; 3] {
    [
        Probe::new(OurPeer::NAME, probe::<OurPeer>),
        Probe::new(DeadpoolPeer::NAME, probe::<DeadpoolPeer>),
        Probe::new(Bb8Peer::NAME, probe::<Bb8Peer>),
    ]
}

pub(crate) fn run(bench: &mut Bench) {
    if !bench.wants(NAME) {
        return;
    }
    let case = Case {
        name: NAME,
        about: "acquire and release by one task, one thread",
        base: BASE,
        figures: &[Figure { name: "time", unit: "ns/op" }, Figure { name: "allocations", unit: "per op" }],
        goals: &[Goal::Ratio("time", 1.0), Goal::Value("allocations", 0.0)],
        rounds: (201, 41),
    };
    bench.case(&case, vec![subject::<OurPeer>(), subject::<DeadpoolPeer>(), subject::<Bb8Peer>()]);
    bench.instructions("uncontended/instructions", BASE, &probes());
}

fn subject<P: Peer>() -> Subject<'static> {
    let (runtime, pool) = warm_pool::<P>();
    Subject::new(P::NAME, move || {
        let begin = Instant::now();
        runtime.block_on(borrow(&pool, OPERATIONS));
        let nanos = begin.elapsed().as_secs_f64() * 1e9 / f64::from(OPERATIONS);
        let counted = allocation_counter::measure(|| runtime.block_on(borrow(&pool, COUNTED)));
        let counted = u32::try_from(counted.count_total).expect("some thousands at most");
        vec![nanos, f64::from(counted) / f64::from(COUNTED)]
    })
}

fn probe<P: Peer>(times: u64) {
    let (runtime, pool) = warm_pool::<P>();
    runtime.block_on(borrow(&pool, u32::try_from(times).expect("some thousands")));
}

fn warm_pool<P: Peer>() -> (Runtime, P) {
    let runtime = Builder::new_current_thread().enable_time().build().expect("a runtime without I/O starts");
    let pool = runtime.block_on(async {
        let pool = P::build(CONNECTIONS, Dialler::default());
        warm(&pool, 10).await;
        pool
    });
    (runtime, pool)
}

async fn borrow<P: Peer>(pool: &P, times: u32) {
    for _ in 0..times {
        black_box(pool.acquire().await);
    }
}
