//! One server, the way to it, and the pool of the moment.

use std::{
    io,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use tokio::task::spawn_blocking;
use xec_pool_core::{Phase, PoolConfig, Stats};
use xec_pool_ssh::{SshConfig, SshPool};
use xec_pool_testkit::{FaultProxy, LocalSshd};

use crate::{figures::Figures, load::Call};

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
            .connect_timeout(ms(1_000))
            .banner_timeout(ms(3_000))
            .auth_timeout(ms(3_000))
            .keepalive_interval(ms(500))
            .keepalive_max(2)
            .inactivity_timeout(ms(2_000))
            .pool(behaviour());
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

    /// Puts another pool in the place of this one, drains this one, and checks its books.
    pub(crate) async fn renew(&self, within: Duration) {
        let fresh = SshPool::new(self.config.clone()).expect("it worked before");
        let old = std::mem::replace(&mut *self.lock(), fresh);
        let report = old.drain(within).await;
        // Callers that were killed let go of their connections a moment later; they are given a minute.
        for _ in 0..600 {
            if books(&old.stats()) {
                break;
            }
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

fn behaviour() -> PoolConfig {
    let ms = Duration::from_millis;
    PoolConfig::builder()
        .max_connections(4)
        .acquire_timeout(ms(4_000))
        .connect_timeout(ms(8_000))
        .close_timeout(ms(1_500))
        .idle_timeout(ms(3_000))
        .max_lifetime(ms(20_000))
        .validate_interval(ms(1_000))
        .validate_on_return(true)
        .retry_delay(ms(100))
        .retry_max_delay(ms(1_000))
        .build()
        .expect("it is valid")
}
