//! The recorder: what it hears of a pool, and that its checks can fail.

use std::{sync::Arc, time::Duration};

use xec_pool_core::{
    AcquireOptions, ConnectionState, FailureKind, Observation, Observer, Outcome, Pool, PoolConfig, PoolConfigBuilder,
    PoolEvent, Start,
};
use xec_pool_testkit::{
    MockHandle, MockTransport, Recorder,
    mock::{Hook, Step},
};

fn recorded(config: PoolConfigBuilder) -> (Pool<MockTransport>, MockHandle, Recorder) {
    let (transport, handle) = MockTransport::new();
    let recorder = Recorder::new();
    let pool = Pool::builder(transport).config(config.build().expect("valid")).observer(recorder.clone());
    (pool.build().expect("nothing unclaimed"), handle, recorder)
}

#[tokio::test(start_paused = true)]
async fn a_busy_pool_leaves_legal_paths_that_add_up() {
    let config = PoolConfig::builder()
        .max_connections(3)
        .validate_bypass(Duration::ZERO)
        .validate_on_return(true)
        .retry_delay(Duration::from_millis(10));
    let (pool, handle, recorder) = recorded(config);
    handle.script(
        Hook::Connect,
        [Step::ok(), Step::fail(FailureKind::Unreachable), Step::ok().slow(Duration::from_secs(1))],
    );
    handle.script(Hook::Validate, [Step::ok(), Step::fail(FailureKind::Lost)]);
    let work = async |index: u64| {
        let lease = pool.acquire().await?;
        tokio::time::sleep(Duration::from_millis(index)).await; // sleep is the subject
        match index % 5 {
            0 => lease.discard("every fifth"),
            1 => drop(lease.detach()),
            2 => assert!(handle.lose(lease.id().get(), "every fifth")),
            _ => lease.release().await,
        }
        Ok::<_, xec_pool_core::AcquireError<_>>(())
    };
    let all = (0..6).map(|round| {
        let work = &work;
        async move {
            for index in 0..5 {
                work(round * 5 + index).await.expect("somebody always comes home");
            }
        }
    });
    let all: Vec<_> = all.map(Box::pin).collect();
    tokio::time::timeout(Duration::from_secs(60), join(all)).await.expect("nobody waits in vain");
    let brief = AcquireOptions::new().timeout(Duration::from_millis(1));
    let held: Vec<_> = (0..3).map(|_| pool.acquire()).collect();
    let held = join(held.into_iter().map(Box::pin).collect()).await;
    assert!(pool.acquire_with(brief).await.is_err());
    drop(held);
    pool.close().await;
    assert!(pool.acquire().await.is_err());
    recorder.wait_for(|event| matches!(event, PoolEvent::AcquireFailed { error: "closed", .. })).await;
    recorder.assert_legal_paths();
    recorder.assert_adds_up(&pool.stats());
    assert!(pool.stats().created >= 6 && recorder.events().len() > 100);
    assert_eq!(handle.live(), 0);
}

/// All of them at once, in one task.
async fn join<F: Future + Unpin>(mut all: Vec<F>) -> Vec<F::Output> {
    let mut done: Vec<Option<F::Output>> = all.iter().map(|_| None).collect();
    std::future::poll_fn(|cx| {
        for (future, done) in all.iter_mut().zip(&mut done) {
            if done.is_none()
                && let std::task::Poll::Ready(output) = std::pin::Pin::new(future).poll(cx)
            {
                *done = Some(output);
            }
        }
        if done.iter().all(Option::is_some) { std::task::Poll::Ready(()) } else { std::task::Poll::Pending }
    })
    .await;
    done.into_iter().flatten().collect()
}

#[tokio::test]
async fn what_takes_a_while_is_a_tree() {
    let (pool, handle, recorder) = recorded(PoolConfig::builder().max_connections(1).retry_attempts(0));
    handle.script(Hook::Connect, [Step::fail(FailureKind::Credentials)]);
    assert!(pool.acquire().await.is_err());
    for _ in 0..2 {
        drop(pool.acquire().await.expect("now it connects"));
    }
    let lease = pool.acquire().await.expect("it is idle");
    let waiting = Box::pin(pool.acquire());
    let _ = tokio::time::timeout(Duration::from_millis(1), waiting).await;
    assert_eq!(
        recorder.tree(),
        "\
acquire: failed (connect)
  connect 1: dial, failed (credentials)
acquire: acquired connection 2
  connect 2 (attempt 2): dial, connected
  lease 1: released
acquire: acquired connection 2 again
  lease 2: released
acquire: acquired connection 2 again
  lease 3: …
acquire: cancelled
"
    );
    drop(lease);
}

