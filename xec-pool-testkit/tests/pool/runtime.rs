//! Where there is no runtime, or one that goes away.

use std::{
    future::Future,
    pin::pin,
    sync::Arc,
    task::{Context, Poll, Wake, Waker},
    time::Duration,
};

use tokio::runtime::{Builder, Runtime};
use xec_pool_core::{AcquireError, AcquireOptions, FailureKind, Phase, Pool, PoolConfig, PoolEvent};
use xec_pool_testkit::mock::{Hook, MockTransport, Step};

use super::SECOND;

fn runtime() -> Runtime {
    Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("starts")
}

fn config() -> PoolConfig {
    PoolConfig::builder().max_connections(2).retry_delay(Duration::from_millis(1)).build().expect("valid")
}

#[test]
fn a_pool_is_built_used_from_and_dropped_on_plain_threads() {
    let (transport, handle) = MockTransport::new();
    let config = PoolConfig::builder().min_connections(1).build().expect("valid");
    let pool = Pool::builder(transport).config(config).build().expect("needs no runtime");
    assert_eq!(pool.stats().connecting, 0, "where there is no runtime nothing is dialled");
    let runtime = runtime();
    let lease = runtime.block_on(async { pool.acquire().await.expect("connects") });
    // Given back on a plain thread; what follows runs on the runtime that the pool was used on.
    drop(lease);
    assert_eq!(pool.stats().idle, 1);
    drop(pool.try_acquire().expect("needs no runtime"));
    let mut events = pool.subscribe();
    drop(pool);
    runtime.block_on(async { while events.next().await.is_some() {} });
    handle.assert_each_closed_once();
}

#[test]
fn a_pool_whose_runtime_is_gone_is_dropped_without_a_panic_and_drops_its_connections() {
    let (transport, handle) = MockTransport::new();
    let pool = Pool::builder(transport).config(config()).build().expect("valid");
    let runtime = runtime();
    let lease = runtime.block_on(async { pool.acquire().await.expect("connects") });
    drop(runtime);
    drop(lease);
    assert_eq!(pool.stats().idle, 1);
    drop(pool);
    handle.assert_none_left();
}

#[test]
fn a_runtime_shut_down_with_dials_in_flight_costs_no_place() {
    let (transport, handle) = MockTransport::new();
    handle.script(Hook::Connect, [Step::hang()]);
    let pool = Pool::builder(transport).config(config()).build().expect("valid");
    let first = runtime();
    let cause = first.block_on(async {
        let options = AcquireOptions::new().timeout(Duration::from_millis(20));
        let cause = pool.acquire_with(options).await.expect_err("the dial hangs");
        handle.called(Hook::Connect, 1).await;
        cause
    });
    assert!(matches!(cause, AcquireError::TimedOut(_)), "{cause}");
    first.shutdown_background();
    let second = runtime();
    let leases = second.block_on(async {
        [pool.acquire().await.expect("a new runtime, a new dial"), pool.acquire().await.expect("both places are there")]
    });
    drop(leases);
    second.block_on(pool.close());
    handle.assert_none_left();
}

#[test]
fn who_waits_on_a_living_runtime_is_told_in_time_after_the_housekeepers_runtime_went() {
    let (transport, _handle) = MockTransport::new();
    let pool = Pool::builder(transport).config(config()).build().expect("valid");
    let (first, second) = (runtime(), runtime());
    let held = first.block_on(async { [pool.acquire().await.expect("one"), pool.acquire().await.expect("two")] });
    let waiting = {
        let pool = pool.clone();
        let options = AcquireOptions::new().timeout(Duration::from_millis(200));
        second.spawn(async move { pool.acquire_with(options).await.map(drop) })
    };
    drop(first);
    let told = second.block_on(async { tokio::time::timeout(10 * SECOND, waiting).await });
    let error = told.expect("told in time").expect("no panic").expect_err("all are held");
    assert!(error.is_timeout(), "{error}");
    drop(held);
}

