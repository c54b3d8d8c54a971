//! OpenSSH's own sshd as the testkit runs it, seen by OpenSSH's own client and by a bare socket.

use std::{
    io::{BufRead as _, BufReader},
    net::{TcpListener, TcpStream},
    path::Path,
    process::Child,
    time::{Duration, Instant},
};

use xec_pool_testkit::{LocalSshd, keys};

// OpenSSH's client, and the victim of some tests.
mod client;

use self::client::{LONG, Login, echoes};

fn start() -> LocalSshd {
    LocalSshd::start().unwrap_or_else(|error| panic!("{error}"))
}

fn login(sshd: &LocalSshd) -> Login {
    Login {
        user: sshd.user().to_owned(),
        host: sshd.host(),
        port: sshd.port(),
        key: sshd.key_path(),
        known_hosts: sshd.known_hosts_path(),
    }
}

fn run(sshd: &LocalSshd, command: &str) -> (Option<i32>, String) {
    login(sshd).run(command)
}

/// A connection that runs `cat`, known to be up.
fn cat(sshd: &LocalSshd) -> Child {
    login(sshd).cat().0
}

fn banner(sshd: &LocalSshd, patience: Duration) -> std::io::Result<String> {
    let stream = TcpStream::connect(sshd.addr())?;
    stream.set_read_timeout(Some(patience))?;
    let mut line = String::new();
    BufReader::new(stream).read_line(&mut line)?;
    Ok(line)
}

#[test]
fn a_command_runs_and_its_code_comes_back() {
    let sshd = start();
    assert_eq!(run(&sshd, "echo hello; exit 3"), (Some(3), "hello\n".into()));
    assert!(sshd.log().iter().any(|line| line.contains("Accepted publickey")), "{:?}", sshd.log());
    sshd.forget_log();
    assert!(!sshd.log().iter().any(|line| line.contains("Accepted publickey")), "{:?}", sshd.log());
}

#[test]
fn ones_own_lines_come_first_and_win() {
    let sshd = LocalSshd::builder().config("ForceCommand echo forced").start().expect("sshd starts");
    assert_eq!(run(&sshd, "echo asked"), (Some(0), "forced\n".into()));
    let error = LocalSshd::builder().config("NoSuchWord yes").start().expect_err("sshd refuses that");
    assert!(error.to_string().contains("NoSuchWord"), "{error}");
}

#[test]
fn a_missing_sshd_is_one_sentence_that_says_what_to_type() {
    let error = LocalSshd::builder().program("/nonexistent/sshd").start().expect_err("it is not there");
    assert_eq!(error.to_string(), "sshd is not installed: apt-get install openssh-server");
}

#[test]
fn it_shows_the_host_keys_it_is_given() {
    for key in [keys::HOST_ECDSA, keys::HOST_RSA] {
        let sshd = LocalSshd::builder().host_keys(&[key]).start().expect("sshd starts");
        assert_eq!(run(&sshd, "echo trusted"), (Some(0), "trusted\n".into()));
    }
}

#[test]
fn it_is_known_under_another_address_by_a_line_for_that() {
    let sshd = start();
    let elsewhere = TcpListener::bind("127.0.0.1:0").expect("loopback has ports");
    let addr = elsewhere.local_addr().expect("it is bound");
    let target = sshd.addr();
    std::thread::spawn(move || {
        let (client, _) = elsewhere.accept().expect("it comes");
        let server = TcpStream::connect(target).expect("sshd listens");
        let (mut up, mut down) = (client.try_clone().expect("a copy"), server.try_clone().expect("a copy"));
        std::thread::spawn(move || std::io::copy(&mut up, &mut &server));
        std::io::copy(&mut down, &mut &client)
    });
    std::fs::write(sshd.known_hosts_path(), sshd.known_hosts_line_for(addr)).expect("it is ours");
    let there = Login { port: addr.port(), ..login(&sshd) };
    assert_eq!(there.run("echo trusted"), (Some(0), "trusted\n".into()));
}

#[test]
fn many_at_once_never_meet() {
    let all: Vec<_> = (0..8).map(|_| std::thread::spawn(start)).collect();
    let all: Vec<_> = all.into_iter().map(|one| one.join().expect("it starts")).collect();
    for sshd in &all {
        assert!(banner(sshd, Duration::from_secs(5)).expect("it listens").starts_with("SSH-2.0-OpenSSH"));
    }
}

