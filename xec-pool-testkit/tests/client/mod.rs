//! OpenSSH's own client, and this same test program as a process of its own.

use std::{
    io::{BufRead as _, BufReader, Read as _, Write as _},
    path::PathBuf,
    process::{Child, Command, ExitStatus, Stdio},
    time::{Duration, Instant},
};

/// Reaching it fails the test.
pub(crate) const LONG: Duration = Duration::from_secs(60);

/// Where to log in, and how.
pub(crate) struct Login {
    pub(crate) user: String,
    pub(crate) host: String,
    pub(crate) port: u16,
    pub(crate) key: PathBuf,
    pub(crate) known_hosts: PathBuf,
}

impl Login {
    pub(crate) fn ssh(&self) -> Command {
        let mut ssh = Command::new("ssh");
        ssh.args(["-F", "none", "-o", "BatchMode=yes", "-o", "IdentitiesOnly=yes", "-o", "ConnectTimeout=5"])
            .args(["-o", "GlobalKnownHostsFile=none", "-o"])
            .arg(format!("UserKnownHostsFile={}", self.known_hosts.display()))
            .arg("-i")
            .arg(&self.key)
            .args(["-p", &self.port.to_string(), &format!("{}@{}", self.user, self.host)])
            .stdin(Stdio::null())
            .env_remove("SSH_AUTH_SOCK");
        ssh
    }

    pub(crate) fn run(&self, command: &str) -> (Option<i32>, String) {
        let output = self.ssh().arg(command).output().expect("ssh is there where sshd is");
        let text = [output.stdout, output.stderr].concat();
        (output.status.code(), String::from_utf8_lossy(&text).into_owned())
    }

    /// A connection that runs `cat`, known to be up, and the number of that process.
    pub(crate) fn cat(&self) -> (Child, u32) {
        let mut ssh = self.ssh();
        ssh.arg("echo $$; exec cat").stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = ssh.spawn().expect("ssh is there where sshd is");
        let line = first_line(&mut child);
        (child, line.parse().expect("its number"))
    }
}

pub(crate) fn echoes(child: &mut Child) -> bool {
    child.stdin.as_mut().expect("it is piped").write_all(b"x").expect("ssh reads");
    let mut byte = [0];
    child.stdout.as_mut().expect("it is piped").read_exact(&mut byte).is_ok()
}

fn first_line(child: &mut Child) -> String {
    let mut line = String::new();
    let stdout = child.stdout.as_mut().expect("it is piped");
    BufReader::with_capacity(1, stdout).read_line(&mut line).expect("it says something");
    line.trim().to_owned()
}

/// Set in a process that one of our tests starts and ends: the test itself, where it is the victim.
const VICTIM: &str = "XEC_POOL_TEST_VICTIM";

/// For the victim to ask.
pub(crate) fn is_victim() -> bool {
    std::env::var_os(VICTIM).is_some()
}

/// For the victim to say, once it is where it should be hit.
pub(crate) fn say(words: &str) {
    // Not println!, which the test runner may keep.
    writeln!(std::io::stdout(), "{VICTIM} {words}").expect("somebody reads it");
}

/// Another process that runs this test, and no other, as the victim; and the words it has said.
pub(crate) fn victim(test: &str, environment: &[(&str, &str)]) -> (Child, Vec<String>) {
    let mut child = Command::new(std::env::current_exe().expect("we are a program"))
        .args(["--exact", test, "--nocapture"])
        .env(VICTIM, "yes")
        .envs(environment.iter().copied())
        .stdout(Stdio::piped())
        .spawn()
        .expect("it runs again");
    let said = BufReader::new(child.stdout.as_mut().expect("it is piped"));
    let words = said
        .lines()
        .map_while(Result::ok)
        .find_map(|line| Some(line.split_once(VICTIM)?.1.split_whitespace().map(str::to_owned).collect()))
        .expect("it says where it is");
    (child, words)
}

/// How it ended; nobody waits for ever.
pub(crate) fn end_of(victim: &mut Child) -> ExitStatus {
    let began = Instant::now();
    while began.elapsed() < LONG {
        if let Some(status) = victim.try_wait().expect("it can be asked") {
            return status;
        }
        std::thread::yield_now();
    }
    let _ = victim.kill();
    panic!("it does not end");
}

pub(crate) fn kill(signal: &str, pid: u32) {
    let killed = Command::new("kill").args([signal, &pid.to_string()]).status();
    assert!(killed.expect("kill is everywhere").success());
}
