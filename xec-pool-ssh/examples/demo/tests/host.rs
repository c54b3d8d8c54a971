//! The demo on a host of the user's: OpenSSH's own server, known and opened by what lies in a home folder.

use std::fs;

use xec_pool_testkit::LocalSshd;

use super::{
    program::{be_the_demo_where_started_so, end_of, start},
    *,
};

fn target(sshd: &LocalSshd) -> String {
    format!("{}@{}", sshd.user(), sshd.addr())
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
