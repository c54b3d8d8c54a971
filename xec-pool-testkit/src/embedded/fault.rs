//! Where and how a server fails on command.

use std::{
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

/// A step of serving a client. A fault strikes when the server comes to it and before it does what the step is
/// named after, except where it says otherwise.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Step {
    /// The connection is there; not a byte was sent.
    Accept,
    /// The server has sent its identification line and nothing after it.
    Banner,
    /// The server has offered its algorithms and owes the answer to the key exchange.
    Kex,
    /// The first request to authenticate has come.
    Auth,
    /// A request to open a session has come.
    Open,
    /// A command has come; it was not started.
    Exec,
    /// A part of the command's standard output was sent, at least one byte of it; neither the rest nor an exit
    /// status. A command that prints nothing never comes here.
    MidOutput,
}

impl Step {
    const COUNT: usize = Self::MidOutput as usize + 1;
}

/// What happens at a [`Step`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fault {
    /// It takes this long, then goes on.
    Delay(Duration),
    /// The server closes the connection without a word.
    Die,
    /// The server never goes on, and keeps the connection. Up to [`Step::Auth`] it is all silence; from
    /// [`Step::Open`] on it still answers keepalives and other channels.
    Hang,
}

#[derive(Clone, Copy)]
struct Rule {
    fault: Fault,
    /// How often it still strikes; `None` is for ever.
    times: Option<u32>,
}

/// The faults in force, one for each step.
#[derive(Default)]
pub(super) struct Faults {
    /// Whether there may be one at all: spares the hot path the lock.
    any: AtomicBool,
    rules: Mutex<[Option<Rule>; Step::COUNT]>,
}

impl Faults {
    pub(super) fn set(&self, step: Step, fault: Fault, times: Option<u32>) {
        self.rules()[step as usize] = Some(Rule { fault, times });
        self.any.store(true, Ordering::Release);
    }

    pub(super) fn clear(&self, step: Step) {
        let mut rules = self.rules();
        rules[step as usize] = None;
        self.any.store(rules.iter().any(Option::is_some), Ordering::Release);
    }

    /// What happens to who comes to `step` now. Uses up one strike; `Shared::fault_at` also counts it.
    pub(super) fn at(&self, step: Step) -> Option<Fault> {
        if !self.any.load(Ordering::Acquire) {
            return None;
        }
        let mut rules = self.rules();
        let rule = rules[step as usize].as_mut()?;
        match &mut rule.times {
            None => Some(rule.fault),
            Some(0) => None,
            Some(times) => {
                *times -= 1;
                Some(rule.fault)
            }
        }
    }

    fn rules(&self) -> MutexGuard<'_, [Option<Rule>; Step::COUNT]> {
        self.rules.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
