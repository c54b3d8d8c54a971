//! How containers end: dropped, interrupted, killed, out of time.

use std::{
    collections::HashMap,
    future::poll_fn,
    path::PathBuf,
    pin::Pin,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use futures_core::Stream;
use testcontainers::{
    ContainerAsync, GenericImage, ImageExt as _,
    bollard::{
        errors::Error,
        models::EventMessage,
        query_parameters::{EventsOptions, ListContainersOptions, RemoveContainerOptions},
    },
    core::client::docker_client_instance,
    runners::AsyncRunner as _,
};
use tokio::time::timeout;
use xec_pool_testkit::SshdContainer;

use super::{
    client::{self, LONG},
    networks, start,
};

/// How long past its end a container is left alone.
const GRACE: Duration = Duration::from_secs(60);

fn now() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).expect("it is after 1970")
}

/// Whether the engine still has this container.
async fn exists(id: &str) -> bool {
    let docker = docker_client_instance().await.expect("an engine");
    docker.inspect_container(id, None).await.is_ok()
}

#[tokio::test]
async fn a_panic_and_a_drop_outside_of_a_runtime_leave_nothing_behind() {
    let sshd = start().await;
    let its = Its::of(&sshd).await;
    std::thread::spawn(move || drop(sshd)).join().expect("dropping it there is fine");
    assert_eq!(its.left().await, (false, 0, false));
    let (tell, told) = tokio::sync::oneshot::channel();
    let panicked = tokio::spawn(async move {
        let sshd = start().await;
        let _ = tell.send(Its::of(&sshd).await);
        panic!("as tests do");
    });
    let its = told.await.expect("it started");
    assert!(panicked.await.is_err());
    assert_eq!(its.left().await, (false, 0, false));
}

/// What a container has.
struct Its {
    id: String,
    network: String,
    folder: PathBuf,
}

impl Its {
    async fn of(sshd: &SshdContainer) -> Self {
        let network = networks(sshd).await.pop().expect("it is on one");
        let folder = sshd.key_path().parent().expect("it is in one").to_owned();
        let its = Self { id: sshd.id().to_owned(), network, folder };
        assert_eq!(its.left().await, (true, 1, true));
        its
    }

    /// Whether it is there, how many networks, and whether its folder.
    async fn left(&self) -> (bool, usize, bool) {
        (exists(&self.id).await, networks_called(&self.network).await, self.folder.exists())
    }
}

/// What happens to a network of this process, in order, from a moment ago on.
async fn next_on_network(events: &mut (impl Stream<Item = Result<EventMessage, Error>> + Unpin), name: &str) -> String {
    loop {
        let event = timeout(LONG, poll_fn(|cx| Pin::new(&mut *events).poll_next(cx))).await.expect("it happens");
        let event = event.expect("the engine goes on").expect("the engine tells");
        let of = event.actor.and_then(|actor| actor.attributes?.remove("name")).unwrap_or_default();
        if let (Some(action @ ("create" | "destroy")), true) = (event.action.as_deref(), of.ends_with(name)) {
            return action.to_owned();
        }
    }
}

/// What happens to networks, from a moment ago on.
async fn network_events() -> impl Stream<Item = Result<EventMessage, Error>> + Unpin {
    let docker = docker_client_instance().await.expect("an engine");
    let networks = HashMap::from([("type".to_owned(), vec!["network".to_owned()])]);
    let since = Some(now().as_secs().to_string());
    Box::pin(docker.events(Some(EventsOptions { since, filters: Some(networks), ..Default::default() })))
}

#[tokio::test]
async fn a_start_that_is_dropped_leaves_nothing_behind() {
    let name = format!("-dropped-{}", std::process::id());
    let mut events = network_events().await;
    // Dropped as soon as it is begun.
    let begun = SshdContainer::builder().network(&name).start();
    assert!(timeout(Duration::ZERO, begun).await.is_err());
    assert_eq!(next_on_network(&mut events, &name).await, "create");
    assert_eq!(next_on_network(&mut events, &name).await, "destroy");
}

