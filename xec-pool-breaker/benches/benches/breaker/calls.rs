//! One thread, one call after another: through a closed breaker, and against an open one.

use std::{
    hint::black_box,
    time::{Duration, Instant},
};

use xec_pool_core_benches::{Bench, Case, Figure, Probe, Subject};

use crate::peers::{BASE, FailsafePeer, OurPeer, Peer, RecloserPeer};

const CALLS: u32 = 20_000;

/// Longer than any run.
const OPEN_FOR: Duration = Duration::from_secs(24 * 60 * 60);

const TIME: &[Figure<'static>] = &[Figure { name: "time", unit: "ns/call" }];

pub(crate) fn probes() -> [Probe; 3] {
    [
        Probe::new(OurPeer::NAME, probe::<OurPeer>),
        Probe::new(FailsafePeer::NAME, probe::<FailsafePeer>),
        Probe::new(RecloserPeer::NAME, probe::<RecloserPeer>),
    ]
}

pub(crate) fn run_closed(bench: &mut Bench) {
    let about = "a call passes and succeeds: asked, and told how it went";
    let case = Case { name: "closed", about, base: BASE, figures: TIME, goals: &[], rounds: (201, 41) };
    if !bench.wants(case.name) {
        return;
    }
    bench.case(&case, vec![closed::<OurPeer>(), closed::<FailsafePeer>(), closed::<RecloserPeer>()]);
    bench.instructions("closed/instructions", BASE, &probes());
}

pub(crate) fn run_open(bench: &mut Bench) {
    let about = "a call is refused because the circuit is open; ours says until when, and why";
    let case = Case { name: "open", about, base: BASE, figures: TIME, goals: &[], rounds: (201, 41) };
    if bench.wants(case.name) {
        bench.case(&case, vec![open::<OurPeer>(), open::<FailsafePeer>(), open::<RecloserPeer>()]);
    }
}

fn closed<P: Peer + 'static>() -> Subject<'static> {
    let peer = P::build(OPEN_FOR);
    Subject::new(P::NAME, move || timed(&peer, true))
}

fn open<P: Peer + 'static>() -> Subject<'static> {
    let peer = P::opened(OPEN_FOR);
    Subject::new(P::NAME, move || timed(&peer, false))
}

fn timed<P: Peer>(peer: &P, passes: bool) -> Vec<f64> {
    let begin = Instant::now();
    for _ in 0..CALLS {
        assert_eq!(peer.call(|| black_box(true)), passes);
    }
    vec![begin.elapsed().as_secs_f64() * 1e9 / f64::from(CALLS)]
}

fn probe<P: Peer>(times: u64) {
    let peer = P::build(OPEN_FOR);
    for _ in 0..times {
        black_box(peer.call(|| black_box(true)));
    }
}
