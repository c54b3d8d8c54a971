//! SSH as a transport of a pool.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use xec_pool_core::{Check, CloseReason, ConnectContext, Endpoint, FailureKind, Transport};

use crate::{
    SshConfig, SshConnection, SshError,
    dial::Dial,
    error::{LossCause, Phase},
    protocol::REKEY_AFTER,
};

/// `SshTransport::ping_after`'s default.
const PING_AFTER: Duration = Duration::from_secs(10);

/// How long an answer to a ping may take.
const PING_LIMIT: Duration = Duration::from_secs(2);

/// Opens, checks and closes the connections of a pool to one host.
#[derive(Clone, Debug)]
pub struct SshTransport {
    config: Arc<SshConfig>,
    host: Arc<str>,
    rekey_after: u64,
    ping_after: Duration,
}

impl SshTransport {
    /// A transport for this configuration. Nothing is opened or read yet.
    #[must_use]
    pub fn new(config: SshConfig) -> Self {
        let host = format!("{}@{}", config.user(), config.endpoint());
        Self { config: Arc::new(config), host: host.into(), rekey_after: REKEY_AFTER, ping_after: PING_AFTER }
    }

    /// Changes keys after so many bytes in either direction, in place of 4 GiB. A change that this side begins breaks
    /// the connection if it has three or more busy downloads at that moment; one that the server begins does not.
    #[must_use]
    pub const fn rekey_after(mut self, bytes: u64) -> Self {
        self.rekey_after = bytes;
        self
    }

    /// A check while idle pings where the server has said nothing for this long; 10 s unless said otherwise, as the
    /// pool's `validate_interval`. A ping is one round trip.
    #[must_use]
    pub const fn ping_after(mut self, silence: Duration) -> Self {
        self.ping_after = silence;
        self
    }

    /// What it was made from.
    #[must_use]
    pub fn config(&self) -> &SshConfig {
        &self.config
    }

    /// `user@host:port`.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.host
    }

    pub(crate) fn host_shared(&self) -> Arc<str> {
        Arc::clone(&self.host)
    }
}

#[async_trait]
impl Transport for SshTransport {
    type Connection = SshConnection;
    type Error = SshError;

    /// Looks up the name, connects, exchanges keys, checks the host's key and logs in.
    ///
    /// It gives up by itself a little before the context's deadline (by a fiftieth of its time), whatever the
    /// configuration's own limits are: it can tell in which phase, and who drops it at the deadline cannot.
    ///
    /// # Cancel safety
    ///
    /// Dropping it ends what it has opened at once. A pool does so at the end of a drain only: the server may count each
    /// login that is broken off.
    async fn connect(&self, cx: ConnectContext) -> Result<SshConnection, SshError> {
        let dial = Dial::new(&self.config, &self.host, self.rekey_after, &cx);
        let connection = tokio::select! {
            connected = dial.run() => connected?,
            () = cx.cancelled().wait() => return Err(dial.lost(Phase::Prepare, LossCause::Ended)),
        };
        connection.end_when(cx.cancelled().clone());
        Ok(connection)
    }

    /// Before a borrow and after one it only looks: no round trip. While idle it pings, if the server has said nothing
    /// of late.
    async fn validate(&self, connection: &SshConnection, check: Check) -> Result<(), SshError> {
        connection.glance()?;
        match check {
            Check::Idle if connection.silent_for() >= self.ping_after => connection.ping(PING_LIMIT).await.map(drop),
            // On the way of a caller, or it has just spoken.
            Check::Borrow | Check::Return | Check::Idle | _ => Ok(()),
        }
    }

    /// Says goodbye to a server that still listens, then ends the connection.
    ///
    /// # Cancel safety
    ///
    /// Dropping it ends the connection at once.
    async fn close(&self, connection: SshConnection, reason: CloseReason) {
        connection.close(!reason.is_failure()).await;
    }

    fn is_broken(&self, connection: &SshConnection) -> bool {
        connection.is_closed()
    }

    fn classify(&self, error: &SshError) -> FailureKind {
        error.kind()
    }

    fn name(&self) -> Option<String> {
        Some(self.host.to_string())
    }

    fn endpoint(&self) -> Option<Endpoint> {
        Some(self.config.endpoint())
    }
}
