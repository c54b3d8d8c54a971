//! `tidy`: what no compiler checks. Each rule is a function from a file's text to what is wrong with it.

use std::{fs, path::Path, process::Command};

use crate::{
    hidden,
    run::{self, Done, Failure},
};

/// All that lies in the open at the top.
const TOP: &[&str] = &[
    "Cargo.toml",
    "Cargo.lock",
    "README.md",
    "xec-pool-core",
    "xec-pool-ssh",
    "xec-pool-breaker",
    "xec-pool-metrics",
    "xec-pool-testkit",
    "xtask",
];

/// Lines of a source file: above the first a warning, above the second a failure.
const LONG_FILE: usize = 300;
const TOO_LONG_FILE: usize = 500;

const README_LINES: usize = 120;

/// Loose ends, spelled so that this file does not contain them itself.
const LOOSE_ENDS: &[&str] = &[
    concat!("to", "do!("),
    concat!("unimpl", "emented!("),
    concat!("#[ign", "ore"),
    concat!("FIX", "ME"),
    concat!("XX", "X"),
];

const SLEEPS: &[&str] = &[concat!("thread::", "sleep"), concat!("time::", "sleep")];

/// What a line says that may sleep in a test.
const SLEEP_IS_MEANT: &str = "// sleep is the subject";

pub(crate) fn run() -> Done {
    let files = files()?;
    let mut wrong = strangers(&files);
    let (mut long, mut sources) = (Vec::new(), Vec::new());
    for file in &files {
        let is_source = file.ends_with(".rs");
        if !is_source && file != "README.md" {
            continue;
        }
        let text =
            fs::read_to_string(run::root().join(file)).map_err(|error| Failure::from(format!("{file}: {error}")))?;
        let lines = text.lines().count();
        if is_source {
            wrong.extend(faults(file, &text).into_iter().map(|fault| format!("{file}: {fault}")));
            long.extend((LONG_FILE < lines && lines <= TOO_LONG_FILE).then(|| format!("{file} ({lines})")));
            sources.push((file.clone(), text));
        } else if lines > README_LINES {
            wrong.push(format!("{file}: {lines} lines, at most {README_LINES}"));
        }
    }
    wrong.extend(hidden::leaks(&sources));
    if !long.is_empty() {
        println!("tidy: look for the seam, above {LONG_FILE} lines: {}", long.join(", "));
    }
    if wrong.is_empty() {
        println!("tidy: {} files", files.len());
        return Ok(());
    }
    Err(Failure::from(format!("tidy:\n  {}", wrong.join("\n  "))))
}

/// Every file that is, or would be, in the repository.
fn files() -> Done<Vec<String>> {
    let mut git = Command::new("git");
    git.arg("-C").arg(run::root()).args(["ls-files", "--cached", "--others", "--exclude-standard"]);
    let listed = run::read(&mut git)?;
    Ok(listed.lines().filter(|file| run::root().join(file).is_file()).map(str::to_owned).collect())
}

fn strangers(files: &[String]) -> Vec<String> {
    let mut top: Vec<&str> = files.iter().filter_map(|file| file.split('/').next()).collect();
    top.dedup();
    top.into_iter()
        .filter(|name| !name.starts_with('.') && !TOP.contains(name))
        .map(|name| format!("{name}: not one of the eight things that lie at the top"))
        .collect()
}

fn faults(file: &str, text: &str) -> Vec<String> {
    let mut faults = Vec::new();
    let lines = text.lines().count();
    if lines > TOO_LONG_FILE {
        faults.push(format!("{lines} lines, at most {TOO_LONG_FILE}"));
    }
    if !text.starts_with("//! ") {
        faults.push("does not begin by saying what is in it (`//! …`)".to_owned());
    }
    let tests_begin = first_test_line(file, text);
    for (number, line) in text.lines().enumerate() {
        let number = number + 1;
        if let Some(end) = LOOSE_ENDS.iter().find(|end| line.contains(**end)) {
            faults.push(format!("line {number}: `{end}`"));
        }
        let sleeps = SLEEPS.iter().any(|sleep| line.contains(sleep));
        if sleeps && number >= tests_begin && !line.contains(SLEEP_IS_MEANT) && !is_import(line) {
            faults.push(format!("line {number}: a test waits for a fact, not for time; else say `{SLEEP_IS_MEANT}`"));
        }
    }
    faults
}

/// Where the tests of a file begin: at once in a file of tests, at its `mod tests {` elsewhere.
fn first_test_line(file: &str, text: &str) -> usize {
    let path = Path::new(file);
    let in_tests = path.components().any(|part| part.as_os_str() == "tests") || path.ends_with("tests.rs");
    if in_tests {
        return 1;
    }
    text.lines().position(|line| line.starts_with("mod ") && line.ends_with('{')).map_or(usize::MAX, |line| line + 1)
}

fn is_import(line: &str) -> bool {
    line.trim_start().starts_with("use ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn faults_of(file: &str, body: &str) -> usize {
        faults(file, &format!("//! A head.\n{body}\n")).len()
    }

    #[test]
    fn a_file_says_first_what_is_in_it() {
        assert_eq!(faults("a.rs", "fn f() {}\n").len(), 1);
        assert_eq!(faults("a.rs", "//! F.\nfn f() {}\n").len(), 0);
    }

    #[test]
    fn a_file_has_an_end() {
        assert_eq!(faults_of("a.rs", &"//\n".repeat(TOO_LONG_FILE)), 1);
    }

    #[test]
    fn loose_ends_are_found() {
        for end in LOOSE_ENDS {
            assert_eq!(faults_of("a.rs", &format!("    {end})")), 1, "{end}");
        }
    }

    #[test]
    fn a_test_sleeps_only_where_the_sleep_is_the_subject() {
        let sleep = SLEEPS[1];
        assert_eq!(faults_of("src/a.rs", &format!("{sleep}(d).await;")), 0, "not a test");
        assert_eq!(faults_of("src/a.rs", &format!("mod tests {{\n{sleep}(d).await;")), 1);
        assert_eq!(faults_of("tests/it/a.rs", &format!("{sleep}(d).await;")), 1);
        assert_eq!(faults_of("tests/it/a.rs", &format!("{sleep}(d).await; {SLEEP_IS_MEANT}")), 0);
    }

    #[test]
    fn a_stranger_at_the_top_is_named() {
        let files = ["README.md", ".ci/run", "xtask/src/main.rs", "notes/a.md"].map(str::to_owned);
        assert_eq!(strangers(&files).len(), 1);
    }
}
