//! `demo` and whatever else is an example that a chore starts.

use std::{env, process::Command};

use crate::{
    run::{self, Done},
    workspace::Workspace,
};

/// Becomes the demo. All that stands after the verb is the demo's own, `--` and `--help` too, so it is taken from
/// the process and not from clap, which would eat the first `--`.
pub(crate) fn run() -> Done {
    let mut demo = example("xec-pool-ssh", "demo")?;
    run::become_(demo.arg("--").args(env::args_os().skip(2)))
}

/// The command that runs an example of ours with the features it asks for, optimised.
pub(crate) fn example(package: &str, name: &str) -> Done<Command> {
    let features = Workspace::read()?.target(package, "example", name)?.required_features.join(",");
    let mut cargo = run::cargo("run");
    cargo.args(["--release", "--package", package, "--example", name]);
    if !features.is_empty() {
        cargo.args(["--features", &features]);
    }
    Ok(cargo)
}