async fn drop_some_while_others_start() {
    let standing = SshdContainer::builder().start_many(3).await.expect("they start");
    let name = format!("-beside-{}", std::process::id());
    let mut events = network_events().await;
    let begin = |n| tokio::spawn(SshdContainer::builder().network(format!("{n}{name}")).start());
    let starting: Vec<_> = (0..4).map(begin).collect();
    // Now one of them has its network, and the others are after theirs.
    assert_eq!(next_on_network(&mut events, &name).await, "create");
    for one in standing {
        drop(one);
        tokio::task::yield_now().await;
    }
    for one in starting {
        one.await.expect("no panic").expect("it starts");
    }
}

#[test]
fn one_can_be_dropped_while_others_start_on_the_same_thread() {
    let (tell, told) = std::sync::mpsc::channel();
    // Not this thread: one that hangs cannot say so.
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(drop_some_while_others_start());
        let _ = tell.send(());
    });
    told.recv_timeout(LONG).expect("it neither hangs nor panics");
}

#[tokio::test]
async fn one_whose_time_is_over_ends_by_itself_for_good() {
    // It starts and greets in less, on a slow machine too; how long it lives then is not asked.
    let sshd = SshdContainer::builder().lifetime(Duration::from_secs(15)).start().await.expect("it starts");
    let docker = docker_client_instance().await.expect("an engine");
    let mut ended = Box::pin(docker.wait_container(sshd.id(), None));
    // Whatever the code, which the engine's client takes for an error.
    let _ = timeout(LONG, poll_fn(|cx| ended.as_mut().poll_next(cx))).await.expect("it ends");
    assert!(!sshd.is_running().await.expect("the engine knows it"));
    let error = sshd.restart().await.expect_err("that does not give it more");
    assert!(error.to_string().contains("its time is over"), "{error}");
}

/// One that runs although its time is long over.
async fn outlived(image: &str) -> ContainerAsync<GenericImage> {
    let (name, tag) = image.rsplit_once(':').expect("with a tag");
    for _ in 0..20 {
        let one = GenericImage::new(name, tag).with_cmd(["sleep", "600"]);
        let one = one.with_label("xec-pool-test.ends", (now() - 2 * GRACE).as_secs().to_string());
        // Before it runs it may be swept by another test.
        if let Ok(started) = one.start().await {
            return started;
        }
    }
    panic!("it does not start");
}

/// A victim that starts one, and ends.
const SWEEPER: &str = "leftovers::a_frozen_one_whose_time_is_over_is_swept_by_the_next_process_and_no_live_one_is";

#[tokio::test]
async fn a_frozen_one_whose_time_is_over_is_swept_by_the_next_process_and_no_live_one_is() {
    if client::is_victim() {
        // Its first start sweeps.
        let _sshd = start().await;
        return client::say("");
    }
    let sshd = start().await;
    let docker = docker_client_instance().await.expect("an engine");
    let shown = docker.inspect_container(sshd.id(), None).await.expect("it is there");
    let image = shown.config.and_then(|config| config.image).expect("it has one");
    let (frozen, live) = (outlived(&image).await, outlived(&image).await);
    frozen.pause().await.expect("paused");
    let (mut sweeper, _) = client::victim(SWEEPER, &[]);
    assert!(client::end_of(&mut sweeper).success());
    assert!(!exists(frozen.id()).await);
    assert!(exists(live.id()).await, "one that runs is trusted to end by itself");
    assert!(exists(sshd.id()).await);
}

#[tokio::test]
async fn the_network_of_a_killed_process_is_swept_by_the_next_one_once_nothing_runs_on_it() {
    if client::is_victim() {
        let brief = SshdContainer::builder().lifetime(Duration::from_secs(10));
        let sshd = brief.start().await.expect("it starts");
        client::say(sshd.id());
        return std::future::pending().await;
    }
    let (mut victim, ids) = client::victim(
        "leftovers::the_network_of_a_killed_process_is_swept_by_the_next_one_once_nothing_runs_on_it",
        &[],
    );
    client::kill("-KILL", victim.id());
    assert!(!client::end_of(&mut victim).success());
    let docker = docker_client_instance().await.expect("an engine");
    let mut ended = Box::pin(docker.wait_container(&ids[0], None));
    let _ = timeout(LONG, poll_fn(|cx| ended.as_mut().poll_next(cx))).await.expect("it ends");
    let networks = format!("xec-pool-test-{}-", victim.id());
    // Its first start sweeps.
    let (mut sweeper, _) = client::victim(SWEEPER, &[]);
    assert!(client::end_of(&mut sweeper).success());
    assert_eq!(networks_called(&networks).await, 0);
    // It is left for longer, for clocks differ.
    let force = RemoveContainerOptions { force: true, ..Default::default() };
    docker.remove_container(&ids[0], Some(force)).await.expect("removed");
}

