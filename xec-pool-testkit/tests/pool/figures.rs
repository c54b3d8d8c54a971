//! The figures and names that a pool and its leases tell, exact on paused time.

use std::time::Duration;

use xec_pool_core::Pool;
use xec_pool_testkit::mock::{Hook, MockTransport, Step};

use super::{SECOND, at_most, world};

#[tokio::test(start_paused = true)]
async fn waits_are_told_exactly_by_each_lease_and_in_sum() {
    let world = world(at_most(4));
    world.handle.script(Hook::Connect, [Step::ok().slow(2 * SECOND), Step::ok().slow(4 * SECOND)]);
    let dialled = world.lease().await;
    assert_eq!((dialled.waited(), world.pool.stats().utilization()), (2 * SECOND, 0.25));
    drop(dialled);
    let at_once = world.lease().await;
    let second_dial = world.lease().await;
    let waited = [at_once.waited(), second_dial.waited()];
    let stats = world.pool.stats();
    assert_eq!((waited, stats.utilization()), ([Duration::ZERO, 4 * SECOND], 0.5));
    let wait = &stats.wait;
    assert_eq!((wait.total, wait.max, wait.average), (6 * SECOND, 4 * SECOND, 2 * SECOND));
    // One who waits for a return, and is lent it by whoever gives it back.
    let others = [world.lease().await, world.lease().await];
    let (last, ()) = tokio::join!(world.lease(), async {
        tokio::time::sleep(3 * SECOND).await; // sleep is the subject: how long it waits
        drop(at_once);
    });
    assert_eq!((last.waited(), world.pool.stats().utilization()), (3 * SECOND, 1.0));
    let wait = world.pool.stats().wait;
    assert_eq!((wait.total, wait.max, wait.average), (9 * SECOND, 4 * SECOND, 9 * SECOND / 6));
    drop((second_dial, others, last));
    world.assert_whole().await;
}

#[tokio::test(start_paused = true)]
async fn a_wait_that_got_nothing_is_in_no_figure() {
    let world = world(at_most(1).queue_timeout(2 * SECOND));
    let held = world.lease().await;
    assert!(world.pool.acquire().await.expect_err("held").is_timeout());
    let stats = world.pool.stats();
    assert_eq!(
        (stats.wait.total, stats.wait.max, stats.wait.average),
        (Duration::ZERO, Duration::ZERO, Duration::ZERO)
    );
    assert_eq!((stats.acquired, stats.timeouts), (1, 1));
    drop(held);
    world.assert_whole().await;
}

#[tokio::test(start_paused = true)]
async fn leases_are_counted_and_connections_are_told_by_number_and_pool() {
    let build = || Pool::builder(MockTransport::new().0.named("figures-web1")).build().expect("valid");
    let (first, second) = (build(), build());
    assert_eq!((first.name(), second.name()), ("figures-web1", "figures-web1#2"));
    let lease = first.acquire().await.expect("connects");
    assert_eq!((lease.id().get(), lease.lease_id().get(), lease.pool_name()), (1, 1, "figures-web1"));
    drop(lease);
    let (again, new) = (first.acquire().await.expect("idle"), first.acquire().await.expect("connects"));
    let told = [&again, &new].map(|lease| (lease.id().get(), lease.lease_id().get(), lease.reused()));
    assert_eq!(told, [(1, 2, true), (2, 3, false)]);
    let other = second.acquire().await.expect("connects");
    let numbers = (other.id().get(), other.lease_id().get());
    assert_eq!((numbers, other.pool_name()), ((1, 1), "figures-web1#2"), "each pool counts for itself");
}

#[tokio::test(start_paused = true)]
async fn a_wait_whose_caller_never_took_what_it_was_lent_is_the_longest_and_in_no_sum() {
    let world = world(at_most(1).validate_on_borrow(false));
    let held = world.lease().await;
    let mut waiting = Box::pin(world.pool.acquire());
    assert!(super::cut(waiting.as_mut(), 1).await.is_none());
    tokio::time::advance(3 * SECOND).await;
    drop(held);
    drop(waiting);
    let wait = world.pool.stats().wait;
    assert_eq!((wait.total, wait.max, wait.average), (Duration::ZERO, 3 * SECOND, Duration::ZERO));
    world.assert_whole().await;
}
