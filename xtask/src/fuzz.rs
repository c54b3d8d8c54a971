//! `fuzz`: texts that no one would think of, for every parser of texts from outside. The targets live in
//! `xec-pool-*/fuzz`, workspaces of their own; what they promise is in `src/fuzzing` of the crate they fuzz, whose tests
//! drive the same properties.

use std::{fs, path::PathBuf, process::Command};

use crate::run::{self, Done, Failure};

#[derive(clap::Args)]
pub(crate) struct Options {
    /// Which one (`ssh_known_hosts`, …); all of them, one after the other, without it.
    target: Option<String>,
    /// How long each is fuzzed.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..))]
    minutes: u32,
}

struct Target {
    /// The folder with its manifest.
    package: PathBuf,
    name: String,
}

/// Stops at the first target that breaks a promise; the text that does it is in the package's `artifacts`.
pub(crate) fn run(options: &Options) -> Done {
    let targets = chosen(targets()?, options.target.as_deref())?;
    ensure_installed()?;
    for target in &targets {
        run::run(&mut command(target, options.minutes)?)?;
    }
    Ok(())
}

/// Every target of every crate of ours.
fn targets() -> Done<Vec<Target>> {
    let mut targets = Vec::new();
    for package in folder(run::root())?.into_iter().map(|folder| folder.join("fuzz")) {
        if !package.join("Cargo.toml").is_file() {
            continue;
        }
        for program in folder(package.join("fuzz_targets"))? {
            let name = program.file_stem().unwrap_or_default().to_string_lossy().into_owned();
            targets.push(Target { package: package.clone(), name });
        }
    }
    Ok(targets)
}

/// What is in a folder, sorted.
fn folder(path: PathBuf) -> Done<Vec<PathBuf>> {
    let said = |error| Failure::from(format!("{}: {error}", path.display()));
    let entries = fs::read_dir(&path).map_err(said)?.map(|entry| entry.map(|entry| entry.path()));
    let mut entries = entries.collect::<Result<Vec<_>, _>>().map_err(said)?;
    entries.sort();
    Ok(entries)
}

fn chosen(targets: Vec<Target>, name: Option<&str>) -> Done<Vec<Target>> {
    let Some(name) = name else { return Ok(targets) };
    let all = targets.iter().map(|target| target.name.as_str()).collect::<Vec<_>>().join(", ");
    let chosen: Vec<Target> = targets.into_iter().filter(|target| target.name == name).collect();
    if chosen.is_empty() {
        return Err(Failure::from(format!("no fuzz target `{name}`; there is: {all}")));
    }
    Ok(chosen)
}

/// Coverage comes from the compiler, and only a nightly one gives it away.
fn ensure_installed() -> Done {
    let there = Command::new("rustup").args(["run", "nightly", "cargo", "fuzz", "--version"]).output();
    if there.is_ok_and(|output| output.status.success()) {
        return Ok(());
    }
    Err(Failure::from(
        "fuzzing needs a nightly rustc and cargo-fuzz; type: rustup toolchain install nightly && cargo install cargo-fuzz"
            .to_owned(),
    ))
}

/// The texts of earlier runs are in `corpus` beside the manifest, those to begin with in `seeds`.
fn command(target: &Target, minutes: u32) -> Done<Command> {
    let corpus = target.package.join("corpus").join(&target.name);
    fs::create_dir_all(&corpus).map_err(|error| Failure::from(format!("{}: {error}", corpus.display())))?;
    let seeds = target.package.join("seeds").join(&target.name);
    let mut fuzz = Command::new("rustup");
    fuzz.args(["run", "nightly", "cargo", "fuzz", "run", "--fuzz-dir"]).arg(&target.package);
    fuzz.arg("--target-dir").arg(run::root().join("target/fuzz")).arg(&target.name).arg(corpus);
    if seeds.is_dir() {
        fuzz.arg(seeds);
    }
    fuzz.args(["--", "-timeout=10", "-print_final_stats=1"]);
    fuzz.arg(format!("-max_total_time={}", u64::from(minutes) * 60));
    // Of the cargo that runs us: they would lead the nightly one astray.
    fuzz.env_remove("CARGO").env_remove("RUSTUP_TOOLCHAIN");
    Ok(fuzz)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_target_has_its_program_in_the_manifest() {
        let targets = targets().expect("the folders are there");
        let names: Vec<&str> = targets.iter().map(|target| target.name.as_str()).collect();
        let core = ["breaker_config", "core_config", "core_duration"];
        let ssh = ["ssh_config", "ssh_control", "ssh_known_hosts", "ssh_private_key", "ssh_quoting", "ssh_target"];
        assert_eq!(names, [&core[..], &ssh].concat());
        for target in targets {
            let manifest = fs::read_to_string(target.package.join("Cargo.toml")).expect("it has one");
            assert!(manifest.contains(&format!("name = \"{}\"", target.name)), "{}", target.name);
        }
    }

    #[test]
    fn a_target_that_is_not_there_is_told_with_those_that_are() {
        let error = chosen(targets().expect("the folders are there"), Some("nobody")).err().expect("there is none");
        assert!(error.to_string().contains("ssh_quoting"), "{error}");
    }
}
