//! Decides whether dials may start. Results go in, moves come out; no clock, no lock, nothing of async.
//!
//! Every method takes the time, as the length since the breaker was made, and first lets that time do its work. What
//! changes is the *phase*; each change begins a new *generation*, and a result counts only in the generation whose
//! pass it settles.
//!
//! | from | what happens | if | then |
//! |---|---|---|---|
//! | closed | a dial is asked for | | it passes |
//! | closed | success, failure | | written into the window |
//! | closed | failure | the window says so | open, for `open_for` |
//! | open | a dial is asked for | before `until` | shut |
//! | open | time | `until` | half-open |
//! | half-open | a dial is asked for | a probe is free | it passes, and sets the deadline if there is none |
//! | half-open | a dial is asked for | else | busy |
//! | half-open | success | `close_after` of them | closed, nothing counted |
//! | half-open | success, neutral | else | the probe is free again; a success that leaves none out lifts the deadline |
//! | half-open | failure | | open, longer |
//! | half-open | time | the deadline | open since then, longer |
//! | any | a result | of an earlier generation | nothing |
//! | any | by hand | | held open, held closed, closed |

// How results are counted while it is closed.
mod window;

// What others see of it.
mod sight;

#[cfg(test)]
mod lives;

use std::time::Duration;

pub(crate) use self::window::MOST_RESULTS;
use self::window::Window;
use crate::config::BreakerConfig;

/// The machine.
#[derive(Clone, Debug)]
pub(crate) struct Circuit {
    rules: BreakerConfig,
    phase: Phase,
    generation: u64,
    /// How often it opened again since it first did.
    streak: u32,
    window: Window,
    /// Stretches `open_for`.
    dice: fastrand::Rng,
    now: Duration,
    moves: Vec<Move>,
}

/// Where it stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Closed,
    Open { until: Duration },
    HalfOpen { out: u32, passed: u32, deadline: Option<Duration> },
    ForcedOpen,
    ForcedClosed,
}

/// How a dial went, as far as the circuit counts it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    Success,
    Failure,
    /// It says nothing about the host.
    Neutral,
}

/// What a verdict did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Settled {
    Counted,
    /// It was one failure too many.
    Opened,
    /// It came too late to count.
    Stale,
}

/// Why a dial may not start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// `None`: until somebody decides otherwise.
    Shut {
        retry_after: Option<Duration>,
    },
    Busy,
}

/// Something that pools must hear of, in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Move {
    /// `None`: until somebody decides otherwise.
    Opened {
        until: Option<Duration>,
    },
    HalfOpened,
    /// A probe has ended without a verdict: another one may go.
    Freed,
    Closed,
}

impl Circuit {
    /// Closed, with nothing counted. The same seed makes the same jitter.
    pub(crate) fn new(rules: BreakerConfig, seed: u64) -> Self {
        Self {
            window: Window::new(&rules),
            rules,
            phase: Phase::Closed,
            generation: 0,
            streak: 0,
            dice: fastrand::Rng::with_seed(seed),
            now: Duration::ZERO,
            moves: Vec::new(),
        }
    }

    /// Whether a dial may start; the generation it belongs to.
    pub(crate) fn admit(&mut self, now: Duration) -> Result<u64, Refusal> {
        let now = self.pass_time(now);
        let (probes, successes) = (self.rules.half_open_probes, self.rules.close_after);
        match &mut self.phase {
            Phase::Closed | Phase::ForcedClosed => {}
            Phase::Open { until } => return Err(Refusal::Shut { retry_after: Some(*until - now) }),
            Phase::ForcedOpen => return Err(Refusal::Shut { retry_after: None }),
            Phase::HalfOpen { out, passed, .. } if *out >= probes || *out + *passed >= probes.max(successes) => {
                return Err(Refusal::Busy);
            }
            Phase::HalfOpen { out, deadline, .. } => {
                *out += 1;
                // If each probe renewed it, probes that never end would keep it half-open for ever. A success may, for
                // there are no more of those than `close_after`.
                deadline.get_or_insert(now + self.rules.half_open_deadline);
            }
        }
        Ok(self.generation)
    }

