//! sshd in containers, seen by OpenSSH's own client and by a bare socket.

use std::{
    process::Child,
    time::{Duration, Instant},
};

use testcontainers::core::client::docker_client_instance;
use tokio::{io::AsyncReadExt as _, net::TcpStream, time::timeout};
use xec_pool_testkit::SshdContainer;

// OpenSSH's client, and the victim of some tests.
mod client;

use self::client::{Login, echoes};

/// Reaching it fails the test.
const LONG: Duration = Duration::from_secs(60);

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
    assert_eq!(knock(&sshd).await, Knock::Unreachable);
    sshd.plug().await.expect("plugged");
    assert_eq!(sshd.addr(), addr);
    assert!(echoes(&mut child));
    assert_eq!(knock(&sshd).await, Knock::Greeted);
}

#[tokio::test]
async fn a_black_hole_swallows_what_is_said_until_it_is_healed() {
    let sshd = start().await;
    let mut child = cat(&sshd);
    sshd.cut().await.expect("cut");
    assert_eq!(knock(&sshd).await, Knock::Unreachable);
    assert_eq!(child.try_wait().expect("it can be asked"), None, "nobody told it");
    sshd.heal().await.expect("healed");
    assert!(echoes(&mut child));
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

/// Whether the engine still has this container.
async fn exists(id: &str) -> bool {
    let docker = docker_client_instance().await.expect("an engine");
    docker.inspect_container(id, None).await.is_ok()
}

#[tokio::test]
async fn a_panic_and_a_drop_outside_of_a_runtime_leave_nothing_behind() {
    let sshd = start().await;
    let id = sshd.id().to_owned();
    std::thread::spawn(move || drop(sshd)).join().expect("dropping it there is fine");
    assert!(!exists(&id).await);
    let (tell, told) = tokio::sync::oneshot::channel();
    let panicked = tokio::spawn(async move {
        let sshd = start().await;
        let _ = tell.send(sshd.id().to_owned());
        panic!("as tests do");
    });
    let id = told.await.expect("it started");
    assert!(panicked.await.is_err());
    assert!(!exists(&id).await);
}

#[tokio::test]
async fn a_start_that_is_dropped_leaves_nothing_behind() {
    let network = format!("xec-pool-dropped-{}", std::process::id());
    let begun = SshdContainer::builder().network(&network).start();
    assert!(timeout(Duration::from_millis(150), begun).await.is_err(), "nobody starts that fast");
    let docker = docker_client_instance().await.expect("an engine");
    // It appears, and goes again with its network.
    let began = Instant::now();
    let mut seen = false;
    while began.elapsed() < LONG {
        match (docker.inspect_network(&network, None).await.is_ok(), seen) {
            (false, true) => return,
            (here, _) => seen |= here,
        }
        tokio::task::yield_now().await;
    }
    panic!("its network is still there, or never was");
}

#[tokio::test]
async fn one_whose_time_is_over_ends_by_itself() {
    let sshd = SshdContainer::builder().lifetime(Duration::from_secs(1)).start().await.expect("it starts");
    let began = Instant::now();
    while sshd.is_running().await.expect("the engine knows it") {
        assert!(began.elapsed() < LONG);
    }
    assert!(began.elapsed() > Duration::from_millis(300), "and not before");
}

/// Three containers, in three states.
async fn be_the_victim() {
    let all = SshdContainer::builder().start_many(3).await.expect("they start");
    all[0].pause().await.expect("paused");
    all[1].kill().await.expect("killed");
    client::say(&[all[0].id(), all[1].id(), all[2].id()].join(" "));
    std::future::pending::<()>().await;
}

#[tokio::test]
async fn an_interrupted_process_leaves_nothing_behind() {
    if client::is_victim() {
        return be_the_victim().await;
    }
    let (mut victim, ids) = client::victim("an_interrupted_process_leaves_nothing_behind", &[]);
    client::kill("-INT", victim.id());
    assert!(!victim.wait().expect("it ends").success());
    assert_eq!(ids.len(), 3);
    for id in ids {
        assert!(!exists(&id).await);
    }
}
