//! sshd in containers, seen by OpenSSH's own client and by a bare socket.

use std::{
    io::{Read as _, Write as _},
    process::Child,
    sync::mpsc::{self, Receiver, RecvTimeoutError},
    thread,
    time::Duration,
};

use testcontainers::core::client::docker_client_instance;
use tokio::{io::AsyncReadExt as _, net::TcpStream, time::timeout};
use xec_pool_testkit::SshdContainer;

// OpenSSH's client, and the victim of some tests.
#[path = "../client/mod.rs"]
mod client;

// What is left of them in the end.
mod leftovers;

use self::client::{LONG, Login, echoes};

/// What nobody answers is not answered within this either.
const SHORT: Duration = Duration::from_millis(300);

async fn start() -> SshdContainer {
    SshdContainer::start().await.unwrap_or_else(|error| panic!("{error}"))
}

fn login(sshd: &SshdContainer) -> Login {
    Login {
        user: sshd.user().to_owned(),
        host: sshd.addr().ip().to_string(),
        port: sshd.addr().port(),
        key: sshd.key_path(),
        known_hosts: sshd.known_hosts_path(),
    }
}

fn run(sshd: &SshdContainer, command: &str) -> (Option<i32>, String) {
    login(sshd).run(command)
}

/// A connection that runs `cat`, known to be up.
fn cat(sshd: &SshdContainer) -> Child {
    login(sshd).cat().0
}

/// Says something to `cat`, and returns what tells when that has come back.
fn say_to(child: &mut Child) -> Receiver<u8> {
    child.stdin.as_mut().expect("it is piped").write_all(b"x").expect("ssh reads");
    let mut stdout = child.stdout.take().expect("it is piped");
    let (tell, told) = mpsc::channel();
    thread::spawn(move || {
        let mut byte = [0];
        if stdout.read_exact(&mut byte).is_ok() {
            let _ = tell.send(byte[0]);
        }
    });
    told
}

/// What a new connection comes to.
#[derive(Debug, PartialEq, Eq)]
enum Knock {
    Greeted,
    /// Connected, and then nothing.
    Silent,
    /// Not even connected: refused, or no answer.
    Unreachable,
}

async fn knock(sshd: &SshdContainer) -> Knock {
    let Ok(Ok(mut stream)) = timeout(SHORT, TcpStream::connect(sshd.addr())).await else { return Knock::Unreachable };
    let mut greeting = [0; 4];
    match timeout(SHORT, stream.read_exact(&mut greeting)).await {
        Ok(Ok(_)) if &greeting == b"SSH-" => Knock::Greeted,
        Ok(_) => Knock::Unreachable,
        Err(_) => Knock::Silent,
    }
}

#[tokio::test]
async fn a_command_runs_and_its_code_comes_back() {
    let sshd = start().await;
    assert_eq!(run(&sshd, "id -un; exit 3"), (Some(3), format!("{}\n", sshd.user())));
    let log = sshd.log().await.expect("the engine tells");
    assert!(log.iter().any(|line| line.contains("Accepted publickey")), "{log:?}");
}

#[tokio::test]
async fn ones_own_lines_come_first_and_win_and_wrong_ones_are_told() {
    let sshd = SshdContainer::builder().config("ForceCommand echo forced").start().await.expect("it starts");
    assert_eq!(run(&sshd, "echo asked"), (Some(0), "forced\n".into()));
    let error = SshdContainer::builder().config("NoSuchWord yes").start().await.expect_err("sshd refuses that");
    assert!(error.to_string().contains("NoSuchWord"), "{error}");
}

#[tokio::test]
async fn its_published_port_is_this_machines_alone() {
    let sshd = start().await;
    let published = sshd.published().await.expect("it has one");
    assert!(published.ip().is_loopback());
    let docker = docker_client_instance().await.expect("an engine");
    let shown = docker.inspect_container(sshd.id(), None).await.expect("it is there");
    let ports = shown.network_settings.and_then(|network| network.ports).expect("it has ports");
    let bound = ports.into_values().flatten().flatten().map(|binding| binding.host_ip);
    assert_eq!(bound.collect::<Vec<_>>(), [Some("127.0.0.1".to_owned())]);
    let mut greeting = [0; 4];
    TcpStream::connect(published).await.expect("it listens").read_exact(&mut greeting).await.expect("it greets");
    assert_eq!(&greeting, b"SSH-");
}

/// The networks that the engine has it on.
async fn networks(sshd: &SshdContainer) -> Vec<String> {
    let docker = docker_client_instance().await.expect("an engine");
    let shown = docker.inspect_container(sshd.id(), None).await.expect("it is there");
    shown.network_settings.and_then(|network| network.networks).expect("it has some").into_keys().collect()
}

/// Whether one gets a greeting from another one.
async fn reaches(from: &SshdContainer, to: &SshdContainer) -> bool {
    let (ip, port) = (to.addr().ip(), to.addr().port());
    let knock = format!("exec bash -c 'head -c 4 < /dev/tcp/{ip}/{port}'");
    timeout(10 * SHORT, from.exec(&knock)).await.is_ok_and(|said| said.is_ok_and(|said| said == "SSH-"))
}

