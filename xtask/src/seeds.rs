//! `seeds`: the headings of the page this project grew from, and which public items answer each.
//!
//! A module that answers one ends its head with `//! Seed: Queue Management.` What is not here: whether the answer
//! is any good; that is what its tests are for.

use std::{fs, path::Path};

use crate::{
    run::{self, Done, Failure},
    surface,
    workspace::Workspace,
};

/// What we owe a heading.
#[derive(Clone, Copy)]
enum Owed {
    /// At least one module with something public names it.
    Answer,
    /// As yet nothing, or not all: what brings it.
    Later(&'static str),
    /// Nothing: it only holds others together, or speaks of the page itself.
    Nothing,
}

use Owed::{Answer, Later, Nothing};

const MANY_HOSTS: &str = "many hosts: PoolSet and SshFleet";
const SHARING: &str = "leases that share a connection";

/// The headings of the page «Connection Pooling», in its order.
const HEADINGS: &[(&str, Owed)] = &[
    ("Connection Pooling", Nothing),
    ("Overview", Nothing),
    ("SSH Connection Pooling", Nothing),
    ("Basic Usage", Answer),
    ("Pool Configuration", Answer),
    ("Advanced Pool Management", Answer),
    ("Connection Lifecycle", Nothing),
    ("Connection States", Answer),
    ("Health Checks", Answer),
    ("Multi-Host Pooling", Nothing),
    ("Pool per Host", Later(MANY_HOSTS)),
    ("Shared Pool Configuration", Later(MANY_HOSTS)),
    ("Performance Optimization", Nothing),
    ("Connection Reuse Patterns", Answer),
    ("Pre-warming Strategies", Answer),
    ("Queue Management", Answer),
    ("Connection Sharing", Nothing),
    ("Multiplexing", Later(SHARING)),
    ("Connection Borrowing", Answer),
    ("Monitoring and Metrics", Nothing),
    ("Pool Metrics", Answer),
    ("Connection Events", Answer),
    ("Error Handling", Nothing),
    ("Connection Failures", Answer),
    ("Circuit Breaker", Answer),
    ("Best Practices", Nothing),
    ("Do's", Answer),
    ("Don'ts", Answer),
    ("Implementation Details", Nothing),
    ("See Also", Nothing),
];

/// A heading that a module claims.
struct Claim {
    module: String,
    heading: String,
    /// What users find in the module; nothing in one that only carries it out.
    items: Vec<String>,
}

pub(crate) fn run() -> Done {
    let mut claims = Vec::new();
    for package in Workspace::read()?.ours().filter(|package| package.published) {
        let source = run::root().join(&package.name).join("src");
        for file in rust_files(&source)? {
            let text = fs::read_to_string(&file).map_err(|error| Failure::from(error.to_string()))?;
            let inside = file.strip_prefix(&source).expect("found below it");
            let module = module_path(&package.name, inside);
            let headings = claimed(&text);
            if headings.is_empty() {
                continue;
            }
            let items = surface::of(&text).map_err(|error| Failure::from(format!("{}: {error}", file.display())))?;
            let claim = |heading| Claim { module: module.clone(), heading, items: items.clone() };
            claims.extend(headings.into_iter().map(claim));
        }
    }
    report(&claims)
}

fn report(claims: &[Claim]) -> Done {
    let mut wrong: Vec<String> = claims
        .iter()
        .filter(|claim| !HEADINGS.iter().any(|(heading, _)| *heading == claim.heading))
        .map(|claim| format!("{} names «{}», which is no heading of the page", claim.module, claim.heading))
        .collect();
    for (heading, owed) in HEADINGS {
        let answers: Vec<&Claim> = claims.iter().filter(|claim| claim.heading == *heading).collect();
        let is_answered = answers.iter().any(|answer| !answer.items.is_empty());
        match owed {
            Nothing => continue,
            Later(what) => println!("{heading} (open: {what})"),
            Answer if is_answered => println!("{heading}"),
            Answer => {
                wrong.push(format!("nothing public answers «{heading}»"));
                continue;
            }
        }
        for Claim { module, items, .. } in answers {
            let items = if items.is_empty() { "(how it is done)".to_owned() } else { items.join(", ") };
            println!("  {module}: {items}");
        }
    }
    if wrong.is_empty() { Ok(()) } else { Err(Failure::from(format!("seeds:\n  {}", wrong.join("\n  ")))) }
}

/// The headings in a module's head: from `Seed:` to the full stop.
fn claimed(text: &str) -> Vec<String> {
    let head: Vec<&str> = text.lines().map_while(|line| line.strip_prefix("//!")).map(str::trim).collect();
    let Some(start) = head.iter().position(|line| line.starts_with("Seed:")) else {
        return Vec::new();
    };
    let list = head[start..].join(" ");
    let list = list.trim_start_matches("Seed:").split('.').next().unwrap_or_default();
    list.split(',').map(|heading| heading.trim().to_owned()).collect()
}

fn module_path(package: &str, inside: &Path) -> String {
    let parts = inside.with_extension("");
    let names = parts.iter().map(|part| part.to_string_lossy()).filter(|part| part != "lib" && part != "mod");
    std::iter::once(package.replace('-', "_").into()).chain(names).collect::<Vec<_>>().join("::")
}

/// Every `.rs` file below a folder, in order.
fn rust_files(folder: &Path) -> Done<Vec<std::path::PathBuf>> {
    let failed = |error: std::io::Error| Failure::from(format!("{}: {error}", folder.display()));
    let mut entries: Vec<_> = fs::read_dir(folder).map_err(failed)?.collect::<Result<Vec<_>, _>>().map_err(failed)?;
    entries.sort_by_key(fs::DirEntry::path);
    let mut files = Vec::new();
    for path in entries.iter().map(fs::DirEntry::path) {
        if path.is_dir() {
            files.append(&mut rust_files(&path)?);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    Ok(files)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_names_headings_over_several_lines() {
        let head = "//! What it is.\n//!\n//! Seed: Pool Metrics,\n//! Connection Events.\n\nuse std;\n";
        assert_eq!(claimed(head), ["Pool Metrics", "Connection Events"]);
        assert!(claimed("//! What it is.\nfn main() {} // Seed: Overview.").is_empty());
    }

    #[test]
    fn a_file_is_a_module() {
        assert_eq!(module_path("xec-pool-core", Path::new("lib.rs")), "xec_pool_core");
        assert_eq!(module_path("xec-pool-core", Path::new("flow/mod.rs")), "xec_pool_core::flow");
        assert_eq!(module_path("xec-pool-core", Path::new("flow/admit.rs")), "xec_pool_core::flow::admit");
    }

    #[test]
    fn a_module_with_nothing_public_is_no_answer() {
        let inside = Claim { module: "m".to_owned(), heading: "Queue Management".to_owned(), items: Vec::new() };
        let said = report(&[inside]).expect_err("nothing is public").to_string();
        assert!(said.contains("nothing public answers «Queue Management»"), "{said}");
    }

    #[test]
    fn an_unanswered_heading_and_an_unknown_one_are_told() {
        let claims = vec![Claim {
            module: "m".to_owned(),
            heading: "Queue Managment".to_owned(),
            items: vec!["Queue".to_owned()],
        }];
        let said = report(&claims).expect_err("most headings have no answer").to_string();
        assert!(said.contains("«Queue Managment», which is no heading"), "{said}");
        assert!(said.contains("nothing public answers «Queue Management»"), "{said}");
        assert!(!said.contains("Multiplexing") && !said.contains("See Also"), "{said}");
    }
}
