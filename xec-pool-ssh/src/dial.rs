//! From a configuration to a connection that is logged in: look up, connect, exchange keys, log in.

use std::{io, net::SocketAddr, pin::pin, sync::Arc, time::Duration};

use russh::client::{self, Handle};
use tokio::{
    net::{TcpStream, lookup_host},
    time::{Instant, timeout},
};
use xec_pool_core::ConnectContext;

use crate::{
    SshConfig, SshConnection, SshError,
    auth::{self, AuthFailure, Authenticated, Credentials, CredentialsError},
    channel::Carrier,
    error::{LossCause, Phase},
    host_key::HostKeyCheck,
    protocol,
    session::{Link, SessionHandler, loss_cause},
    stream::{Socket, Stream},
};

/// The last part of a dial's time that is not its own: 4 ms of 200 ms, 300 ms of 15 s.
///
/// The pool ends the dial when all of it is over, and can tell only that. Two timers that end in the same tick are
/// heard in an order that nobody promises, and a tick is 1 ms: so ours ends some ticks earlier. It need not be more, for
/// nothing is left to do by then but to say so.
const POOLS_PART: u32 = 50;

/// One dial. Dropping [`run`](Self::run) at any await ends what it has opened, at once.
pub(crate) struct Dial<'a> {
    config: &'a SshConfig,
    host: &'a Arc<str>,
    rekey_after: u64,
    cx: &'a ConnectContext,
    /// Whatever the stages' own limits are, the last one ends here.
    end: Instant,
}

/// Ends the socket unless the dial came to its end. russh's session is a task of its own by then and would go on.
struct Unfinished(Option<Arc<Link>>);

impl Drop for Unfinished {
    fn drop(&mut self) {
        if let Some(link) = self.0.take() {
            link.kill();
        }
    }
}

impl<'a> Dial<'a> {
    pub(crate) fn new(config: &'a SshConfig, host: &'a Arc<str>, rekey_after: u64, cx: &'a ConnectContext) -> Self {
        let deadline = Instant::from_std(cx.deadline());
        let whole = deadline.saturating_duration_since(Instant::now());
        Self { config, host, rekey_after, cx, end: deadline - whole / POOLS_PART }
    }

    pub(crate) async fn run(&self) -> Result<SshConnection, SshError> {
        let (credentials, host_keys) = self.prepare().await?;
        let began = Instant::now();
        let limit = self.limit(self.config.connect_timeout());
        self.cx.phase("resolve");
        let addresses = self.resolve(limit).await?;
        self.cx.phase("tcp");
        let tcp = self.reach(&addresses, began, limit).await?;
        let link = Link::new(Socket::new(tcp).map_err(|source| self.unreachable(source))?);
        let mut unfinished = Unfinished(Some(Arc::clone(&link)));
        self.cx.phase("kex");
        let mut handle = self.shake_hands(&link, host_keys).await?;
        self.cx.phase("auth");
        let login = self.log_in(&mut handle, &link, &credentials).await?;
        let commands = self.cx.commands().clone();
        let carrier = Carrier::new(handle, Arc::clone(&link), Arc::clone(self.host), commands);
        let connection = SshConnection::new(carrier, self.config, login);
        if !link.arm(self.cx.lost_signal().clone()) {
            return Err(self.lost(Phase::Auth, link.cause()));
        }
        unfinished.0 = None;
        Ok(connection)
    }

    /// What the stage that begins now may take: its own limit, or what is left of the dial's if that is less. In whole
    /// milliseconds, as errors tell it.
    fn limit(&self, own: Duration) -> Duration {
        let left = self.end.saturating_duration_since(Instant::now());
        let whole = left.subsec_millis() * 1_000_000;
        own.min(Duration::new(left.as_secs(), whole))
    }

    /// Before any network: a key that cannot be read must not cost the server a handshake.
    async fn prepare(&self) -> Result<(Arc<Credentials>, HostKeyCheck), SshError> {
        let limit = self.limit(Duration::MAX);
        let read = async {
            let credentials = self.config.credentials().await.map_err(|error| self.bad_credentials(error))?;
            let host_keys = self.config.host_keys().await.map_err(|source| self.bad_host_key(source))?;
            Ok((credentials, host_keys))
        };
        timeout(limit, read).await.unwrap_or_else(|_| Err(self.too_slow(Phase::Prepare, limit)))
    }

    async fn resolve(&self, limit: Duration) -> Result<Vec<SocketAddr>, SshError> {
        let target = self.config.target();
        let found = match timeout(limit, lookup_host((target.host(), target.port()))).await {
            Ok(found) => found,
            Err(_) => return Err(self.too_slow(Phase::Resolve, limit)),
        };
        let addresses: Vec<_> = found.map_err(|source| self.unresolved(source))?.collect();
        if addresses.is_empty() {
            return Err(self.unresolved(io::Error::new(io::ErrorKind::NotFound, "the name has no addresses")));
        }
        Ok(addresses)
    }

    /// Connects to the first address that answers. Each gets its share of the time that is left, so that one that
    /// swallows everything does not hide the next.
    async fn reach(&self, addresses: &[SocketAddr], began: Instant, limit: Duration) -> Result<TcpStream, SshError> {
        let mut last = self.too_slow(Phase::Tcp, limit);
        for (index, address) in addresses.iter().enumerate() {
            let rest = u32::try_from(addresses.len() - index).unwrap_or(u32::MAX);
            let share = limit.saturating_sub(began.elapsed()) / rest;
            match timeout(share, TcpStream::connect(address)).await {
                Ok(Ok(tcp)) => return Ok(tcp),
                Ok(Err(source)) => last = self.unreachable(source),
                Err(_) => last = self.too_slow(Phase::Tcp, limit),
            }
        }
        Err(last)
    }