#[test]
fn a_drain_ends_in_time_after_the_housekeepers_runtime_went() {
    let (transport, handle) = MockTransport::new();
    let pool = Pool::builder(transport).config(config()).build().expect("valid");
    let (first, second) = (runtime(), runtime());
    let held = first.block_on(async { pool.acquire().await.expect("connects") });
    let draining = second.spawn({
        let pool = pool.clone();
        async move { pool.drain(Duration::from_millis(200)).await }
    });
    let mut events = pool.subscribe();
    while second.block_on(async { pool.acquire().await }).is_ok() {}
    drop(first);
    let report = second.block_on(async { tokio::time::timeout(10 * SECOND, draining).await });
    assert_eq!(report.expect("told in time").expect("no panic").killed, 1);
    drop((held, pool));
    second.block_on(async { while events.next().await.is_some() {} });
    handle.assert_none_left();
}

#[test]
fn a_warm_goes_on_after_the_housekeepers_runtime_went() {
    let (transport, handle) = MockTransport::new();
    let config = PoolConfig::builder().retry_delay(Duration::from_millis(200)).build().expect("valid");
    let pool = Pool::builder(transport).config(config).build().expect("valid");
    let (first, second) = (runtime(), runtime());
    drop(first.block_on(async { pool.acquire().await.expect("connects") }));
    handle.script(Hook::Connect, [Step::fail(FailureKind::Unreachable)]);
    let mut events = pool.subscribe();
    let warming = second.spawn({
        let pool = pool.clone();
        async move { pool.warm(2).await }
    });
    second.block_on(async { while !matches!(events.next().await, Some(PoolEvent::RetryScheduled { .. })) {} });
    drop(first);
    let report = second.block_on(async { tokio::time::timeout(10 * SECOND, warming).await });
    assert_eq!(report.expect("it ends").expect("no panic").open, 2);
}

#[test]
fn who_would_wait_without_a_runtime_is_told_so_at_once() {
    let (transport, _handle) = MockTransport::new();
    let pool = Pool::builder(transport).config(config()).build().expect("valid");
    let mut acquire = std::pin::pin!(pool.acquire());
    let polled = acquire.as_mut().poll(&mut Context::from_waker(Waker::noop()));
    let Poll::Ready(Err(error)) = polled else { panic!("nobody would ever wake it: {polled:?}") };
    assert!(matches!(error, AcquireError::NoRuntime { .. }), "{error}");
    assert_eq!((pool.stats().rejected, pool.stats().waiting), (1, 0));

    // Nor is one without timers of any use.
    let timeless = Builder::new_current_thread().build().expect("starts");
    let error = timeless.block_on(async { pool.acquire().await.expect_err("nobody keeps house") });
    assert!(matches!(error, AcquireError::NoRuntime { .. }), "{error}");
    drop(runtime().block_on(async { pool.acquire().await.expect("this one will do") }));
}

#[tokio::test(start_paused = true)]
async fn an_idle_pool_keeps_no_task_and_wakes_up_whole() {
    let (transport, handle) = MockTransport::new();
    let pool = Pool::builder(transport).config(config()).build().expect("valid");
    let tasks = || tokio::runtime::Handle::current().metrics().num_alive_tasks();
    for round in 1..4 {
        let both = (pool.acquire().await.expect("connects"), pool.acquire().await.expect("connects"));
        assert!(tasks() > 0, "somebody keeps house while a connection is lent");
        drop(both);
        tokio::time::sleep(100 * SECOND).await; // sleep is the subject: being idle
        assert_eq!((pool.stats().open(), tasks()), (0, 0), "both have idled out, and nothing is due");
        handle.script(Hook::Connect, [Step::hang()]);
        let asked = tokio::time::Instant::now();
        assert!(pool.acquire().await.expect_err("the dial hangs").is_timeout(), "its deadline is kept all the same");
        assert_eq!(asked.elapsed().as_secs(), 10);
        assert_eq!(pool.stats().created, 2 * round);
        tokio::time::sleep(100 * SECOND).await; // sleep is the subject: being idle
    }
    pool.close().await;
    handle.assert_none_left();
}

/// Runs a future where there is no runtime; a test that waits longer has failed.
fn on_a_plain_thread<F: Future<Output: Send> + Send + 'static>(future: F) -> F::Output {
    struct Unpark(std::thread::Thread);
    impl Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }
    let (told, answer) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let waker = Waker::from(Arc::new(Unpark(std::thread::current())));
        let mut future = pin!(future);
        loop {
            match future.as_mut().poll(&mut Context::from_waker(&waker)) {
                Poll::Ready(answer) => return told.send(answer),
                Poll::Pending => std::thread::park(),
            }
        }
    });
    answer.recv_timeout(20 * SECOND).expect("it ends")
}

