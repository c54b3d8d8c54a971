//! Who descends from sshd, by `/proc`.

use std::{collections::HashMap, fs};

use rustix::process::{Pid, Signal, kill_process};

/// Those whose father we killed: they are nobody's children now, and still ours.
#[derive(Default)]
pub(super) struct Family {
    orphans: Vec<Member>,
}

/// A process. Its number alone could be another's by now.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Member {
    pid: u32,
    born: u64,
}

struct Entry {
    parent: u32,
    born: u64,
    is_sshd: bool,
}

impl Family {
    /// Remembers the descendants of `father`, who is about to die.
    pub(super) fn adopt(&mut self, father: u32) {
        let all = everybody();
        let new = descendants(&all, vec![father])
            .into_iter()
            .filter_map(|pid| all.get(&pid).map(|entry| Member { pid, born: entry.born }));
        self.orphans.extend(new);
    }

    /// The sshd processes below `daemon` and among the orphans.
    pub(super) fn connections(&self, daemon: Option<u32>) -> Vec<u32> {
        let all = everybody();
        let mut pids = self.below(daemon, &all);
        pids.retain(|pid| all.get(pid).is_some_and(|entry| entry.is_sshd));
        pids
    }

    /// All of them, commands too.
    pub(super) fn members(&self, daemon: Option<u32>) -> Vec<u32> {
        self.below(daemon, &everybody())
    }

    fn below(&self, daemon: Option<u32>, all: &HashMap<u32, Entry>) -> Vec<u32> {
        let mut pids = self.living(all);
        let below = descendants(all, pids.iter().copied().chain(daemon).collect());
        pids.extend(below);
        pids.sort_unstable();
        pids.dedup();
        pids
    }

    /// Ends the orphans and all below them.
    pub(super) fn kill_all(&mut self) {
        let all = everybody();
        let living = self.living(&all);
        let below = descendants(&all, living.clone());
        living.into_iter().chain(below).for_each(|pid| signal(pid, Signal::KILL));
        self.orphans.clear();
    }

    fn living(&self, all: &HashMap<u32, Entry>) -> Vec<u32> {
        let lives = |member: &&Member| all.get(&member.pid).is_some_and(|entry| entry.born == member.born);
        self.orphans.iter().filter(lives).map(|member| member.pid).collect()
    }
}

/// Sends a signal. Nothing happens if there is nobody (any more).
pub(super) fn signal(pid: u32, signal: Signal) {
    if let Some(pid) = i32::try_from(pid).ok().and_then(Pid::from_raw) {
        let _ = kill_process(pid, signal);
    }
}

/// Children, grandchildren and so on, without those we begin with.
fn descendants(all: &HashMap<u32, Entry>, from: Vec<u32>) -> Vec<u32> {
    let mut found = Vec::new();
    let mut fathers = from;
    while !fathers.is_empty() {
        fathers = all.iter().filter(|(_, entry)| fathers.contains(&entry.parent)).map(|(pid, _)| *pid).collect();
        found.extend_from_slice(&fathers);
    }
    found
}

fn everybody() -> HashMap<u32, Entry> {
    let folders = fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids = folders.filter_map(|folder| folder.file_name().to_str()?.parse::<u32>().ok());
    pids.filter_map(|pid| Some((pid, entry(pid)?))).collect()
}

/// Reads `pid (name) state parent … born …`; a name may contain spaces and brackets. The dead count as gone.
fn entry(pid: u32) -> Option<Entry> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (head, tail) = stat.rsplit_once(") ")?;
    let fields: Vec<&str> = tail.split(' ').collect();
    // From: proc(5) — the state is field 3 of the line, the parent 4, the start time 22.
    if ["Z", "X"].contains(fields.first()?) {
        return None;
    }
    let (_, name) = head.split_once('(')?;
    Some(Entry {
        parent: fields.get(1)?.parse().ok()?,
        born: fields.get(19)?.parse().ok()?,
        // Since OpenSSH 9.8 also sshd-session, since 10.0 sshd-auth.
        is_sshd: name.starts_with("sshd"),
    })
}