    async fn shake_hands(&self, link: &Arc<Link>, host_keys: HostKeyCheck) -> Result<Handle<SessionHandler>, SshError> {
        let limit = self.limit(self.config.banner_timeout());
        let settings = protocol::settings(
            self.config,
            self.rekey_after,
            host_keys.preferred_keys(),
            host_keys.preferred_certificates(),
        );
        let handler = SessionHandler::new(Arc::clone(link), host_keys);
        let stream = Stream::new(Arc::clone(&link.socket));
        // russh's own timeouts begin after the version line.
        let shaken = pin!(client::connect_stream(Arc::new(settings), stream, handler));
        match timeout(limit, shaken).await {
            Ok(Ok(handle)) => Ok(handle),
            Ok(Err(error)) => Err(self.handshake_failed(link, error)),
            Err(_) if link.socket.is_greeted() => Err(self.too_slow(Phase::Kex, limit)),
            Err(_) => Err(self.too_slow(Phase::Banner, limit)),
        }
    }

    #[expect(clippy::wildcard_enum_match_arm, reason = "some forty more, which all say that somebody broke a rule")]
    fn handshake_failed(&self, link: &Link, error: russh::Error) -> SshError {
        if let Some(source) = link.take_host_key_error() {
            return self.bad_host_key(source);
        }
        let host = Arc::clone(self.host);
        let phase = if link.socket.is_greeted() { Phase::Kex } else { Phase::Banner };
        match error {
            russh::Error::NoCommonAlgo { kind, ours, theirs } => {
                SshError::Negotiation { host, what: algorithm(&kind), ours, theirs }
            }
            russh::Error::IO(_) | russh::Error::Disconnect | russh::Error::HUP if phase == Phase::Banner => {
                self.hung_up(link.socket.preamble())
            }
            russh::Error::IO(_)
            | russh::Error::Disconnect
            | russh::Error::HUP
            | russh::Error::KeepaliveTimeout
            | russh::Error::InactivityTimeout
            | russh::Error::Join(_) => SshError::ConnectionLost { host, phase, cause: loss_cause(&error) },
            other => SshError::Protocol { host, phase, source: Box::new(other) },
        }
    }

    /// The server ended it before it told its version. One that is too busy does so without a word, or with these.
    fn hung_up(&self, said: Option<String>) -> SshError {
        let host = Arc::clone(self.host);
        match said {
            Some(said) if !said.contains("MaxStartups") && !said.contains("Not allowed at this time") => {
                let source = format!("this is no SSH server: it says «{said}»").into();
                SshError::Protocol { host, phase: Phase::Banner, source }
            }
            said => SshError::Throttled { host, said },
        }
    }

    async fn log_in(
        &self,
        handle: &mut Handle<SessionHandler>,
        link: &Link,
        credentials: &Credentials,
    ) -> Result<Authenticated, SshError> {
        let limit = self.limit(self.config.auth_timeout());
        let attempt = async {
            let result = auth::authenticate(handle, self.config.user(), credentials).await;
            if let Err(AuthFailure::Lost { .. }) = &result {
                // Only then the link knows why.
                link.ended().await;
            }
            result
        };
        let failure = match timeout(limit, attempt).await {
            Ok(Ok(login)) => return Ok(login),
            Ok(Err(failure)) => failure,
            Err(_) => return Err(self.too_slow(Phase::Auth, limit)),
        };
        let host = Arc::clone(self.host);
        match failure {
            AuthFailure::Refused(source) => Err(SshError::Auth { host, source }),
            AuthFailure::Protocol(error) => {
                Err(SshError::Protocol { host, phase: Phase::Auth, source: Box::new(error) })
            }
            AuthFailure::Lost { refused } => match (link.cause(), refused) {
                // The server hangs up after a number of refusals: then it is they that ended the login.
                (LossCause::Disconnected { message }, Some(source)) if auth::means_too_many(&message) => {
                    Err(SshError::Auth { host, source })
                }
                (cause, _) => Err(self.lost(Phase::Auth, cause)),
            },
        }
    }

    fn bad_credentials(&self, error: CredentialsError) -> SshError {
        let host = Arc::clone(self.host);
        match error {
            CredentialsError::Key(source) => SshError::Key { host, source },
            CredentialsError::Auth(source) => SshError::Auth { host, source },
        }
    }

    fn bad_host_key(&self, source: crate::HostKeyError) -> SshError {
        SshError::HostKey { host: Arc::clone(self.host), source }
    }

    fn unresolved(&self, source: io::Error) -> SshError {
        SshError::Resolve { host: Arc::clone(self.host), source }
    }

    fn unreachable(&self, source: io::Error) -> SshError {
        SshError::Connect { host: Arc::clone(self.host), source }
    }

    fn too_slow(&self, phase: Phase, after: Duration) -> SshError {
        SshError::TimedOut { host: Arc::clone(self.host), phase, after }
    }

    pub(crate) fn lost(&self, phase: Phase, cause: LossCause) -> SshError {
        SshError::ConnectionLost { host: Arc::clone(self.host), phase, cause }
    }
}

const fn algorithm(kind: &russh::AlgorithmKind) -> &'static str {
    match kind {
        russh::AlgorithmKind::Kex => "key exchange",
        russh::AlgorithmKind::Key => "host key algorithm",
        russh::AlgorithmKind::Cipher => "cipher",
        russh::AlgorithmKind::Compression => "compression",
        russh::AlgorithmKind::Mac => "message authentication",
    }
}
