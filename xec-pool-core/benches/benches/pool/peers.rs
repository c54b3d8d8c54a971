//! The pools that are measured, behind one trait, each configured as its users have it by default.

use std::{
    convert::Infallible,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use tokio::{sync::Barrier, task::JoinSet};
use xec_pool_core::{Check, CloseReason, ConnectContext, Pool, PoolConfig, PoolConfigBuilder, Transport};
use xec_pool_core_benches::OURS;

/// The name of the peer that ratios are made to.
pub(crate) const BASE: &str = DeadpoolPeer::NAME;

/// A pool that can be measured.
pub(crate) trait Peer: Clone + Send + Sync + 'static {
    const NAME: &'static str;

    type Lease<'a>: Send;

    /// A new pool of at most `max` connections, empty. Called on a runtime.
    fn build(max: u32, dialler: Dialler) -> Self;

    /// The same, where a pool can be told: it looks after itself so often, and lets an idle connection go after that.
    fn build_idle(max: u32, dialler: Dialler, _looks_every: Duration, _idle_timeout: Duration) -> Self {
        Self::build(max, dialler)
    }

    fn acquire(&self) -> impl Future<Output = Self::Lease<'_>> + Send;
}

/// Opens connections, which takes its time, and counts them.
#[derive(Clone, Default)]
pub(crate) struct Dialler {
    takes: Duration,
    dialled: Arc<AtomicU64>,
}

impl Dialler {
    pub(crate) fn taking(takes: Duration) -> Self {
        Self { takes, ..Self::default() }
    }

    /// How many dials have begun.
    pub(crate) fn dialled(&self) -> u64 {
        self.dialled.load(Ordering::Relaxed)
    }

    async fn dial(&self) -> u64 {
        let number = self.dialled.fetch_add(1, Ordering::Relaxed);
        if !self.takes.is_zero() {
            tokio::time::sleep(self.takes).await;
        }
        number
    }
}

/// Opens `count` connections by borrowing so many at once: the one way that all pools have.
pub(crate) async fn warm<P: Peer>(pool: &P, count: usize) {
    let all_here = Arc::new(Barrier::new(count));
    let mut borrowers = JoinSet::new();
    for _ in 0..count {
        let (pool, all_here) = (pool.clone(), Arc::clone(&all_here));
        borrowers.spawn(async move {
            let lease = pool.acquire().await;
            all_here.wait().await;
            drop(lease);
        });
    }
    borrowers.join_all().await;
}

#[derive(Clone)]
pub(crate) struct OurPeer(Pool<Counting>);

pub(crate) struct Counting(Dialler);

#[async_trait]
impl Transport for Counting {
    type Connection = u64;
    type Error = Infallible;

    async fn connect(&self, _: ConnectContext) -> Result<u64, Infallible> {
        Ok(self.0.dial().await)
    }

    async fn validate(&self, _: &u64, _: Check) -> Result<(), Infallible> {
        Ok(())
    }

    async fn close(&self, _: u64, _: CloseReason) {}

    fn is_broken(&self, _: &u64) -> bool {
        false
    }
}

impl OurPeer {
    fn configured(config: PoolConfigBuilder, dialler: Dialler) -> Self {
        let config = config.build().expect("valid");
        Self(Pool::builder(Counting(dialler)).config(config).build().expect("nothing is left unclaimed"))
    }
}

impl Peer for OurPeer {
    const NAME: &'static str = OURS;

    type Lease<'a> = xec_pool_core::Lease<Counting>;

    fn build(max: u32, dialler: Dialler) -> Self {
        Self::configured(PoolConfig::builder().max_connections(max), dialler)
    }

    fn build_idle(max: u32, dialler: Dialler, looks_every: Duration, idle_timeout: Duration) -> Self {
        let config = PoolConfig::builder().max_connections(max).evict_interval(looks_every);
        Self::configured(config.idle_timeout(idle_timeout), dialler)
    }

    async fn acquire(&self) -> Self::Lease<'_> {
        self.0.acquire().await.expect("connecting never fails, and nobody waits for long")
    }
}

#[derive(Clone)]
pub(crate) struct DeadpoolPeer(deadpool::managed::Pool<DeadpoolManager>);

pub(crate) struct DeadpoolManager(Dialler);

impl deadpool::managed::Manager for DeadpoolManager {
    type Type = u64;
    type Error = Infallible;

    async fn create(&self) -> Result<u64, Infallible> {
        Ok(self.0.dial().await)
    }

    async fn recycle(
        &self,
        _: &mut u64,
        _: &deadpool::managed::Metrics,
    ) -> deadpool::managed::RecycleResult<Infallible> {
        Ok(())
    }
}

impl Peer for DeadpoolPeer {
    const NAME: &'static str = "deadpool";

    type Lease<'a> = deadpool::managed::Object<DeadpoolManager>;

    fn build(max: u32, dialler: Dialler) -> Self {
        let max = usize::try_from(max).expect("a small number");
        let builder = deadpool::managed::Pool::builder(DeadpoolManager(dialler)).max_size(max);
        Self(builder.build().expect("without timeouts it needs no runtime"))
    }

    async fn acquire(&self) -> Self::Lease<'_> {
        self.0.get().await.expect("connecting never fails")
    }
}

#[derive(Clone)]
pub(crate) struct Bb8Peer(bb8::Pool<Bb8Manager>);

pub(crate) struct Bb8Manager(Dialler);

impl bb8::ManageConnection for Bb8Manager {
    type Connection = u64;
    type Error = Infallible;

    async fn connect(&self) -> Result<u64, Infallible> {
        Ok(self.0.dial().await)
    }

    async fn is_valid(&self, _: &mut u64) -> Result<(), Infallible> {
        Ok(())
    }

    fn has_broken(&self, _: &mut u64) -> bool {
        false
    }
}

impl Peer for Bb8Peer {
    const NAME: &'static str = "bb8";

    type Lease<'a> = bb8::PooledConnection<'a, Bb8Manager>;

    fn build(max: u32, dialler: Dialler) -> Self {
        Self(bb8::Pool::builder().max_size(max).build_unchecked(Bb8Manager(dialler)))
    }

    async fn acquire(&self) -> Self::Lease<'_> {
        self.0.get().await.expect("connecting never fails, and nobody waits for long")
    }
}
