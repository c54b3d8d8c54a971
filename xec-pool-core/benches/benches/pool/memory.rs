//! What an idle pool weighs: a fleet has one for each host.

use tokio::runtime::Builder;
use xec_pool_core_benches::{Bench, Case, Figure, Goal, Subject};

use crate::peers::{BASE, Bb8Peer, DeadpoolPeer, Dialler, OurPeer, Peer};

const NAME: &str = "memory";
const MAX: u32 = 10;
const POOLS: u32 = 10_000;

pub(crate) fn run(bench: &mut Bench) {
    if !bench.wants(NAME) {
        return;
    }
    let case = Case {
        name: NAME,
        about: "heap of a pool with one idle connection, at most 10; 10,000 of them",
        base: BASE,
        figures: &[Figure { name: "heap", unit: "B/pool" }],
        goals: &[Goal::Value("heap", 1_500.0)],
        rounds: (3, 1),
    };
    bench.case(&case, vec![subject::<OurPeer>(), subject::<DeadpoolPeer>(), subject::<Bb8Peer>()]);
}

fn subject<P: Peer>() -> Subject<'static> {
    Subject::new(P::NAME, || {
        // All on this thread, as it is the one whose allocations are counted; a pool's own tasks weigh, too.
        let runtime = Builder::new_current_thread().enable_time().build().expect("a runtime without I/O starts");
        let dialler = Dialler::default();
        let mut pools: Vec<P> = Vec::with_capacity(POOLS as usize);
        let grown = allocation_counter::measure(|| {
            runtime.block_on(async {
                for _ in 0..POOLS {
                    let pool = P::build(MAX, dialler.clone());
                    drop(pool.acquire().await);
                    pools.push(pool);
                }
            });
        });
        let bytes = u32::try_from(grown.bytes_current).expect("pools weigh something, and less than the machine");
        vec![f64::from(bytes) / f64::from(POOLS)]
    })
}
