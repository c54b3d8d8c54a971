//! What `cargo metadata` says about the workspace, as far as our chores ask.

use std::process::Command;

use serde_json::Value;

use crate::run::{self, Done, Failure};

/// All packages, ours and others'.
pub(crate) struct Workspace {
    pub(crate) packages: Vec<Package>,
}

#[derive(Default)]
pub(crate) struct Package {
    pub(crate) name: String,
    pub(crate) version: String,
    pub(crate) licence: Option<String>,
    /// A member of this workspace.
    pub(crate) ours: bool,
    /// Meant for users: not `publish = false`.
    pub(crate) published: bool,
    pub(crate) features: Vec<String>,
    pub(crate) dependencies: Vec<Dependency>,
    pub(crate) targets: Vec<Target>,
}

pub(crate) struct Dependency {
    pub(crate) name: String,
    pub(crate) kind: Kind,
    pub(crate) optional: bool,
    /// Of the other package, switched on wherever this dependency is built.
    pub(crate) features: Vec<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Normal,
    Build,
    Dev,
}

pub(crate) struct Target {
    pub(crate) name: String,
    pub(crate) kind: String,
    pub(crate) required_features: Vec<String>,
}

impl Workspace {
    /// Everything that this machine would build with all features.
    pub(crate) fn read() -> Done<Self> {
        let mut metadata = run::cargo("metadata");
        metadata.args(["--format-version", "1", "--all-features", "--locked", "--filter-platform", &host()?]);
        let text = run::read(&mut metadata)?;
        let all: Value = serde_json::from_str(&text).map_err(|error| Failure::from(error.to_string()))?;
        let members = strings(&all["workspace_members"]);
        let used: Vec<&str> = list(&all["resolve"]["nodes"]).filter_map(|node| node["id"].as_str()).collect();
        let packages = list(&all["packages"])
            .filter(|package| package["id"].as_str().is_some_and(|id| used.contains(&id)))
            .map(|package| Package::read(package, &members))
            .collect();
        Ok(Self { packages })
    }

    pub(crate) fn ours(&self) -> impl Iterator<Item = &Package> {
        self.packages.iter().filter(|package| package.ours)
    }

    /// Those features of our packages that are wanted, as cargo takes them.
    pub(crate) fn features(&self, wanted: impl Fn(&str) -> bool) -> String {
        let all = self.ours().flat_map(|package| package.features.iter().map(move |feature| (package, feature)));
        let wanted = all.filter(|(_, feature)| *feature != "default" && wanted(feature));
        wanted.map(|(package, feature)| format!("{}/{feature}", package.name)).collect::<Vec<_>>().join(",")
    }

    /// One of our packages with one of its targets.
    pub(crate) fn target(&self, package: &str, kind: &str, name: &str) -> Done<&Target> {
        self.ours()
            .filter(|candidate| candidate.name == package)
            .flat_map(|package| &package.targets)
            .find(|target| target.kind == kind && target.name == name)
            .ok_or_else(|| Failure::from(format!("{package} has no {kind} `{name}`")))
    }
}

impl Package {
    fn read(package: &Value, members: &[String]) -> Self {
        Self {
            name: text(&package["name"]),
            version: text(&package["version"]),
            licence: package["license"].as_str().map(str::to_owned),
            ours: members.contains(&text(&package["id"])),
            published: package["publish"].as_array().is_none_or(|registries| !registries.is_empty()),
            features: package["features"].as_object().map(|all| all.keys().cloned().collect()).unwrap_or_default(),
            dependencies: list(&package["dependencies"]).map(Dependency::read).collect(),
            targets: list(&package["targets"]).map(Target::read).collect(),
        }
    }
}

impl Dependency {
    fn read(dependency: &Value) -> Self {
        let kind = match dependency["kind"].as_str() {
            None => Kind::Normal,
            Some("build") => Kind::Build,
            Some(_) => Kind::Dev,
        };
        Self {
            name: text(&dependency["name"]),
            kind,
            optional: dependency["optional"].as_bool().unwrap_or(false),
            features: strings(&dependency["features"]),
        }
    }
}

impl Target {
    fn read(target: &Value) -> Self {
        Self {
            name: text(&target["name"]),
            kind: strings(&target["kind"]).into_iter().next().unwrap_or_default(),
            required_features: strings(&target["required-features"]),
        }
    }
}

/// The platform we run on. Without it, cargo would fetch what only other systems need.
fn host() -> Done<String> {
    let version = run::read(Command::new("rustc").arg("-vV"))?;
    version
        .lines()
        .find_map(|line| line.strip_prefix("host: "))
        .map(str::to_owned)
        .ok_or_else(|| Failure::from("`rustc -vV` names no host".to_owned()))
}

fn list(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

fn strings(value: &Value) -> Vec<String> {
    list(value).map(text).collect()
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}
