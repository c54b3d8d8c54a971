//! What a breaker costs beside failsafe (the base) and recloser, and what it saves when a host is down.
#![expect(clippy::print_stderr, reason = "a bench speaks to the terminal")]

// Who is measured.
mod peers;

// The cases.
mod calls;

mod half_open;

mod outage;

use std::process::ExitCode;

use xec_pool_core_benches::Bench;

fn main() -> ExitCode {
    let mut bench = Bench::from_args("breaker", &calls::probes());
    calls::run_closed(&mut bench);
    calls::run_open(&mut bench);
    half_open::run(&mut bench);
    if let Err(error) = outage::run(&mut bench) {
        // A bench that leaves a case out would look like one that has measured it.
        eprintln!("error: {error}");
        return ExitCode::FAILURE;
    }
    bench.finish()
}
