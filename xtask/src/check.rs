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
    run::run(run::cargo("clippy").args(["--workspace", "--all-targets", "--all-features", "--", "-D", "warnings"]))?;
    each_feature_alone()?;
    run::run(run::cargo("doc").args(["--workspace", "--no-deps", "--all-features"]).env("RUSTDOCFLAGS", "-D warnings"))
}

/// Each feature of each crate by itself, and none: a feature that only builds beside another one is found here.
fn each_feature_alone() -> Done {
    for package in Workspace::read()?.ours().filter(|package| package.published) {
        let features = package.features.iter().map(String::as_str).filter(|&feature| feature != "default");
        for feature in std::iter::once("").chain(features) {
            let mut clippy = run::cargo("clippy");
            clippy.args(["--quiet", "--package", &package.name, "--lib", "--no-default-features"]);
            if !feature.is_empty() {
                clippy.args(["--features", feature]);
            }
            run::run(clippy.args(["--", "-D", "warnings"]))?;
        }
    }
    Ok(())
}