#[tokio::test]
async fn its_network_is_its_own_and_leads_to_no_other() {
    let (one, other) = (start().await, start().await);
    assert_eq!(networks(&one).await.len(), 1);
    assert_ne!(networks(&one).await, networks(&other).await);
    assert!(!reaches(&one, &other).await);
    let together = SshdContainer::builder().start_many(2).await.expect("they start");
    assert_eq!(networks(&together[0]).await, networks(&together[1]).await);
    assert!(reaches(&together[0], &together[1]).await, "so the others' silence says something");
}

#[tokio::test]
async fn without_an_engine_one_sentence_says_what_to_do() {
    if client::is_victim() {
        let error = SshdContainer::start().await.expect_err("nobody listens there");
        return client::say(&format!("{:?} {error}", error.kind()));
    }
    let nobody = [("DOCKER_HOST", "tcp://127.0.0.1:1")];
    let (mut victim, words) = client::victim("without_an_engine_one_sentence_says_what_to_do", &nobody);
    assert!(client::end_of(&mut victim).success());
    let said = words.join(" ");
    assert!(said.starts_with("NotConnected no Docker engine answers ("), "{said}");
    assert!(said.ends_with("or say where it is with DOCKER_HOST"), "{said}");
}

#[tokio::test]
async fn a_frozen_one_is_silent_and_thaws() {
    let sshd = start().await;
    let mut child = cat(&sshd);
    sshd.pause().await.expect("paused");
    assert_eq!(knock(&sshd).await, Knock::Silent);
    sshd.unpause().await.expect("unpaused");
    assert!(echoes(&mut child));
    assert_eq!(knock(&sshd).await, Knock::Greeted);
}

#[tokio::test]
async fn a_crashed_one_comes_back_where_it_was_and_with_what_it_had() {
    let sshd = start().await;
    let addr = sshd.addr();
    sshd.exec("echo kept > /etc/mark").await.expect("written");
    sshd.kill().await.expect("killed");
    assert!(!sshd.is_running().await.expect("the engine knows it"));
    assert_eq!(knock(&sshd).await, Knock::Unreachable);
    for _ in 0..2 {
        sshd.restart().await.expect("it comes back, from death and from life");
        assert_eq!(sshd.addr(), addr);
        assert_eq!(run(&sshd, "cat /etc/mark"), (Some(0), "kept\n".into()));
    }
}

#[tokio::test]
async fn an_unplugged_one_cannot_be_reached_and_its_connections_wait() {
    let sshd = start().await;
    let addr = sshd.addr();
    let mut child = cat(&sshd);
    sshd.unplug().await.expect("unplugged");
    let echo = say_to(&mut child);
    assert_eq!(knock(&sshd).await, Knock::Unreachable);
    assert_eq!(echo.recv_timeout(SHORT), Err(RecvTimeoutError::Timeout));
    sshd.plug().await.expect("plugged");
    assert_eq!(sshd.addr(), addr);
    assert_eq!(echo.recv_timeout(LONG), Ok(b'x'));
    assert_eq!(knock(&sshd).await, Knock::Greeted);
}

#[tokio::test]
async fn a_black_hole_swallows_what_is_said_until_it_is_healed() {
    let sshd = start().await;
    let mut child = cat(&sshd);
    sshd.cut().await.expect("cut");
    let echo = say_to(&mut child);
    assert_eq!(knock(&sshd).await, Knock::Unreachable);
    assert_eq!(echo.recv_timeout(SHORT), Err(RecvTimeoutError::Timeout));
    assert_eq!(child.try_wait().expect("it can be asked"), None, "nobody told it");
    sshd.heal().await.expect("healed");
    assert_eq!(echo.recv_timeout(LONG), Ok(b'x'), "what was said meanwhile, said again by the kernel");
    assert_eq!(knock(&sshd).await, Knock::Greeted);
}

#[tokio::test]
async fn killed_connections_end_and_new_ones_are_welcome() {
    let sshd = start().await;
    let mut child = cat(&sshd);
    assert!(sshd.processes().await.expect("it tells").iter().any(|name| name == "cat"));
    assert!(sshd.kill_connections().await.expect("killed") > 0);
    assert!(!child.wait().expect("it ends").success());
    assert_eq!(run(&sshd, "echo again"), (Some(0), "again\n".into()));
}

#[tokio::test]
async fn one_that_has_run_out_of_processes_refuses_and_recovers() {
    let sshd = start().await;
    sshd.limit_processes(Some(1)).await.expect("limited");
    assert_ne!(run(&sshd, "true").0, Some(0));
    sshd.limit_processes(None).await.expect("free again");
    assert_eq!(run(&sshd, "echo again"), (Some(0), "again\n".into()));
}

#[tokio::test]
async fn a_small_disk_is_full_soon() {
    let sshd = SshdContainer::builder().small_disk(4096).start().await.expect("it starts");
    let (code, said) = run(&sshd, "head -c 100000 /dev/zero > /small/file");
    assert_ne!(code, Some(0));
    assert!(said.contains("No space left"), "{said}");
}

#[tokio::test]
async fn several_are_hit_at_once_and_each_by_what_is_meant_for_it() {
    let all = SshdContainer::builder().start_many(3).await.expect("they start");
    let [frozen, cut, well] = &all[..] else { panic!("three were asked for") };
    let (paused, was_cut) = tokio::join!(frozen.pause(), cut.cut());
    paused.and(was_cut).expect("both");
    assert_eq!(
        tokio::join!(knock(frozen), knock(cut), knock(well)),
        (Knock::Silent, Knock::Unreachable, Knock::Greeted)
    );
}
