//! An SSH server in this process, and a pool of connections to it.

use std::{
    error::Error,
    hash::{BuildHasher as _, RandomState},
    io::Write as _,
    sync::Arc,
    time::Duration,
};

use tempfile::NamedTempFile;
use xec_pool_core::{Pool, PoolConfig};
use xec_pool_metrics::Telemetry;
use xec_pool_ssh::{SshConfig, SshPool, SshTransport};
use xec_pool_testkit::{
    EmbeddedSsh,
    embedded::{Answer, Fault, Step},
    keys,
};

use super::breaker::Breaker;

pub(crate) struct Host {
    pub(crate) pool: SshPool,
    pub(crate) size: u32,
    server: EmbeddedSsh,
    /// Read with each dial.
    _known_hosts: NamedTempFile,
}

impl Host {
    /// A host whose commands take `time`, more or less, and a pool of `size` connections at most.
    pub(crate) async fn start(
        name: &str,
        size: u32,
        time: Duration,
        telemetry: &Telemetry,
    ) -> Result<Self, Box<dyn Error>> {
        let answer = move |_: &str| Answer::ok("done\n").delay(time.mul_f64(0.5 + 1.5 * random()));
        let server = EmbeddedSsh::builder().answer(answer).start().await?;
        let mut known_hosts = NamedTempFile::new()?;
        known_hosts.write_all(server.known_hosts_line().as_bytes())?;
        let target = format!("demo@{}", server.addr()).parse()?;
        let config = SshConfig::builder(target)
            .private_key_text(keys::USER_ED25519.private)
            .known_hosts([known_hosts.path()])
            .build()?;
        let size_and_times = PoolConfig::builder()
            .min_connections(1)
            .max_connections(size)
            .queue_capacity(size * 3)
            .acquire_timeout(Duration::from_secs(3))
            .queue_timeout(Duration::from_secs(1))
            .idle_timeout(Duration::from_secs(8))
            .retry_delay(Duration::from_millis(250))
            .retry_attempts(1)
            .build()?;
        let pool = Pool::builder(SshTransport::new(config))
            .name(name)
            .config(size_and_times)
            .gate(Arc::new(Breaker::default()))
            .observer(telemetry.clone())
            .build()?;
        Ok(Self { pool: pool.into(), size, server, _known_hosts: known_hosts })
    }

    pub(crate) fn set_down(&self, down: bool) {
        if down {
            self.server.set_fault(Step::Accept, Fault::Die);
            self.server.kill_connections();
        } else {
            self.server.clear_fault(Step::Accept);
        }
    }
}

/// 0 to 1. A demo needs no better dice than the ones std seeds its maps with.
pub(crate) fn random() -> f64 {
    (RandomState::new().hash_one(0) >> 11) as f64 / (1_u64 << 53) as f64
}
