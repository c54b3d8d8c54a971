//! `faults` and `soak`: start the programs that try the pool on real servers.

use std::{env, path::PathBuf};

use crate::{
    debian::Program,
    demo, engine,
    run::{self, Done, Failure},
    sshd::{IN_CONTAINERS, SSHD},
    versions,
};

#[derive(clap::Args)]
pub(crate) struct Faults {
    /// Write the table there as well, in Markdown.
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Only this state: a row's name.
    #[arg(long)]
    state: Option<String>,
    /// Only this fault: a column's name.
    #[arg(long)]
    fault: Option<String>,
    /// On the OpenSSH of this release, in an image that is made where it is missing (mmdebstrap): bullseye, bookworm or
    /// trixie. This machine's own without it.
    #[arg(long, value_name = "NAME")]
    sshd: Option<String>,
}

#[derive(clap::Args)]
pub(crate) struct Soak {
    /// How long.
    #[arg(long, default_value_t = 20.0)]
    minutes: f64,
    /// What is left to chance is drawn from this; told at the start of each run.
    #[arg(long)]
    seed: Option<u64>,
}

/// Becomes the matrix.
pub(crate) fn faults(options: &Faults) -> Done {
    IN_CONTAINERS.iter().try_for_each(Program::ensure_installed)?;
    engine::ensure_running()?;
    let mut program = demo::example("xec-pool-ssh", "faults")?;
    if let Some(release) = &options.sshd {
        versions::choose_release(&mut program, release)?;
    }
    program.arg("--");
    if let Some(file) = &options.out {
        // The program may be started in another folder than ours.
        let here = env::current_dir().map_err(|error| Failure::from(format!("no current folder: {error}")))?;
        program.arg("--out").arg(here.join(file));
    }
    for (flag, only) in [("--state", &options.state), ("--fault", &options.fault)] {
        if let Some(only) = only {
            program.args([flag, only]);
        }
    }
    run::become_(&mut program)
}

/// Becomes the soak.
pub(crate) fn soak(options: &Soak) -> Done {
    SSHD.ensure_installed()?;
    let mut program = demo::example("xec-pool-ssh", "soak")?;
    program.args(["--", "--minutes", &options.minutes.to_string()]);
    if let Some(seed) = options.seed {
        program.args(["--seed", &seed.to_string()]);
    }
    run::become_(&mut program)
}
