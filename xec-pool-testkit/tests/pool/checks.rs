//! Checks that are not as usual: switched off in whole or in part, or a user's own.

use std::time::Duration;

use xec_pool_core::{BoxFuture, CloseReason, Pool};
use xec_pool_testkit::mock::{Hook, MockConnection, MockTransport, Step};

use super::{MS, SECOND, World, at_most, world};

#[tokio::test(start_paused = true)]
async fn without_validation_the_known_dead_are_still_not_lent() {
    let world = world(at_most(1).validate(false));
    drop(world.lease().await);
    tokio::time::advance(100 * SECOND).await;
    world.handle.live_ids().into_iter().for_each(|id| assert!(world.handle.break_connection(id)));
    assert_eq!(world.lease().await.id().get(), 2);
    assert_eq!(world.handle.calls(Hook::Validate), 0);
}

#[tokio::test(start_paused = true)]
async fn without_a_check_on_borrow_an_old_connection_is_lent_as_it_is() {
    let world = world(at_most(1).validate_on_borrow(false).validate_interval(None));
    drop(world.lease().await);
    tokio::time::advance(30 * SECOND).await;
    world.handle.always(Hook::Validate, Step::fail(xec_pool_core::FailureKind::Lost));
    assert_eq!(world.lease().await.id().get(), 1);
    assert_eq!(world.handle.calls(Hook::Validate), 0);
}

/// How often an idle connection is checked in a minute.
async fn checks_while_idle(interval: Option<Duration>) -> usize {
    let world = world(at_most(1).idle_timeout(None).validate_interval(interval));
    drop(world.lease().await);
    tokio::time::sleep(61 * SECOND).await; // sleep is the subject: what happens by itself meanwhile
    world.handle.calls(Hook::Validate)
}

#[tokio::test(start_paused = true)]
async fn without_an_interval_an_idle_connection_is_never_checked() {
    assert_eq!(checks_while_idle(Some(10 * SECOND)).await, 6);
    assert_eq!(checks_while_idle(None).await, 0);
    assert_eq!(checks_while_idle(Some(Duration::ZERO)).await, 0);
}

type Verdict = for<'a> fn(&'a MockConnection) -> BoxFuture<'a, bool>;

/// What becomes of an idle connection that this validator looks at.
async fn judged_by(validator: Verdict) -> World {
    let ((transport, handle), recorder) = (MockTransport::new(), xec_pool_testkit::Recorder::new());
    super::promises::watch();
    let config = at_most(1).validate_bypass(Duration::ZERO).validate_timeout(2 * SECOND).build().expect("valid");
    let builder = Pool::builder(transport).config(config).observer(recorder.clone()).validator(validator);
    let world = World { pool: builder.build().expect("valid"), handle, recorder };
    drop(world.lease().await);
    tokio::time::advance(MS).await;
    world
}

#[tokio::test(start_paused = true)]
async fn a_users_own_validator_stands_in_for_the_transports() {
    let world = judged_by(|connection| Box::pin(async move { connection.id() > 1 })).await;
    assert_eq!(world.lease().await.id().get(), 2);
    tokio::time::advance(MS).await;
    assert_eq!(world.lease().await.id().get(), 2);
    assert_eq!(world.handle.calls(Hook::Validate), 0);
    world.assert_whole().await;
}

#[tokio::test(start_paused = true)]
async fn a_users_validator_that_hangs_or_panics_has_failed_the_connection() {
    let hangs: Verdict = |_| Box::pin(std::future::pending());
    let panics_later: Verdict = |_| Box::pin(async { panic!("as the test says") });
    let panics_at_once: Verdict = |_| panic!("as the test says");
    for (validator, took) in [(hangs, 2 * SECOND), (panics_later, Duration::ZERO), (panics_at_once, Duration::ZERO)] {
        let world = judged_by(validator).await;
        let start = tokio::time::Instant::now();
        assert_eq!(world.lease().await.id().get(), 2);
        assert_eq!((start.elapsed(), world.pool.stats().destroyed.by(CloseReason::ValidationFailed)), (took, 1));
        assert_eq!(world.handle.calls(Hook::Validate), 0);
    }
}
