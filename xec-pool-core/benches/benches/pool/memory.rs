//! What an idle pool weighs: a fleet has one for each host, and most of them have nothing to do.

use std::time::Duration;

use tokio::{runtime::Builder, time::sleep};
use xec_pool_core_benches::{Bench, Case, Figure, Goal, Subject};

use crate::peers::{BASE, Bb8Peer, DeadpoolPeer, Dialler, OurPeer, Peer};

const NAME: &str = "memory";
const MAX: u32 = 10;
const POOLS: u32 = 10_000;

/// How often ours looks after itself here, so that nobody has to wait for 30 s; and for how long it is left alone.
const LOOKS_EVERY: Duration = Duration::from_millis(100);
const LEFT_ALONE: Duration = Duration::from_millis(800);

pub(crate) fn run(bench: &mut Bench) {
    if !bench.wants(NAME) {
        return;
    }
    let case = Case {
        name: NAME,
        about: "heap of a pool that was used and is idle, its connections gone (where the pool lets them go); of at \
                most 10 connections, 10,000 of them. one-left: while it keeps one idle connection",
        base: BASE,
        figures: &[Figure { name: "heap", unit: "B/pool" }, Figure { name: "one-left", unit: "B/pool" }],
        goals: &[Goal::Value("heap", 1_500.0)],
        rounds: (3, 1),
    };
    bench.case(&case, vec![subject::<OurPeer>(), subject::<DeadpoolPeer>(), subject::<Bb8Peer>()]);
}

fn subject<P: Peer>() -> Subject<'static> {
    Subject::new(P::NAME, || {
        let goes_after = |idle| heap(|dialler| P::build_idle(MAX, dialler, LOOKS_EVERY, idle));
        vec![goes_after(LOOKS_EVERY), goes_after(Duration::from_secs(3_600))]
    })
}

/// Bytes a pool.
fn heap<P: Peer>(build: impl Fn(Dialler) -> P) -> f64 {
    // All on this thread, as it is the one whose allocations are counted; a pool's own tasks weigh, too.
    let runtime = Builder::new_current_thread().enable_time().build().expect("a runtime without I/O starts");
    let dialler = Dialler::default();
    let mut pools: Vec<P> = Vec::with_capacity(POOLS as usize);
    let grown = allocation_counter::measure(|| {
        runtime.block_on(async {
            for _ in 0..POOLS {
                let pool = build(dialler.clone());
                drop(pool.acquire().await);
                pools.push(pool);
            }
            sleep(LEFT_ALONE).await;
        });
    });
    let bytes = u32::try_from(grown.bytes_current).expect("pools weigh something, and less than the machine");
    f64::from(bytes) / f64::from(POOLS)
}
