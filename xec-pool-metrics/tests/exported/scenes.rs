//! What happens to pools, so that there is something to tell. Each scene returns the pools it leaves behind: dropped,
//! they would end more than the scene is about.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use xec_pool_core::{
    AcquireOptions, CloseReason, FailureKind, Interest, Observer, Pool, PoolConfig, PoolConfigBuilder, PoolEvent,
    WeakPool,
};
use xec_pool_metrics::Telemetry;
use xec_pool_testkit::{
    MockHandle, MockTransport,
    mock::{Hook, Step},
};

use super::gate::Doorman;

pub(crate) const MS: Duration = Duration::from_millis(1);
pub(crate) const SECOND: Duration = Duration::from_secs(1);

pub(crate) const KINDS: [FailureKind; 8] = [
    FailureKind::Unreachable,
    FailureKind::TimedOut,
    FailureKind::Throttled,
    FailureKind::Lost,
    FailureKind::Credentials,
    FailureKind::Trust,
    FailureKind::Config,
    FailureKind::Other,
];

pub(crate) type Mocks = Vec<Pool<MockTransport>>;

pub(crate) fn at_most(max: u32) -> PoolConfigBuilder {
    PoolConfig::builder().max_connections(max).recreate_on_error(false)
}

pub(crate) fn pool(telemetry: &Telemetry, config: PoolConfigBuilder) -> (Pool<MockTransport>, MockHandle) {
    let (transport, handle) = MockTransport::new();
    let builder = Pool::builder(transport).config(config.build().unwrap()).observer(telemetry.clone());
    (builder.build().unwrap(), handle)
}

pub(crate) fn gated_pool(telemetry: &Telemetry) -> (Pool<MockTransport>, Arc<Doorman>) {
    let doorman = Arc::new(Doorman::default());
    let builder = Pool::builder(MockTransport::new().0).gate(Arc::clone(&doorman)).observer(telemetry.clone());
    (builder.build().unwrap(), doorman)
}

/// For each kind of failure a dial of 20 ms that fails, and one that connects.
pub(crate) async fn dials(telemetry: &Telemetry) -> Mocks {
    let mut pools = Vec::new();
    for kind in KINDS {
        let (pool, handle) = pool(telemetry, at_most(1).retry_attempts(0));
        handle.script(Hook::Connect, [Step::fail(kind).slow(20 * MS), Step::ok().slow(20 * MS)]);
        let _ = pool.acquire_with(AcquireOptions::new().timeout(25 * MS)).await;
        // Throttled is no attempt, and is dialled for again.
        drop(pool.acquire().await.unwrap());
        pools.push(pool);
    }
    pools
}

/// One caller each that fails for a reason of its own, and two that do not.
pub(crate) async fn refusals(telemetry: &Telemetry) -> Mocks {
    let (one, _handle) = pool(telemetry, at_most(1));
    let lease = one.acquire().await.unwrap();
    one.acquire_with(AcquireOptions::new().timeout(40 * MS)).await.unwrap_err();
    tokio::time::timeout(MS, one.acquire()).await.unwrap_err();
    let draining = one.clone();
    let drain = tokio::spawn(async move { draining.drain(SECOND).await });
    tokio::task::yield_now().await;
    one.acquire().await.unwrap_err();
    drop(lease);
    drain.await.unwrap();
    one.acquire().await.unwrap_err();

    let (full, _handle) = pool(telemetry, at_most(1).queue_capacity(0));
    let lease = full.acquire().await.unwrap();
    full.acquire().await.unwrap_err();
    drop(lease);

    let (shut, doorman) = gated_pool(telemetry);
    doorman.opens_circuit(None);
    shut.acquire().await.unwrap_err();
    vec![one, full, shut]
}

