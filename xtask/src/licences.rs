//! `licences`: every dependency's licence, and the banned ones, by the same file that cargo-deny reads.
//!
//! cargo-deny does it where it is installed. Where it is not, this small reading of `.cargo/deny.toml` does, offline.

use std::{fs, iter::Peekable, str::SplitWhitespace};

use crate::{
    run::{self, Done, Failure},
    workspace::{Package, Workspace},
};

pub(crate) fn run() -> Done {
    let file = run::root().join(".cargo/deny.toml");
    if run::cargo_has("deny") {
        let mut deny = run::cargo("deny");
        return run::run(deny.args(["check", "--config"]).arg(&file).args(["licenses", "bans"]));
    }
    let text = fs::read_to_string(&file).map_err(|error| Failure::from(format!("{}: {error}", file.display())))?;
    let rules = Rules::read(&text);
    let workspace = Workspace::read()?;
    let wrong: Vec<String> = workspace.packages.iter().filter_map(|package| rules.objection(package)).collect();
    if wrong.is_empty() {
        println!("licences: {} packages, all allowed", workspace.packages.len());
        return Ok(());
    }
    Err(Failure::from(format!("packages that .cargo/deny.toml does not allow:\n  {}", wrong.join("\n  "))))
}

struct Rules {
    licences: Vec<String>,
    banned: Vec<String>,
}

impl Rules {
    /// Reads the two lists we keep there, written one entry a line; nothing else of TOML.
    fn read(text: &str) -> Self {
        Self { licences: entries(text, "[licenses]", "allow = ["), banned: entries(text, "[bans]", "deny = [") }
    }

    fn objection(&self, package: &Package) -> Option<String> {
        let Package { name, version, licence, .. } = package;
        if self.banned.contains(name) {
            return Some(format!("{name} {version} is banned"));
        }
        match licence {
            None => Some(format!("{name} {version} names no licence")),
            Some(licence) if self.allows(licence) => None,
            Some(licence) => Some(format!("{name} {version}: {licence}")),
        }
    }

    /// An SPDX expression, also in the old form `MIT/Apache-2.0`.
    fn allows(&self, expression: &str) -> bool {
        let spaced = expression.replace('/', " OR ").replace('(', " ( ").replace(')', " ) ");
        let mut words = spaced.split_whitespace().peekable();
        let allowed = self.any(&mut words);
        allowed && words.next().is_none()
    }

    fn any(&self, words: &mut Words<'_>) -> bool {
        let mut allowed = self.all(words);
        while words.next_if_eq(&"OR").is_some() {
            allowed |= self.all(words);
        }
        allowed
    }

    fn all(&self, words: &mut Words<'_>) -> bool {
        let mut allowed = self.one(words);
        while words.next_if_eq(&"AND").is_some() {
            allowed &= self.one(words);
        }
        allowed
    }

    fn one(&self, words: &mut Words<'_>) -> bool {
        if words.next_if_eq(&"(").is_some() {
            let allowed = self.any(words);
            return words.next_if_eq(&")").is_some() && allowed;
        }
        let mut licence = words.next().unwrap_or_default().to_owned();
        if words.next_if_eq(&"WITH").is_some() {
            licence = format!("{licence} WITH {}", words.next().unwrap_or_default());
        }
        self.licences.contains(&licence)
    }
}

type Words<'a> = Peekable<SplitWhitespace<'a>>;

/// The first quoted text of each line of a list in a section.
fn entries(text: &str, section: &str, list: &str) -> Vec<String> {
    text.lines()
        .map(str::trim)
        .skip_while(|line| *line != section)
        .skip_while(|line| *line != list)
        .skip(1)
        .take_while(|line| *line != "]")
        .filter(|line| !line.starts_with('#'))
        .filter_map(|line| line.split('"').nth(1))
        .map(str::to_owned)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = "
[licenses]
# these
allow = [
    \"MIT\",
    # why
    \"Apache-2.0\",
    \"Apache-2.0 WITH LLVM-exception\",
]
[bans]
deny = [
    { crate = \"openssl-sys\", reason = \"…\" },
]
";

    #[test]
    fn both_lists_are_read() {
        let rules = Rules::read(FILE);
        assert_eq!(rules.licences, ["MIT", "Apache-2.0", "Apache-2.0 WITH LLVM-exception"]);
        assert_eq!(rules.banned, ["openssl-sys"]);
    }

    #[test]
    fn a_licence_is_an_expression() {
        let rules = Rules::read(FILE);
        for allowed in ["MIT", "MIT/GPL-3.0", "(MIT OR GPL-3.0) AND Apache-2.0", "Apache-2.0 WITH LLVM-exception OR X"]
        {
            assert!(rules.allows(allowed), "{allowed}");
        }
        for refused in ["", "GPL-3.0", "MIT AND GPL-3.0", "(MIT", "MIT MIT", "MIT WITH LLVM-exception"] {
            assert!(!rules.allows(refused), "{refused}");
        }
    }

    #[test]
    fn a_banned_package_is_named() {
        let package = Package { name: "openssl-sys".to_owned(), licence: Some("MIT".to_owned()), ..Package::default() };
        assert!(Rules::read(FILE).objection(&package).is_some_and(|said| said.contains("openssl-sys")));
    }
}
