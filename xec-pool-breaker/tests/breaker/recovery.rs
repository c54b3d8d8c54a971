//! A host that comes back is not run over.

use xec_pool_core::{FailureKind, PoolConfig};
use xec_pool_testkit::mock::{Hook, Step};

use super::{MS, SECOND, breaker, exact, pool};

const CALLERS: u32 = 1_000;

#[tokio::test(start_paused = true)]
async fn a_thousand_callers_wait_and_dials_grow_from_the_one_probe() {
    let breaker = breaker(exact().failure_threshold(5));
    let config = PoolConfig::builder().max_connections(100).queue_capacity(CALLERS).queue_timeout(None);
    let (pool, host) = pool(config.acquire_timeout(600 * SECOND).retry_attempts(9), breaker);
    host.always(Hook::Connect, Step::fail(FailureKind::Unreachable));
    pool.acquire().await.expect_err("the circuit opens in the middle of its retries");
    assert_eq!(host.calls(Hook::Connect), 5);
    tokio::time::sleep(31 * SECOND).await; // sleep is the subject: until half-open, and past the pool's own back-off

    host.always(Hook::Connect, Step::ok().slow(100 * MS));
    let call = |pool: xec_pool_core::Pool<_>| async move {
        let lease = pool.acquire().await?;
        tokio::time::sleep(SECOND).await; // sleep is the subject: what the caller does with it
        drop(lease);
        Ok::<_, xec_pool_core::AcquireError<_>>(())
    };
    let callers: Vec<_> = (0..CALLERS).map(|_| tokio::spawn(call(pool.clone()))).collect();
    let mut begun = Vec::new();
    tokio::time::sleep(50 * MS).await; // sleep is the subject: half of a dial
    for _ in 0..5 {
        begun.push(host.calls(Hook::Connect) - 5);
        tokio::time::sleep(100 * MS).await; // sleep is the subject: one dial
    }
    assert_eq!(begun, [1, 3, 7, 11, 15], "one, then two, then max_concurrent_connects at once");
    for caller in callers {
        caller.await.unwrap().expect("all are served in the end");
    }
    assert_eq!((host.most_dialling(), pool.stats().connect_failures), (4, 5));
}

#[tokio::test(start_paused = true)]
async fn a_host_that_stays_down_is_knocked_at_once_an_opening() {
    let breaker = breaker(exact().failure_threshold(3));
    let (pool, host) = pool(PoolConfig::builder().min_connections(2), breaker.clone());
    host.always(Hook::Connect, Step::fail(FailureKind::Unreachable));
    while breaker.snapshot().opened == 0 {
        tokio::time::sleep(10 * MS).await; // sleep is the subject: back-offs
    }
    for opening in 0..100 {
        assert_eq!(host.calls(Hook::Connect), 3 + opening);
        for _ in 0..30 {
            pool.acquire().await.expect_err("open");
            tokio::time::sleep(SECOND).await; // sleep is the subject: it is asked once a second
        }
    }
}
