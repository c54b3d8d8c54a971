//! The waiting map: what each who waits left behind, and the answer until it is fetched.
//!
//! A post outlives its ticket: the machine forgets a caller when it answers, the caller fetches the answer later.

use std::{sync::Arc, task::Waker};

use crate::{
    AcquireError, Observation, Transport,
    machine::{facts::Loan, queue::Ticket},
};

/// What one who waits is told. Errors are boxed: they are rare, and answers are moved often.
pub(crate) type Answer<T> =
    Result<(Loan, Arc<<T as Transport>::Connection>), Box<AcquireError<<T as Transport>::Error>>>;

/// One caller's post.
pub(crate) enum Post<T: Transport> {
    Vacant,
    Waits { waker: Waker, observation: Option<Arc<dyn Observation>> },
    Answered(Answer<T>),
}

/// Which post is whose.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PostId(u32);

/// All posts.
pub(crate) struct Posts<T: Transport> {
    slab: Vec<Post<T>>,
    vacant: Vec<u32>,
    /// By the index of a ticket that still waits.
    by_ticket: Vec<u32>,
}

impl<T: Transport> Default for Posts<T> {
    fn default() -> Self {
        Self { slab: Vec::new(), vacant: Vec::new(), by_ticket: Vec::new() }
    }
}

impl<T: Transport> Posts<T> {
    /// A caller begins to wait.
    pub(super) fn leave(&mut self, ticket: Ticket, waker: Waker, observation: Option<Arc<dyn Observation>>) -> PostId {
        let post = Post::Waits { waker, observation };
        let index = if let Some(index) = self.vacant.pop() {
            self.slab[index as usize] = post;
            index
        } else {
            self.slab.push(post);
            u32::try_from(self.slab.len() - 1).expect("fewer than 2^32 callers wait")
        };
        let at = ticket.index as usize;
        if at >= self.by_ticket.len() {
            self.by_ticket.resize(at + 1, u32::MAX);
        }
        self.by_ticket[at] = index;
        PostId(index)
    }

    /// Answers one who waits; the waker is for after the lock.
    pub(super) fn answer(&mut self, ticket: Ticket, answer: Answer<T>) -> Option<Waker> {
        let index = self.by_ticket[ticket.index as usize] as usize;
        match std::mem::replace(&mut self.slab[index], Post::Answered(answer)) {
            Post::Waits { waker, .. } => Some(waker),
            Post::Vacant | Post::Answered(_) => {
                debug_assert!(false, "{ticket:?} is answered, but nobody waits");
                None
            }
        }
    }

    /// The answer, if there is one; else the new waker is left, and the old one comes back if it was another.
    #[inline]
    pub(super) fn fetch(&mut self, id: PostId, waker: &Waker) -> Result<Answer<T>, Option<Waker>> {
        if let Post::Waits { waker: old, .. } = &mut self.slab[id.0 as usize] {
            let other = !old.will_wake(waker);
            return Err(other.then(|| std::mem::replace(old, waker.clone())));
        }
        match self.abandon(id) {
            Post::Answered(answer) => Ok(answer),
            Post::Vacant | Post::Waits { .. } => Err(None),
        }
    }

    /// The caller goes, with whatever is there.
    #[inline]
    pub(super) fn abandon(&mut self, id: PostId) -> Post<T> {
        self.vacant.push(id.0);
        std::mem::replace(&mut self.slab[id.0 as usize], Post::Vacant)
    }

    pub(super) fn observation_of(&self, ticket: Ticket) -> Option<Arc<dyn Observation>> {
        let index = *self.by_ticket.get(ticket.index as usize)?;
        match self.slab.get(index as usize)? {
            Post::Waits { observation, .. } => observation.clone(),
            Post::Vacant | Post::Answered(_) => None,
        }
    }

    /// Everybody who waits.
    pub(super) fn wakers(&self) -> Vec<Waker> {
        let waker = |post: &Post<T>| match post {
            Post::Waits { waker, .. } => Some(waker.clone()),
            Post::Vacant | Post::Answered(_) => None,
        };
        self.slab.iter().filter_map(waker).collect()
    }

    pub(crate) fn waiting(&self) -> usize {
        self.slab.iter().filter(|post| matches!(post, Post::Waits { .. })).count()
    }
}