    /// A dial of that generation ended.
    pub(crate) fn settle(&mut self, generation: u64, verdict: Verdict, now: Duration) -> Settled {
        let now = self.pass_time(now);
        if generation != self.generation {
            return Settled::Stale;
        }
        match (&mut self.phase, verdict) {
            (Phase::Closed, Verdict::Success) => self.window.success(now),
            (Phase::Closed, Verdict::Failure) => {
                if self.window.failure(now) {
                    self.open(now);
                    return Settled::Opened;
                }
            }
            (Phase::HalfOpen { .. }, Verdict::Failure) => {
                self.reopen(now);
                return Settled::Opened;
            }
            (Phase::HalfOpen { out, passed, deadline }, Verdict::Success | Verdict::Neutral) => {
                *out -= 1;
                *passed += u32::from(verdict == Verdict::Success);
                if verdict == Verdict::Success && *out == 0 {
                    // A host that answers is not asked again before somebody wants a connection: that may be long.
                    *deadline = None;
                }
                if *passed >= self.rules.close_after {
                    self.close(Phase::Closed);
                } else {
                    self.moves.push(Move::Freed);
                }
            }
            (Phase::Closed, Verdict::Neutral) | (Phase::Open { .. } | Phase::ForcedOpen | Phase::ForcedClosed, _) => {}
        }
        Settled::Counted
    }

    /// Shuts it until somebody decides otherwise.
    pub(crate) fn force_open(&mut self, now: Duration) {
        self.pass_time(now);
        if self.phase != Phase::ForcedOpen {
            // Told also where it was open: it has no date any more.
            self.step(Phase::ForcedOpen, Some(Move::Opened { until: None }));
        }
    }

    /// Lets everybody pass until somebody decides otherwise.
    pub(crate) fn force_close(&mut self, now: Duration) {
        self.pass_time(now);
        self.close(Phase::ForcedClosed);
    }

    /// Closed, with nothing counted, and on its own again.
    pub(crate) fn reset(&mut self, now: Duration) {
        self.pass_time(now);
        self.close(Phase::Closed);
    }

    /// What has to be told, in order.
    pub(crate) fn take_moves(&mut self) -> Vec<Move> {
        std::mem::take(&mut self.moves)
    }

    /// Time never goes backwards here, whatever order threads come in; and what is due, happens.
    pub(crate) fn pass_time(&mut self, now: Duration) -> Duration {
        self.now = self.now.max(now);
        loop {
            match self.phase {
                Phase::Open { until } if until <= self.now => {
                    self.step(Phase::HalfOpen { out: 0, passed: 0, deadline: None }, Some(Move::HalfOpened));
                }
                Phase::HalfOpen { deadline: Some(deadline), .. } if deadline <= self.now => self.reopen(deadline),
                Phase::Closed
                | Phase::Open { .. }
                | Phase::HalfOpen { .. }
                | Phase::ForcedOpen
                | Phase::ForcedClosed => return self.now,
            }
        }
    }

    fn open(&mut self, at: Duration) {
        let until = at + self.cooldown();
        self.step(Phase::Open { until }, Some(Move::Opened { until: Some(until) }));
    }

    fn reopen(&mut self, at: Duration) {
        self.streak = self.streak.saturating_add(1);
        self.open(at);
    }

    fn close(&mut self, as_what: Phase) {
        let was_closed = matches!(self.phase, Phase::Closed | Phase::ForcedClosed);
        self.streak = 0;
        self.step(as_what, (!was_closed).then_some(Move::Closed));
    }

    /// The only place where the phase changes.
    fn step(&mut self, to: Phase, told: Option<Move>) {
        self.phase = to;
        self.generation += 1;
        self.window.clear();
        self.moves.extend(told);
    }

    /// `open_for`, grown by the openings in a row before this one, and stretched at random. Never shortened: nobody
    /// may be let through before it is over.
    fn cooldown(&mut self) -> Duration {
        let rules = &self.rules;
        let grown = rules.open_for.as_secs_f64() * rules.open_for_multiplier.powf(f64::from(self.streak));
        let capped = grown.min(rules.max_open_for.as_secs_f64());
        Duration::from_secs_f64(capped * (1.0 + rules.open_for_jitter * self.dice.f64()))
    }
}