#[tokio::test]
async fn one_can_wait_for_an_event_past_or_to_come() {
    let (pool, _, recorder) = recorded(PoolConfig::builder());
    let created = |event: &PoolEvent| matches!(event, PoolEvent::Created { .. });
    let (_, lease) = tokio::join!(recorder.wait_for(created), pool.acquire());
    recorder.wait_for(created).await;
    assert_eq!(recorder.count(created), 1);
    drop(lease);
}

/// Events of a real pool, for a check to find something wrong in.
async fn a_life() -> Vec<PoolEvent> {
    let (pool, _, recorder) = recorded(PoolConfig::builder().max_connections(1));
    drop(pool.acquire().await.expect("it connects"));
    pool.close().await;
    recorder.events()
}

fn heard(events: &[PoolEvent]) -> Recorder {
    let recorder = Recorder::new();
    events.iter().for_each(|event| recorder.on_event(event));
    recorder
}

fn fails(check: impl FnOnce()) -> bool {
    std::panic::catch_unwind(std::panic::AssertUnwindSafe(check)).is_err()
}

#[tokio::test]
async fn a_path_with_any_event_missing_or_doubled_is_illegal() {
    let events = a_life().await;
    heard(&events).assert_legal_paths();
    // An end that has not come yet is legal, so the last events may be missing.
    let must = |event: &PoolEvent| {
        matches!(
            event,
            PoolEvent::StateChanged { to: Some(ConnectionState::Connecting | ConnectionState::Active), .. }
                | PoolEvent::Created { .. }
                | PoolEvent::Acquired { .. }
                | PoolEvent::Released { .. }
        )
    };
    for index in 0..events.len() {
        let mut less = events.clone();
        let gone = less.remove(index);
        assert_eq!(fails(|| heard(&less).assert_legal_paths()), must(&gone) || matters(&gone, &less), "{gone:?}");
        let mut more = events.clone();
        more.insert(index, events[index].clone());
        let told = matches!(events[index], PoolEvent::Validated { .. } | PoolEvent::AcquireFailed { .. });
        assert_eq!(fails(|| heard(&more).assert_legal_paths()), !told, "{:?} twice", events[index]);
    }
}

/// A step that others follow.
fn matters(gone: &PoolEvent, rest: &[PoolEvent]) -> bool {
    let PoolEvent::StateChanged { to, .. } = gone else { return false };
    rest.iter().any(|event| matches!(event, PoolEvent::StateChanged { from, .. } if from == to && to.is_some()))
}

#[tokio::test]
async fn stats_that_differ_are_noticed() {
    let (pool, _, recorder) = recorded(PoolConfig::builder().max_connections(1));
    drop(pool.acquire().await.expect("it connects"));
    recorder.assert_adds_up(&pool.stats());
    let events = recorder.events();
    for index in 0..events.len() {
        let mut less = events.clone();
        let gone = less.remove(index);
        let passing = matches!(gone, PoolEvent::StateChanged { to: Some(to), .. } if to != ConnectionState::Idle);
        let stats = pool.stats();
        assert_eq!(fails(move || heard(&less).assert_adds_up(&stats)), !passing, "{gone:?}");
    }
}

#[tokio::test]
#[should_panic(expected = "a recorder watches one pool, this one watched 2")]
async fn two_pools_on_one_recorder_are_noticed() {
    let recorder = Recorder::new();
    let pools: Vec<_> =
        (0..2).map(|_| Pool::builder(MockTransport::new().0).observer(recorder.clone()).build()).collect();
    recorder.assert_legal_paths();
    drop(pools);
}

/// Another observer, around the recorder: the parents it hands on are its own.
struct Around(Recorder);

struct Stranger;

impl Observer for Around {
    fn begin(&self, start: &Start<'_>, _: Option<&dyn Observation>) -> Option<Arc<dyn Observation>> {
        self.0.begin(start, Some(&Stranger))
    }
}

impl Observation for Stranger {
    fn end(&self, _: &Outcome<'_>) {}

    fn as_any(&self) -> &dyn std::any::Any {
        self
    }
}

#[tokio::test]
async fn a_strangers_observation_is_no_parent() {
    let recorder = Recorder::new();
    let pool = Pool::builder(MockTransport::new().0).observer(Around(recorder.clone())).build().expect("valid");
    drop(pool.acquire().await.expect("it connects"));
    let tree = "acquire: acquired connection 1\nconnect 1: dial, connected\nlease 1: released\n";
    assert_eq!(recorder.tree(), tree);
}
