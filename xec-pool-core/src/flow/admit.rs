//! Admit: a caller's wait, from the question to the answer.
//!
//! Order down: `Lend`, `Refuse`. Fact up: `GaveUp`.
//!
//! Seed: Queue Management.

use std::{
    fmt,
    panic::Location,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, Waker, ready},
    time::Duration,
};

use crate::{
    AcquireError, Interest, Lease, Observation, Outcome, Start, TimedOut, Transport,
    flow::{
        caught,
        housekeeper::Keeps,
        in_words,
        posts::{Answer, Left, Post},
    },
    ledger::{Ledger, State},
    machine::{
        facts::{Again, Ask, Asked, Fact, Refusal},
        moment::{Moment, Span},
        queue::Ticket,
    },
};

impl<T: Transport> Ledger<T> {
    /// Under the lock: a refusal in the words of the caller.
    pub(crate) fn error(&self, state: &mut State<T>, refusal: Refusal) -> AcquireError<T::Error> {
        let pool = self.name.shared();
        match refusal {
            Refusal::Closed => AcquireError::Closed { pool },
            Refusal::Draining => AcquireError::Draining { pool },
            Refusal::QueueFull { waiting } => AcquireError::QueueFull { pool, waiting },
            Refusal::NoneIdle => AcquireError::NoneIdle { pool },
            Refusal::NoRuntime => AcquireError::NoRuntime { pool },
            Refusal::CircuitOpen { retry_after } => {
                let retry_after = retry_after.map(Span::duration);
                AcquireError::CircuitOpen { pool, retry_after, cause: state.gate_cause.clone() }
            }
            Refusal::Connect { attempts, kind } => {
                let cause = state.last_error.clone().unwrap_or_else(|| Arc::new(crate::DialError::Stopped));
                AcquireError::Connect { pool, attempts, kind, cause }
            }
            Refusal::TimedOut { stage, waited, limit } => AcquireError::TimedOut(Box::new(TimedOut {
                pool,
                limit: limit.duration(),
                waited: waited.duration(),
                stage,
                stats: state.stats(),
                last_error: state.last_error.clone(),
            })),
        }
    }

    pub(super) fn refuse(&self, state: &mut State<T>, ticket: Ticket, refusal: Refusal) -> Option<Waker> {
        let error = self.error(state, refusal);
        state.posts.answer(ticket, Err(Box::new(error)))
    }
}

/// How a caller wants to wait.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct AcquireOptions {
    /// Replaces `acquire_timeout` and `queue_timeout` for this call.
    pub timeout: Option<Duration>,
}

impl AcquireOptions {
    /// As configured.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Waits this long at most.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }
}

/// The future of [`Pool::acquire`](crate::Pool::acquire).
///
/// # Cancel safety
///
/// Safe to drop at any await. The place in the queue is given up; a connection that was on its way is kept for the
/// next caller.
#[must_use = "futures do nothing unless awaited"]
pub struct Acquire<'a, T: Transport> {
    ledger: &'a Arc<Ledger<T>>,
    timeout: Option<Span>,
    caller: &'static Location<'static>,
    /// `None` before the first poll.
    began: Option<Moment>,
    /// As the machine set it when this began to wait.
    deadline: Option<Moment>,
    /// Set while it waits.
    waits: Option<(Ticket, Arc<Post<T>>)>,
    observation: Option<Arc<dyn Observation>>,
}

impl<'a, T: Transport> Acquire<'a, T> {
    pub(crate) fn new(
        ledger: &'a Arc<Ledger<T>>,
        options: &AcquireOptions,
        caller: &'static Location<'static>,
    ) -> Self {
        let timeout = options.timeout.map(Span::from);
        Self { ledger, timeout, caller, began: None, deadline: None, waits: None, observation: None }
    }

    fn begin(&mut self) {
        if self.ledger.interest.contains(Interest::SPANS) {
            let start = Start::Acquire { pool: &self.ledger.name, caller: self.caller };
            self.observation = self.ledger.begin(&start, None);
        }
    }

    /// Asks. One call of the machine, whatever the answer.
    #[inline]
    fn ask(&mut self, again: Option<Again>, waker: &Waker) -> Look<T> {
        let ask = Ask { timeout: self.timeout, again };
        let ledger = self.ledger;
        ledger.act(|state, now| {
            self.began.get_or_insert(now);
            if let Some(loan) = state.machine.ask_now(ask, now) {
                return Look::Answered(Ok((loan, state.take_lent(loan.slot))));
            }
            // Before anything has changed: a clone that panics leaves nothing half done.
            let waker = waker.clone();
            match state.machine.ask_on(ask, now) {
                Asked::Lent(loan) => Look::Answered(Ok((loan, state.take_lent(loan.slot)))),
                Asked::Refused(refusal) => Look::Answered(Err(Box::new(ledger.error(state, refusal)))),
                Asked::Waiting(ticket) => {
                    let post = state.posts.leave(ticket, waker, self.observation.clone());
                    self.waits = Some((ticket, post));
                    // It may be answered by now; who asks again keeps its deadline.
                    self.deadline = state.machine.queue.get(ticket).map(|waiter| waiter.deadline).or(self.deadline);
                    Look::Nothing { keeper: state.household.keeper() }
                }
            }
        })
    }

