//! The program as somebody uses it: its lines are typed into a shell, and the end of its input ends it.

use std::{
    io::{BufRead as _, BufReader},
    os::unix::fs::PermissionsExt as _,
    process::{Child, Command, Output, Stdio},
};

use serde_json::Value;

/// Set in a process that the test starts: it is the program.
const PROGRAM: &str = "XEC_POOL_SSHD_PROGRAM";

fn shell(line: &str, path: &str) -> Output {
    let output = Command::new("sh").args(["-c", line]).env("PATH", path).output().expect("there is a shell");
    assert!(output.status.success(), "{line}: {}", String::from_utf8_lossy(&output.stderr));
    output
}

fn start() -> Child {
    Command::new(std::env::current_exe().expect("we are a program"))
        .args(["--exact", "tests::what_it_prints_reaches_it_and_the_end_of_its_input_ends_it", "--nocapture"])
        .env(PROGRAM, "")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("it runs again")
}

#[test]
fn what_it_prints_reaches_it_and_the_end_of_its_input_ends_it() {
    if std::env::var_os(PROGRAM).is_some() {
        super::serve(&super::Flags { json: true, config: vec!["MaxSessions 3".to_owned()] }).expect("sshd starts");
        std::process::exit(0);
    }
    let mut program = start();
    let lines = BufReader::new(program.stdout.take().expect("it is piped")).lines();
    let said = lines.map(|line| line.expect("it is text")).find(|line| line.starts_with('{'));
    let said: Value = serde_json::from_str(&said.expect("it says where it is")).expect("it is JSON");
    let word = |name: &str| said[name].as_str().unwrap_or_else(|| panic!("no {name} in {said}")).to_owned();
    let path = std::env::var("PATH").expect("there is one");

    let answer = shell(&format!("{} echo reached", word("ssh")), &path);
    assert_eq!(String::from_utf8_lossy(&answer.stdout), "reached\n");

    // In place of cargo, one that says what it was given: the demo itself has tests of its own.
    let folder = tempfile::tempdir().expect("there is room for a folder");
    let cargo = folder.path().join("cargo");
    std::fs::write(&cargo, "#!/bin/sh\necho \"$@\" in $HOME with $CARGO_HOME\n").expect("it can be written");
    let runs = std::fs::Permissions::from_mode(0o755);
    std::fs::set_permissions(&cargo, runs).expect("it is ours");
    let given = shell(&word("demo"), &format!("{}:{path}", folder.path().display()));
    let given = String::from_utf8_lossy(&given.stdout).into_owned();
    let expected = format!("xtask demo {}@{}:{} in {}", word("user"), word("host"), said["port"], word("home"));
    assert!(given.starts_with(&format!("{expected} with /")), "{given}");

    drop(program.stdin.take());
    assert!(program.wait().expect("it ends").success());
    let again = Command::new("sh").args(["-c", &word("ssh")]).stdin(Stdio::null()).output().expect("there is a shell");
    assert!(!again.status.success(), "whoever listens there now is not that server");
}
