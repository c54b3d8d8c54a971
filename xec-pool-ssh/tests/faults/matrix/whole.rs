//! Whether anything is left: slots, leases, tasks, sockets, processes over there.

use std::{
    error::Error,
    fs, io,
    net::{IpAddr, SocketAddr},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use tokio::task::JoinSet;
use xec_pool_core::{Phase, Stats};

use super::place::Place;

/// How long what ends in the background may take: a goodbye to a server that is gone, a packet sent again.
pub(crate) const PATIENCE: Duration = Duration::from_secs(10);

const STEP: Duration = Duration::from_millis(20);

/// Asks until the answer is none, and returns the last one.
async fn settle<F>(place: &Place, problem: impl Fn() -> F) -> Option<String>
where
    F: Future<Output = Option<String>>,
{
    let began = Instant::now();
    loop {
        let said = problem().await;
        let took = began.elapsed();
        if said.is_none() || took > PATIENCE {
            place.settled_ms.fetch_max(u64::try_from(took.as_millis()).unwrap_or(u64::MAX), Ordering::Relaxed);
            return said;
        }
        // Nothing tells when the kernel, or another machine, is done: all that can be done is to ask again.
        tokio::time::sleep(STEP).await; // sleep is the subject
    }
}

/// Nothing moves: nobody holds, waits or dials.
pub(crate) async fn at_rest(place: &Place) -> Option<String> {
    settle(place, || async {
        let stats = place.pool.stats();
        let rests = stats.leases == 0 && stats.waiting == 0 && stats.connecting == 0 && stats.open() == stats.idle;
        (!rests).then(|| format!("the pool does not come to rest: {stats}"))
    })
    .await
}

/// Runs so many commands at once on each connection: all that it may have, so one channel that leaked is one too many.
pub(crate) async fn sessions(place: &Place, count: usize) -> Option<String> {
    let (pool, connections) = (place.pool.clone(), place.pool.stats().idle);
    // One has just served a caller.
    if connections == 0 {
        return Some("no connection is left to run sessions on".to_owned());
    }
    let all_run = place.spawn(async move {
        let mut leases = Vec::new();
        for _ in 0..connections {
            leases.push(Arc::new(pool.acquire().await?));
        }
        for (number, lease) in leases.iter().enumerate() {
            let mut commands = JoinSet::new();
            for _ in 0..count {
                let (lease, text) = (Arc::clone(lease), all_at_once(number, count));
                commands.spawn(async move { lease.shell(text).timeout(PATIENCE).status().await });
            }
            while let Some(ended) = commands.join_next().await {
                let status = ended.expect("it does not panic")?;
                assert!(status.success(), "{status}");
            }
        }
        Ok::<_, Box<dyn Error + Send + Sync>>(())
    });
    let result = all_run.await.expect("it does not panic");
    result.err().map(|error| format!("{count} sessions at once on one of {connections} connections: {error:?}"))
}

/// Ends once so many of these run.
fn all_at_once(number: usize, count: usize) -> String {
    let file = format!("/dev/shm/run-{number}");
    format!("echo >> {file}; while [ $(wc -l < {file}) -lt {count} ]; do sleep 0.1; done")
}

/// Nothing is left after the pool was closed or drained.
pub(crate) async fn nothing_left(place: &Place) -> Vec<String> {
    let counted = settle(place, || async { books(&place.pool.stats()) }).await;
    let tasks = settle(place, || async {
        let tasks = place.tasks();
        (tasks > 0).then(|| format!("{tasks} tasks are left"))
    })
    .await;
    let sockets = settle(place, || async {
        match sockets_to(place.target()) {
            Ok(0) => None,
            Ok(sockets) => Some(format!("{sockets} sockets are left")),
            Err(error) => Some(format!("the sockets cannot be counted: {error}")),
        }
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

/// What the counts at the end would count is there, so that their zero means something.
pub(crate) fn nothing_there(place: &Place) -> io::Result<Option<String>> {
    let (sockets, tasks) = (sockets_to(place.target())?, place.tasks());
    Ok((sockets == 0 || tasks == 0)
        .then(|| format!("a pool that is connected has {sockets} sockets and {tasks} tasks")))
}

/// Sockets of this machine to a place that somebody still has a file descriptor for: only we go there.
///
/// From: proc(5), `/proc/net/tcp` — the third field is the far end in hexadecimal, the tenth the inode, 0 without one.
fn sockets_to(place: SocketAddr) -> io::Result<usize> {
    let IpAddr::V4(ip) = place.ip() else { return Err(io::Error::other("this is no IPv4 address")) };
    let far = format!("{:08X}:{:04X}", u32::from_ne_bytes(ip.octets()), place.port());
    let table = fs::read_to_string("/proc/net/tcp")?;
    let lines = table.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
    let held = |fields: &Vec<&str>| fields.get(9).is_some_and(|inode| *inode != "0");
    Ok(lines.filter(|fields| fields.get(2) == Some(&far.as_str()) && held(fields)).count())
}

/// What such a command is called over there.
const COMMAND: &str = "sh";

/// What runs over there once no connection of ours is left, and how much that is: at most `may_stay` shells of our
/// commands, and nothing else.
pub(crate) async fn over_there(place: &Place, may_stay: usize) -> (Option<String>, usize) {
    let count = AtomicUsize::new(0);
    let problem = settle(place, || async {
        let left = match place.sshd.processes().await {
            Ok(left) => left,
            Err(error) => return Some(format!("nobody knows what runs over there: {error}")),
        };
        count.store(left.len(), Ordering::Relaxed);
        let too_much = left.len() > may_stay || left.iter().any(|name| name != COMMAND);
        too_much.then(|| format!("still runs over there: {}", left.join(", ")))
    })
    .await;
    (problem, count.into_inner())
}
