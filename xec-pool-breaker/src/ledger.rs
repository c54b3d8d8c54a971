//! What all clones of a breaker share: the machine and whom it concerns, behind one short lock.
//!
//! Lock order: the lock of [`Breakers`](crate::Breakers), then this one. No pool is called under it, and no value of a
//! user's is dropped: what pools must hear is written down and told after it.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::time::Instant;
use xec_pool_core::{Cause, Denied, FailureKind, GateLink, PoolId, Settlement};

use crate::{
    BreakerConfig, Snapshot,
    circuit::{Circuit, Move, Refusal, Settled, Verdict},
    news::{Letter, News, To, Word},
};

/// One breaker, whoever holds it: handles, pools, passes.
pub(crate) struct Ledger {
    born: Instant,
    state: Mutex<State>,
}

/// Everything under the lock.
pub(crate) struct State {
    pub(crate) circuit: Circuit,
    /// What opened the circuit.
    pub(crate) cause: Option<Cause>,
    /// The credential circuits that are open, and what opened each.
    credentials: HashMap<PoolId, Cause>,
    resets: u64,
    pub(crate) pools: Vec<GateLink>,
    news: News,
    opened: u64,
    refused: u64,
    stale: u64,
    /// Users' values that are no longer needed; for after the lock.
    pub(crate) discarded: Vec<Cause>,
}

/// Whose dial a pass was for, and when it was given.
pub(crate) struct Issued {
    pool: PoolId,
    generation: u64,
    resets: u64,
}

impl Ledger {
    pub(crate) fn new(config: BreakerConfig) -> Self {
        let state = State {
            circuit: Circuit::new(config, fastrand::u64(..)),
            cause: None,
            credentials: HashMap::new(),
            resets: 0,
            pools: Vec::new(),
            news: News::default(),
            opened: 0,
            refused: 0,
            stale: 0,
            discarded: Vec::new(),
        };
        Self { born: Instant::now(), state: Mutex::new(state) }
    }

    /// Poison means nothing here: no code of a user's runs under the lock.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Looks at the state, and at the circuit as it is by now. Nothing changes.
    pub(crate) fn look<R>(&self, see: impl FnOnce(&State, &Circuit, Duration) -> R) -> R {
        let now = self.born.elapsed();
        let state = self.lock();
        see(&state, &state.circuit.seen_at(now), now)
    }

    /// Changes the state, then tells the pools what came of it.
    pub(crate) fn act<R>(&self, change: impl FnOnce(&mut State, Duration) -> R) -> R {
        // Read before the lock, to hold it 23 ns less. The machine never lets time go backwards.
        let now = self.born.elapsed();
        let mut state = self.lock();
        let result = change(&mut state, now);
        state.write_down_moves();
        // Dropped last, after the news is carried: a user's `Drop` may panic, and nobody else would take over the turn.
        let _discarded = std::mem::take(&mut state.discarded);
        let must_carry = state.news.take_turn();
        drop(state);
        if must_carry {
            self.carry_news();
        }
        result
    }

    /// Until nothing is left, also of what is written meanwhile: by other threads, or by a watcher who calls us.
    fn carry_news(&self) {
        let mut turn = Turn { ledger: self, over: false };
        while !turn.over {
            let mut state = self.lock();
            let Some(letter) = state.news.next() else {
                turn.over = true;
                continue;
            };
            let pools: Vec<GateLink> =
                state.pools.iter().filter(|pool| letter.to.includes(pool.pool())).cloned().collect();
            drop(state);
            let now = self.born.elapsed();
            pools.iter().for_each(|pool| letter.word.tell(pool, now));
        }
    }

    pub(crate) fn settle(&self, issued: &Issued, settlement: &Settlement) {
        let verdict = match settlement {
            Settlement::Success => Verdict::Success,
            Settlement::Failure(kind, _) => verdict(*kind),
            Settlement::Neutral | _ => Verdict::Neutral,
        };
        self.act(|state, now| {
            let settled = state.circuit.settle(issued.generation, verdict, now);
            state.stale += u64::from(settled == Settled::Stale);
            let Settlement::Failure(kind, cause) = settlement else { return };
            if settled == Settled::Opened {
                let old = state.cause.replace(Arc::clone(cause));
                state.discarded.extend(old);
            }
            // Of before a reset: the credentials may be others now.
            if !kind.is_retried() && issued.resets == state.resets {
                state.shut_out(issued.pool, cause);
            }
        });
    }
}

