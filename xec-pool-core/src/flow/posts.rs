//! The waiting map: what each who waits left behind, and the answer until it is fetched.
//!
//! A post outlives its ticket: the machine forgets a caller when it answers, the caller fetches the answer later. It
//! has a lock of its own, so that fetching keeps nobody else from the pool's.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::Waker,
};

use crate::{
    AcquireError, Observation, Transport,
    flow::caught,
    machine::{facts::Loan, queue::Ticket},
};

/// What one who waits is told. Errors are boxed: they are rare, and answers are moved often.
pub(crate) type Answer<T> =
    Result<(Loan, Arc<<T as Transport>::Connection>), Box<AcquireError<<T as Transport>::Error>>>;

/// One caller's post. Lock order: the pool's lock, then this.
pub(crate) struct Post<T: Transport>(Mutex<Left<T>>);

/// What lies there.
pub(crate) enum Left<T: Transport> {
    /// Nobody waits here, or the answer was fetched.
    Nothing,
    Waits {
        waker: Waker,
        observation: Option<Arc<dyn Observation>>,
    },
    Answered(Answer<T>),
}

impl<T: Transport> Post<T> {
    fn lock(&self) -> MutexGuard<'_, Left<T>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Without the pool's lock: the answer, if there is one; else the new waker is left.
    #[inline]
    pub(super) fn fetch(&self, waker: &Waker) -> Option<Answer<T>> {
        let mut left = self.lock();
        match &mut *left {
            Left::Waits { waker: old, .. } if old.will_wake(waker) => None,
            Left::Waits { waker: old, .. } => {
                let old = std::mem::replace(old, waker.clone());
                // Not under the lock: the last of a task's wakers may take the task with it.
                drop(left);
                drop(old);
                None
            }
            Left::Nothing | Left::Answered(_) => match std::mem::replace(&mut *left, Left::Nothing) {
                Left::Answered(answer) => Some(answer),
                Left::Nothing | Left::Waits { .. } => None,
            },
        }
    }

    /// Under the pool's lock: its caller goes, with whatever is there.
    pub(super) fn abandon(&self) -> Left<T> {
        std::mem::replace(&mut *self.lock(), Left::Nothing)
    }
}

/// All posts, by the index of their tickets.
pub(crate) struct Posts<T: Transport>(Vec<Arc<Post<T>>>);

impl<T: Transport> Default for Posts<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<T: Transport> Posts<T> {
    /// A caller begins to wait.
    pub(super) fn leave(
        &mut self,
        ticket: Ticket,
        waker: Waker,
        observation: Option<Arc<dyn Observation>>,
    ) -> Arc<Post<T>> {
        let left = Left::Waits { waker, observation };
        let at = ticket.index as usize;
        let Some(post) = self.0.get_mut(at) else {
            debug_assert_eq!(at, self.0.len(), "the queue grows by one");
            let post = Arc::new(Post(Mutex::new(left)));
            self.0.push(Arc::clone(&post));
            return post;
        };
        match Arc::get_mut(post) {
            Some(Post(vacant)) => *vacant.get_mut().unwrap_or_else(PoisonError::into_inner) = left,
            // Whoever had this ticket before was answered, and still has to fetch that.
            None => *post = Arc::new(Post(Mutex::new(left))),
        }
        Arc::clone(post)
    }

    /// Answers one who waits; the waker is for after the lock.
    pub(super) fn answer(&mut self, ticket: Ticket, answer: Answer<T>) -> Option<Waker> {
        match std::mem::replace(&mut *self.0[ticket.index as usize].lock(), Left::Answered(answer)) {
            Left::Waits { waker, .. } => Some(waker),
            Left::Nothing | Left::Answered(_) => {
                bug!("{ticket:?} is answered, but nobody waits");
                None
            }
        }
    }

    /// Nobody waits. What is still to be fetched is held by whoever will.
    pub(super) fn rest(&mut self) {
        self.0 = Vec::new();
    }

    pub(super) fn observation_of(&self, ticket: Ticket) -> Option<Arc<dyn Observation>> {
        match &*self.0.get(ticket.index as usize)?.lock() {
            Left::Waits { observation, .. } => observation.clone(),
            Left::Nothing | Left::Answered(_) => None,
        }
    }

    /// Everybody who waits, but for whom a clone of the waker panics.
    pub(super) fn wakers(&self) -> Vec<Waker> {
        let waker = |post: &Arc<Post<T>>| match &*post.lock() {
            Left::Waits { waker, .. } => caught(|| waker.clone()),
            Left::Nothing | Left::Answered(_) => None,
        };
        self.0.iter().filter_map(waker).collect()
    }

    pub(crate) fn waiting(&self) -> usize {
        self.0.iter().filter(|post| matches!(*post.lock(), Left::Waits { .. })).count()
    }
}
