//! The demo on a host of the user's: OpenSSH's own server, known and opened by what lies in a home folder.

use std::{
    fs,
    io::{BufRead as _, BufReader},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use xec_pool_testkit::{LocalSshd, keys};

use super::{
    program::{be_the_demo_where_started_so, end_of, start, start_with_agent},
    *,
};

fn target(sshd: &LocalSshd) -> String {
    format!("{}@{}", sshd.user(), sshd.addr())
}

/// An `ssh-agent`, which ends with this.
struct Agent {
    process: Child,
    socket: PathBuf,
}

impl Agent {
    fn start(folder: &Path) -> Self {
        let socket = folder.join("agent");
        let mut agent = Command::new("ssh-agent");
        agent.arg("-D").arg("-a").arg(&socket).stdout(Stdio::piped());
        let process = agent.spawn().expect("ssh-agent is there (apt-get install openssh-client)");
        let mut agent = Self { process, socket };
        // It prints where it listens once it does.
        let mut said = String::new();
        let out = agent.process.stdout.as_mut().expect("it is piped");
        BufReader::new(out).read_line(&mut said).expect("it says something");
        agent
    }

    fn add(&self, key: &Path) {
        let mut add = Command::new("ssh-add");
        let status = add.arg("-q").arg(key).env("SSH_AUTH_SOCK", &self.socket).status();
        assert!(status.expect("ssh-add comes with ssh-agent").success());
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        // It may have ended already; then there is only its body to bury.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

#[test]
fn without_a_key_in_the_home_the_agents_lets_in() {
    be_the_demo_where_started_so();
    let sshd = LocalSshd::start().expect("sshd starts");
    let folder = tempfile::tempdir().expect("there is room for a folder");
    let agent = Agent::start(folder.path());
    agent.add(&keys::USER_ECDSA.write_to(folder.path()).expect("there is room for a file"));
    fs::remove_file(sshd.key_path()).expect("it is the test's");
    let test = "host::without_a_key_in_the_home_the_agents_lets_in";
    let (output, out, err) = end_of(start_with_agent(test, &[&target(&sshd)], sshd.home(), &agent.socket));
    assert!(output.status.success(), "{out}{err}");
    assert!(out.contains("every connection closed (by our count)"), "{out}");
    // And without it nobody is let in.
    let (output, out, err) = end_of(start(test, &[&target(&sshd)], sshd.home()));
    assert_eq!(output.status.code(), Some(1), "{out}{err}");
    assert!(err.contains("cannot log in to"), "{err}");
}

#[test]
fn a_host_is_reached_as_ssh_reaches_it_and_left_without_a_connection() {
    be_the_demo_where_started_so();
    let sshd = LocalSshd::start().expect("sshd starts");
    let test = "host::a_host_is_reached_as_ssh_reaches_it_and_left_without_a_connection";
    let (output, out, err) = end_of(start(test, &["--json", &target(&sshd)], sshd.home()));
    assert!(output.status.success(), "{out}{err}");
    assert!(out.contains("every connection closed (by our count)"), "{out}");
    let json = out.lines().last().expect("it says something");
    let said: Value = serde_json::from_str(json).expect("its last line is JSON");
    assert_eq!((&said["target"], &said["leaked"]), (&Value::from(target(&sshd)), &Value::from(0)), "{said}");
}

#[test]
fn a_host_that_is_not_known_is_an_error_that_says_so_and_nobody_logs_in() {
    be_the_demo_where_started_so();
    let sshd = LocalSshd::start().expect("sshd starts");
    let known_hosts = sshd.known_hosts_path();
    fs::write(&known_hosts, "").expect("it is the test's");
    let test = "host::a_host_that_is_not_known_is_an_error_that_says_so_and_nobody_logs_in";
    let (output, out, err) = end_of(start(test, &[&target(&sshd)], sshd.home()));
    assert_eq!(output.status.code(), Some(1), "{out}{err}");
    let line = err.lines().find(|line| line.starts_with("error: ")).expect("it says what is wrong");
    for fact in ["not known", &sshd.addr().to_string(), "SHA256:", &known_hosts.display().to_string()] {
        assert!(line.contains(fact), "{fact}: {line}");
    }
    assert!(!sshd.log().iter().any(|line| line.contains("Accepted")), "{:?}", sshd.log());
}
