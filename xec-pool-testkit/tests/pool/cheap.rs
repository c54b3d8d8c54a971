//! What a pool costs who only uses it: memory and connections. Time is the benches' affair.

use std::{convert::Infallible, sync::Arc};

use allocation_counter::{AllocationInfo, measure};
use tokio::{runtime::Builder, sync::Barrier, task::JoinSet};
use xec_pool_core::{Check, CloseReason, ConnectContext, Pool, PoolConfig, Transport};
use xec_pool_testkit::mock::{Hook, Step};

use super::{MS, SECOND, at_most, world};

/// Allocates nothing itself.
struct Plain;

#[async_trait::async_trait]
impl Transport for Plain {
    type Connection = ();
    type Error = Infallible;

    async fn connect(&self, _: ConnectContext) -> Result<(), Infallible> {
        Ok(())
    }

    async fn validate(&self, (): &(), _: Check) -> Result<(), Infallible> {
        Ok(())
    }

    async fn close(&self, (): (), _: CloseReason) {}

    fn is_broken(&self, (): &()) -> bool {
        false
    }
}

/// On this thread, the one whose allocations are counted; a pool's own tasks weigh, too.
fn counted(story: impl Future) -> AllocationInfo {
    let runtime = Builder::new_current_thread().enable_time().start_paused(true).build().expect("a plain one starts");
    measure(|| drop(runtime.block_on(story)))
}

#[test]
fn who_need_not_wait_allocates_nothing() {
    // Paused: a machine that stands still for a while must not make a check of it.
    let runtime = Builder::new_current_thread().enable_time().start_paused(true).build().expect("a plain one starts");
    let pool = Pool::builder(Plain).build().expect("nothing unclaimed");
    // The housekeeper and the first dial are paid for once.
    runtime.block_on(async { drop(pool.acquire().await) });
    // Fewer than tokio lets a task do in one go: to make it yield, tokio allocates.
    let borrow = async {
        for _ in 0..100 {
            drop(pool.acquire().await.expect("it connects"));
        }
    };
    assert_eq!(measure(|| runtime.block_on(borrow)).count_total, 0);
    assert_eq!(pool.stats().created, 1);
}

#[test]
fn a_pool_that_was_used_and_is_idle_weighs_1_5_kb_at_most() {
    const POOLS: usize = 1_000;
    let mut pools = Vec::with_capacity(POOLS);
    let weigh = counted(async {
        for _ in 0..POOLS {
            let pool = Pool::builder(Plain).config(PoolConfig::default()).build().expect("nothing unclaimed");
            drop(pool.acquire().await);
            pools.push(pool);
        }
        tokio::time::sleep(600 * SECOND).await; // sleep is the subject: nobody needs them
    });
    assert!(pools.iter().all(|pool| pool.stats().open() == 0), "their connections have gone");
    assert!(weigh.bytes_current <= 1_500 * POOLS as i64, "{} bytes", weigh.bytes_current / POOLS as i64);
}

// From: HikariCP, «Welcome to the Jungle» — a sudden spike on a pool of slow connects and short work.
#[tokio::test(start_paused = true)]
async fn a_spike_of_callers_opens_no_connection_for_each() {
    let world = world(at_most(50));
    world.pool.warm(5).await;
    world.handle.always(Hook::Connect, Step::ok().slow(150 * MS));
    let (go, mut callers) = (Arc::new(Barrier::new(50)), JoinSet::new());
    for _ in 0..50 {
        let (pool, go) = (world.pool.clone(), Arc::clone(&go));
        callers.spawn(async move {
            go.wait().await;
            let lease = pool.acquire().await.expect("all are served");
            tokio::time::sleep(2 * MS).await; // sleep is the subject: the work
            drop(lease);
        });
    }
    callers.join_all().await;
    // Dials that are on their way count too: they will have cost the server a connection.
    let opened = world.handle.calls(Hook::Connect);
    assert!(opened <= 12, "{opened} connections for 50 callers");
    world.assert_whole().await;
}