#[test]
fn where_there_is_no_runtime_every_verb_ends() {
    let (transport, handle) = MockTransport::new();
    let pool = Pool::builder(transport).config(config()).build().expect("valid");
    let again = pool.clone();
    let report = on_a_plain_thread(async move { again.warm(1).await });
    assert_eq!((report.open, report.failures.len()), (0, 1), "a dial that nobody runs has failed");
    let again = pool.clone();
    let error = on_a_plain_thread(async move { again.acquire().await.map(drop) }).expect_err("nobody could dial");
    assert!(matches!(error, AcquireError::NoRuntime { .. }), "{error}");
    let runtime = runtime();
    let held = runtime.block_on(async { pool.acquire().await.expect("connects") });
    drop(runtime);
    let again = pool.clone();
    let report = on_a_plain_thread(async move { again.drain(10 * SECOND).await });
    assert_eq!((report.killed, report.still_held), (1, 1), "nobody would say when the time is up");
    drop(held);
    handle.assert_none_left();
}

#[test]
fn on_the_handle_of_a_runtime_that_is_gone_every_verb_ends() {
    let (transport, handle) = MockTransport::new();
    let pool = Pool::builder(transport).config(config()).build().expect("valid");
    let gone = runtime();
    let held = gone.block_on(async { [pool.acquire().await.expect("one"), pool.acquire().await.expect("two")] });
    let here = gone.handle().clone();
    drop(gone);
    let (ended, end) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let error = here.block_on(pool.acquire()).map(drop).expect_err("both are held");
        let opened = here.block_on(pool.warm(2)).opened;
        let report = here.block_on(pool.drain(SECOND));
        ended.send((error, opened, report))
    });
    let (error, opened, report) = end.recv_timeout(20 * SECOND).expect("they end");
    assert!(matches!(error, AcquireError::NoRuntime { .. }), "{error}");
    assert_eq!((opened, report.killed, report.still_held), (0, 2, 2));
    drop(held);
    handle.assert_none_left();
}

#[test]
fn a_call_from_a_runtime_without_timers_costs_no_connection() {
    let (transport, handle) = MockTransport::new();
    let config = PoolConfig::builder().max_connections(1).validate_bypass(Duration::ZERO).build().expect("valid");
    let pool = Pool::builder(transport).config(config).build().expect("valid");
    let (whole, timeless) = (runtime(), Builder::new_current_thread().build().expect("starts"));
    drop(whole.block_on(async { pool.acquire().await.expect("connects") }));
    for _ in 0..3 {
        drop(timeless.block_on(async { pool.acquire().await.expect("it is fine") }));
    }
    let stats = pool.stats();
    assert_eq!((stats.created, stats.destroyed.total()), (1, 0));
    timeless.block_on(async { pool.acquire().await.expect("it is fine").discard("to see that it is closed") });
    drop(timeless.block_on(async { pool.acquire().await.expect("dialled where there are timers") }));
    whole.block_on(pool.close());
    handle.assert_each_closed_once();
}

#[tokio::test(start_paused = true)]
async fn a_drained_pool_keeps_no_task() {
    let (transport, _handle) = MockTransport::new();
    let pool = Pool::builder(transport).config(config()).build().expect("valid");
    let lease = pool.acquire().await.expect("connects");
    let draining = tokio::spawn({
        let pool = pool.clone();
        async move { pool.drain(3600 * SECOND).await }
    });
    while pool.stats().phase == Phase::Open {
        tokio::task::yield_now().await;
    }
    drop(lease);
    let began = tokio::time::Instant::now();
    assert_eq!(draining.await.expect("no panic").closed, 1);
    for _ in 0..10 {
        tokio::task::yield_now().await;
    }
    let tasks = tokio::runtime::Handle::current().metrics().num_alive_tasks();
    assert_eq!((tasks, began.elapsed()), (0, Duration::ZERO), "the housekeeper does not sleep out the hour");
}
