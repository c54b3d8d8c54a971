//! The check and the login against OpenSSH's own server, over a socket pair: no port, and nothing to clean up.

use std::{
    fs,
    io::{BufRead, BufReader},
    os::{fd::OwnedFd, unix::net::UnixStream as StdUnixStream},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{Arc, Mutex},
};

use russh::client::{self, Handle};
use tokio::net::UnixStream;

use super::*;
use crate::auth::{AuthMethod, Credentials, authenticate};

fn key(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/keys").join(name)
}

fn run(program: &str, arguments: &[&str]) {
    let output = Command::new(program).args(arguments).output();
    let output =
        output.unwrap_or_else(|error| panic!("these tests need {program} (apt-get install openssh-client): {error}"));
    assert!(output.status.success(), "{program} {arguments:?}: {output:?}");
}

/// One server process for one session; it ends with its test.
struct Sshd {
    directory: tempfile::TempDir,
    process: Child,
}

impl Drop for Sshd {
    fn drop(&mut self) {
        // It may be gone already, which is as well.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Sshd {
    /// A server with this host key and, where `principal` is given, a certificate of the test authority for it.
    fn start(host_key: &str, principal: Option<&str>) -> (Self, StdUnixStream) {
        let directory = tempfile::tempdir().unwrap();
        let at = |name: &str| directory.path().join(name).display().to_string();
        for (from, to) in [(host_key, "host"), (&format!("{host_key}.pub"), "host.pub"), ("ca", "ca")] {
            fs::copy(key(from), at(to)).unwrap();
            run("chmod", &["600", &at(to)]);
        }
        fs::copy(key("id_ed25519.pub"), at("authorized_keys")).unwrap();
        let mut config = format!(
            "HostKey {}\nAuthorizedKeysFile {}\nStrictModes no\nUsePAM no\nPermitRootLogin yes\nPidFile none\n",
            at("host"),
            at("authorized_keys")
        );
        if let Some(principal) = principal {
            run("ssh-keygen", &["-q", "-s", &at("ca"), "-I", "test", "-h", "-n", principal, &at("host.pub")]);
            config.push_str(&format!("HostCertificate {}\n", at("host-cert.pub")));
        }
        fs::write(at("config"), config).unwrap();
        // root's sshd wants it; systemd makes it elsewhere. Another user's does not, and may not.
        let _ = fs::create_dir_all("/run/sshd");
        let (near, far) = StdUnixStream::pair().unwrap();
        let input = Stdio::from(OwnedFd::from(far.try_clone().unwrap()));
        let process = Command::new("/usr/sbin/sshd")
            .args(["-i", "-e", "-f", &at("config")])
            .stdin(input)
            .stdout(Stdio::from(OwnedFd::from(far)))
            .stderr(Stdio::null())
            .spawn()
            .expect("these tests need /usr/sbin/sshd (apt-get install openssh-server)");
        (Self { directory, process }, near)
    }

    fn known_hosts(&self, lines: &str) -> PathBuf {
        let path = self.directory.path().join("known_hosts");
        fs::write(&path, lines).unwrap();
        path
    }
}

struct Client {
    check: HostKeyCheck,
    verdict: Arc<Mutex<Option<HostKeyError>>>,
}

impl client::Handler for Client {
    type Error = russh::Error;

