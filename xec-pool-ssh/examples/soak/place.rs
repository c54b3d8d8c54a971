//! One server, the way to it, and the pool of the moment.

use std::{
    io,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use fastrand::Rng;
use tokio::task::spawn_blocking;
use xec_pool_core::{Discipline, Phase, PoolConfig, Stats};
use xec_pool_ssh::{SshConfig, SshPool};
use xec_pool_testkit::{FaultProxy, LocalSshd};

use crate::{figures::Figures, load::Call};

/// How long leases may take to come home when their pool has ended.
const HOME: Duration = Duration::from_secs(10);

pub(crate) struct Place {
    sshd: Mutex<LocalSshd>,
    pub(crate) way: FaultProxy,
    config: SshConfig,
    pool: Mutex<SshPool>,
    figures: Arc<Figures>,
    /// Commands that came to their end since somebody asked.
    done: AtomicU64,
}

impl Place {
    pub(crate) async fn start(figures: Arc<Figures>) -> io::Result<Self> {
        let sshd = spawn_blocking(LocalSshd::start).await.map_err(io::Error::other)??;
        let way = FaultProxy::start(sshd.addr()).await?;
        // The proxy's port is not the server's: its key is known under that.
        let known = sshd.home().join(".ssh/known_through_the_proxy");
        let line = sshd.known_hosts_line().replace(&sshd.port().to_string(), &way.addr().port().to_string());
        std::fs::write(&known, line)?;
        let ms = Duration::from_millis;
        let config = SshConfig::builder(format!("{}@{}", sshd.user(), way.addr()).parse().map_err(io::Error::other)?)
            .known_hosts([known])
            .private_key(sshd.key_path())
            .keepalive_interval(ms(500))
            .keepalive_max(2)
            .inactivity_timeout(ms(2_000));
        let config = config.build().map_err(io::Error::other)?;
        let pool = Mutex::new(SshPool::new(config.clone()).map_err(io::Error::other)?);
        Ok(Self { sshd: Mutex::new(sshd), way, config, pool, figures, done: AtomicU64::new(0) })
    }

    /// The pool of the moment.
    pub(crate) fn pool(&self) -> SshPool {
        self.lock().clone()
    }

    pub(crate) fn sshd(&self) -> MutexGuard<'_, LocalSshd> {
        self.sshd.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn called(&self, call: &Call) {
        if matches!(call, Call::Done) {
            self.done.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Whether a command came to its end here since this was asked last.
    pub(crate) fn has_worked(&self) -> bool {
        self.done.swap(0, Ordering::Relaxed) > 0
    }

    /// Puts another pool, which may behave otherwise, in the place of this one, drains this one, and checks its books.
    pub(crate) async fn renew(&self, within: Duration, behaviour: PoolConfig) {
        let fresh = SshPool::with(self.config.clone(), behaviour).expect("no section is left unclaimed");
        let old = std::mem::replace(&mut *self.lock(), fresh);
        let report = old.drain(within).await;
        // Callers that were killed let go of their connections a moment later.
        let began = Instant::now();
        while !books(&old.stats()) && began.elapsed() < HOME {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        let stats = old.stats();
        self.figures.drained(&stats);
        if !books(&stats) {
            self.figures.violated(format!("a drained pool's books: {stats:?}, {report:?}"));
        }
    }

    fn lock(&self) -> MutexGuard<'_, SshPool> {
        self.pool.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn books(stats: &Stats) -> bool {
    stats.phase == Phase::Closed
        && stats.open() + stats.connecting + stats.waiting == 0
        && stats.created == stats.destroyed.total()
        && stats.acquired == stats.released
}

/// Whatever a pool may be told, within what the faults let pass: ssh's own limits for a dial are longer than its
/// `connect_timeout`, and every wait is shorter than `STUCK`.
pub(crate) fn behaviour(chance: &mut Rng) -> PoolConfig {
    let ms = Duration::from_millis;
    let max = chance.u32(1..7);
    PoolConfig::builder()
        .min_connections(chance.u32(..=max))
        .max_connections(max)
        .max_concurrent_connects(chance.u32(1..5))
        .acquire_timeout(ms(chance.u64(2_000..6_000)))
        .connect_timeout(ms(chance.u64(1_000..4_000)))
        .close_timeout(ms(1_500))
        .idle_timeout(ms(chance.u64(500..5_000)))
        .max_lifetime(ms(chance.u64(5_000..30_000)))
        .validate_interval(ms(chance.u64(300..2_000)))
        .validate_on_borrow(chance.bool())
        .validate_on_return(chance.bool())
        .queue_discipline(if chance.bool() { Discipline::Fifo } else { Discipline::Lifo })
        .recreate_on_error(chance.bool())
        .retry_attempts(chance.u32(..4))
        .retry_delay(ms(100))
        .retry_max_delay(ms(1_000))
        .build()
        .expect("min is not above max")
}
