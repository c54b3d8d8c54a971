//! Values of a user's that panic when they are dropped or asked for words: no place of the pool's is lost by that.

use std::{
    fmt,
    sync::atomic::{AtomicBool, Ordering},
};

use tokio::runtime::{Builder, Runtime};
use xec_pool_core::{Check, CloseReason, ConnectContext, Observation, Observer, Pool, PoolEvent, Start, Transport};

use super::{SECOND, Silent, at_most};

/// A connection that panics when it is dropped, unless somebody closed it.
struct Touchy(bool);

impl Drop for Touchy {
    fn drop(&mut self) {
        assert!(!self.0, "dropped and not closed");
    }
}

/// An error that has no words.
#[derive(Debug)]
struct Speechless;

impl fmt::Display for Speechless {
    fn fmt(&self, _: &mut fmt::Formatter<'_>) -> fmt::Result {
        panic!("no words")
    }
}

impl std::error::Error for Speechless {}

/// Fails once, then connects.
#[derive(Default)]
struct Moody {
    failed: AtomicBool,
}

#[async_trait::async_trait]
impl Transport for Moody {
    type Connection = Touchy;
    type Error = Speechless;

    async fn connect(&self, _: ConnectContext) -> Result<Touchy, Speechless> {
        if self.failed.swap(true, Ordering::Relaxed) { Ok(Touchy(true)) } else { Err(Speechless) }
    }

    async fn validate(&self, _: &Touchy, _: Check) -> Result<(), Speechless> {
        Ok(())
    }

    async fn close(&self, mut connection: Touchy, _: CloseReason) {
        connection.0 = false;
    }

    fn is_broken(&self, _: &Touchy) -> bool {
        false
    }
}

/// Wants to hear how everything ended.
struct Curious;

impl Observer for Curious {
    fn begin(&self, _: &Start<'_>, _: Option<&dyn Observation>) -> Option<std::sync::Arc<dyn Observation>> {
        Some(std::sync::Arc::new(Silent(())))
    }
}

fn runtime() -> Runtime {
    Builder::new_current_thread().enable_all().start_paused(true).build().expect("starts")
}

#[test]
fn an_error_without_words_costs_no_place() {
    runtime().block_on(async {
        let config = at_most(1).build().expect("valid");
        let pool = Pool::builder(Moody::default()).config(config).observer(Curious).build().expect("valid");
        let lease = tokio::time::timeout(60 * SECOND, pool.acquire()).await.expect("the place is free");
        drop(lease.expect("the second dial goes well"));
        assert_eq!((pool.stats().connecting, pool.stats().connect_failures), (0, 1));
        assert_eq!(tokio::time::timeout(60 * SECOND, pool.drain(SECOND)).await.expect("ends").still_held, 0);
    });
}

#[test]
fn a_connection_whose_destructor_panics_costs_no_place_and_is_told() {
    let config = at_most(1).build().expect("valid");
    let pool = Pool::builder(Moody { failed: AtomicBool::new(true) }).config(config).build().expect("valid");
    let runtime = runtime();
    let lease = runtime.block_on(pool.acquire()).expect("connects");
    // No task can run any more, so nobody can close it: it is dropped.
    drop(runtime);
    let mut events = pool.subscribe();
    lease.discard("used up");
    let mut told = std::iter::from_fn(|| events.try_next());
    let is_told =
        |event| matches!(event, PoolEvent::BackgroundError { cause, .. } if cause.to_string().contains("dropped"));
    assert!(told.any(is_told), "nobody is told");
    assert_eq!((pool.stats().closing, pool.stats().active), (0, 0));
    self::runtime().block_on(async {
        drop(pool.acquire().await.expect("its place is free"));
        pool.close().await;
    });
}
