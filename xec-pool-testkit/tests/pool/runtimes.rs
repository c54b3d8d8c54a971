//! One pool, several runtimes, some of which nobody drives.

use std::{sync::mpsc, time::Duration};

use tokio::runtime::{Builder, Runtime};
use xec_pool_core::{AcquireOptions, Pool, PoolConfig};
use xec_pool_testkit::mock::MockTransport;

use super::SECOND;

fn one_thread() -> Runtime {
    Builder::new_current_thread().enable_all().build().expect("starts")
}

fn pool() -> Pool<MockTransport> {
    let config = PoolConfig::builder().max_connections(2).build().expect("valid");
    Pool::builder(MockTransport::new().0).config(config).build().expect("valid")
}

#[test]
fn nobody_relies_on_a_housekeeper_whose_runtime_nobody_drives() {
    let (pool, lazy) = (pool(), one_thread());
    let held = lazy.block_on(async { [pool.acquire().await.expect("one"), pool.acquire().await.expect("two")] });
    let (busy, options) = (one_thread(), AcquireOptions::new().timeout(Duration::from_millis(50)));
    let asked = busy.block_on(async { tokio::time::timeout(20 * SECOND, pool.acquire_with(options)).await });
    assert!(asked.expect("told in time").expect_err("both are held").is_timeout());
    let drained =
        busy.block_on(async { tokio::time::timeout(20 * SECOND, pool.drain(Duration::from_millis(50))).await });
    assert_eq!(drained.expect("in time").killed, 2);
    drop((held, lazy));
}

#[test]
fn who_came_and_went_on_another_runtime_takes_nobodys_deadline_along() {
    let (pool, passing) = (pool(), one_thread());
    let held = passing.block_on(async { [pool.acquire().await.expect("one"), pool.acquire().await.expect("two")] });
    let ((waits, waiting), (ended, end)) = (mpsc::channel(), mpsc::channel());
    std::thread::spawn({
        let pool = pool.clone();
        move || {
            one_thread().block_on(async {
                let (options, within) = (AcquireOptions::new().timeout(SECOND / 2), Duration::from_millis(200));
                let first = tokio::spawn({
                    let pool = pool.clone();
                    async move { pool.acquire_with(options).await.map(drop) }
                });
                while pool.stats().waiting < 1 {
                    tokio::task::yield_now().await;
                }
                waits.send(()).expect("the test is there");
                let told = first.await.expect("no panic").expect_err("all are held");
                ended.send((told.is_timeout(), pool.drain(within).await.killed)).expect("the test is there");
            });
        }
    });
    waiting.recv_timeout(20 * SECOND).expect("it waits");
    let passer_by = async { tokio::time::timeout(Duration::from_millis(50), pool.acquire()).await };
    assert!(passing.block_on(passer_by).is_err(), "it left");
    assert_eq!(end.recv_timeout(20 * SECOND).expect("in time"), (true, 2));
    drop((held, passing));
}

#[test]
fn what_one_housekeeper_finds_wakes_the_others() {
    let config = PoolConfig::builder().max_connections(2).max_lifetime(SECOND / 5).lifetime_jitter(0.0);
    let config = config.evict_interval(60 * SECOND).acquire_timeout(60 * SECOND).build().expect("valid");
    let pool = Pool::builder(MockTransport::new().0).config(config).build().expect("valid");
    let (busy, lazy) = (one_thread(), one_thread());
    // Its housekeeper looked while nothing was open: it sleeps until the interval is over.
    let held = busy.block_on(async { [pool.acquire().await.expect("one"), pool.acquire().await.expect("two")] });
    // Another one finds that a lifetime ends before that, and sleeps for ever with its runtime.
    lazy.block_on(async {
        pool.warm(1).await;
        // Lets it have its look.
        tokio::task::yield_now().await;
    });
    let options = AcquireOptions::new().timeout(SECOND / 2);
    let asked = busy.block_on(async { tokio::time::timeout(20 * SECOND, pool.acquire_with(options)).await });
    assert!(asked.expect("told in time").expect_err("both are held").is_timeout());
    drop((held, lazy));
}

#[test]
fn one_who_stands_still_does_not_end_the_work_of_the_house() {
    let config = PoolConfig::builder().idle_timeout(SECOND / 4).validate(false).evict_interval(SECOND / 20);
    let config = config.build().expect("valid");
    let pool = Pool::builder(MockTransport::new().0).config(config).build().expect("valid");
    let lazy = one_thread();
    lazy.block_on(async { drop(pool.acquire().await.expect("connects")) });
    let busy = one_thread();
    busy.block_on(async {
        let closed = async {
            while pool.stats().idle > 0 {
                // Used, a little, and never so long unused that nobody could know of it.
                drop(pool.try_acquire());
                tokio::time::sleep(SECOND / 2).await; // sleep is the subject: longer than the idle time-out
            }
        };
        tokio::time::timeout(20 * SECOND, closed).await.expect("somebody looks after what is idle");
    });
    drop(lazy);
}
