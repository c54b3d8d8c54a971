//! What watching costs: acquire and release of an idle connection, by one task, beside a pool that nobody watches.
//!
//! The figure `added` is the difference of the two in the same round: what watching alone costs.

// Who is watched, and by whom.
mod subjects;

use std::process::ExitCode;

use xec_pool_core_benches::{Bench, Case, Figure, Goal, OURS, Subject};

use crate::subjects::{Watched, no_op, no_op_with_spans, sdk_metrics, sdk_metrics_and_spans};

const BASE: &str = "unwatched";
const FIGURES: &[Figure<'_>] = &[Figure { name: "time", unit: "ns/op" }, Figure { name: "added", unit: "ns/op" }];

fn main() -> ExitCode {
    let mut bench = Bench::from_args("metrics", &[]);
    case(&mut bench, "noop-meter", "no-op meter, spans off", &[Goal::Value("added", 60.0)], no_op);
    case(&mut bench, "noop-tracer", "no-op meter, no-op tracer", &[Goal::Value("added", 180.0)], no_op_with_spans);
    case(&mut bench, "sdk-metrics", "the SDK's metrics, spans off", &[Goal::Value("added", 400.0)], sdk_metrics);
    // No goal: the price of the SDK's spans is the SDK's.
    case(&mut bench, "sdk-spans", "the SDK's metrics and its spans, in batches", &[], sdk_metrics_and_spans);
    bench.finish()
}

fn case(bench: &mut Bench, name: &str, about: &str, goals: &[Goal<'_>], watched: fn() -> Watched) {
    if !bench.wants(name) {
        return;
    }
    let case = Case { name, about, base: BASE, figures: FIGURES, goals, rounds: (101, 31) };
    let (watched, bare, base) = (watched(), Watched::by_nobody(), Watched::by_nobody());
    let ours = move || {
        let (bare, watched) = (bare.nanos(), watched.nanos());
        vec![watched, watched - bare]
    };
    bench.case(&case, vec![Subject::new(BASE, move || vec![base.nanos(), 0.0]), Subject::new(OURS, ours)]);
}
