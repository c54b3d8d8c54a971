//! `test`: first what needs Rust only, then the test targets that need more and say so in `required-features`.

use std::process::Command;

use crate::{
    arrows::DEMANDING,
    check::SLOW,
    debian::Program,
    engine,
    run::{self, Done},
    sshd::{IN_CONTAINERS, SSHD},
    versions,
    workspace::{Package, Target, Workspace},
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

impl Options {
    /// The programs behind a feature, and whether its tests are to be run.
    fn demand(&self, feature: &str) -> Option<(&'static [Program], bool)> {
        match feature {
            "sshd" => Some((&[SSHD], true)),
            "containers" => Some((IN_CONTAINERS, true)),
            "browser" => Some((&[CHROMIUM], self.browser)),
            "prometheus" => Some((&[PROMETHEUS], self.prometheus)),
            _ => None,
        }
    }

    /// Makes sure of the programs that tests need, before anything is built: what is missing is told at once.
    fn ensure_there(&self, workspace: &Workspace) -> Done {
        let wanted = workspace.ours().flat_map(demanding).filter(|target| self.wants(target));
        let mut features: Vec<&str> = wanted.flat_map(|target| &target.required_features).map(String::as_str).collect();
        features.sort_unstable();
        features.dedup();
        for (programs, _) in features.iter().filter_map(|feature| self.demand(feature)) {
            programs.iter().try_for_each(Program::ensure_installed)?;
        }
        if features.contains(&"containers") { engine::ensure_running() } else { Ok(()) }
    }

    fn wants(&self, target: &Target) -> bool {
        target.required_features.iter().all(|feature| self.demand(feature).is_none_or(|(_, wanted)| wanted))
    }
}

/// Whose documentation shows what is behind such features; the others only test with them.
const SHOWN_IN_DOCS: &str = "xec-pool-testkit";

/// Nothing is printed after the last runner: its own last lines are what a reader looks for.
pub(crate) fn run(options: &Options) -> Done {
    let runner = Runner { nextest: run::cargo_has("nextest"), options };
    if !options.sshd.is_empty() {
        return versions::run(&options.sshd, || runner.command());
    }
    let workspace = Workspace::read()?;
    options.ensure_there(&workspace)?;
    let features = workspace.features(|feature| feature != SLOW && !DEMANDING.contains(&feature));
    let rust_only = ["--workspace", "--features", &features];
    run::run(runner.command().args(rust_only))?;
    if runner.nextest {
        // nextest runs no doc tests; plain `cargo test` above has already run them.
        run::run(run::cargo("test").args(rust_only).arg("--doc"))?;
    }
    for package in workspace.ours() {
        let demanding: Vec<&Target> = demanding(package).filter(|target| options.wants(target)).collect();
        if !demanding.is_empty() {
            runner.run_demanding(package, &demanding)?;
        }
    }
    Ok(())
}

fn demanding(package: &Package) -> impl Iterator<Item = &Target> {
    let demands = |feature: &String| DEMANDING.contains(&feature.as_str());
    package.targets.iter().filter(move |target| target.kind == "test" && target.required_features.iter().any(demands))
}

struct Runner<'a> {
    nextest: bool,
    options: &'a Options,
}

impl Runner<'_> {
    fn command(&self) -> Command {
        let mut cargo = if self.nextest { run::cargo("nextest") } else { run::cargo("test") };
        if self.nextest {
            cargo.arg("run");
        }
        if self.options.long {
            cargo.env("XEC_POOL_LIVES", LONG_LIVES);
            if self.nextest {
                cargo.args(["--profile", "long"]);
            }
        }
        cargo
    }

    fn run_demanding(&self, package: &Package, targets: &[&Target]) -> Done {
        let mut features: Vec<&str> =
            targets.iter().flat_map(|target| &target.required_features).map(String::as_str).collect();
        features.sort_unstable();
        features.dedup();
        if package.name == SHOWN_IN_DOCS {
            run::run(run::cargo("test").args([
                "--doc",
                "--package",
                &package.name,
                "--features",
                &features.join(","),
            ]))?;
        }
        let mut command = self.command();
        command.args(["--package", &package.name, "--features", &features.join(",")]);
        for target in targets {
            command.args(["--test", &target.name]);
        }
        // A library and its examples may have tests of their own behind the same feature.
        command.arg("--lib");
        for example in package.targets.iter().filter(|target| target.kind == "example" && target.tested) {
            command.args(["--example", &example.name]);
        }
        run::run(&mut command)
    }
}
