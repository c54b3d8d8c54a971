//! Starts other programs, says which, and hands on how they ended.

use std::{
    env,
    ffi::OsStr,
    fmt, io,
    path::PathBuf,
    process::{Command, ExitCode, ExitStatus, Stdio},
};

/// What a chore ends in.
pub(crate) type Done<T = ()> = Result<T, Failure>;

/// Why a chore failed: a sentence, and what the process shall exit with.
#[derive(Debug)]
pub(crate) struct Failure {
    text: String,
    code: u8,
}

impl Failure {
    pub(crate) fn exit_code(&self) -> ExitCode {
        ExitCode::from(self.code)
    }

    fn ended(shown: &str, status: ExitStatus) -> Self {
        // A signal has no code; 1 says «failed» without inventing one.
        let code = status.code().and_then(|code| u8::try_from(code).ok()).unwrap_or(1);
        Self { text: format!("`{shown}` failed ({status})"), code }
    }
}

impl From<String> for Failure {
    fn from(text: String) -> Self {
        Self { text, code: 1 }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// The folder with the workspace's manifest.
pub(crate) fn root() -> PathBuf {
    // `cargo run` says at run time where the manifest is: right even if the build was made for another checkout.
    let here = env::var_os("CARGO_MANIFEST_DIR").unwrap_or_else(|| env!("CARGO_MANIFEST_DIR").into());
    PathBuf::from(here).parent().expect("xtask lies in the workspace").to_path_buf()
}

/// The cargo that runs us, told where the workspace is; the working directory stays the caller's.
pub(crate) fn cargo(verb: &str) -> Command {
    let mut cargo = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    // They speak of us, who were started by `cargo run`. Build scripts that look at them, as ring's does, would run again
    // after each cargo that is typed by hand, and all that stands on them would be built again.
    for (name, _) in env::vars_os() {
        if name.to_str().is_some_and(|name| name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_")) {
            cargo.env_remove(name);
        }
    }
    cargo.arg(verb).arg("--manifest-path").arg(root().join("Cargo.toml"));
    cargo
}

/// Whether cargo has this sub-command installed.
pub(crate) fn cargo_has(verb: &str) -> bool {
    Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
        .args([verb, "--version"])
        .output()
        .is_ok_and(|output| output.status.success())
}

/// Runs a program on our own input and output to its end.
pub(crate) fn run(command: &mut Command) -> Done {
    let shown = announce(command);
    let status = command.status().map_err(|error| cannot_start(&shown, &error))?;
    if status.success() { Ok(()) } else { Err(Failure::ended(&shown, status)) }
}

/// Runs a program for what it prints to its standard output.
pub(crate) fn read(command: &mut Command) -> Done<String> {
    let shown = show(command);
    let output = command.stderr(Stdio::inherit()).output().map_err(|error| cannot_start(&shown, &error))?;
    if !output.status.success() {
        return Err(Failure::ended(&shown, output.status));
    }
    String::from_utf8(output.stdout).map_err(|_| Failure::from(format!("`{shown}` printed bytes that are no text")))
}

/// Runs two programs, the one's output being the other's input.
pub(crate) fn pipe(from: &mut Command, to: &mut Command) -> Done {
    let shown = announce(from);
    let mut first = from.stdout(Stdio::piped()).spawn().map_err(|error| cannot_start(&shown, &error))?;
    let output = first.stdout.take().expect("it is piped");
    let second = run(to.stdin(output));
    // A command keeps what it was given: without this the first would write to nobody, for ever.
    to.stdin(Stdio::null());
    let status = first.wait().map_err(|error| cannot_start(&shown, &error))?;
    // What the first failed at, the second can only have half of; unless it was the second who did not listen.
    if status.success() || died_unheard(status) { second } else { Err(Failure::ended(&shown, status)) }
}

/// The same number on every Unix.
const SIGPIPE: i32 = 13;

/// Whether it was killed for writing to nobody.
fn died_unheard(status: ExitStatus) -> bool {
    #[cfg(unix)]
    let killed_by = std::os::unix::process::ExitStatusExt::signal(&status);
    #[cfg(not(unix))]
    let killed_by = None::<i32>;
    // A shell says 128 and the number, of what it ran last.
    killed_by == Some(SIGPIPE) || status.code() == Some(128 + SIGPIPE)
}

/// Becomes the program, where the system can: its signals and its exit code are then ours without any relay.
pub(crate) fn become_(command: &mut Command) -> Done {
    #[cfg(unix)]
    {
        let shown = announce(command);
        let error = std::os::unix::process::CommandExt::exec(command);
        Err(cannot_start(&shown, &error))
    }
    #[cfg(not(unix))]
    run(command)
}

fn announce(command: &Command) -> String {
    let shown = show(command);
    eprintln!("$ {shown}");
    shown
}

/// A command as one would type it in the workspace's folder.
fn show(command: &Command) -> String {
    let program = PathBuf::from(command.get_program());
    let mut words = vec![program.file_name().unwrap_or(program.as_os_str()).to_string_lossy().into_owned()];
    let mut args = command.get_args();
    while let Some(arg) = args.next() {
        if arg == OsStr::new("--manifest-path") {
            args.next();
        } else {
            words.push(arg.to_string_lossy().into_owned());
        }
    }
    words.join(" ")
}

fn cannot_start(shown: &str, error: &io::Error) -> Failure {
    Failure::from(format!("cannot start `{shown}`: {error}"))
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    #[test]
    fn a_pipe_is_as_good_as_the_worse_of_its_ends() {
        let sh = |script: &str| {
            let mut sh = Command::new("sh");
            sh.args(["-c", script]);
            sh
        };
        let ended = |from, to| pipe(&mut sh(from), &mut sh(to)).map_err(|failure| failure.code);
        assert_eq!(ended("echo all", "grep -q all"), Ok(()));
        assert_eq!(ended("echo half; exit 3", "grep -q half"), Err(3), "whatever the second made of the half");
        assert_eq!(ended("echo all", "exit 4"), Err(4));
        assert_eq!(ended("head -c 1000000 /dev/zero", "exit 4"), Err(4), "who stops listening stops who talks");
    }
}
