//! The demo as a program: a process of its own, with signals and an exit code.

use std::{
    ffi::OsStr,
    path::Path,
    process::{Child, Command, Output, Stdio},
    sync::mpsc,
    thread,
    time::Duration,
};

use super::*;

/// Set in a process that one of these tests starts: the flags of the demo that it is, one a line.
const FLAGS: &str = "XEC_POOL_DEMO_FLAGS";

/// Reaching it fails the test.
const LONG: Duration = Duration::from_secs(60);

/// Each of these tests begins so: in a process that it has started it is the demo, and goes no further.
pub(super) fn be_the_demo_where_started_so() {
    let Ok(flags) = std::env::var(FLAGS) else { return };
    let flags = super::flags(&flags.lines().collect::<Vec<_>>());
    let runtime = tokio::runtime::Runtime::new().expect("a runtime starts");
    std::process::exit(i32::from(runtime.block_on(told(&flags))));
}

/// The demo of this test, in a home of its own and without an agent.
pub(super) fn start(test: &str, flags: &[&str], home: &Path) -> Child {
    program(test, flags, home).env_remove("SSH_AUTH_SOCK").spawn().expect("it runs again")
}

/// The same with an agent, which is a program of OpenSSH's.
#[cfg(feature = "sshd")]
pub(super) fn start_with_agent(test: &str, flags: &[&str], home: &Path, agent: &Path) -> Child {
    program(test, flags, home).env("SSH_AUTH_SOCK", agent).spawn().expect("it runs again")
}

fn program(test: &str, flags: &[&str], home: &Path) -> Command {
    let mut program = Command::new(std::env::current_exe().expect("we are a program"));
    program.args(["--exact", &format!("tests::{test}"), "--nocapture"]);
    program.env(FLAGS, flags.join("\n")).env("HOME", home);
    program.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    program
}

/// What it said, and how it ended.
pub(super) fn end_of(demo: Child) -> (Output, String, String) {
    let pid = demo.id();
    let output = within(move || demo.wait_with_output()).unwrap_or_else(|| {
        kill("-KILL", pid);
        panic!("the demo does not end")
    });
    let output = output.expect("its output can be read");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let (out, err) = (text(&output.stdout), text(&output.stderr));
    (output, out, err)
}

/// What a blocking call gives, if it gives anything before long.
fn within<T: Send + 'static>(wait: impl FnOnce() -> T + Send + 'static) -> Option<T> {
    let (tell, told) = mpsc::channel();
    thread::spawn(move || tell.send(wait()));
    told.recv_timeout(LONG).ok()
}

fn kill(signal: &str, pid: u32) {
    run_to_its_end("kill", [signal.as_ref(), pid.to_string().as_ref()]);
}

fn run_to_its_end<const N: usize>(program: &str, args: [&OsStr; N]) {
    let status = Command::new(program).args(args).status();
    assert!(status.expect("every Unix has it").success(), "{program}");
}

#[test]
fn ctrl_c_while_a_command_runs_drains_and_nothing_is_left() {
    be_the_demo_where_started_so();
    let folder = tempfile::tempdir().expect("there is room for a folder");
    let pipe = folder.path().join("started");
    run_to_its_end("mkfifo", [pipe.as_ref()]);
    // To open the pipe it waits for us, and we for it.
    let command = format!("echo > {}; exec sleep 60", pipe.display());
    let test = "program::ctrl_c_while_a_command_runs_drains_and_nothing_is_left";
    let demo = start(test, &["--", &command], folder.path());
    within(move || std::fs::read(pipe)).expect("the command runs").expect("the pipe can be read");
    kill("-INT", demo.id());
    let (output, out, err) = end_of(demo);
    assert_eq!(output.status.code(), Some(130), "{out}{err}");
    assert!(err.contains("interrupted: draining"), "{err}");
    assert!(out.contains("drained: 1 closed, 0 killed"), "{out}");
    assert!(out.contains("every connection closed (the server says so, too)"), "{out}");
}