    /// Looks whether it was answered; else leaves the new waker.
    #[inline]
    fn look(&mut self, waker: &Waker) -> Look<T> {
        let (_, post) = self.waits.as_ref().expect("only who waits looks");
        match post.fetch(waker) {
            Some(answer) => {
                self.waits = None;
                Look::Answered(answer)
            }
            None => Look::Nothing { keeper: self.ledger.lock().household.keeper() },
        }
    }

    /// Whoever came last to keep house may not run while we wait: nobody would tell us when our time is up. `true`:
    /// somebody will; else the answer is there.
    #[cold]
    fn is_kept(&self) -> bool {
        let kept = self.ledger.keep_house();
        if let (false, &Some((ticket, _))) = (kept, &self.waits) {
            self.ledger.act(|state, now| state.machine.turn_out(ticket, now));
        }
        kept
    }
}

/// What a caller finds.
enum Look<T: Transport> {
    Answered(Answer<T>),
    /// Nothing yet; who keeps house.
    Nothing {
        keeper: Option<Keeps>,
    },
}

impl<T: Transport> Future for Acquire<'_, T> {
    type Output = Result<Lease<T>, AcquireError<T::Error>>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let budget = ready!(tokio::task::coop::poll_proceed(cx));
        let this = self.get_mut();
        if this.began.is_none() {
            this.begin();
        } else if this.waits.is_none() {
            panic!("`Acquire` polled after it was ready");
        }
        let mut again = None;
        loop {
            let look = if this.waits.is_some() { this.look(cx.waker()) } else { this.ask(again, cx.waker()) };
            let answer = match look {
                Look::Answered(answer) => answer,
                Look::Nothing { keeper } if keeper.is_some_and(Keeps::serves_here) || this.is_kept() => {
                    return Poll::Pending;
                }
                Look::Nothing { .. } => continue,
            };
            budget.made_progress();
            let (loan, connection) = match answer {
                Ok(given) => given,
                Err(error) => {
                    return Poll::Ready(Err(this.ledger.tell_refused(*error, this.began, this.observation.take())));
                }
            };
            match this.ledger.receive(loan, connection, &mut this.observation) {
                Ok(lease) => return Poll::Ready(Ok(lease)),
                // It was dead in the hand: ask again, without losing the turn.
                Err(now) => again = Some(Again { asked_at: this.began.unwrap_or(now), deadline: this.deadline }),
            }
        }
    }
}

impl<T: Transport> Drop for Acquire<'_, T> {
    fn drop(&mut self) {
        let waits = self.waits.take();
        let left = waits.and_then(|(ticket, post)| self.leave(ticket, &post));
        // What is left is a user's, so it is dropped after the lock. The observation goes last: until then the post's
        // is not the only one, so whoever answers it under the lock drops none.
        let observation = self.observation.take();
        match &left {
            Some(Left::Answered(Err(error))) => end_refused(observation, error),
            // Without an end: cancelled.
            Some(Left::Answered(Ok(_)) | Left::Waits { .. } | Left::Nothing) | None => _ = caught(|| drop(observation)),
        }
        caught(|| drop(left));
    }
}

impl<T: Transport> Acquire<'_, T> {
    /// Gives up the turn, or what it was answered meanwhile; what is left is for after the lock.
    fn leave(&self, ticket: Ticket, post: &Post<T>) -> Option<Left<T>> {
        let began = self.began;
        self.ledger.act(|state, now| {
            let left = post.abandon();
            state.event(|| {
                // Who was refused and has not heard of it yet is counted as refused.
                let (error, kind) = match &left {
                    Left::Answered(Err(error)) => (error.as_str(), error.kind()),
                    Left::Answered(Ok(_)) | Left::Waits { .. } | Left::Nothing => ("cancelled", None),
                };
                let waited = now.since(began.unwrap_or(now)).duration();
                crate::PoolEvent::AcquireFailed { error, kind, waited }
            });
            match left {
                waits @ Left::Waits { .. } => {
                    state.machine.take(Fact::GaveUp(ticket), now);
                    Some(waits)
                }
                Left::Answered(Ok((loan, connection))) => {
                    state.shelf.put(loan.slot, connection);
                    let (slot, waited, reused) = (loan.slot, loan.waited, loan.reused.is_yes());
                    let fact = Fact::Unclaimed { slot, broken: false, waited, reused };
                    state.machine.take(fact, now);
                    None
                }
                left @ (Left::Answered(Err(_)) | Left::Nothing) => Some(left),
            }
        })
    }
}

impl<T: Transport> fmt::Debug for Acquire<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Acquire")
            .field("pool", &self.ledger.name)
            .field("waits", &self.waits.as_ref().map(|(ticket, _)| ticket))
            .finish_non_exhaustive()
    }
}

/// The end of one whose caller was refused.
pub(super) fn end_refused<E>(observation: Option<Arc<dyn Observation>>, error: &AcquireError<E>)
where
    E: std::error::Error + Send + Sync + 'static,
{
    if observation.is_some() {
        let message = in_words(error);
        end(observation, &Outcome::Failed { error: error.as_str(), kind: error.kind(), message: &message });
    }
}

/// A panic in an observation is nobody's business but the observer's.
#[inline]
pub(crate) fn end(observation: Option<Arc<dyn Observation>>, outcome: &Outcome<'_>) {
    if let Some(observation) = observation {
        // Moved in: its drop is a user's code, too.
        caught(move || observation.end(outcome));
    }
}
