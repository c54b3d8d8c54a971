//! What is counted and what is told agree, also of those who do not stay to hear it.

use xec_pool_core::{FailureKind, PoolEvent};
use xec_pool_testkit::mock::{Hook, Step};

use super::{SECOND, World, at_most, cut, world};

fn refusals(world: &World) -> Vec<&'static str> {
    let error = |event: &PoolEvent| match event {
        PoolEvent::AcquireFailed { error, .. } => Some(*error),
        _ => None,
    };
    world.recorder.events().iter().filter_map(error).collect()
}

#[tokio::test(start_paused = true)]
async fn who_leaves_before_it_hears_that_its_time_is_up_has_timed_out() {
    let world = world(at_most(1));
    let held = world.lease().await;
    let mut waiting = Box::pin(world.pool.acquire());
    assert!(cut(waiting.as_mut(), 1).await.is_none());
    tokio::time::sleep(20 * SECOND).await; // sleep is the subject: its time is up, and nobody asks
    assert_eq!((world.pool.stats().timeouts, world.pool.stats().waiting), (1, 0));
    drop(waiting);
    assert!(cut(world.pool.acquire(), 1).await.is_none(), "and one that only leaves");
    assert_eq!(refusals(&world), ["timed_out", "cancelled"]);
    assert!(world.recorder.tree().contains("failed (timed_out)"), "{}", world.recorder.tree());
    assert_eq!(world.pool.stats().timeouts, 1);
    drop(held);
    world.assert_whole().await;
}

#[tokio::test(start_paused = true)]
async fn a_dial_that_fails_in_a_drain_is_counted_as_it_is_told() {
    let world = world(at_most(2));
    world.handle.always(Hook::Connect, Step::fail(FailureKind::Unreachable).slow(SECOND));
    assert!(cut(world.pool.acquire(), 1).await.is_none());
    assert_eq!(world.pool.stats().connecting, 1);
    world.pool.drain(10 * SECOND).await;
    let told = world.recorder.count(|event| matches!(event, PoolEvent::ConnectFailed { .. }));
    assert_eq!((told as u64, world.pool.stats().connect_failures), (1, 1));
}
