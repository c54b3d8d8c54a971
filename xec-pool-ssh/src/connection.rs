//! One SSH connection: runs commands, answers pings, knows whether it lives.

use std::{
    fmt,
    net::SocketAddr,
    sync::Arc,
    time::{Duration, Instant},
};

use russh::Disconnect;
use tokio::time::timeout;
use xec_pool_core::Cancelled;

use crate::{
    Command, SshConfig, SshError,
    auth::Authenticated,
    channel::Carrier,
    error::{LossCause, Phase},
};

/// How long a goodbye may take. The server need not answer it; only our own session has to send it.
const GOODBYE: Duration = Duration::from_secs(1);

/// An open SSH connection, logged in.
///
/// Lent by a pool of [`SshTransport`](crate::SshTransport)s. Dropping it ends it at once; a pool ends it in good order.
pub struct SshConnection {
    carrier: Arc<Carrier>,
    user: String,
    login: Authenticated,
    /// After this much silence it is dead, whatever the session says: a keepalive would have been answered.
    silence_limit: Option<Duration>,
}

impl SshConnection {
    pub(crate) fn new(carrier: Arc<Carrier>, config: &SshConfig, login: Authenticated) -> Self {
        // Without keepalives nobody speaks, and silence says nothing.
        let silence_limit = config.keepalive_interval().and_then(|_| config.inactivity_timeout());
        Self { carrier, user: config.user().to_owned(), login, silence_limit }
    }

    pub(crate) const fn carrier(&self) -> &Arc<Carrier> {
        &self.carrier
    }

    /// A command that runs `program`. The name and each argument arrive as they are, quoted.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # async fn f(connection: &xec_pool_ssh::SshConnection) -> Result<(), xec_pool_ssh::SshError> {
    /// let listing = connection.command("ls").arg("-l").arg("my file").output().await?;
    /// assert!(listing.status.success());
    /// # Ok(()) }
    /// ```
    pub fn command(&self, program: impl Into<String>) -> Command<'_> {
        Command::program(self.into(), program.into())
    }

    /// A command that the remote user's login shell reads as it is: pipes, variables, globs. Nothing is quoted, so
    /// nothing that others have written belongs in it; hand it over with [`Command::arg`] or [`Command::env`].
    pub fn shell(&self, script: impl Into<String>) -> Command<'_> {
        Command::script(self.into(), script.into())
    }

    /// Whether it is known to be over. No I/O.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.carrier.is_closed()
    }

    /// Asks the server for a sign of life, and tells how long that took.
    ///
    /// # Errors
    ///
    /// [`SshError::TimedOut`] if none comes within `limit`, [`SshError::ConnectionLost`] if the connection is over.
    ///
    /// # Cancel safety
    ///
    /// Safe to drop at any await; the answer is ignored then.
    pub async fn ping(&self, limit: Duration) -> Result<Duration, SshError> {
        let began = Instant::now();
        let answered = timeout(limit, self.carrier.handle.send_ping()).await;
        // russh says that all is well, too, when the connection dies while it waits for the answer.
        if self.is_closed() || matches!(answered, Ok(Err(_))) {
            return Err(self.carrier.lost(Phase::NotSent));
        }
        if answered.is_err() {
            let host = Arc::clone(&self.carrier.host);
            return Err(SshError::TimedOut { host, phase: Phase::NotSent, after: limit });
        }
        Ok(began.elapsed())
    }

    /// Says that it lives, or why not, by what is known already. No I/O.
    pub(crate) fn glance(&self) -> Result<(), SshError> {
        if self.is_closed() {
            return Err(self.carrier.lost(Phase::NotSent));
        }
        match self.silence_limit {
            Some(limit) if self.silent_for() > limit => Err(SshError::ConnectionLost {
                host: Arc::clone(&self.carrier.host),
                phase: Phase::NotSent,
                cause: LossCause::Silent,
            }),
            Some(_) | None => Ok(()),
        }
    }

    /// How long ago the server last sent anything.
    #[must_use]
    pub fn silent_for(&self) -> Duration {
        self.carrier.link.socket.silent_for()
    }

    /// When its socket was connected.
    pub(crate) fn opened(&self) -> Instant {
        self.carrier.link.socket.opened()
    }

    /// The server's address.
    #[must_use]
    pub fn peer_addr(&self) -> SocketAddr {
        self.carrier.link.socket.peer()
    }

    /// The server's version line: `SSH-2.0-OpenSSH_9.6`.
    #[must_use]
    pub fn server_version(&self) -> &str {
        self.carrier.link.socket.version()
    }

    /// Who is logged in.
    #[must_use]
    pub fn user(&self) -> &str {
        &self.user
    }

    /// What convinced the server: `agent`, `key` or `password`.
    #[must_use]
    pub const fn auth_method(&self) -> &'static str {
        self.login.method
    }

    /// The fingerprint of the key that the server accepted, where it was a key.
    #[must_use]
    pub fn key_fingerprint(&self) -> Option<&str> {
        self.login.fingerprint.as_deref()
    }

    /// Bytes received so far, of the protocol.
    #[must_use]
    pub fn received_bytes(&self) -> u64 {
        self.carrier.link.socket.received_bytes()
    }

    /// Bytes sent so far, of the protocol.
    #[must_use]
    pub fn sent_bytes(&self) -> u64 {
        self.carrier.link.socket.sent_bytes()
    }

    /// Ends it at once when `cancelled` says so, whoever holds it then.
    pub(crate) fn end_when(&self, cancelled: Cancelled) {
        let link = Arc::clone(&self.carrier.link);
        self.carrier.spawn(async move {
            tokio::select! {
                () = cancelled.wait() => link.kill(),
                () = link.ended() => {}
            }
        });
    }

    /// Ends it: `graceful` says goodbye first, and waits a second at most until that is out.
    pub(crate) async fn close(self, graceful: bool) {
        let link = &self.carrier.link;
        link.begin_close();
        if graceful && !self.is_closed() {
            let _ = timeout(GOODBYE, async {
                let _ = self.carrier.handle.disconnect(Disconnect::ByApplication, "", "").await;
                link.ended().await;
            })
            .await;
        }
        // Also in `Drop`, which runs if this future is dropped in the middle.
        link.kill();
    }
}

impl Drop for SshConnection {
    fn drop(&mut self) {
        self.carrier.link.kill();
    }
}

impl fmt::Debug for SshConnection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SshConnection")
            .field("host", &self.carrier.host)
            .field("peer", &self.peer_addr())
            .field("closed", &self.is_closed())
            .finish_non_exhaustive()
    }
}
