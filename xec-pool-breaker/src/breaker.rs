//! The breaker that users hold: the machine behind one short lock.
//!
//! Lock order: the lock of [`Breakers`](crate::Breakers), then this one. No pool is called under it, and no value of a
//! user's is dropped: what pools must hear is written down and told after it.
//!
//! Seed: Circuit Breaker.

use std::{
    collections::HashMap,
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::time::Instant;
use xec_pool_core::{Cause, Denied, DialRequest, FailureKind, Gate, GateLink, Pass, PoolId, Settlement};

use crate::{
    BreakerConfig, BreakerState, Snapshot,
    circuit::{Circuit, Move, Refusal, Settled, Verdict},
    news::{Letter, News, Word},
};

/// A gate that shuts when connects keep failing, and lets them come back gently. Clones are the same breaker: give one
/// to each pool of a host, keep one.
///
/// It counts dials, not commands, and not connections that die later. Unreachable, timed out, lost and other failures
/// count; a throttled dial says nothing. Refused credentials, an untrusted host and a configuration that cannot work
/// say nothing of the host either, but shut out the pool they happen to, until [`reset`](Self::reset): to ask again
/// locks accounts. Another user's pool behind the same breaker goes on.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
/// use xec_pool_breaker::{Breaker, BreakerConfig, BreakerState};
/// use xec_pool_core::{AcquireError, FailureKind, Pool, PoolConfig};
/// use xec_pool_testkit::mock::{Hook, MockTransport, Step};
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let breaker = Breaker::new(BreakerConfig::builder().failure_threshold(1).build()?);
/// let (transport, host) = MockTransport::new();
/// let pool = Pool::builder(transport).gate(breaker.clone()).build()?;
///
/// host.script(Hook::Connect, [Step::fail(FailureKind::Unreachable)]);
/// let error = pool.acquire().await.unwrap_err();
/// assert!(matches!(error, AcquireError::CircuitOpen { .. }));
/// assert_eq!(breaker.state(), BreakerState::Open);
///
/// breaker.reset();
/// pool.acquire().await?;
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct Breaker {
    inner: Arc<Inner>,
}

struct Inner {
    born: Instant,
    state: Mutex<State>,
}

/// Everything under the lock.
struct State {
    circuit: Circuit,
    /// What opened the circuit.
    cause: Option<Cause>,
    /// The credential circuits that are open, and what opened each.
    credentials: HashMap<PoolId, Cause>,
    resets: u64,
    pools: Vec<GateLink>,
    news: News,
    opened: u64,
    refused: u64,
    stale: u64,
    /// Users' values that are no longer needed; for after the lock.
    discarded: Vec<Cause>,
}

/// Whose dial a pass was for, and when it was given.
struct Issued {
    pool: PoolId,
    generation: u64,
    resets: u64,
}

impl Breaker {
    /// A closed one.
    #[must_use]
    pub fn new(config: BreakerConfig) -> Self {
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
        Self { inner: Arc::new(Inner { born: Instant::now(), state: Mutex::new(state) }) }
    }

    /// Whether dials pass now. Asking changes nothing: no event comes of it.
    #[must_use]
    pub fn state(&self) -> BreakerState {
        let now = self.inner.born.elapsed();
        self.inner.lock().circuit.seen_at(now).state()
    }

    /// All there is to know, in one moment. Asking changes nothing.
    #[must_use]
    pub fn snapshot(&self) -> Snapshot {
        let now = self.inner.born.elapsed();
        let state = self.inner.lock();
        let circuit = state.circuit.seen_at(now);
        let mut credentials: Vec<_> = state.credentials.keys().copied().collect();
        credentials.sort_unstable();
        Snapshot {
            state: circuit.state(),
            retry_after: circuit.retry_after(),
            cause: state.cause.clone(),
            failures: circuit.failures(),
            probes: circuit.probes_out(),
            openings: circuit.openings(),
            opened: state.opened,
            refused: state.refused,
            stale: state.stale,
            credentials,
        }
    }

    /// Shuts it, whatever succeeds, until [`force_close`](Self::force_close) or [`reset`](Self::reset): maintenance.
    /// Connections that are open go on.
    pub fn force_open(&self) {
        let cause: Cause = Arc::new(HeldOpen);
        self.inner.act(|state, now| {
            let old = state.cause.replace(cause);
            state.discarded.extend(old);
            state.circuit.force_open(now);
        });
    }

    /// Lets every dial pass, whatever fails, until [`force_open`](Self::force_open) or [`reset`](Self::reset). Pools
    /// whose own credentials were refused stay shut out.
    pub fn force_close(&self) {
        self.inner.act(|state, now| state.circuit.force_close(now));
    }

    /// As new: closed, nothing counted, nobody shut out. The one way back for a pool whose own credentials were
    /// refused.
    pub fn reset(&self) {
        self.inner.act(|state, now| {
            state.circuit.reset(now);
            state.resets += 1;
            for (pool, cause) in std::mem::take(&mut state.credentials) {
                state.discarded.push(cause);
                state.write(Some(pool), Word::Closed);
            }
        });
    }

    /// Nobody would miss it: no pool is behind it, nobody else holds it, and it has nothing to remember.
    pub(crate) fn is_forgettable(&self) -> bool {
        let now = self.inner.born.elapsed();
        let state = self.inner.lock();
        Arc::strong_count(&self.inner) == 1
            && state.pools.iter().all(GateLink::is_gone)
            && state.circuit.seen_at(now).is_at_rest()
    }
}

impl Gate for Breaker {
    fn attach(&self, link: GateLink) {
        self.inner.act(|state, _| {
            state.forget_gone();
            state.pools.push(link);
        });
    }

    fn admit(&self, request: &DialRequest) -> Result<Pass, Denied> {
        let issued = self.inner.act(|state, now| state.admit(request.pool, now))?;
        let inner = Arc::clone(&self.inner);
        Ok(Pass::new(move |settlement| inner.settle(&issued, &settlement)))
    }
}

impl Inner {
    /// Poison means nothing here: no code of a user's runs under the lock.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes the state, then tells the pools what came of it.
    fn act<R>(&self, change: impl FnOnce(&mut State, Duration) -> R) -> R {
        // Read before the lock, to hold it 23 ns less. The machine never lets time go backwards.
        let now = self.born.elapsed();
        let mut state = self.lock();
        let result = change(&mut state, now);
        state.write_down_moves();
        let discarded = std::mem::take(&mut state.discarded);
        let must_carry = state.news.take_turn();
        drop(state);
        drop(discarded);
        if must_carry {
            self.carry_news();
        }
        result
    }

    /// Until nothing is left, also of what is written meanwhile: by other threads, or by a watcher who calls us.
    fn carry_news(&self) {
        let mut turn = Turn { inner: self, over: false };
        while !turn.over {
            let mut state = self.lock();
            let Some(letter) = state.news.next() else {
                turn.over = true;
                continue;
            };
            let meant = |pool: &&GateLink| letter.to.is_none_or(|to| to == pool.pool());
            let pools: Vec<GateLink> = state.pools.iter().filter(meant).cloned().collect();
            drop(state);
            let now = self.born.elapsed();
            pools.iter().for_each(|pool| letter.word.tell(pool, now));
        }
    }

    fn settle(&self, issued: &Issued, settlement: &Settlement) {
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
    fn admit(&mut self, pool: PoolId, now: Duration) -> Result<Issued, Denied> {
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
            None => self.write(Some(pool), Word::Opened { until: None, cause: Some(Arc::clone(cause)) }),
        }
    }

    fn write_down_moves(&mut self) {
        for step in self.circuit.take_moves() {
            let cause = self.cause.clone();
            let word = match step {
                Move::Opened { until } => {
                    self.opened += 1;
                    Word::Opened { until, cause }
                }
                Move::Held => Word::Held { cause },
                Move::HalfOpened => Word::HalfOpened,
                Move::Freed => Word::Freed,
                Move::Closed => {
                    self.discarded.extend(self.cause.take());
                    Word::Closed
                }
            };
            self.write(None, word);
        }
    }

    fn write(&mut self, to: Option<PoolId>, word: Word) {
        if let Some(Letter {
            word: Word::Opened { cause: Some(cause), .. } | Word::Held { cause: Some(cause) }, ..
        }) = self.news.write(Letter { to, word })
        {
            self.discarded.push(cause);
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
    inner: &'a Inner,
    over: bool,
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        if !self.over {
            self.inner.lock().news.drop_turn();
        }
    }
}

impl fmt::Debug for Breaker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Breaker").field("snapshot", &self.snapshot()).finish_non_exhaustive()
    }
}

/// Why it is open when somebody wants it so.
#[derive(Debug, thiserror::Error)]
#[error("held open by hand (Breaker::force_open)")]
struct HeldOpen;
