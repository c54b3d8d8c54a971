//! A pool of SSH connections that runs commands by itself.

use std::{ops::Deref, time::Instant};

use xec_pool_core::{Acquire, AcquireError, AcquireOptions, ConfigError, Pool, PoolConfig};

use crate::{Command, Output, Phase, SshConfig, SshError, SshTransport, channel::Order};

/// A pool of connections to one host. Cheap to clone; all clones are the same pool.
///
/// Everything a [`Pool`] can do, it can; and it lends a connection to a command for as long as that runs.
///
/// # A server that hangs
///
/// A dial ends at the pool's `connect_timeout` (default: 15 s), or earlier by the configuration's own limit for one of
/// its parts. Either way it is the transport that ends it, and the error has a phase:
/// [`SshError::TimedOut`](crate::SshError::TimedOut) in [`AcquireError::Connect`].
///
/// # Wrong credentials
///
/// A refused login is told to everybody who waits, and is never repeated by itself. But each caller who comes later
/// costs one more login, and OpenSSH 9.8 and later shuts an address out after a few of them (`PerSourcePenalties` in
/// sshd_config(5): 5 s each, enforced from 15 s). Where callers go on calling, build the pool with a gate that
/// remembers, such as the breaker of `xec-pool-breaker`: the host is asked once, until somebody resets it.
///
/// # Examples
///
/// ```no_run
/// use xec_pool_ssh::{SshConfig, SshPool};
///
/// # async fn f() -> Result<(), Box<dyn std::error::Error>> {
/// let pool = SshPool::new(SshConfig::builder("deploy@web1.example.com".parse()?).build()?)?;
/// let uptime = pool.command("uptime").output().await?;
/// println!("{}", String::from_utf8_lossy(&uptime.stdout));
/// pool.close().await;
/// # Ok(()) }
/// ```
#[derive(Clone, Debug)]
pub struct SshPool(Pool<SshTransport>);

impl SshPool {
    /// A pool that behaves as the configuration's [`pool`](SshConfig::pool) says. For a gate, an observer or a name of
    /// its own, build a [`Pool`] of an [`SshTransport`] and turn it into this.
    ///
    /// # Errors
    ///
    /// [`ConfigError::Unclaimed`]: that has a section that nobody has taken.
    pub fn new(config: SshConfig) -> Result<Self, ConfigError> {
        let pool = config.pool().clone();
        Self::with(config, pool)
    }

    /// A pool that behaves as `pool` says, whatever the configuration has.
    ///
    /// # Errors
    ///
    /// [`ConfigError::Unclaimed`]: `pool` has a section that nobody has taken.
    pub fn with(config: SshConfig, pool: PoolConfig) -> Result<Self, ConfigError> {
        Ok(Pool::builder(SshTransport::new(config)).config(pool).build()?.into())
    }

    /// A command that runs `program` on a connection of the pool's, see
    /// [`SshConnection::command`](crate::SshConnection::command).
    ///
    /// It borrows a connection when it is run, and gives it back when it has ended or is dropped. Where that
    /// connection turns out to be lost before the command was sent, it runs on another; once it was sent, it is never
    /// sent again.
    pub fn command(&self, program: impl Into<String>) -> Command<'_> {
        Command::program(self.into(), program.into())
    }

    /// A command that the remote user's login shell reads as it is, see
    /// [`SshConnection::shell`](crate::SshConnection::shell). For the rest as [`command`](Self::command).
    pub fn shell(&self, script: impl Into<String>) -> Command<'_> {
        Command::script(self.into(), script.into())
    }

    fn refused(&self, error: AcquireError<SshError>) -> SshError {
        SshError::Acquire { host: self.0.transport().host_shared(), source: Box::new(error) }
    }

    pub(crate) async fn run(&self, first: Acquire<'_, SshTransport>, order: Order) -> Result<Output, SshError> {
        let began = Instant::now();
        let mut lease = first.await.map_err(|error| self.refused(error))?;
        // Ends: of the connections that were opened before there are only so many, and each is thrown away.
        loop {
            match lease.carrier().run(order.clone()).await {
                // One that was there before may be dead before anybody can know, or full of sessions whose commands
                // were abandoned and live on. If a fresh one is, that is the answer.
                Err(SshError::ConnectionLost { phase: Phase::NotSent, .. } | SshError::ChannelRefused { .. })
                    if lease.opened() < began =>
                {
                    lease.discard("it died while idle, or opens no more sessions");
                    // One wait in all, however many were dead.
                    let left = self.0.acquire_timeout().map(|limit| limit.saturating_sub(began.elapsed()));
                    let options = left.map_or_else(AcquireOptions::new, |left| AcquireOptions::new().timeout(left));
                    lease = self.0.acquire_with(options).await.map_err(|error| self.refused(error))?;
                }
                result => return result,
            }
        }
    }
}

impl From<Pool<SshTransport>> for SshPool {
    fn from(pool: Pool<SshTransport>) -> Self {
        Self(pool)
    }
}

impl Deref for SshPool {
    type Target = Pool<SshTransport>;

    fn deref(&self) -> &Self::Target {
        &self.0
    }
}
