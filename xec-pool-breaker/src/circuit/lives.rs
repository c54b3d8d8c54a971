//! Random lives: dials, results in any order and however late, time, decrees. After each step the machine must be
//! where a reading of the whole log says, and every promise must hold.

// The whole log, and what follows from it.
mod oracle;

use std::time::Duration;

use proptest::{prelude::*, test_runner::Config};

use self::oracle::Oracle;
use super::{Circuit, Move, Settled, Verdict};
use crate::{BreakerConfig, BreakerState, FailureRate};

/// What the world does next. Numbers pick among what is possible; times are in milliseconds.
#[derive(Clone, Debug)]
enum Step {
    Ask,
    End(usize, Verdict),
    Wait(u64),
    Decree(Decree),
}

#[derive(Clone, Copy, Debug)]
enum Decree {
    ForceOpen,
    ForceClose,
    Reset,
}

fn step() -> impl Strategy<Value = Step> {
    let verdict = prop_oneof![
        3 => Just(Verdict::Success),
        6 => Just(Verdict::Failure),
        2 => Just(Verdict::Neutral),
    ];
    prop_oneof![
        40 => Just(Step::Ask),
        // Mostly the newest: else nearly all results would be of earlier generations.
        40 => (prop_oneof![3 => 0..2_usize, 1 => 0..64_usize], verdict).prop_map(|(n, verdict)| Step::End(n, verdict)),
        20 => prop_oneof![0..30_u64, 0..400_u64].prop_map(Step::Wait),
        1 => prop_oneof![Just(Decree::ForceOpen), Just(Decree::ForceClose)].prop_map(Step::Decree),
        1 => Just(Step::Decree(Decree::Reset)),
    ]
}

fn ms(range: std::ops::Range<u64>) -> impl Strategy<Value = Duration> {
    range.prop_map(Duration::from_millis)
}

fn rules() -> impl Strategy<Value = BreakerConfig> {
    let consecutive = (1..5_u32, ms(20..300))
        .prop_map(|(failures, window)| BreakerConfig::builder().failure_threshold(failures).failure_window(window));
    let ratio = prop_oneof![Just(0.25), Just(0.5), Just(0.75), Just(1.0)];
    let by_calls = (ratio.clone(), 1..9_u32, 1..9_u32)
        .prop_map(|(ratio, calls, least)| FailureRate::over_calls(ratio, calls).min_calls(least.min(calls)));
    let by_time = (ratio, ms(20..300), 1..6_u32)
        .prop_map(|(ratio, span, least)| FailureRate::over_time(ratio, span).min_calls(least));
    let rate = prop_oneof![by_calls, by_time].prop_map(|rate| BreakerConfig::builder().failure_rate(rate));
    let policy = prop_oneof![consecutive, rate];
    let growth = prop_oneof![Just(1.0), Just(2.0)];
    (policy, ms(20..200), growth, ms(200..900), 1..4_u32, 1..4_u32, ms(20..300)).prop_map(
        |(policy, open_for, growth, most, probes, successes, deadline)| {
            let rules = policy.open_for(open_for).open_for_multiplier(growth).max_open_for(most).open_for_jitter(0.0);
            let rules = rules.half_open_probes(probes).close_after(successes).half_open_deadline(deadline);
            rules.build().expect("each field is where it may be")
        },
    )
}

struct World {
    circuit: Circuit,
    oracle: Oracle,
    now: Duration,
    /// What each has told so far.
    moves: Vec<Move>,
    by_the_log: Vec<Move>,
    /// Dials under way, the newest last, by their generations.
    dials: Vec<u64>,
    /// When the first probe of the present half-open generation went, since a success that left none out.
    probing_since: Option<(u64, Duration)>,
}

impl World {
    fn new(rules: BreakerConfig) -> Self {
        let (circuit, oracle) = (Circuit::new(rules.clone(), 0), Oracle::new(rules));
        let (moves, by_the_log) = (Vec::new(), Vec::new());
        Self { circuit, oracle, now: Duration::ZERO, moves, by_the_log, dials: Vec::new(), probing_since: None }
    }

    fn live(&mut self, step: &Step) {
        let before = self.circuit.seen_at(self.now).into_owned();
        match *step {
            Step::Ask => self.ask(),
            Step::End(n, verdict) if !self.dials.is_empty() => {
                let newest = self.dials.len() - 1;
                let generation = self.dials.remove(newest - n % self.dials.len());
                self.end(generation, verdict, &before);
            }
            Step::End(..) => {}
            Step::Wait(span) => self.now += Duration::from_millis(span),
            Step::Decree(decree) => {
                let (circuit, oracle, now) = (&mut self.circuit, &mut self.oracle, self.now);
                match decree {
                    Decree::ForceOpen => (circuit.force_open(now), oracle.force_open(now)),
                    Decree::ForceClose => (circuit.force_close(now), oracle.close(BreakerState::ForcedClosed, now)),
                    Decree::Reset => (circuit.reset(now), oracle.close(BreakerState::Closed, now)),
                };
            }
        }
        self.compare();
    }

