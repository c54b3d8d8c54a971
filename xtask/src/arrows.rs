//! `arrows`: which crate may depend on which. Arrows point one way, to core; siblings meet in tests only.

use crate::{
    run::{self, Done, Failure},
    workspace::{Kind, Package, Workspace},
};

/// What may depend on what among our crates, in shipped code.
const NORMAL: &[(&str, &str)] = &[
    ("xec-pool-ssh", "xec-pool-core"),
    ("xec-pool-breaker", "xec-pool-core"),
    ("xec-pool-metrics", "xec-pool-core"),
    ("xec-pool-testkit", "xec-pool-core"),
];

/// What may be added to that in tests, examples and docs. Core's tests use none of ours, the testkit least of all:
/// they would hold two copies of core's types.
const DEV: &[(&str, &str)] = &[
    ("xec-pool-ssh", "xec-pool-testkit"),
    ("xec-pool-breaker", "xec-pool-testkit"),
    ("xec-pool-metrics", "xec-pool-testkit"),
    ("xec-pool-breaker", "xec-pool-ssh"),
    ("xec-pool-metrics", "xec-pool-ssh"),
];

/// Features of ours whose tests need a program that a machine may lack. Cargo unites the features of all members, so
/// one manifest that switches such a one on makes `cargo test --workspace` fail where there is Rust only.
pub(crate) const DEMANDING: &[&str] = &["sshd", "containers", "browser", "prometheus"];

const CORE: &str = "xec-pool-core";

/// All that core may name in its manifest.
const CORE_USES: &[&str] =
    &["async-trait", "backon", "deadpool", "fastrand", "futures-core", "thiserror", "tokio", "tokio-util", "tracing"];

/// What core may name behind a feature.
const CORE_MAY_USE: &[&str] = &["humantime", "serde", "serde_json"];

/// What must not come in with core by any way round: transports, telemetry, peers. A name stands for all that begin
/// with it.
const CORE_NEVER_PULLS: &[&str] = &[
    "russh",
    "ssh",
    "libssh",
    "openssl",
    "ring",
    "aws-lc",
    "rustls",
    "opentelemetry",
    "prometheus",
    "reqwest",
    "hyper",
    "tonic",
    "tower",
    "testcontainers",
    "bollard",
    "bb8",
    "mobc",
    "r2d2",
    "xec-pool-ssh",
    "xec-pool-breaker",
    "xec-pool-metrics",
    "xec-pool-testkit",
];

pub(crate) fn run() -> Done {
    let workspace = Workspace::read()?;
    let mut wrong: Vec<String> = workspace.ours().flat_map(|package| wrong_arrows(package, &workspace)).collect();
    wrong.extend(workspace.ours().flat_map(wrong_features));
    for package in workspace.ours().filter(|package| package.name == CORE) {
        wrong.extend(wrong_names(package));
    }
    let tree = core_tree()?;
    wrong.extend(wrong_pulls(&tree).map(|name| format!("{CORE} pulls {name}: see `cargo tree -p {CORE} -i {name}`")));
    if wrong.is_empty() {
        println!("arrows: all point to {CORE}, which pulls {} packages", tree.lines().count());
        return Ok(());
    }
    Err(Failure::from(format!("arrows that may not be:\n  {}", wrong.join("\n  "))))
}

/// Benches are members of their own: they may use any of ours, and nobody else may use them. xtask uses nobody.
fn wrong_arrows(package: &Package, workspace: &Workspace) -> Vec<String> {
    let is_bench = |name: &str| name.ends_with("-benches");
    let allowed = |to: &str, kind: Kind| {
        let arrow = (package.name.as_str(), to);
        let listed = NORMAL.contains(&arrow) || (kind == Kind::Dev && DEV.contains(&arrow));
        listed || (is_bench(&package.name) && to != "xtask")
    };
    package
        .dependencies
        .iter()
        .filter(|dependency| workspace.ours().any(|package| package.name == dependency.name))
        .filter(|dependency| !allowed(&dependency.name, dependency.kind))
        .map(|dependency| format!("{} -> {} ({:?})", package.name, dependency.name, dependency.kind))
        .collect()
}

fn wrong_features(package: &Package) -> impl Iterator<Item = String> {
    package.dependencies.iter().flat_map(move |dependency| {
        let demanding = dependency.features.iter().filter(|feature| DEMANDING.contains(&feature.as_str()));
        demanding.map(move |feature| {
            let (from, to) = (&package.name, &dependency.name);
            format!("{from} -> {to} with `{feature}`: make it a feature of {from}, off by default")
        })
    })
}

