//! Pools of connections whose runtime goes away, or was never there.

use std::time::Duration;

use tokio::runtime::{Builder, Runtime};
use xec_pool_core::{AcquireOptions, Pool, PoolConfig};
use xec_pool_ssh::SshPool;
use xec_pool_testkit::{
    EmbeddedSsh,
    embedded::{Fault, Step},
};

use super::support::{World, soon};

fn runtime() -> Runtime {
    Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap()
}

fn pool(world: &World) -> SshPool {
    let config = PoolConfig::builder().max_connections(1).retry_delay(Duration::from_millis(1)).build().unwrap();
    Pool::builder(world.transport()).config(config).build().unwrap().into()
}

#[test]
fn a_runtime_shut_down_with_a_login_in_flight_costs_no_place() {
    let theirs = runtime();
    let world = theirs.block_on(World::of(EmbeddedSsh::builder().fault(Step::Auth, Fault::Hang)));
    let (first, second, pool) = (runtime(), runtime(), pool(&world));
    let options = AcquireOptions::new().timeout(Duration::from_millis(100));
    assert!(first.block_on(async { pool.acquire_with(options).await.map(drop) }).unwrap_err().is_timeout());
    assert_eq!(pool.stats().connecting, 1, "the login goes on");
    drop(first);
    world.server.clear_fault(Step::Auth);
    assert!(second.block_on(soon(pool.command("true").status())).unwrap().success());
    assert_eq!(pool.stats().open(), 1);
}

#[test]
fn a_pool_dropped_where_there_is_no_runtime_leaves_the_server_nothing() {
    let theirs = runtime();
    let world = theirs.block_on(World::new());
    for gone in [false, true] {
        let (ours, pool) = (runtime(), pool(&world));
        let lease = ours.block_on(async {
            assert!(pool.command("true").status().await.unwrap().success());
            pool.acquire().await.unwrap()
        });
        let ours = (!gone).then_some(ours);
        drop(pool);
        drop(lease);
        theirs.block_on(soon(world.server.wait_until(|counters| counters.open == 0)));
        drop(ours);
    }
}
