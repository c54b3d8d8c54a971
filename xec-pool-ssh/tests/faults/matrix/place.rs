//! A server in a container, the way to it, and a pool.

use std::{net::SocketAddr, sync::atomic::AtomicU64, time::Duration};

use tokio::runtime::Runtime;
use xec_pool_core::{Pool, PoolConfig};
use xec_pool_ssh::{SshConfig, SshPool, SshTransport};
use xec_pool_testkit::{FaultProxy, Recorder, SshdContainer};

use super::words::{Fault, State};

/// How long a caller waits for a connection.
pub(crate) const ACQUIRE: Duration = Duration::from_secs(4);

/// How long the server may take for each part of a dial.
pub(crate) const PART: Duration = Duration::from_secs(2);

/// How long a check may take: less than a ping waits.
pub(crate) const CHECK: Duration = Duration::from_millis(1_500);

/// How long the pool may drain.
pub(crate) const DRAIN: Duration = Duration::from_secs(5);

/// Looked up by sshd for each key it is shown: it says so at `mark`, and goes on when told at `auth`, or after `$1` in
/// `hold`. It starts no process, for it may have to do without.
const KEYS_COMMAND: &str = "\
#!/bin/bash
if [ -p /dev/shm/auth ] && ! [ -e /dev/shm/asked ]; then
  : > /dev/shm/asked
  echo > /dev/shm/mark
  read -r -t \"$(< /dev/shm/hold)\" _ <> /dev/shm/auth
fi
exec cat /etc/ssh/keys
";

pub(crate) struct Place {
    pub(crate) sshd: SshdContainer,
    /// On the way where a state must be held, or where the fault is the way's.
    pub(crate) proxy: Option<FaultProxy>,
    pub(crate) pool: SshPool,
    pub(crate) recorder: Recorder,
    /// The pool's alone, so that its tasks can be counted.
    runtime: Option<Runtime>,
    /// The longest that anything of it took to end, or to come to rest.
    pub(super) settled_ms: AtomicU64,
    state: State,
}

impl Place {
    pub(crate) async fn new(state: State, fault: Fault) -> std::io::Result<Self> {
        let sshd = server(state, fault).await?;
        let is_proxied = state.is_proxied() || matches!(fault, Fault::Reset | Fault::Slow);
        let proxy = if is_proxied { Some(FaultProxy::start(sshd.addr()).await?) } else { None };
        let target = proxy.as_ref().map_or(sshd.addr(), FaultProxy::addr);
        let recorder = Recorder::new();
        let pool = pool(&sshd, target, state, &recorder);
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
        Ok(Self { sshd, proxy, pool, recorder, runtime: Some(runtime), settled_ms: AtomicU64::new(0), state })
    }

    /// Where the pool dials to.
    pub(crate) fn target(&self) -> SocketAddr {
        self.proxy.as_ref().map_or(self.sshd.addr(), FaultProxy::addr)
    }

    pub(crate) fn way(&self) -> &FaultProxy {
        self.proxy.as_ref().expect("this cell has a proxy on its way")
    }

    /// A pool like the first, for after that was drained.
    pub(crate) fn renew(&mut self) {
        self.recorder = Recorder::new();
        self.pool = pool(&self.sshd, self.target(), self.state, &self.recorder);
    }

    /// Runs on the pool's runtime.
    pub(crate) fn spawn<F>(&self, work: F) -> tokio::task::JoinHandle<F::Output>
    where
        F: Future<Output: Send> + Send + 'static,
    {
        self.runtime.as_ref().expect("only its drop takes it").spawn(work)
    }

    /// Tasks on the pool's runtime.
    pub(crate) fn tasks(&self) -> usize {
        self.runtime.as_ref().expect("only its drop takes it").metrics().num_alive_tasks()
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        // Inside of another runtime, whose threads may not wait.
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

async fn server(state: State, fault: Fault) -> std::io::Result<SshdContainer> {
    let mut builder = SshdContainer::builder().small_disk(64 << 10);
    builder = match fault {
        Fault::MaxSessions => builder.config("MaxSessions 1"),
        Fault::MaxStartups => builder.config("MaxStartups 1:100:1"),
        Fault::Killed
        | Fault::Frozen
        | Fault::Rebooted
        | Fault::Unplugged
        | Fault::BlackHole
        | Fault::Reset
        | Fault::Slow
        | Fault::Exhausted => builder,
    };
    if state == State::Authenticating {
        let keys: String = xec_pool_testkit::keys::USERS.iter().map(|key| key.public).collect();
        builder = builder
            .config("AuthorizedKeysFile none\nAuthorizedKeysCommand /etc/ssh/keys-command")
            .config("AuthorizedKeysCommandUser root")
            .file("/etc/ssh/keys-command", KEYS_COMMAND, 0o755)
            .file("/etc/ssh/keys", keys, 0o644);
    }
    let sshd = builder.start().await?;
    // Whatever is in memory is gone after a reboot, as it should.
    sshd.exec("mkfifo -m 666 /dev/shm/mark /dev/shm/gate").await?;
    Ok(sshd)
}

/// Quick to notice, quick to try again.
fn pool(sshd: &SshdContainer, target: SocketAddr, state: State, recorder: &Recorder) -> SshPool {
    let ms = Duration::from_millis;
    // A check has to be in flight for a while before its connection is given up for another reason.
    let (keepalive, inactivity) = if state == State::Validating { (2_000, 5_000) } else { (500, 2_000) };
    let config = SshConfig::builder(format!("{}@{target}", sshd.user()).parse().expect("it is a target"))
        .known_hosts([sshd.known_hosts_path()])
        .private_key(sshd.key_path())
        .connect_timeout(ms(1_000))
        .banner_timeout(PART)
        .auth_timeout(PART)
        .keepalive_interval(ms(keepalive))
        .keepalive_max(2)
        .inactivity_timeout(ms(inactivity));
    let behaviour = PoolConfig::builder()
        .max_connections(2)
        .acquire_timeout(ACQUIRE)
        .close_timeout(ms(1_500))
        .validate_timeout(CHECK)
        .validate_interval(if state == State::Validating { ms(200) } else { ms(10_000) })
        .retry_attempts(2)
        .retry_delay(ms(100))
        .retry_max_delay(ms(500));
    let transport = SshTransport::new(config.build().expect("it is valid")).ping_after(ms(100));
    let behaviour = behaviour.build().expect("it is valid");
    Pool::builder(transport).config(behaviour).observer(recorder.clone()).build().expect("it is valid").into()
}