#[test]
fn killed_connections_end_and_new_ones_are_welcome() {
    let sshd = start();
    let mut child = cat(&sshd);
    assert!(!sshd.connection_pids().is_empty());
    assert!(sshd.kill_connections() > 0);
    assert!(!child.wait().expect("it ends").success());
    assert_eq!(run(&sshd, "echo again"), (Some(0), "again\n".into()));
}

#[test]
fn a_killed_daemon_refuses_and_its_connections_live_and_it_comes_back_where_it_was() {
    let mut sshd = start();
    let mut child = cat(&sshd);
    let before = sshd.connection_pids();
    sshd.kill();
    assert_eq!(
        banner(&sshd, Duration::from_secs(5)).expect_err("refused").kind(),
        std::io::ErrorKind::ConnectionRefused
    );
    assert!(echoes(&mut child));
    assert_eq!(sshd.connection_pids(), before, "orphans are still known");
    sshd.restart().expect("the port is still free");
    assert_eq!(run(&sshd, "echo back"), (Some(0), "back\n".into()));
    assert!(echoes(&mut child));
    let began = Instant::now();
    while sshd.connection_pids() != before {
        assert!(began.elapsed() < LONG, "the one that has run its command ends");
    }
    assert_eq!(sshd.kill_connections(), before.len());
    assert!(!child.wait().expect("it ends").success());
}

#[test]
fn a_frozen_one_is_silent_and_thaws() {
    let sshd = start();
    let mut child = cat(&sshd);
    sshd.stop();
    let start = Instant::now();
    assert!(banner(&sshd, Duration::from_millis(200)).is_err(), "the kernel answers, sshd does not");
    assert!(start.elapsed() >= Duration::from_millis(200));
    sshd.cont();
    assert!(echoes(&mut child));
    assert!(banner(&sshd, Duration::from_secs(5)).is_ok());
}

#[test]
fn a_command_that_was_hit_on_its_way_from_sshd_thaws_as_well() {
    let sshd = start();
    let (mut child, pid) = login(&sshd).cat();
    client::kill("-STOP", pid);
    sshd.stop();
    sshd.cont();
    assert!(echoes(&mut child));
}

#[test]
fn dropped_it_leaves_nothing_behind() {
    for stopped in [false, true] {
        let sshd = start();
        let mut child = cat(&sshd);
        let mut pids = sshd.connection_pids();
        pids.extend(sshd.pid());
        let home = sshd.home().to_owned();
        if stopped {
            sshd.stop();
        }
        drop(sshd);
        assert!(!child.wait().expect("it ends").success());
        assert!(!home.exists());
        pids.into_iter().for_each(until_ended);
    }
}

#[test]
fn one_whose_process_is_killed_ends_too_frozen_or_not() {
    if client::is_victim() {
        let (mut restarted, frozen) = (start(), start());
        restarted.restart().expect("the port is still free");
        frozen.stop();
        let pids = [&restarted, &frozen].map(|sshd| sshd.pid().expect("it runs").to_string());
        client::say(&pids.join(" "));
        loop {
            std::thread::park();
        }
    }
    let folder = tempfile::tempdir().expect("there is room");
    let place = folder.path().to_str().expect("plain letters");
    let (mut victim, pids) = client::victim("one_whose_process_is_killed_ends_too_frozen_or_not", &[("TMPDIR", place)]);
    assert_eq!(pids.len(), 2);
    let pids: Vec<u32> = pids.iter().map(|pid| pid.parse().expect("a number")).collect();
    assert!(pids.iter().all(|pid| is_running(*pid)));
    victim.kill().expect("it runs");
    client::end_of(&mut victim);
    pids.into_iter().for_each(until_ended);
}

fn until_ended(pid: u32) {
    let began = Instant::now();
    while is_running(pid) {
        assert!(began.elapsed() < LONG, "{pid} is still there");
        std::thread::yield_now();
    }
}

/// Running, not only waiting to be buried by whoever inherited it.
fn is_running(pid: u32) -> bool {
    let stat = std::fs::read_to_string(Path::new("/proc").join(pid.to_string()).join("stat")).unwrap_or_default();
    stat.rsplit_once(") ").is_some_and(|(_, rest)| !rest.starts_with(['Z', 'X']))
}
