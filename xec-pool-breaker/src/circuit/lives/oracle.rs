//! The circuit a second time, the slow way: everything that ever happened is kept, chapter by chapter, and every
//! question is answered by reading it. It shares nothing with the machine but the words.

use std::time::Duration;

use crate::{
    BreakerConfig, BreakerState,
    circuit::{Move, Refusal, Verdict},
    config::{Policy, RateWindow},
};

#[derive(Debug)]
pub(super) struct Oracle {
    rules: BreakerConfig,
    /// A chapter a generation.
    chapters: Vec<Chapter>,
    moves: Vec<Move>,
}

/// All that happened while the circuit stood in one state.
#[derive(Debug)]
struct Chapter {
    state: BreakerState,
    since: Duration,
    log: Vec<(Duration, Entry)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Entry {
    Passed,
    Ended(Verdict),
}

impl Chapter {
    /// Successes and failures, in order: when, and whether it failed.
    fn results(&self) -> Vec<(Duration, bool)> {
        let result = |(at, entry): &(Duration, Entry)| match entry {
            Entry::Ended(Verdict::Success) => Some((*at, false)),
            Entry::Ended(Verdict::Failure) => Some((*at, true)),
            Entry::Ended(Verdict::Neutral) | Entry::Passed => None,
        };
        self.log.iter().filter_map(result).collect()
    }

    fn out(&self) -> u32 {
        out(&self.log)
    }

    fn passed(&self) -> u32 {
        count(&self.log, Entry::Ended(Verdict::Success))
    }
}

fn count(log: &[(Duration, Entry)], entry: Entry) -> u32 {
    log.iter().filter(|(_, other)| *other == entry).count() as u32
}

/// Probes that have passed and not ended by then.
fn out(log: &[(Duration, Entry)]) -> u32 {
    let verdicts = [Verdict::Success, Verdict::Failure, Verdict::Neutral];
    count(log, Entry::Passed) - verdicts.iter().map(|verdict| count(log, Entry::Ended(*verdict))).sum::<u32>()
}

impl Oracle {
    pub(super) fn new(rules: BreakerConfig) -> Self {
        let first = Chapter { state: BreakerState::Closed, since: Duration::ZERO, log: Vec::new() };
        Self { rules, chapters: vec![first], moves: Vec::new() }
    }

    fn last(&self) -> &Chapter {
        self.chapters.last().expect("there is always one")
    }

    fn write(&mut self, now: Duration, entry: Entry) {
        self.chapters.last_mut().expect("there is always one").log.push((now, entry));
    }

    fn turn(&mut self, state: BreakerState, since: Duration) {
        let from = self.last().state;
        self.chapters.push(Chapter { state, since, log: Vec::new() });
        let is_closed = |state| matches!(state, BreakerState::Closed | BreakerState::ForcedClosed);
        self.moves.extend(match state {
            BreakerState::Open => Some(Move::Opened { until: self.until() }),
            BreakerState::HalfOpen => Some(Move::HalfOpened),
            BreakerState::ForcedOpen => Some(Move::Opened { until: None }),
            BreakerState::Closed | BreakerState::ForcedClosed => (!is_closed(from)).then_some(Move::Closed),
        });
    }

    /// How many chapters back to the last one that was neither open nor half-open were open.
    fn openings(&self) -> u32 {
        let run = self.chapters.iter().rev();
        let run = run.take_while(|chapter| matches!(chapter.state, BreakerState::Open | BreakerState::HalfOpen));
        run.filter(|chapter| chapter.state == BreakerState::Open).count() as u32
    }

    fn until(&self) -> Option<Duration> {
        let open = self.last();
        let grow = |span: Duration, _| span.mul_f64(self.rules.open_for_multiplier);
        let grown = (1..self.openings()).fold(self.rules.open_for, grow).min(self.rules.max_open_for);
        (open.state == BreakerState::Open).then_some(open.since + grown)
    }

    /// Of the first probe since a success, if any, that left none out.
    fn deadline(&self) -> Option<Duration> {
        let chapter = self.last();
        let log = &chapter.log;
        let left_none = |end: &usize| log[end - 1].1 == Entry::Ended(Verdict::Success) && out(&log[..*end]) == 0;
        let start = (1..=log.len()).rev().find(left_none).unwrap_or(0);
        let first = log[start..].iter().find(|(_, entry)| *entry == Entry::Passed)?;
        (chapter.state == BreakerState::HalfOpen).then_some(first.0 + self.rules.half_open_deadline)
    }

