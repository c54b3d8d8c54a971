//! What pools must hear, written down under the breaker's lock, and so in its order, and told after it.

use std::{collections::VecDeque, time::Duration};

use xec_pool_core::{Cause, GateLink, PoolEvent, PoolId};

/// More than that wait for nobody: the oldest go, and in their place every pool is told to ask again.
const MOST_WAITING: usize = 1_024;

/// One piece of news.
#[derive(Debug)]
pub(crate) enum Word {
    /// `until`: on the breaker's clock; `None`: until somebody decides otherwise.
    Opened {
        until: Option<Duration>,
        cause: Option<Cause>,
    },
    HalfOpened,
    /// A probe is free.
    Freed,
    Closed,
}

impl Word {
    /// Tells a pool: its watchers, then itself.
    pub(crate) fn tell(&self, pool: &GateLink, now: Duration) {
        match self {
            Self::Opened { until, cause } => {
                let retry_after = until.map(|until| until.saturating_sub(now));
                pool.emit(PoolEvent::circuit_opened(retry_after, cause.clone()));
                // Its time may be over before anybody looked; then there is nobody to keep out any more.
                if retry_after != Some(Duration::ZERO) {
                    pool.shut(retry_after, cause.clone());
                }
            }
            // It asks by itself: it was told when.
            Self::HalfOpened => pool.emit(PoolEvent::CircuitHalfOpened),
            Self::Freed => pool.reopened(),
            Self::Closed => {
                pool.emit(PoolEvent::CircuitClosed);
                pool.reopened();
            }
        }
    }
}

/// News, and whom it is for.
#[derive(Debug)]
pub(crate) struct Letter {
    pub(crate) to: To,
    pub(crate) word: Word,
}

/// Whom news is for.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum To {
    One(PoolId),
    /// What happens to the circuit is nothing to those who were shut out for themselves when it happened.
    AllBut(Vec<PoolId>),
}

impl To {
    pub(crate) fn includes(&self, pool: PoolId) -> bool {
        match self {
            Self::One(one) => *one == pool,
            Self::AllBut(others) => !others.contains(&pool),
        }
    }
}

/// Letters on their way. One thread at a time carries them, so none overtakes another.
#[derive(Debug, Default)]
pub(crate) struct News {
    waiting: VecDeque<Letter>,
    /// One found no room: some pool may think itself shut out that is not.
    missed: bool,
    carried: bool,
}

impl News {
    /// A letter that found no room is for after the lock.
    #[must_use = "it holds a user's value"]
    pub(crate) fn write(&mut self, letter: Letter) -> Option<Letter> {
        self.waiting.push_back(letter);
        let missed = if self.waiting.len() > MOST_WAITING { self.waiting.pop_front() } else { None };
        self.missed |= missed.is_some();
        missed
    }

    /// Whether there is something to carry, and nobody does: then the caller must.
    pub(crate) fn take_turn(&mut self) -> bool {
        let mine = !self.carried && !self.waiting.is_empty();
        self.carried |= mine;
        mine
    }

    /// The next letter for whoever carries; with the last one the turn is over.
    pub(crate) fn next(&mut self) -> Option<Letter> {
        let ask_again = || Letter { to: To::AllBut(Vec::new()), word: Word::Freed };
        let letter = std::mem::take(&mut self.missed).then(ask_again).or_else(|| self.waiting.pop_front());
        self.carried = letter.is_some();
        letter
    }

    /// Whoever carried them is gone.
    pub(crate) fn drop_turn(&mut self) {
        self.carried = false;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn opened(pool: u64) -> Letter {
        Letter { to: To::One(PoolId::new(pool)), word: Word::Opened { until: None, cause: None } }
    }

    #[test]
    fn those_whose_letter_found_no_room_are_told_to_ask_again() {
        let mut news = News::default();
        for pool in 0..1_024 {
            assert!(news.write(opened(pool)).is_none());
        }
        assert_eq!(news.write(opened(1_024)).map(|oldest| oldest.to), Some(To::One(PoolId::new(0))));
        let first = news.next().expect("there is some");
        assert!(first.to == To::AllBut(Vec::new()) && matches!(first.word, Word::Freed), "{first:?}");
        for pool in 1..1_025 {
            assert_eq!(news.next().map(|letter| letter.to), Some(To::One(PoolId::new(pool))));
        }
        assert!(news.next().is_none());
    }

    #[test]
    fn one_at_a_time_carries_them_and_a_turn_that_was_dropped_is_free_again() {
        let mut news = News::default();
        assert!(!news.take_turn(), "there is nothing to carry");
        let _ = news.write(opened(1));
        assert!(news.take_turn() && !news.take_turn());
        news.drop_turn();
        assert!(news.take_turn());
        assert!(news.next().is_some() && news.next().is_none());
        let _ = news.write(opened(2));
        assert!(news.take_turn(), "the last letter ended the turn");
    }
}