    async fn check_server_key(&mut self, presented: &PublicKeyOrCertificate) -> Result<bool, russh::Error> {
        let verdict = self.check.check(presented).await;
        let believed = verdict.is_ok();
        *self.verdict.lock().unwrap() = verdict.err();
        Ok(believed)
    }
}

async fn connect(near: StdUnixStream, target: &str, known_hosts: PathBuf) -> Result<Handle<Client>, HostKeyError> {
    let check = HostKeyCheck::new(&target.parse().unwrap(), &HostKeyPolicy::Strict, &[known_hosts]).unwrap();
    let mut config = client::Config::default();
    config.preferred.key = check.preferred_keys().into();
    config.preferred.host_key_certificates = check.preferred_certificates().into();
    near.set_nonblocking(true).unwrap();
    let verdict = Arc::new(Mutex::new(None));
    let client = Client { check, verdict: verdict.clone() };
    let connected = client::connect_stream(Arc::new(config), UnixStream::from_std(near).unwrap(), client).await;
    let refused = verdict.lock().unwrap().take();
    match (connected, refused) {
        (Ok(handle), None) => Ok(handle),
        (_, Some(refused)) => Err(refused),
        (Err(error), None) => panic!("sshd: {error}"),
    }
}

fn line(name: &str, file: &str) -> String {
    format!("{name} {}", fs::read_to_string(key(file)).unwrap())
}

#[tokio::test]
async fn a_known_server_is_believed_and_lets_in() {
    let (server, near) = Sshd::start("id_ecdsa", None);
    let known_hosts = server.known_hosts(&line("web1", "id_ecdsa.pub"));
    let mut handle = connect(near, "web1", known_hosts).await.unwrap();
    let user = String::from_utf8(Command::new("id").arg("-un").output().unwrap().stdout).unwrap();
    // The one that is refused first shows that sshd's refusals are understood.
    let methods = [AuthMethod::key_file(key("id_rsa")), AuthMethod::key_file(key("id_ed25519"))];
    let credentials = Credentials::read(&methods, None).unwrap();
    let authenticated = authenticate(&mut handle, user.trim(), &credentials).await.unwrap();
    assert_eq!(authenticated.method, "key");
}

#[tokio::test]
async fn an_unknown_and_a_changed_server_are_refused() {
    let (server, near) = Sshd::start("id_ecdsa", None);
    let known_hosts = server.known_hosts("");
    assert!(matches!(connect(near, "web1", known_hosts).await, Err(HostKeyError::Unknown { .. })));
    let (server, near) = Sshd::start("id_ecdsa", None);
    let known_hosts = server.known_hosts(&line("web1", "id_rsa.pub"));
    assert!(matches!(connect(near, "web1", known_hosts).await, Err(HostKeyError::Changed { line: 1, .. })));
}

#[tokio::test]
async fn a_server_s_certificate_is_believed_for_its_host_and_no_other() {
    for host_key in ["id_ecdsa", "id_ed25519", "id_rsa"] {
        let (server, near) = Sshd::start(host_key, Some("web1"));
        let known_hosts = server.known_hosts(&line("@cert-authority *", "ca.pub"));
        connect(near, "web1:2222", known_hosts).await.unwrap();
        let (server, near) = Sshd::start(host_key, Some("web1"));
        let known_hosts = server.known_hosts(&line("@cert-authority *", "ca.pub"));
        let refused = connect(near, "web2", known_hosts).await.err().unwrap();
        assert!(refused.to_string().ends_with("it is for web1, not for web2"), "{refused}");
    }
}

#[tokio::test]
async fn a_server_whose_authority_is_revoked_is_refused() {
    let (server, near) = Sshd::start("id_ecdsa", Some("web1"));
    let lines = line("@cert-authority *", "ca.pub") + &line("@revoked *", "ca.pub");
    let known_hosts = server.known_hosts(&lines);
    assert!(matches!(connect(near, "web1", known_hosts).await, Err(HostKeyError::Revoked { line: 2, .. })));
}

#[tokio::test]
async fn a_key_of_a_real_agent_lets_in() {
    let (server, near) = Sshd::start("id_ecdsa", None);
    let known_hosts = server.known_hosts(&line("web1", "id_ecdsa.pub"));
    let socket = server.directory.path().join("agent");
    let mut agent = Command::new("ssh-agent")
        .args(["-D", "-a", &socket.display().to_string()])
        .stdout(Stdio::piped())
        .spawn()
        .expect("these tests need ssh-agent (apt-get install openssh-client)");
    // It prints where it listens once it does.
    let mut ready = String::new();
    BufReader::new(agent.stdout.as_mut().unwrap()).read_line(&mut ready).unwrap();
    let private = server.directory.path().join("id");
    fs::copy(key("id_ed25519"), &private).unwrap();
    run("chmod", &["600", &private.display().to_string()]);
    let added = Command::new("ssh-add").arg("-q").arg(&private).env("SSH_AUTH_SOCK", &socket).output().unwrap();
    let mut handle = connect(near, "web1", known_hosts).await.unwrap();
    let user = String::from_utf8(Command::new("id").arg("-un").output().unwrap().stdout).unwrap();
    let credentials = Credentials::read(&[AuthMethod::agent_at(&socket)], None).unwrap();
    let authenticated = authenticate(&mut handle, user.trim(), &credentials).await;
    agent.kill().unwrap();
    agent.wait().unwrap();
    assert!(added.status.success(), "{added:?}");
    assert_eq!(authenticated.unwrap().method, "agent");
}