/// For each reason a connection that ends for it, three seconds old or a little more.
pub(crate) async fn lives(telemetry: &Telemetry) -> Mocks {
    let mut pools = Vec::new();
    for reason in CloseReason::ALL {
        let config = at_most(2).idle_timeout(None).max_lifetime(None).validate_bypass(Duration::ZERO);
        let config = match reason {
            CloseReason::IdleTimeout => config.idle_timeout(5 * SECOND),
            CloseReason::MaxLifetime => config.max_lifetime(5 * SECOND).lifetime_jitter(0.0),
            _ => config,
        };
        let (pool, handle) = pool(telemetry, config);
        let lease = pool.acquire().await.unwrap();
        tokio::time::sleep(3 * SECOND).await; // sleep is the subject: how old it gets
        match reason {
            CloseReason::Broken => _ = handle.break_connection(1),
            CloseReason::Discarded => lease.discard("as the test says"),
            CloseReason::Detached => _ = lease.detach().unwrap(),
            CloseReason::Drained => _ = tokio::join!(pool.drain(SECOND), async { drop(lease) }),
            CloseReason::Shrunk => {
                let _other = pool.acquire().await.unwrap();
                pool.set_limits(0, 1).unwrap();
                drop(lease);
            }
            CloseReason::Lost => {
                drop(lease);
                handle.lose(1, "as the test says");
            }
            CloseReason::ValidationFailed => {
                handle.script(Hook::Validate, [Step::fail(FailureKind::Lost)]);
                drop(lease);
                drop(pool.acquire().await.unwrap());
            }
            CloseReason::IdleTimeout | CloseReason::MaxLifetime | _ => {
                drop(lease);
                tokio::time::sleep(6 * SECOND).await; // sleep is the subject: what happens with time
            }
        }
        tokio::time::sleep(MS).await; // sleep is the subject: closing takes a turn of its task
        pools.push(pool);
    }
    pools
}

/// Two checks that pass, and one that fails.
pub(crate) async fn checks(telemetry: &Telemetry) -> Mocks {
    let (pool, handle) = pool(telemetry, at_most(1).validate_bypass(Duration::ZERO));
    handle.script(Hook::Validate, [Step::ok(), Step::ok(), Step::fail(FailureKind::Lost)]);
    for _ in 0..4 {
        drop(pool.acquire().await.unwrap());
        tokio::time::advance(MS).await;
    }
    vec![pool]
}

/// Hears for the pool, and lets so much happen meanwhile that not all of it can be told.
struct Flooder(Telemetry, Arc<Mutex<Option<Pool<MockTransport>>>>);

struct Flood(Arc<dyn Observer>, Arc<Mutex<Option<Pool<MockTransport>>>>);

impl Observer for Flooder {
    fn attach(&self, pool: WeakPool) -> Option<Arc<dyn Observer>> {
        Some(Arc::new(Flood(self.0.attach(pool)?, Arc::clone(&self.1))))
    }
}

impl Observer for Flood {
    fn interest(&self) -> Interest {
        self.0.interest()
    }

    fn on_event(&self, event: &PoolEvent) {
        let idle = matches!(event, PoolEvent::Released { .. });
        if let Some(pool) = self.1.lock().unwrap().take_if(|_| idle) {
            (0..9_000).for_each(|_| drop(pool.try_acquire()));
        }
        self.0.on_event(event);
    }
}

/// So much at once that not all of it can be told.
pub(crate) async fn flood(telemetry: &Telemetry) -> Mocks {
    let flood = Arc::default();
    let flooder = Flooder(telemetry.clone(), Arc::clone(&flood));
    let pool = Pool::builder(MockTransport::new().0).observer(flooder).build().unwrap();
    drop(pool.acquire().await.unwrap());
    *flood.lock().unwrap() = Some(pool.clone());
    // The flood, then until the housekeeper has told of it, and of what was missed.
    for _ in 0..200 {
        drop(pool.acquire().await.unwrap());
        tokio::task::yield_now().await;
    }
    vec![pool]
}

/// All of the above.
pub(crate) async fn everything(telemetry: &Telemetry) -> Mocks {
    let mut pools = dials(telemetry).await;
    pools.extend(refusals(telemetry).await);
    pools.extend(lives(telemetry).await);
    pools.extend(checks(telemetry).await);
    pools.extend(flood(telemetry).await);
    pools
}
