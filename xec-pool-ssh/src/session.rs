//! What russh tells about a running session, and what of it outlives the session.

use std::{
    io,
    sync::{
        Arc, Mutex, OnceLock, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use russh::{
    client::{DisconnectReason, Handler},
    keys::PublicKeyOrCertificate,
};
use tokio_util::sync::CancellationToken;
use xec_pool_core::LostSignal;

use crate::{HostKeyError, error::LossCause, host_key::HostKeyCheck, stream::Socket};

/// One connection's fate: shared by its session, its commands and its holder.
#[derive(Debug)]
pub(crate) struct Link {
    pub(crate) socket: Arc<Socket>,
    /// Whether the end, when it comes, is one that we chose.
    closing: AtomicBool,
    cause: OnceLock<LossCause>,
    host_key_error: Mutex<Option<HostKeyError>>,
    lost: OnceLock<LostSignal>,
    ended: CancellationToken,
}

impl Link {
    pub(crate) fn new(socket: Arc<Socket>) -> Arc<Self> {
        Arc::new(Self {
            socket,
            closing: AtomicBool::new(false),
            cause: OnceLock::new(),
            host_key_error: Mutex::new(None),
            lost: OnceLock::new(),
            ended: CancellationToken::new(),
        })
    }

    /// From now on a death is reported. Before, it is the dial that fails. `false`: it is dead already.
    pub(crate) fn arm(&self, lost: LostSignal) -> bool {
        // Set first, ask second; `end` does it the other way round. So one of the two always notices.
        let _ = self.lost.set(lost);
        !self.has_ended()
    }

    /// Says that we are going to end it, so its end is no loss.
    pub(crate) fn begin_close(&self) {
        self.closing.store(true, Ordering::Release);
    }

    /// Ends it now.
    pub(crate) fn kill(&self) {
        self.begin_close();
        self.socket.kill();
    }

    pub(crate) fn has_ended(&self) -> bool {
        self.ended.is_cancelled()
    }

    /// Completes when russh's task has ended and `cause` tells why.
    pub(crate) async fn ended(&self) {
        self.ended.cancelled().await;
    }

    pub(crate) fn cause(&self) -> LossCause {
        let died_by_itself = self.cause.get().cloned();
        if self.closing.load(Ordering::Acquire) {
            LossCause::Ended
        } else {
            died_by_itself.unwrap_or(LossCause::Stopped)
        }
    }

    pub(crate) fn take_host_key_error(&self) -> Option<HostKeyError> {
        self.host_key_error.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    fn end(&self) {
        self.socket.kill();
        self.ended.cancel();
        if !self.closing.load(Ordering::Acquire)
            && let Some(lost) = self.lost.get()
        {
            lost.lost(&self.cause().to_string());
        }
    }
}

/// russh's way to talk to us. It lives in the session's task, so its `Drop` is the session's end, however that came.
pub(crate) struct SessionHandler {
    link: Arc<Link>,
    host_keys: HostKeyCheck,
}

impl SessionHandler {
    pub(crate) const fn new(link: Arc<Link>, host_keys: HostKeyCheck) -> Self {
        Self { link, host_keys }
    }
}

impl Drop for SessionHandler {
    fn drop(&mut self) {
        self.link.end();
    }
}

impl Handler for SessionHandler {
    type Error = russh::Error;

    async fn check_server_key(&mut self, presented: &PublicKeyOrCertificate) -> Result<bool, russh::Error> {
        match self.host_keys.check(presented).await {
            Ok(()) => Ok(true),
            Err(error) => {
                // russh would only say «unknown key»; the dial takes the whole story from here.
                *self.link.host_key_error.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
                Ok(false)
            }
        }
    }

    async fn disconnected(&mut self, reason: DisconnectReason<russh::Error>) -> Result<(), russh::Error> {
        let _ = self.link.cause.set(match reason {
            DisconnectReason::ReceivedDisconnect(info) => LossCause::Disconnected { message: printable(&info.message) },
            DisconnectReason::Error(error) => loss_cause(&error),
        });
        Ok(())
    }
}

/// What the server says ends up in logs: no control characters, no novels.
fn printable(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(200).collect()
}

/// The end of a session, in our words.
#[expect(clippy::wildcard_enum_match_arm, reason = "some forty more, which all say that somebody broke a rule")]
pub(crate) fn loss_cause(error: &russh::Error) -> LossCause {
    match error {
        russh::Error::IO(error) if error.kind() == io::ErrorKind::UnexpectedEof => LossCause::Closed,
        russh::Error::IO(error) => LossCause::Network(error.kind()),
        russh::Error::Disconnect | russh::Error::HUP | russh::Error::SendError | russh::Error::RecvError => {
            LossCause::Closed
        }
        russh::Error::KeepaliveTimeout | russh::Error::InactivityTimeout => LossCause::Silent,
        russh::Error::Join(_) => LossCause::Stopped,
        other => LossCause::Protocol(printable(&other.to_string())),
    }
}
