//! `check`: every check that reads the code, the quick ones first.

use crate::{
    arrows, licences,
    run::{self, Done},
    seeds, tidy,
    workspace::Workspace,
};

pub(crate) fn run() -> Done {
    run::run(run::cargo("fmt").args(["--all", "--check"]))?;
    tidy::run()?;
    arrows::run()?;
    licences::run()?;
    seeds::run()?;
    let features = Workspace::read()?.features(|feature| feature != SLOW);
    let clippy = ["--workspace", "--all-targets", "--features", &features, "--", "-D", "warnings"];
    run::run(run::cargo("clippy").args(clippy))?;
    // What `cargo test --workspace` builds where there is Rust only: `xtask test` builds it with all features.
    run::run(run::cargo("clippy").args(["--workspace", "--tests", "--", "-D", "warnings"]))?;
    each_feature_alone()?;
    let doc = ["--workspace", "--no-deps", "--features", &features];
    run::run(run::cargo("doc").args(doc).env("RUSTDOCFLAGS", "-D warnings"))
}

/// Builds a C library for minutes, in place of [`BACKEND`]: looked at by hand when the dialling of it changes.
pub(crate) const SLOW: &str = "aws-lc-rs";

/// russh builds with exactly one backend, or not at all.
const BACKEND: &str = "ring";

/// Each feature of each crate by itself, and none: a feature that only builds beside another one is found here.
fn each_feature_alone() -> Done {
    for package in Workspace::read()?.ours().filter(|package| package.published) {
        let features =
            package.features.iter().map(String::as_str).filter(|&feature| feature != "default" && feature != SLOW);
        let backend = package.features.iter().any(|feature| feature == BACKEND);
        for feature in std::iter::once("").chain(features) {
            let mut clippy = run::cargo("clippy");
            clippy.args(["--quiet", "--package", &package.name, "--lib", "--no-default-features"]);
            if !feature.is_empty() {
                clippy.args(["--features", feature]);
            }
            if backend {
                clippy.args(["--features", BACKEND]);
            }
            run::run(clippy.args(["--", "-D", "warnings"]))?;
        }
    }
    Ok(())
}
