//! Short storms: tasks on 4 threads; cancels, deaths, evictions, throws, resizes, drains at the end and in the middle.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use xec_pool_core::{Pool, PoolConfig};
use xec_pool_testkit::{
    Recorder,
    mock::{MockHandle, MockTransport},
};

use super::promises;

const TASKS: u64 = 64;
const MAX: u32 = 8;

/// What each task does in the first storm: work, not time, so that it is the same storm on every machine.
const TURNS: u32 = 300;

/// A storm takes about a second on two idle cores. This is no promise of speed: it finds the storm that never ends.
const NEVER_ENDS: Duration = Duration::from_secs(20);

/// Four threads, for as long as it takes.
fn storm(story: impl Future<Output = ()>) {
    let threads = tokio::runtime::Builder::new_multi_thread().worker_threads(4).enable_all().build().expect("starts");
    threads.block_on(async { tokio::time::timeout(NEVER_ENDS, story).await }).expect("a storm ends");
}

/// The same numbers in every run: a storm that breaks something breaks it again.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % sides
    }
}

async fn sailor(pool: Pool<MockTransport>, handle: MockHandle, seed: u64, over: Arc<AtomicBool>, got: Arc<AtomicU64>) {
    let mut dice = Dice(seed);
    while !over.load(Ordering::Relaxed) {
        turn(&pool, &handle, &mut dice, &got).await;
    }
}

async fn turn(pool: &Pool<MockTransport>, handle: &MockHandle, dice: &mut Dice, got: &AtomicU64) {
    let patience = Duration::from_micros(dice.roll(400));
    let Ok(Ok(lease)) = tokio::time::timeout(patience, pool.acquire()).await else {
        tokio::task::yield_now().await;
        return;
    };
    got.fetch_add(1, Ordering::Relaxed);
    match dice.roll(40) {
        0 => _ = handle.break_connection(lease.id().get()),
        1 => _ = handle.lose(lease.id().get(), "storm"),
        2 => lease.discard("storm"),
        3 => lease.release().await,
        _ => tokio::task::yield_now().await,
    }
}

/// A pool and what it is connected to.
#[derive(Clone)]
struct Ship {
    pool: Pool<MockTransport>,
    handle: MockHandle,
}

impl Ship {
    fn new() -> Self {
        promises::watch();
        let (transport, handle) = MockTransport::new();
        let config = PoolConfig::builder()
            .max_connections(MAX)
            .validate_bypass(Duration::ZERO)
            .idle_timeout(Duration::from_millis(2))
            .retry_delay(Duration::from_micros(50))
            .max_concurrent_connects(MAX)
            .queue_capacity(1_000);
        let builder = Pool::builder(transport).config(config.build().expect("valid"));
        Self { pool: builder.build().expect("nothing unclaimed"), handle }
    }

    /// Everything came home, and nothing was ever too many.
    async fn assert_ended(&self) {
        let Self { pool, handle } = self;
        pool.drain(Duration::from_secs(5)).await;
        handle.until_live(0).await;
        while pool.stats().open() > 0 {
            tokio::task::yield_now().await;
        }
        let stats = pool.stats();
        assert!(handle.most_live() <= MAX as usize, "over the maximum: {}", handle.most_live());
        assert_eq!((stats.leases, stats.waiting, stats.connecting), (0, 0, 0), "{stats}");
        assert_eq!(stats.created, stats.destroyed.total());
        assert_eq!(stats.acquired, stats.released);
        handle.assert_each_closed_once();
        handle.assert_none_left();
    }
}

/// The last one sails; those before it were drained while their crew was at work.
#[derive(Clone)]
struct Fleet(Arc<Mutex<Vec<Ship>>>);

impl Fleet {
    fn flagship(&self) -> Ship {
        self.0.lock().expect("nobody panics under it").last().expect("there is always one").clone()
    }

    fn launch(&self) {
        self.0.lock().expect("nobody panics under it").push(Ship::new());
    }
}

async fn crew(fleet: Fleet, seed: u64, got: Arc<AtomicU64>) {
    let mut dice = Dice(seed);
    for _ in 0..TURNS {
        let Ship { pool, handle } = fleet.flagship();
        turn(&pool, &handle, &mut dice, &got).await;
    }
}

