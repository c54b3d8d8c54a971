//! Pools on several threads, a host that comes and goes, an operator with nervous fingers.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use xec_pool_breaker::{Breaker, BreakerConfig, BreakerState};
use xec_pool_core::{AcquireOptions, FailureKind, Observer, Pool, PoolConfig, PoolEvent};
use xec_pool_testkit::mock::{Hook, MockHandle, MockTransport, Step};

const LASTS: Duration = Duration::from_millis(900);

/// An opening without a date.
const HELD: &str = "circuit:open, held";

/// Writes down the circuit's events, in the order in which a pool told them.
#[derive(Clone, Default)]
struct Tape(Arc<Mutex<Vec<&'static str>>>);

impl Observer for Tape {
    fn on_event(&self, event: &PoolEvent) {
        let name = match event {
            PoolEvent::CircuitOpened { retry_after: None, .. } => HELD,
            other => other.seed_name().unwrap_or_default(),
        };
        if name.starts_with("circuit:") {
            self.0.lock().unwrap().push(name);
        }
    }
}

struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % sides
    }
}

async fn caller(pool: Pool<MockTransport>, seed: u64, over: Arc<AtomicBool>) {
    let mut dice = Dice(seed);
    while !over.load(Ordering::Relaxed) {
        let options = AcquireOptions::new().timeout(Duration::from_micros(1 + dice.roll(500)));
        match tokio::time::timeout(Duration::from_micros(dice.roll(800)), pool.acquire_with(options)).await {
            // Else dials would be rare.
            Ok(Ok(lease)) if dice.roll(3) == 0 => lease.discard("storm"),
            _ => tokio::task::yield_now().await,
        }
    }
}

async fn weather(hosts: Vec<MockHandle>, breaker: Breaker, over: Arc<AtomicBool>) {
    let mut dice = Dice(11);
    while !over.load(Ordering::Relaxed) {
        let host = &hosts[dice.roll(3) as usize];
        match dice.roll(24) {
            0 => breaker.force_open(),
            1 => breaker.force_close(),
            2..6 => breaker.reset(),
            6..14 => host.always(Hook::Connect, Step::fail(FailureKind::Unreachable)),
            14 => host.script(Hook::Connect, [Step::hang(), Step::panic()]),
            _ => host.always(Hook::Connect, Step::ok()),
        }
        tokio::time::sleep(Duration::from_micros(dice.roll(900))).await; // sleep is the subject: how long it stays so
    }
    for host in &hosts {
        host.clear_script(Hook::Connect);
        host.always(Hook::Connect, Step::ok());
    }
}

/// What may follow what. Each is told of its change once: so none twice in a row.
fn assert_legal(tape: &[&'static str]) {
    let may_follow = HashMap::from([
        ("circuit:close", vec!["circuit:open", HELD]),
        ("circuit:open", vec!["circuit:half-open", HELD, "circuit:close"]),
        (HELD, vec!["circuit:close"]),
        ("circuit:half-open", vec!["circuit:open", HELD, "circuit:close"]),
    ]);
    for (n, pair) in tape.windows(2).enumerate() {
        assert!(may_follow[pair[0]].contains(&pair[1]), "event {n}: {} after {}", pair[1], pair[0]);
    }
}

#[test]
fn in_a_storm_each_pool_hears_every_change_in_order_and_afterwards_nobody_is_left_waiting() {
    let threads = tokio::runtime::Builder::new_multi_thread().worker_threads(4).enable_all().build().unwrap();
    threads.block_on(async {
        let config = BreakerConfig::builder().failure_threshold(3).open_for(Duration::from_millis(1));
        let config = config.half_open_deadline(Duration::from_millis(5)).half_open_probes(2).close_after(2);
        let breaker = Breaker::new(config.build().unwrap());
        let (over, tapes) = (Arc::new(AtomicBool::new(false)), [Tape::default(), Tape::default(), Tape::default()]);
        let (mut pools, mut hosts, mut crew) = (Vec::new(), Vec::new(), tokio::task::JoinSet::new());
        for tape in &tapes {
            let (transport, host) = MockTransport::new();
            let config = PoolConfig::builder().max_connections(4).retry_delay(Duration::from_micros(50));
            // However often it failed: afterwards the host is back, and nobody shall have to wait for that.
            let config = config.retry_max_delay(Duration::from_millis(1));
            let config = config.connect_timeout(Duration::from_millis(3)).build().unwrap();
            let builder = Pool::builder(transport).config(config).gate(breaker.clone()).observer(tape.clone());
            pools.push(builder.build().unwrap());
            hosts.push(host);
        }
        for seed in 0..48 {
            crew.spawn(caller(pools[seed % 3].clone(), seed as u64, Arc::clone(&over)));
        }
        crew.spawn(weather(hosts.clone(), breaker.clone(), Arc::clone(&over)));
        tokio::time::sleep(LASTS).await; // sleep is the subject: how long the storm lasts
        over.store(true, Ordering::Relaxed);
        crew.join_all().await;

        breaker.reset();
        for pool in &pools {
            let mut leases = Vec::new();
            for _ in 0..4 {
                leases.push(pool.acquire().await.expect("the host is back, and the pool knows"));
            }
        }
        for pool in &pools {
            pool.close().await;
        }
        let snapshot = breaker.snapshot();
        assert_eq!((snapshot.state, snapshot.probes), (BreakerState::Closed, 0));
        assert!(snapshot.opened > 20, "that was no storm: {snapshot:?}");
        let tapes = tapes.map(|tape| tape.0.lock().unwrap().clone());
        tapes.iter().for_each(|tape| assert_legal(tape));
        assert!(tapes.iter().all(|tape| *tape == tapes[0]), "all pools hear the same");
    });
}
