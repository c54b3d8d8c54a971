//! `bench`: starts the bench programs, which live beside the crates they measure.

use std::{
    env, fs,
    path::{Path, PathBuf},
};

use serde_json::{Value, json};

use crate::{
    debian,
    run::{self, Done, Failure},
    sshd::SSHD,
    workspace::Workspace,
};

const VALGRIND: debian::Program = debian::Program { file: "valgrind", package: "valgrind" };

/// The groups with a case whose instructions are counted.
const COUNTED: &[&str] = &["pool", "breaker"];

#[derive(clap::Args)]
pub(crate) struct Options {
    /// Which one (`pool`, `ssh`, …); all of them without it.
    group: Option<String>,
    /// End within a minute a group: fewer rounds, wider spreads.
    #[arg(long)]
    quick: bool,
    /// Write the figures there as well: {"rows": [{"group", "case", "subject", "median", "unit", "base", "ratio"}]}.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Only the case of this name.
    #[arg(long)]
    case: Option<String>,
}

/// Runs each group in turn: beside another one it would be measured wrong.
pub(crate) fn run(options: &Options) -> Done {
    let groups = chosen(options.group.as_deref())?;
    let mut rows = Vec::new();
    for program in &groups {
        let group = &program.group;
        let part = env::temp_dir().join(format!("xec-pool-bench-{group}-{}.json", std::process::id()));
        start(program, options, options.json.as_ref().map(|_| part.as_path()))?;
        if options.json.is_some() {
            rows.append(&mut read_rows(&part)?);
            let _ = fs::remove_file(&part);
        }
    }
    match &options.json {
        None => Ok(()),
        Some(file) => fs::write(file, format!("{:#}\n", json!({ "rows": rows })))
            .map_err(|error| Failure::from(format!("{}: {error}", file.display()))),
    }
}

/// A bench program of an unpublished member.
struct Program {
    package: String,
    group: String,
    features: String,
}

/// The bench programs, by the name of the group each measures.
fn chosen(group: Option<&str>) -> Done<Vec<Program>> {
    let workspace = Workspace::read()?;
    let all: Vec<Program> = workspace
        .ours()
        .flat_map(|package| package.targets.iter().map(move |target| (package, target)))
        .filter(|(_, target)| target.kind == "bench")
        .map(|(package, target)| Program {
            package: package.name.clone(),
            group: target.name.clone(),
            features: target.required_features.join(","),
        })
        .collect();
    let names: Vec<&str> = all.iter().map(|program| program.group.as_str()).collect();
    match group {
        Some(group) if !names.contains(&group) => {
            Err(Failure::from(format!("no bench `{group}`; there is: {}", names.join(", "))))
        }
        Some(group) => Ok(all.into_iter().filter(|program| program.group == group).collect()),
        None if all.is_empty() => Err(Failure::from("there is no bench program yet".to_owned())),
        None => Ok(all),
    }
}

fn start(program: &Program, options: &Options, json: Option<&Path>) -> Done {
    if program.features.split(',').any(|feature| feature == "sshd") {
        SSHD.ensure_installed()?;
    }
    let counts = options.case.as_deref().is_none_or(|case| case.ends_with("/instructions"));
    if counts && COUNTED.contains(&program.group.as_str()) {
        VALGRIND.ensure_installed()?;
    }
    let mut cargo = run::cargo("bench");
    cargo.args(["--package", &program.package, "--bench", &program.group]);
    if !program.features.is_empty() {
        cargo.args(["--features", &program.features]);
    }
    cargo.arg("--");
    if options.quick {
        cargo.arg("--quick");
    }
    if let Some(case) = &options.case {
        cargo.args(["--case", case]);
    }
    if let Some(json) = json {
        cargo.arg("--json").arg(json);
    }
    run::run(&mut cargo)
}

fn read_rows(file: &Path) -> Done<Vec<Value>> {
    let said = |error: &dyn std::fmt::Display| Failure::from(format!("{}: {error}", file.display()));
    let text = fs::read_to_string(file).map_err(|error| said(&error))?;
    let mut all: Value = serde_json::from_str(&text).map_err(|error| said(&error))?;
    match all["rows"].take() {
        Value::Array(rows) => Ok(rows),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Object(_) => {
            Err(said(&"holds no rows"))
        }
    }
}
