//! What a command costs through a pool, beside russh used directly and beside `ssh` processes.
//!
//! The server is OpenSSH's own sshd on loopback, started here, but for `warm-embedded`: sshd starts a process for each
//! command, which hides what the client does.
#![expect(clippy::print_stderr, reason = "a bench speaks to the terminal")]

// Who is measured, and on which server.
mod peers;

// The cases.
mod warm;

mod cold;

mod burst;

use std::{io, process::ExitCode};

use xec_pool_core_benches::Bench;

fn main() -> ExitCode {
    let mut bench = Bench::from_args("ssh", &[]);
    let cases: [fn(&mut Bench) -> io::Result<()>; 5] =
        [warm::run, warm::run_embedded, warm::run_threads, cold::run, burst::run];
    for case in cases {
        if let Err(error) = case(&mut bench) {
            // A bench that leaves a case out would look like one that has measured it.
            eprintln!("error: {error}");
            return ExitCode::FAILURE;
        }
    }
    bench.finish()
}