async fn weather(fleet: Fleet, over: Arc<AtomicBool>) {
    let mut dice = Dice(7);
    while !over.load(Ordering::Relaxed) {
        let Ship { pool, handle } = fleet.flagship();
        match dice.roll(40) {
            0..7 => pool.set_limits(0, 1 + u32::try_from(dice.roll(u64::from(MAX))).expect("small")).expect("valid"),
            7..14 => pool.set_limits(0, MAX).expect("valid"),
            14..20 => drop(tokio::time::timeout(Duration::from_micros(300), pool.warm(MAX)).await),
            20..26 => handle.live_ids().into_iter().take(2).for_each(|id| _ = handle.lose(id, "weather")),
            26..32 => pool.suspend(),
            32 => {
                // Its crew is at work, and goes over to the next one when it finds it shut.
                let patience = Duration::from_micros(dice.roll(600));
                drop(tokio::time::timeout(patience, pool.drain(Duration::from_micros(dice.roll(600)))).await);
                fleet.launch();
            }
            _ => pool.resume(),
        }
        tokio::task::yield_now().await;
    }
    let Ship { pool, .. } = fleet.flagship();
    pool.resume();
    pool.set_limits(0, MAX).expect("valid");
}

#[test]
fn after_a_storm_nothing_is_missing_and_it_was_never_over_the_maximum() {
    storm(async {
        let fleet = Fleet(Arc::new(Mutex::new(vec![Ship::new()])));
        let (over, got) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let mut sailors = tokio::task::JoinSet::new();
        for seed in 0..TASKS {
            sailors.spawn(crew(fleet.clone(), seed, Arc::clone(&got)));
        }
        let weather = tokio::spawn(weather(fleet.clone(), Arc::clone(&over)));
        sailors.join_all().await;
        over.store(true, Ordering::Relaxed);
        weather.await.expect("it ends");
        let mut leases = Vec::new();
        for _ in 0..MAX {
            leases.push(fleet.flagship().pool.acquire().await.expect("the whole capacity is there"));
        }
        drop(leases);
        let ships = std::mem::take(&mut *fleet.0.lock().expect("nobody panics under it"));
        for ship in &ships {
            ship.assert_ended().await;
        }
        // Thousands of loans and a dozen drains on an idle machine; the bounds are for one that is not.
        assert!(got.load(Ordering::Relaxed) > 100, "that was no storm: {got:?}");
        assert!(ships.len() > 1, "nothing was drained in the middle of it");
    });
}

/// So few turns that no event is missed, and many pools, each drained while its crew is at work.
#[test]
fn a_pool_drained_in_the_middle_of_a_storm_tells_all_that_happened() {
    promises::watch();
    for round in 0..24 {
        storm(async {
            let ((transport, handle), recorder) = (MockTransport::new(), Recorder::new());
            let config = PoolConfig::builder().max_connections(MAX).validate_on_return(round % 2 == 0);
            let config = config.validate_bypass(Duration::ZERO).queue_capacity(1_000).build().expect("valid");
            let builder = Pool::builder(transport).config(config).observer(recorder.clone());
            let pool = builder.build().expect("nothing unclaimed");
            let (over, got) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
            let mut crew = tokio::task::JoinSet::new();
            for seed in 0..16 {
                crew.spawn(sailor(
                    pool.clone(),
                    handle.clone(),
                    seed + 100 * round,
                    Arc::clone(&over),
                    Arc::clone(&got),
                ));
            }
            while got.load(Ordering::Relaxed) < 40 * round {
                tokio::task::yield_now().await;
            }
            let report = pool.drain(Duration::from_millis(round % 3)).await;
            over.store(true, Ordering::Relaxed);
            crew.join_all().await;
            pool.drain(Duration::from_secs(5)).await;
            let stats = pool.stats();
            assert_eq!((stats.leases, stats.waiting, stats.connecting), (0, 0, 0), "{report:?}: {stats}");
            handle.until_live(0).await;
            assert!(handle.most_live() <= MAX as usize, "over the maximum: {}", handle.most_live());
            while pool.stats().open() > 0 {
                tokio::task::yield_now().await;
            }
            let stats = pool.stats();
            // What is not told by then never will be: the next line says what.
            let _told = tokio::time::timeout(NEVER_ENDS / 2, recorder.until_adds_up(&stats)).await;
            recorder.assert_adds_up(&stats);
            recorder.assert_legal_paths();
            handle.assert_none_left();
        });
    }
}
