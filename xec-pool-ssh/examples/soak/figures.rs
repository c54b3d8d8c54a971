//! What is counted: calls, faults, and what this process and the servers hold.

use std::{
    fmt, fs,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use tokio::runtime::Handle;
use xec_pool_core::Stats;

use crate::{load::Call, place::Place};

/// In the environment of every command.
pub(crate) const MARK: &str = "XEC_POOL_SOAK";

pub(crate) const HEAD: &str = "\
| minute | done | held | failed | left | connections made | lost | faults | changes | open now | files | tasks | heap | resident | over there |
|---|---|---|---|---|---|---|---|---|---|---|---|---|---|---|";

/// What the heap may have more at the end, with the servers' logs forgotten: tables of the runtime's that have grown
/// with the load and stay. Some 4 KiB were seen.
const MARGIN_BYTES: usize = 128 << 10;

/// Violations that are kept; one is enough to fail.
const ENOUGH: usize = 20;

#[derive(Default)]
pub(crate) struct Figures {
    done: AtomicU64,
    held: AtomicU64,
    failed: AtomicU64,
    left: AtomicU64,
    faults: AtomicU64,
    changes: AtomicU64,
    /// Of pools that are gone.
    created: AtomicU64,
    lost: AtomicU64,
    violations: Mutex<Vec<String>>,
}

impl Figures {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    pub(crate) fn called(&self, call: Call) {
        let counter = match call {
            Call::Done => &self.done,
            Call::Held => &self.held,
            Call::Failed => &self.failed,
            Call::Left => &self.left,
            Call::Wrong(what) => return self.violated(what),
        };
        counter.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn faulted(&self) {
        self.faults.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn changed(&self) {
        self.changes.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn drained(&self, stats: &Stats) {
        self.created.fetch_add(stats.created, Ordering::Relaxed);
        self.lost.fetch_add(stats.destroyed.by(xec_pool_core::CloseReason::Lost), Ordering::Relaxed);
    }

    pub(crate) fn violated(&self, what: String) {
        let mut violations = self.violations.lock().unwrap_or_else(PoisonError::into_inner);
        if violations.len() < ENOUGH {
            violations.push(what);
        }
    }

    pub(crate) fn violations(&self) -> Vec<String> {
        self.violations.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// A line of the table.
    pub(crate) fn line(&self, minute: f64, now: &Sample) -> String {
        let of = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        format!(
            "| {minute:.1} | {} | {} | {} | {} | {} | {} | {} | {} | {} | {} | {} | {:.1} MiB | {} MiB | {} |",
            of(&self.done),
            of(&self.held),
            of(&self.failed),
            of(&self.left),
            of(&self.created) + now.created,
            of(&self.lost) + now.lost,
            of(&self.faults),
            of(&self.changes),
            now.open,
            now.files,
            now.tasks,
            mib(now.heap_bytes),
            now.resident_bytes >> 20,
            now.remote.len(),
        )
    }
}

/// What is held at a moment.
pub(crate) struct Sample {
    /// Of the pools of the moment.
    created: u64,
    lost: u64,
    /// At the end they are fresh: what their forerunners held is in those books.
    open: u32,
    files: usize,
    tasks: usize,
    /// Allocated and not freed.
    heap_bytes: usize,
    /// What the system has given us.
    resident_bytes: u64,
    /// Processes over there: behind connections, and commands. Number, name, state.
    pub(crate) remote: Vec<String>,
    /// Of these, commands.
    pub(crate) commands: usize,
}

impl Sample {
    pub(crate) fn take(places: &[Arc<Place>]) -> Self {
        let stats: Vec<Stats> = places.iter().map(|place| place.pool().stats()).collect();
        let behind = places.iter().flat_map(|place| place.sshd().connection_pids());
        let commands = commands();
        Self {
            created: stats.iter().map(|stats| stats.created).sum(),
            lost: stats.iter().map(|stats| stats.destroyed.by(xec_pool_core::CloseReason::Lost)).sum(),
            open: stats.iter().map(|stats| stats.open() + stats.connecting + stats.leases + stats.waiting).sum(),
            files: fs::read_dir("/proc/self/fd").map_or(0, Iterator::count),
            tasks: Handle::current().metrics().num_alive_tasks(),
            heap_bytes: crate::HEAP.current_usage(),
            resident_bytes: resident_bytes(),
            commands: commands.len(),
            remote: behind.chain(commands).map(process).collect(),
        }
    }

    /// What there is more of than `before`.
    pub(crate) fn more_than(&self, before: &Self) -> Vec<String> {
        let mut more = Vec::new();
        let mut compare = |what: &str, now: u64, then: u64| {
            if now > then {
                more.push(format!("{what}: {now}, before {then}"));
            }
        };
        compare("open files", self.files as u64, before.files as u64);
        compare("tasks", self.tasks as u64, before.tasks as u64);
        compare(
            "bytes of heap, beyond the margin",
            self.heap_bytes.saturating_sub(MARGIN_BYTES) as u64,
            before.heap_bytes as u64,
        );
        more.extend(self.remote.iter().map(|process| format!("a process over there: {process}")));
        more
    }
}

impl fmt::Display for Sample {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} files, {} tasks, {} KiB of heap ({} MiB resident), {} processes over there",
            self.files,
            self.tasks,
            self.heap_bytes >> 10,
            self.resident_bytes >> 20,
            self.remote.len()
        )
    }
}

#[expect(clippy::cast_precision_loss, reason = "for people to read")]
fn mib(bytes: usize) -> f64 {
    bytes as f64 / f64::from(1 << 20)
}

/// From: proc(5), `/proc/pid/status`, `VmRSS` — resident set size, in kB.
fn resident_bytes() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok()).unwrap_or(0) * 1024
}

/// Processes with our mark in their environment.
fn commands() -> Vec<u32> {
    let mark = format!("{MARK}={}", std::process::id());
    let processes = fs::read_dir("/proc").into_iter().flatten().flatten();
    let is_ours = |pid: &u32| {
        let environ = fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
        environ.split(|byte| *byte == 0).any(|variable| variable == mark.as_bytes())
    };
    processes.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).filter(is_ours).collect()
}

/// What `/proc` says of it first: `pid (name) state parent`.
fn process(pid: u32) -> String {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let line = fs::read_to_string(format!("/proc/{pid}/cmdline")).unwrap_or_default().replace('\0', " ");
    format!("{} {line}", stat.split(' ').take(4).collect::<Vec<_>>().join(" "))
}
