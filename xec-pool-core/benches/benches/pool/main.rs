//! What borrowing costs, beside deadpool's managed pool without timeouts (the base) and bb8.
//!
//! A connection is a number and a connect is counting, so all that is measured is the pool. Ours runs as it comes:
//! default configuration with all its deadlines, no observer.

// Who is measured.
mod peers;

// The cases.
mod uncontended;

mod contended;

mod fairness;

mod spike;

mod memory;

use std::process::ExitCode;

use xec_pool_core_benches::Bench;

fn main() -> ExitCode {
    let mut bench = Bench::from_args("pool", &uncontended::probes());
    uncontended::run(&mut bench);
    contended::run(&mut bench);
    fairness::run(&mut bench);
    spike::run(&mut bench);
    memory::run(&mut bench);
    bench.finish()
}
