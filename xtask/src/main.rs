//! Every chore of this workspace: `cargo xtask --help`.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a chore speaks to the terminal")]

// How a chore runs other programs, and what it knows of the workspace.
mod run;

mod workspace;

// Chores that start programs.
mod demo;

mod debian;

mod sshd;

mod engine;

mod faults;

mod bench;

mod test;

mod versions;

mod fuzz;

// Chores that look at the code, and the one that runs them all.
mod check;

mod arrows;

mod licences;

mod seeds;

// What a file offers.
mod surface;

mod tidy;

mod hidden;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Every chore of this workspace.
#[derive(Parser)]
#[command(bin_name = "cargo xtask", subcommand_required = true, arg_required_else_help = true)]
struct Chores {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    /// Watch pooled SSH commands run: [user@host[:port]] [--json] [-- command …]; without a host, needs nothing.
    #[command(disable_help_flag = true)]
    Demo {
        /// Passed on as they are; `--help` tells more.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        args: Vec<String>,
    },
    /// Start a throw-away OpenSSH server on loopback and say how to reach it; Ctrl-C ends it.
    Sshd,
    /// Run every test, also those that need a real sshd or a Docker engine; by flags more.
    Test(test::Options),
    /// Run every state of a pool against every fault of its server, in containers, and print a table.
    Faults(faults::Faults),
    /// Run random load, faults and changes against several servers, and see that nothing is left at the end.
    Soak(faults::Soak),
    /// Run every check that reads the code: format, lints, docs, features, and the chores below.
    Check,
    /// Measure us beside our peers, interleaved in one run.
    Bench(bench::Options),
    /// Fuzz the parsers of texts from outside, guided by coverage; needs a nightly rustc and cargo-fuzz.
    Fuzz(fuzz::Options),
    /// Check which crate depends on which.
    Arrows,
    /// Check the licence of every dependency, and that no banned one came in.
    Licences,
    /// Print each heading of the seed page with the modules that answer it.
    Seeds,
    /// Check what no compiler checks: file sizes, loose ends, module heads, sleeps in tests.
    Tidy,
}

fn main() -> ExitCode {
    let done = match Chores::parse().verb {
        Verb::Demo { args: _ } => demo::run(),
        Verb::Sshd => sshd::run(),
        Verb::Test(options) => test::run(&options),
        Verb::Faults(options) => faults::faults(&options),
        Verb::Soak(options) => faults::soak(&options),
        Verb::Check => check::run(),
        Verb::Bench(options) => bench::run(&options),
        Verb::Fuzz(options) => fuzz::run(&options),
        Verb::Arrows => arrows::run(),
        Verb::Licences => licences::run(),
        Verb::Seeds => seeds::run(),
        Verb::Tidy => tidy::run(),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("error: {failure}");
            failure.exit_code()
        }
    }
}