    pub(super) fn pass_time(&mut self, now: Duration) {
        loop {
            if let Some(until) = self.until().filter(|until| *until <= now) {
                self.turn(BreakerState::HalfOpen, until);
            } else if let Some(deadline) = self.deadline().filter(|deadline| *deadline <= now) {
                self.turn(BreakerState::Open, deadline);
            } else {
                return;
            }
        }
    }

    pub(super) fn admit(&mut self, now: Duration) -> Result<u64, Refusal> {
        self.pass_time(now);
        let chapter = self.last();
        match chapter.state {
            BreakerState::Open => {
                let retry_after = self.until().map(|until| until - now);
                return Err(Refusal::Shut { retry_after });
            }
            BreakerState::ForcedOpen => return Err(Refusal::Shut { retry_after: None }),
            BreakerState::HalfOpen => {
                let (probes, successes) = (self.rules.half_open_probes, self.rules.close_after);
                let wanted = probes.max(successes);
                if chapter.out() == probes || chapter.out() + chapter.passed() >= wanted {
                    return Err(Refusal::Busy);
                }
            }
            BreakerState::Closed | BreakerState::ForcedClosed => {}
        }
        self.write(now, Entry::Passed);
        Ok(self.chapters.len() as u64 - 1)
    }

    pub(super) fn settle(&mut self, generation: u64, verdict: Verdict, now: Duration) {
        self.pass_time(now);
        if generation + 1 != self.chapters.len() as u64 {
            return;
        }
        self.write(now, Entry::Ended(verdict));
        match (self.last().state, verdict) {
            (BreakerState::Closed, Verdict::Failure) if self.is_enough(now) => self.turn(BreakerState::Open, now),
            (BreakerState::HalfOpen, Verdict::Failure) => self.turn(BreakerState::Open, now),
            (BreakerState::HalfOpen, _) if self.last().passed() == self.rules.close_after => {
                self.turn(BreakerState::Closed, now);
            }
            (BreakerState::HalfOpen, _) => self.moves.push(Move::Freed),
            _ => {}
        }
    }

    pub(super) fn force_open(&mut self, now: Duration) {
        self.pass_time(now);
        if self.last().state != BreakerState::ForcedOpen {
            self.turn(BreakerState::ForcedOpen, now);
        }
    }

    pub(super) fn close(&mut self, state: BreakerState, now: Duration) {
        self.pass_time(now);
        self.turn(state, now);
    }

    /// Whether the results so far open the circuit.
    fn is_enough(&self, now: Duration) -> bool {
        let results = self.last().results();
        match &self.rules.policy {
            Policy::Consecutive { threshold, window } => {
                let Some(first) = results.len().checked_sub(*threshold as usize) else { return false };
                let run = &results[first..];
                run.iter().all(|(_, failed)| *failed) && now - run[0].0 <= *window
            }
            Policy::Rate(rate) => {
                let counted = self.counted(now);
                let failures = counted.iter().filter(|failed| **failed).count();
                // The ratios of these lives are quarters.
                let quarters = (rate.ratio * 4.0) as usize;
                counted.len() >= rate.min_calls as usize && failures * 4 >= quarters * counted.len()
            }
        }
    }

    /// Whether each result in the window failed.
    fn counted(&self, now: Duration) -> Vec<bool> {
        let results = self.last().results();
        let Policy::Rate(rate) = &self.rules.policy else { return Vec::new() };
        let counted = results.iter().enumerate().filter(|(index, (at, _))| match rate.window {
            RateWindow::Calls(calls) => results.len() - index <= calls as usize,
            RateWindow::Time(span) => now - *at <= span,
        });
        counted.map(|(_, (_, failed))| *failed).collect()
    }

    /// Failures that count towards the next opening.
    fn failures(&self, now: Duration) -> u32 {
        let chapter = self.last();
        let failures = match &self.rules.policy {
            _ if chapter.state != BreakerState::Closed => 0,
            Policy::Consecutive { threshold, window } => {
                let run = chapter.results().into_iter().rev().take_while(|(_, failed)| *failed);
                run.take(*threshold as usize).filter(|(at, _)| now - *at <= *window).count()
            }
            Policy::Rate(_) => self.counted(now).into_iter().filter(|failed| *failed).count(),
        };
        failures as u32
    }

    pub(super) fn take_moves(&mut self) -> Vec<Move> {
        std::mem::take(&mut self.moves)
    }

    /// State, time until half-open, probes out, openings in a row, failures that count.
    pub(super) fn seen(&self, now: Duration) -> (BreakerState, Option<Duration>, u32, u32, u32) {
        let chapter = self.last();
        let out = if chapter.state == BreakerState::HalfOpen { chapter.out() } else { 0 };
        let retry_after = self.until().map(|until| until - now);
        (chapter.state, retry_after, out, self.openings(), self.failures(now))
    }
}
