//! The host may be back: how many of those who ask at once are let through to find out.

use std::{
    sync::{Arc, Barrier},
    thread,
    time::{Duration, Instant},
};

use xec_pool_core_benches::{Bench, Case, Figure, Goal, Subject};

use crate::peers::{BASE, FailsafePeer, OurPeer, Peer, RecloserPeer};

const CALLERS: usize = 50;
const OPEN_FOR: Duration = Duration::from_millis(2);

pub(crate) fn run(bench: &mut Bench) {
    let case = Case {
        name: "half-open",
        about: "50 threads ask at once when the open circuit's time is over: how many are let through",
        base: BASE,
        figures: &[Figure { name: "calls", unit: "calls" }],
        goals: &[Goal::Value("calls", 1.0)],
        rounds: (21, 5),
    };
    if bench.wants(case.name) {
        bench.case(&case, vec![subject::<OurPeer>(), subject::<FailsafePeer>(), subject::<RecloserPeer>()]);
    }
}

fn subject<P: Peer + 'static>() -> Subject<'static> {
    Subject::new(P::NAME, || {
        let peer = Arc::new(P::opened(OPEN_FOR));
        // Stretched by its jitter at most.
        let over = Instant::now() + 2 * OPEN_FOR;
        let (asked, answered) = (Arc::new(Barrier::new(CALLERS)), Arc::new(Barrier::new(CALLERS)));
        let ask = |_| {
            let (peer, asked, answered) = (Arc::clone(&peer), Arc::clone(&asked), Arc::clone(&answered));
            thread::spawn(move || {
                thread::sleep(over.saturating_duration_since(Instant::now()));
                asked.wait();
                // Nobody's call ends before all have asked: a host takes its time to answer.
                let mut waited = false;
                let mut wait = || {
                    waited = true;
                    answered.wait();
                    true
                };
                let passed = peer.call(&mut wait);
                if !waited {
                    answered.wait();
                }
                f64::from(u8::from(passed))
            })
        };
        let threads: Vec<_> = (0..CALLERS).map(ask).collect();
        vec![threads.into_iter().map(|thread| thread.join().expect("it only asks")).sum()]
    })
}
