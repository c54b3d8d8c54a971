//! Whether anything is left: slots, leases, tasks, sockets, processes over there.

use std::{
    fs,
    net::{IpAddr, SocketAddr},
    sync::atomic::{AtomicUsize, Ordering},
    time::{Duration, Instant},
};

use xec_pool_core::{Phase, Stats};

use super::place::Place;

/// How long what ends in the background may take: a goodbye to a server that is gone, a packet sent again.
const PATIENCE: Duration = Duration::from_secs(30);

const STEP: Duration = Duration::from_millis(20);

/// Asks until the answer is none, and returns the last one.
async fn settle<F>(problem: impl Fn() -> F) -> Option<String>
where
    F: Future<Output = Option<String>>,
{
    let began = Instant::now();
    loop {
        let said = problem().await;
        if said.is_none() || began.elapsed() > PATIENCE {
            return said;
        }
        tokio::time::sleep(STEP).await; // sleep is the subject
    }
}

/// Nothing moves: nobody holds, waits or dials.
pub(crate) async fn at_rest(place: &Place) -> Option<String> {
    settle(|| async {
        let stats = place.pool.stats();
        let rests = stats.leases == 0 && stats.waiting == 0 && stats.connecting == 0 && stats.open() == stats.idle;
        (!rests).then(|| format!("the pool does not come to rest: {stats}"))
    })
    .await
}

/// Nothing is left after the pool was closed or drained.
pub(crate) async fn nothing_left(place: &Place) -> Vec<String> {
    let counted = settle(|| async { books(&place.pool.stats()) }).await;
    let tasks = settle(|| async {
        let tasks = place.tasks();
        (tasks > 0).then(|| format!("{tasks} tasks are left"))
    })
    .await;
    let sockets = settle(|| async {
        let sockets = sockets_to(place.target());
        (sockets > 0).then(|| format!("{sockets} sockets are left"))
    })
    .await;
    let stats = place.pool.stats();
    let events = tokio::time::timeout(PATIENCE, place.recorder.until_adds_up(&stats)).await;
    if events.is_ok() {
        place.recorder.assert_legal_paths();
    }
    let events = events.err().map(|_| "the events do not add up to the figures".to_owned());
    [counted, tasks, sockets, events].into_iter().flatten().collect()
}

fn books(stats: &Stats) -> Option<String> {
    let whole = stats.phase == Phase::Closed
        && stats.open() == 0
        && stats.connecting == 0
        && stats.waiting == 0
        && stats.created == stats.destroyed.total()
        && stats.acquired == stats.released;
    (!whole).then(|| {
        format!(
            "{stats}; created {}, destroyed {}, acquired {}, released {}, {:?}",
            stats.created,
            stats.destroyed.total(),
            stats.acquired,
            stats.released,
            stats.phase
        )
    })
}

/// Sockets of this machine to a place that somebody still has a file descriptor for: only we go there.
///
/// From: proc(5), `/proc/net/tcp` — the third field is the far end in hexadecimal, the tenth the inode, 0 without one.
fn sockets_to(place: SocketAddr) -> usize {
    let IpAddr::V4(ip) = place.ip() else { return 0 };
    let far = format!("{:08X}:{:04X}", u32::from_ne_bytes(ip.octets()), place.port());
    let table = fs::read_to_string("/proc/net/tcp").unwrap_or_default();
    table
        .lines()
        .map(|line| line.split_whitespace().collect::<Vec<_>>())
        .filter(|fields| fields.get(2) == Some(&far.as_str()) && fields.get(9).is_some_and(|inode| *inode != "0"))
        .count()
}

/// What runs over there once no connection of ours is left. A command whose connection was lost was never told to
/// end, so `may_stay` of those are only counted.
pub(crate) async fn over_there(place: &Place, may_stay: bool) -> (Option<String>, usize) {
    let count = AtomicUsize::new(0);
    let problem = settle(|| async {
        let left = place.sshd.processes().await.unwrap_or_else(|error| vec![error.to_string()]);
        count.store(left.len(), Ordering::Relaxed);
        let ours = left.iter().any(|name| name.starts_with("sshd") || !may_stay);
        ours.then(|| format!("still runs over there: {}", left.join(", ")))
    })
    .await;
    (problem, count.into_inner())
}
