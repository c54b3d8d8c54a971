//! A caller's one turn: one place in the queue and one deadline, also when it is lent a dead connection.

use xec_pool_core::{AcquireError, AcquireOptions, FailureKind};
use xec_pool_testkit::mock::{Hook, Step};

use super::{MS, SECOND, at_most, world};

#[tokio::test(start_paused = true)]
async fn a_host_whose_connections_are_all_dead_costs_a_caller_its_time_and_no_more() {
    for (max, age) in [(1, 0), (1, 5), (2, 0), (2, 5), (4, 5)] {
        let world = world(at_most(max));
        tokio::time::advance(age * SECOND).await;
        world.handle.always(Hook::IsBroken, Step::fail(FailureKind::Lost));
        let start = tokio::time::Instant::now();
        let AcquireError::TimedOut(error) = world.pool.acquire().await.expect_err("none is fit") else { panic!() };
        assert_eq!((start.elapsed(), error.limit()), (10 * SECOND, 10 * SECOND));
        // One each 100 ms, and not as many as the processor can.
        let dials = world.handle.calls(Hook::Connect);
        assert!((50..=101).contains(&dials), "at most {max}, {age} s old: {dials}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_dead_connection_moves_nobodys_deadline() {
    for timeout in [None, Some(5 * SECOND)] {
        let world = world(at_most(1).recreate_on_error(false));
        let held = world.lease().await;
        // Fit when it comes home, dead in the next hand; and then nothing connects any more.
        world.handle.script(Hook::IsBroken, [Step::ok(), Step::fail(FailureKind::Lost)]);
        world.handle.always(Hook::Connect, Step::hang());
        let start = tokio::time::Instant::now();
        let options = AcquireOptions::new();
        let options = timeout.map_or(options.clone(), |timeout| options.timeout(timeout));
        let (told, ()) = tokio::join!(world.pool.acquire_with(options), async {
            tokio::time::sleep(4 * SECOND).await; // sleep is the subject: the wait before the dead one
            drop(held);
        });
        assert!(told.expect_err("nothing connects").is_timeout());
        assert_eq!(start.elapsed(), 5 * SECOND, "the queue's limit, or the caller's own");
    }
}

#[tokio::test(start_paused = true)]
async fn who_was_lent_a_dead_one_is_still_before_those_who_came_later() {
    let world = world(at_most(1).recreate_on_error(false));
    let held = world.lease().await;
    let (mut early, mut late) = (Box::pin(world.pool.acquire()), Box::pin(world.pool.acquire()));
    assert!(super::cut(early.as_mut(), 1).await.is_none());
    tokio::time::advance(MS).await;
    assert!(super::cut(late.as_mut(), 1).await.is_none());
    world.handle.script(Hook::IsBroken, [Step::ok(), Step::fail(FailureKind::Lost)]);
    drop(held);
    // It is scheduled late: after the answer, time has passed.
    tokio::time::advance(50 * MS).await;
    let lease = early.await.expect("its turn is not over");
    assert!(super::cut(late.as_mut(), 1).await.is_none(), "the early one was first");
    drop(lease);
    drop(late.await.expect("now it is"));
}

#[tokio::test(start_paused = true)]
async fn nor_do_two_dead_ones_one_after_the_other() {
    let world = world(at_most(3).recreate_on_error(false));
    let unproven = world.lease().await;
    tokio::time::advance(3 * SECOND).await;
    let proven = [world.lease().await, world.lease().await];
    let start = tokio::time::Instant::now();
    let mut waiting = Box::pin(world.pool.acquire());
    assert!(super::cut(waiting.as_mut(), 1).await.is_none());
    // The first goes to who waits; of the other two, the one that needs a check comes home last.
    drop(proven);
    drop(unproven);
    world.handle.always(Hook::IsBroken, Step::fail(FailureKind::Lost));
    world.handle.always(Hook::Validate, Step::fail(FailureKind::Lost));
    world.handle.always(Hook::Connect, Step::hang());
    assert!(waiting.await.expect_err("nothing connects any more").is_timeout());
    assert_eq!(start.elapsed(), 5 * SECOND, "the queue's limit");
}