/// What a failed dial says about the host.
fn verdict(kind: FailureKind) -> Verdict {
    match kind {
        FailureKind::Throttled | FailureKind::Credentials | FailureKind::Trust | FailureKind::Config => {
            Verdict::Neutral
        }
        FailureKind::Unreachable | FailureKind::TimedOut | FailureKind::Lost | FailureKind::Other | _ => {
            Verdict::Failure
        }
    }
}

impl State {
    pub(crate) fn admit(&mut self, pool: PoolId, now: Duration) -> Result<Issued, Denied> {
        let denied = if let Some(cause) = self.credentials.get(&pool) {
            Denied::shut(None, Some(Arc::clone(cause)))
        } else {
            match self.circuit.admit(now) {
                Ok(generation) => return Ok(Issued { pool, generation, resets: self.resets }),
                Err(Refusal::Shut { retry_after }) => Denied::shut(retry_after, self.cause.clone()),
                Err(Refusal::Busy) => Denied::Busy,
            }
        };
        self.refused += 1;
        Err(denied)
    }

    /// Opens a pool's credential circuit.
    fn shut_out(&mut self, pool: PoolId, cause: &Cause) {
        match self.credentials.insert(pool, Arc::clone(cause)) {
            Some(old) => self.discarded.push(old),
            None => self.write(To::One(pool), Word::Opened { until: None, cause: Some(Arc::clone(cause)) }),
        }
    }

    /// Closes all credential circuits. Refusals of dials under way will not count: they may be of before.
    pub(crate) fn let_all_in(&mut self) {
        self.resets += 1;
        // First, while they are shut out: what has become of the circuit is not what becomes of them.
        self.write_down_moves();
        for (pool, cause) in std::mem::take(&mut self.credentials) {
            self.discarded.push(cause);
            self.write(To::One(pool), Word::Closed);
        }
    }

    pub(crate) fn snapshot(&self, circuit: &Circuit, now: Duration) -> Snapshot {
        let mut credentials: Vec<_> = self.credentials.keys().copied().collect();
        credentials.sort_unstable();
        Snapshot {
            state: circuit.state(),
            retry_after: circuit.retry_after(),
            cause: self.cause.clone(),
            failures: circuit.failures(now),
            probes: circuit.probes_out(),
            openings: circuit.openings(),
            opened: self.opened,
            refused: self.refused,
            stale: self.stale,
            credentials,
        }
    }

    /// Whether there were any.
    fn write_down_moves(&mut self) -> bool {
        let moves = self.circuit.take_moves();
        let any = !moves.is_empty();
        for step in moves {
            self.opened += u64::from(matches!(step, Move::Opened { .. }));
            let word = self.word(step);
            if step == Move::Closed {
                self.discarded.extend(self.cause.take());
            }
            let shut_out = self.credentials.keys().copied().collect();
            self.write(To::AllBut(shut_out), word);
        }
        any
    }

    fn word(&self, step: Move) -> Word {
        let cause = self.cause.clone();
        match step {
            Move::Opened { until } => Word::Opened { until, cause },
            Move::HalfOpened => Word::HalfOpened,
            Move::Freed => Word::Freed,
            Move::Closed => Word::Closed,
        }
    }

    fn write(&mut self, to: To, word: Word) {
        if let Some(Letter { word: Word::Opened { cause: Some(cause), .. }, .. }) = self.news.write(Letter { to, word })
        {
            self.discarded.push(cause);
        }
    }

    /// A pool that comes late is told what those before it were told last.
    pub(crate) fn welcome(&mut self, pool: GateLink, now: Duration) {
        self.forget_gone();
        let id = pool.pool();
        self.pools.push(pool);
        // What is due by now goes to all, and so to it, too.
        self.circuit.pass_time(now);
        if self.write_down_moves() {
            return;
        }
        if let Some(step) = self.circuit.standing() {
            let word = self.word(step);
            self.write(To::One(id), word);
        }
    }

    /// Pools that are gone are told nothing, and remembered for nothing.
    fn forget_gone(&mut self) {
        self.pools.retain(|pool| !pool.is_gone());
        let pools = &self.pools;
        let gone = self.credentials.extract_if(|id, _| pools.iter().all(|pool| pool.pool() != *id));
        self.discarded.extend(gone.map(|(_, cause)| cause));
    }
}

/// A thread's turn to carry the news. A panic ends it early; the next thread goes on.
struct Turn<'a> {
    ledger: &'a Ledger,
    over: bool,
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        if !self.over {
            self.ledger.lock().news.drop_turn();
        }
    }
}