fn wrong_names(core: &Package) -> impl Iterator<Item = String> {
    core.dependencies
        .iter()
        .filter(|dependency| dependency.kind != Kind::Dev)
        .filter(|dependency| {
            let name = dependency.name.as_str();
            let listed = CORE_USES.contains(&name) || (dependency.optional && CORE_MAY_USE.contains(&name));
            !listed
        })
        .map(|dependency| format!("{CORE} -> {}: not on the list of what core uses", dependency.name))
}

/// Asked of cargo for core alone: in the whole workspace's graph the other crates switch on more of tokio.
fn core_tree() -> Done<String> {
    let mut tree = run::cargo("tree");
    tree.args(["--package", CORE, "--all-features", "--edges", "normal,build", "--prefix", "none", "--locked"]);
    let text = run::read(tree.args(["--format", "{p}", "--no-dedupe"]))?;
    let mut names: Vec<&str> = text.lines().filter_map(|line| line.split(' ').next()).collect();
    names.sort_unstable();
    names.dedup();
    Ok(names.join("\n"))
}

fn wrong_pulls(tree: &str) -> impl Iterator<Item = &str> {
    tree.lines().filter(|name| CORE_NEVER_PULLS.iter().any(|never| name.starts_with(never)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workspace::Dependency;

    fn package(name: &str, to: &str, kind: Kind) -> Package {
        let dependencies = vec![Dependency { name: to.to_owned(), kind, optional: false, features: Vec::new() }];
        Package { name: name.to_owned(), dependencies, ours: true, ..Package::default() }
    }

    fn is_wrong(name: &str, to: &str, kind: Kind) -> bool {
        let packages =
            ["xec-pool-ssh", "xec-pool-core", "xec-pool-breaker", "xec-pool-testkit", "xec-pool-core-benches"];
        let packages = packages.map(|name| Package { name: name.to_owned(), ours: true, ..Package::default() });
        !wrong_arrows(&package(name, to, kind), &Workspace { packages: packages.into() }).is_empty()
    }

    #[test]
    fn arrows_point_to_core_and_siblings_meet_in_tests_only() {
        assert!(!is_wrong("xec-pool-ssh", "xec-pool-core", Kind::Normal));
        assert!(is_wrong("xec-pool-core", "xec-pool-ssh", Kind::Normal));
        assert!(is_wrong("xec-pool-breaker", "xec-pool-ssh", Kind::Normal));
        assert!(!is_wrong("xec-pool-breaker", "xec-pool-ssh", Kind::Dev));
        assert!(is_wrong("xec-pool-ssh", "xec-pool-breaker", Kind::Dev));
        assert!(is_wrong("xec-pool-core", "xec-pool-testkit", Kind::Dev));
        assert!(is_wrong("xtask", "xec-pool-core", Kind::Normal));
        assert!(!is_wrong("xec-pool-core-benches", "xec-pool-testkit", Kind::Normal));
        assert!(is_wrong("xec-pool-core", "xec-pool-core-benches", Kind::Dev));
    }

    #[test]
    fn no_manifest_switches_on_tests_that_need_a_program() {
        let mut bench = package("xec-pool-ssh-benches", "xec-pool-testkit", Kind::Dev);
        assert_eq!(wrong_features(&bench).count(), 0);
        bench.dependencies[0].features = vec!["embedded-ssh".to_owned(), "sshd".to_owned()];
        assert_eq!(wrong_features(&bench).count(), 1);
    }

    #[test]
    fn core_names_only_what_is_on_its_list() {
        assert_eq!(wrong_names(&package(CORE, "tokio", Kind::Normal)).count(), 0);
        assert_eq!(wrong_names(&package(CORE, "proptest", Kind::Dev)).count(), 0);
        assert_eq!(wrong_names(&package(CORE, "rand", Kind::Normal)).count(), 1);
        assert_eq!(wrong_names(&package(CORE, "serde", Kind::Normal)).count(), 1, "only behind a feature");
    }

    #[test]
    fn a_transport_in_the_tree_of_core_is_found() {
        assert_eq!(wrong_pulls("deadpool\ntokio").count(), 0);
        assert_eq!(wrong_pulls("deadpool\nrussh-keys\ntokio").collect::<Vec<_>>(), ["russh-keys"]);
    }
}
