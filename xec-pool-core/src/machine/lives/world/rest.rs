//! The end of a life: everything under way ends well, and then nothing may be missing.

use std::time::Duration;

use super::World;
use crate::{
    Phase,
    machine::{
        facts::{Ask, Fact, Fate},
        moment::Span,
    },
};

impl World {
    /// Everything under way ends well; then nothing may be missing.
    pub(in crate::machine::lives) fn come_to_rest(&mut self) {
        self.machine.resume(self.now);
        self.after();
        for _ in 0..10_000 {
            if let Some(slot) = self.dials.pop() {
                self.take(Fact::Connected { slot, lifetime: Span::FOREVER });
            } else if let Some(slot) = self.checks.pop() {
                self.take(Fact::Passed(slot));
            } else if let Some(held) = self.leases.pop() {
                self.give_back(held.loan.slot, Fate::Fine);
            } else if let Some((slot, reason)) = self.closes.pop() {
                self.take(Fact::Closed { slot, reason });
            } else if self.waiting.is_empty() && self.warms.is_empty() {
                break;
            } else {
                self.wait(Span::from(Duration::from_secs(1)));
            }
        }
        assert!(self.waiting.is_empty(), "somebody waits for ever: {:?}", self.waiting);
        assert!(self.warms.is_empty(), "a warm waits for ever");
        let capacity = if self.phase == Phase::Open { self.machine.limits.max } else { 0 };
        self.whole_capacity(capacity);
        self.machine.drain(self.now, self.now);
        self.after();
        while let Some((slot, reason)) = self.closes.pop() {
            self.take(Fact::Closed { slot, reason });
        }
        assert!(self.drained, "nobody was told that the drain is over");
    }

    /// As many callers as there may be connections get one each, at the same time.
    fn whole_capacity(&mut self, capacity: u32) {
        for _ in 0..capacity {
            self.take(Fact::Reopened);
            self.ask(Ask::default());
            for _ in 0..100 {
                if let Some(slot) = self.dials.pop() {
                    self.take(Fact::Connected { slot, lifetime: Span::FOREVER });
                } else if let Some(slot) = self.checks.pop() {
                    self.take(Fact::Passed(slot));
                } else if let Some((slot, reason)) = self.closes.pop() {
                    self.take(Fact::Closed { slot, reason });
                } else if !self.waiting.is_empty() {
                    self.wait(Span::from(Duration::from_millis(100)));
                } else {
                    break;
                }
            }
        }
        assert_eq!(self.leases.len() as u32, capacity, "capacity was lost");
    }
}
