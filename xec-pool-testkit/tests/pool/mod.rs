//! What of core needs a transport: the flow around the machine, on the mock and on paused time.
#![expect(
    clippy::unwrap_used,
    clippy::wildcard_enum_match_arm,
    reason = "a test that finds what it did not expect should panic"
)]

use std::{future::poll_fn, pin::pin, task::Poll, time::Duration};

use xec_pool_core::{Lease, Observation, Outcome, Pool, PoolConfig, PoolConfigBuilder};
use xec_pool_testkit::{
    Recorder,
    mock::{MockHandle, MockTransport},
};

// Every await cut at every step.
mod cancel;

// Many tasks, several threads, everything at random.
mod storm;

mod bad_days;

mod bystanders;

mod cheap;

mod checks;

mod commands;

mod counts;

mod dialling;

mod figures;

mod flood;

mod gate;

mod health;

mod lending;

mod promises;

mod runtime;

mod runtimes;

mod strangers;

mod touchy;

mod turns;

mod verbs;

mod watching;

const MS: Duration = Duration::from_millis(1);
const SECOND: Duration = Duration::from_secs(1);

/// A pool, the strings of its transport, and somebody who watches it.
struct World {
    pool: Pool<MockTransport>,
    handle: MockHandle,
    recorder: Recorder,
}

fn world(config: PoolConfigBuilder) -> World {
    promises::watch();
    let ((transport, handle), recorder) = (MockTransport::new(), Recorder::new());
    let config = config.build().expect("valid");
    let pool = Pool::builder(transport).config(config).observer(recorder.clone()).build().expect("nothing unclaimed");
    World { pool, handle, recorder }
}

fn at_most(max: u32) -> PoolConfigBuilder {
    promises::watch();
    PoolConfig::builder().max_connections(max)
}

impl World {
    async fn lease(&self) -> Lease<MockTransport> {
        self.pool.acquire().await.expect("the mock connects")
    }

    /// Nothing was lost: as many callers as there may be connections get one at the same time; nothing is left over,
    /// every event has its place, and the sums agree.
    async fn assert_whole(&self) {
        let max = self.pool.stats().max;
        let mut leases = Vec::new();
        for _ in 0..max {
            leases.push(self.lease().await);
        }
        let stats = self.pool.stats();
        assert_eq!((stats.active, stats.waiting, stats.idle, stats.closing), (max, 0, 0, 0), "{stats}");
        assert_eq!(self.handle.live(), max as usize, "a connection is alive that the pool does not know");
        drop(leases);
        self.pool.close().await;
        let stats = self.pool.stats();
        assert_eq!((stats.open(), stats.leases, stats.connecting), (0, 0, 0), "{stats}");
        self.handle.assert_each_closed_once();
        self.handle.assert_none_left();
        self.recorder.assert_legal_paths();
        self.recorder.assert_adds_up(&stats);
    }
}

/// An observation for tests of all that is around it: it is told everything and keeps nothing.
struct Silent<T>(T);

impl<T: Send + Sync + 'static> Observation for Silent<T> {
    fn phase(&self, _: &str) {}

    fn end(&self, _: &Outcome<'_>) {}

    fn as_any(&self) -> &dyn std::any::Any {
        self
    }
}

/// Polls a future this many times, then drops it.
async fn cut<F: Future>(future: F, polls: usize) -> Option<F::Output> {
    let mut future = pin!(future);
    let mut left = polls;
    poll_fn(|cx| {
        if left == 0 {
            return Poll::Ready(None);
        }
        left -= 1;
        match future.as_mut().poll(cx) {
            Poll::Ready(output) => Poll::Ready(Some(output)),
            Poll::Pending if left == 0 => Poll::Ready(None),
            Poll::Pending => Poll::Pending,
        }
    })
    .await
}
