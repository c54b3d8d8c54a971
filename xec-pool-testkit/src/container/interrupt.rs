//! Ctrl-C and its like: what this process has on the engine goes before the process does.

use std::{
    env, fs,
    future::pending,
    hash::{BuildHasher as _, Hasher as _, RandomState},
    io,
    sync::{
        OnceLock,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Duration,
};

use signal_hook::{
    consts::{SIGINT, SIGQUIT, SIGTERM},
    iterator::Signals,
    low_level::emulate_default_handler,
};
use testcontainers::bollard::{Docker, errors::Error};
use tokio::{
    runtime,
    sync::{OnceCell, RwLock, RwLockReadGuard},
    time::timeout,
};

use super::{PATIENCE, sweep};

/// On every container: whose it is.
pub(super) const PROCESS: &str = "xec-pool-test.process";

/// How the name of every folder begins; then comes its process.
const FOLDER: &str = "xec-pool-container-";

/// Read by whoever is making a container.
static DOOR: RwLock<()> = RwLock::const_new(());

/// Set for good when we are asked to end.
static SHUT: AtomicBool = AtomicBool::new(false);

/// A container on its way is worth this wait before the first are removed.
const HURRY: Duration = Duration::from_secs(10);

/// What the engine refuses to remove now it may remove so much later.
const PAUSE: Duration = Duration::from_millis(50);

/// This process, as no other is called: numbers come again, and are not the same everywhere.
pub(super) fn process() -> &'static str {
    static NAME: OnceLock<String> = OnceLock::new();
    NAME.get_or_init(|| format!("{}-{:016x}", std::process::id(), RandomState::new().build_hasher().finish()))
}

/// How the networks of this process are called, up to their own names.
pub(super) fn network_prefix() -> String {
    format!("{}{}-", sweep::NETWORK, process())
}

pub(super) fn folder_prefix() -> String {
    format!("{FOLDER}{}-", process())
}

/// From now on, until the process ends, on a thread of its own.
pub(super) async fn watch(docker: &Docker) -> io::Result<()> {
    static WATCHED: OnceCell<()> = OnceCell::const_new();
    let begin = || async {
        let (signals, docker) = (Signals::new([SIGINT, SIGTERM, SIGQUIT])?, docker.clone());
        let name = "xec-pool containers".to_owned();
        thread::Builder::new().name(name).spawn(move || clean_up_and_end(signals, &docker)).map(drop)
    };
    WATCHED.get_or_try_init(begin).await.map(drop)
}

fn clean_up_and_end(mut signals: Signals, docker: &Docker) {
    for signal in signals.forever() {
        let docker = docker.clone();
        // A panic in there must not keep the process from ending.
        let _ = thread::spawn(move || clean_up(&docker)).join();
        // As if nobody had listened.
        let _ = emulate_default_handler(signal);
    }
}

fn clean_up(docker: &Docker) {
    if let Ok(runtime) = runtime::Builder::new_current_thread().enable_all().build() {
        let _ = runtime.block_on(async { timeout(PATIENCE, everything(docker)).await });
    }
    folders();
}

/// Lets in who is to make a container, until we are asked to end.
pub(super) async fn enter() -> RwLockReadGuard<'static, ()> {
    let inside = DOOR.read().await;
    if !SHUT.load(Ordering::SeqCst) {
        return inside;
    }
    drop(inside);
    // An error would end a test, and with the last one the process, before everything is gone.
    pending().await
}

/// Until nobody makes any more and nothing is there. Tests go on meanwhile: what they drop themselves is gone, and that
/// is all that is asked for.
async fn everything(docker: &Docker) {
    SHUT.store(true, Ordering::SeqCst);
    let _ = timeout(HURRY, DOOR.write()).await;
    loop {
        // Asked first: what is still being made is seen by the next look.
        let all_out = DOOR.try_write().is_ok();
        let nothing_left = remove_all(docker).await.unwrap_or(false);
        if all_out && nothing_left {
            return;
        }
        tokio::time::sleep(PAUSE).await;
    }
}

/// Removes what is there, and says whether that was nothing.
async fn remove_all(docker: &Docker) -> Result<bool, Error> {
    let containers = sweep::labelled(docker, &format!("{PROCESS}={}", process())).await?;
    let networks = networks(docker, &network_prefix()).await?;
    let nothing = containers.is_empty() && networks.is_empty();
    for id in containers.into_iter().filter_map(|container| container.id) {
        sweep::remove(docker, &id).await;
    }
    for name in networks {
        let _ = docker.remove_network(&name).await;
    }
    Ok(nothing)
}

/// The names of networks that begin so.
pub(super) async fn networks(docker: &Docker, prefix: &str) -> Result<Vec<String>, Error> {
    let all = docker.list_networks(None).await?;
    Ok(all.into_iter().filter_map(|network| network.name).filter(|name| name.starts_with(prefix)).collect())
}

fn folders() {
    let prefix = folder_prefix();
    for entry in fs::read_dir(env::temp_dir()).into_iter().flatten().flatten() {
        if entry.file_name().to_string_lossy().starts_with(&prefix) {
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}
