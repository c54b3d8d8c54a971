//! `test`: every test, also those that need more than Rust and say so in `required-features`. All are built at once: each
//! other set of features would be another build of what we depend on.

use std::process::Command;

use crate::{
    arrows::DEMANDING,
    check::SLOW,
    debian::Program,
    engine,
    run::{self, Done},
    sshd::{IN_CONTAINERS, SSHD},
    versions,
    workspace::Workspace,
};

/// Lives of each property test that counts them in a long run (2,000 or 3,000 without it).
const LONG_LIVES: &str = "100000";

#[derive(clap::Args)]
pub(crate) struct Options {
    /// 100,000 random lives of the pool's machine and of the breaker's, instead of 2,000 and 3,000.
    #[arg(long)]
    long: bool,
    /// Also look at the live page of the metrics in Chromium.
    #[arg(long)]
    browser: bool,
    /// Also let Prometheus read metrics, dashboard and alerts.
    #[arg(long)]
    prometheus: bool,
    /// In place of all that: the tests of containers on these servers, in images that are made where they are missing
    /// (mmdebstrap): bullseye, bookworm, trixie, dropbear.
    #[arg(long, value_name = "LIST", value_delimiter = ',')]
    sshd: Vec<String>,
}

const CHROMIUM: Program = Program { file: "chromium", package: "chromium" };
const PROMETHEUS: Program = Program { file: "prometheus", package: "prometheus" };

/// The programs that tests behind such a feature need.
fn programs(feature: &str) -> &'static [Program] {
    match feature {
        "sshd" => &[SSHD],
        "containers" => IN_CONTAINERS,
        "browser" => &[CHROMIUM],
        "prometheus" => &[PROMETHEUS],
        _ => &[],
    }
}

impl Options {
    fn wants(&self, feature: &str) -> bool {
        match feature {
            "browser" => self.browser,
            "prometheus" => self.prometheus,
            _ => feature != SLOW,
        }
    }

    /// Before anything is built: what is missing is told at once.
    fn ensure_there(&self) -> Done {
        let wanted = DEMANDING.iter().filter(|feature| self.wants(feature));
        wanted.flat_map(|feature| programs(feature)).try_for_each(Program::ensure_installed)?;
        engine::ensure_running()
    }

    /// The runner that this machine has.
    fn runner(&self) -> Command {
        let mut runner = if has_nextest() { run::cargo("nextest") } else { run::cargo("test") };
        if has_nextest() {
            runner.arg("run");
        }
        if self.long {
            runner.env("XEC_POOL_LIVES", LONG_LIVES);
            if has_nextest() {
                runner.args(["--profile", "long"]);
            }
        }
        runner
    }
}

fn has_nextest() -> bool {
    run::cargo_has("nextest")
}

/// Nothing is printed after the runner: its own last lines are what a reader looks for.
pub(crate) fn run(options: &Options) -> Done {
    if !options.sshd.is_empty() {
        return versions::run(&options.sshd, || options.runner());
    }
    options.ensure_there()?;
    let features = Workspace::read()?.features(|feature| options.wants(feature));
    let all = ["--workspace", "--features", &features];
    if has_nextest() {
        // nextest runs no doc tests; plain `cargo test` does.
        run::run(run::cargo("test").args(all).arg("--doc"))?;
    }
    run::run(options.runner().args(all))
}