/// Containers in all states; one is gone already, and only the engine knows.
async fn be_the_victim() {
    let all = SshdContainer::builder().start_many(4).await.expect("they start");
    let docker = docker_client_instance().await.expect("an engine");
    let force = RemoveContainerOptions { force: true, ..Default::default() };
    docker.remove_container(all[0].id(), Some(force)).await.expect("removed");
    all[1].pause().await.expect("paused");
    all[2].kill().await.expect("killed");
    let named = SshdContainer::builder().network("named").start().await.expect("it starts");
    let ids: Vec<&str> = all.iter().map(SshdContainer::id).chain([named.id()]).collect();
    client::say(&ids.join(" "));
    std::future::pending::<()>().await;
}

#[tokio::test]
async fn an_interrupted_process_leaves_nothing_behind() {
    if client::is_victim() {
        return be_the_victim().await;
    }
    for signal in ["-INT", "-TERM", "-QUIT"] {
        let folder = tempfile::tempdir().expect("there is room");
        let place = folder.path().to_str().expect("plain letters");
        let (mut victim, ids) =
            client::victim("leftovers::an_interrupted_process_leaves_nothing_behind", &[("TMPDIR", place)]);
        assert_eq!(ids.len(), 5);
        let networks = format!("xec-pool-test-{}-", victim.id());
        assert_eq!(networks_called(&networks).await, 2);
        client::kill(signal, victim.id());
        assert_eq!(client::end_of(&mut victim).code(), None, "by the signal");
        for id in ids {
            assert!(!exists(&id).await);
        }
        assert_eq!(networks_called(&networks).await, 0);
        assert_eq!(std::fs::read_dir(&folder).expect("it is there").count(), 0);
    }
}

#[tokio::test]
async fn a_process_that_is_interrupted_while_it_starts_some_leaves_nothing_behind() {
    if client::is_victim() {
        // With the first it begins to listen to signals.
        let _first = start().await;
        let _starting: Vec<_> = (0..4).map(|_| tokio::spawn(SshdContainer::start())).collect();
        client::say("");
        return std::future::pending().await;
    }
    // At once, and in the middle.
    for networks in [1, 3] {
        let folder = tempfile::tempdir().expect("there is room");
        let place = folder.path().to_str().expect("plain letters");
        let (mut victim, _) = client::victim(
            "leftovers::a_process_that_is_interrupted_while_it_starts_some_leaves_nothing_behind",
            &[("TMPDIR", place)],
        );
        let prefix = format!("xec-pool-test-{}-", victim.id());
        while networks_called(&prefix).await < networks {
            assert_eq!(victim.try_wait().expect("it can be asked"), None);
        }
        client::kill("-INT", victim.id());
        assert_eq!(client::end_of(&mut victim).code(), None, "by the signal");
        assert_eq!(containers_of(victim.id()).await, 0);
        assert_eq!(networks_called(&prefix).await, 0);
        assert_eq!(std::fs::read_dir(&folder).expect("it is there").count(), 0);
    }
}

/// How many containers that process has, in whatever state.
async fn containers_of(process: u32) -> usize {
    let docker = docker_client_instance().await.expect("an engine");
    let options = ListContainersOptions { all: true, ..Default::default() };
    let all = docker.list_containers(Some(options)).await.expect("the engine tells");
    let process = format!("{process}-");
    let is_its = |label: &String| label.starts_with(&process);
    all.iter()
        .filter(|one| one.labels.as_ref().and_then(|all| all.get("xec-pool-test.process")).is_some_and(is_its))
        .count()
}

/// How many networks' names begin so.
async fn networks_called(prefix: &str) -> usize {
    let docker = docker_client_instance().await.expect("an engine");
    let all = docker.list_networks(None).await.expect("the engine tells");
    all.iter().filter(|network| network.name.as_ref().is_some_and(|name| name.starts_with(prefix))).count()
}