    fn ask(&mut self) {
        let answer = self.circuit.admit(self.now);
        assert_eq!(answer, self.oracle.admit(self.now), "asked at {:?}", self.now);
        if let Ok(generation) = answer {
            let state = self.circuit.state();
            assert!(!matches!(state, BreakerState::Open | BreakerState::ForcedOpen), "I1: let through while open");
            self.dials.push(generation);
            if state == BreakerState::HalfOpen && self.probing_since.is_none_or(|(of, _)| of != generation) {
                self.probing_since = Some((generation, self.now));
            }
        }
    }

    fn end(&mut self, generation: u64, verdict: Verdict, before: &Circuit) {
        let settled = self.circuit.settle(generation, verdict, self.now);
        let (then, now) = (before.state(), self.circuit.state());
        if settled == Settled::Counted && verdict == Verdict::Success && self.circuit.probes_out() == 0 {
            self.probing_since = None;
        }
        if generation != before.generation {
            assert_eq!((settled, now, self.circuit.generation), (Settled::Stale, then, before.generation), "I3");
        }
        if verdict == Verdict::Neutral {
            assert_eq!(now, then, "I8: a cancelled dial opened or closed it");
        }
        if now == BreakerState::Closed && then != BreakerState::Closed {
            assert_eq!((then, verdict), (BreakerState::HalfOpen, Verdict::Success), "I4");
        }
        self.oracle.settle(generation, verdict, self.now);
    }

    /// I7 and all that can be seen: as the log says.
    fn compare(&mut self) {
        self.oracle.pass_time(self.now);
        self.by_the_log.extend(self.oracle.take_moves());
        self.moves.extend(self.circuit.take_moves());
        assert_eq!(self.circuit.moves, [], "I9: told once");
        // What time alone does, the machine does when it is next called; to those who look it is done.
        let circuit = self.circuit.seen_at(self.now);
        let moves: Vec<Move> = self.moves.iter().chain(&circuit.moves).copied().collect();
        assert_eq!(moves, self.by_the_log, "I9: a move for each change, in order");
        let seen = (
            circuit.state(),
            circuit.retry_after(),
            circuit.probes_out(),
            circuit.openings(),
            circuit.failures(self.now),
        );
        assert_eq!(seen, self.oracle.seen(self.now), "I7: at {:?}, by the whole log: {:#?}", self.now, self.oracle);
        assert!(circuit.probes_out() <= circuit.rules.half_open_probes, "I2");
        if let Some((_, since)) = self.probing_since.filter(|(generation, _)| *generation == circuit.generation) {
            assert!(self.now < since + circuit.rules.half_open_deadline, "I5: half-open past its deadline");
        }
    }

    /// I6: whatever is out and never ends, somebody is let through in the end.
    fn come_back(&mut self) {
        let rules = &self.circuit.rules;
        self.now += rules.half_open_deadline + rules.max_open_for;
        let answer = self.circuit.admit(self.now);
        assert!(answer.is_ok() || self.circuit.state() == BreakerState::ForcedOpen, "I6: {answer:?}");
    }
}

fn lives() -> u32 {
    std::env::var("XEC_POOL_LIVES").ok().and_then(|text| text.parse().ok()).unwrap_or(3_000)
}

proptest! {
    #![proptest_config(Config { cases: lives(), max_shrink_iters: 20_000, failure_persistence: None, ..Config::default() })]

    #[test]
    fn it_stands_where_its_whole_log_says(rules in rules(), steps in prop::collection::vec(step(), 1..120)) {
        let mut world = World::new(rules);
        for step in &steps {
            world.live(step);
        }
        world.come_back();
    }

    #[test]
    fn an_opening_is_never_shorter_than_told_and_never_stretched_by_more_than_its_jitter(
        seed in any::<u64>(),
        jitter in 0.0..1.0_f64,
        openings in 1..12_u32,
    ) {
        let open_for = Duration::from_secs(1);
        let rules = BreakerConfig::builder().failure_threshold(1).open_for(open_for).open_for_multiplier(2.0);
        let rules = rules.max_open_for(20 * open_for).open_for_jitter(jitter).build().expect("valid");
        let (mut circuit, mut now) = (Circuit::new(rules, seed), Duration::ZERO);
        for opening in 0..openings {
            let generation = circuit.admit(now).expect("closed, or half-open by now");
            circuit.settle(generation, Verdict::Failure, now);
            let plain = (open_for * 2_u32.pow(opening)).min(20 * open_for);
            let lasts = circuit.retry_after().expect("it has opened");
            prop_assert!(plain <= lasts && lasts <= plain.mul_f64(1.0 + jitter), "{lasts:?} for {plain:?}");
            now += lasts;
        }
    }
}
