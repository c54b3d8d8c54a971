//! What the tests share: a trusted server, connections to it, and ways to cut a future short.

use std::{
    future::poll_fn,
    io::Write as _,
    net::{SocketAddr, TcpStream},
    pin::pin,
    sync::Arc,
    task::Poll,
    time::Duration,
};

use tempfile::NamedTempFile;
use tokio::sync::mpsc;
use xec_pool_core::{Cancelled, ConnectContext, Transport as _};
use xec_pool_ssh::{SshConfig, SshConfigBuilder, SshConnection, SshError, SshTarget, SshTransport};
use xec_pool_testkit::{EmbeddedSsh, embedded::EmbeddedSshBuilder, keys};

/// Longer than anything here takes, shorter than a patient developer waits. Reaching it fails the test.
pub(crate) const LONG: Duration = Duration::from_secs(30);

/// A server, and the file in which a client knows it.
pub(crate) struct World {
    pub(crate) server: EmbeddedSsh,
    pub(crate) known_hosts: NamedTempFile,
}

impl World {
    /// A server that runs commands in a shell.
    pub(crate) async fn new() -> Self {
        Self::of(EmbeddedSsh::builder()).await
    }

    pub(crate) async fn of(builder: EmbeddedSshBuilder) -> Self {
        let server = builder.start().await.unwrap();
        let mut known_hosts = NamedTempFile::new().unwrap();
        known_hosts.write_all(server.known_hosts_line().as_bytes()).unwrap();
        Self { server, known_hosts }
    }

    /// How to reach it, as somebody without credentials.
    pub(crate) fn stranger(&self) -> SshConfigBuilder {
        let target: SshTarget = format!("tester@{}", self.server.addr()).parse().unwrap();
        SshConfig::builder(target).known_hosts([self.known_hosts.path()])
    }

    /// How to reach it, as somebody whom it lets in.
    pub(crate) fn config(&self) -> SshConfigBuilder {
        self.stranger().private_key_text(keys::USER_ED25519.private)
    }

    /// As [`config`](Self::config), and quick to notice silence.
    pub(crate) fn nervous(&self) -> SshConfigBuilder {
        self.config()
            .keepalive_interval(Duration::from_millis(100))
            .keepalive_max(2)
            .inactivity_timeout(Duration::from_secs(1))
    }

    pub(crate) fn transport(&self) -> SshTransport {
        transport(self.config())
    }

    pub(crate) async fn connect(&self) -> SshConnection {
        self.transport().connect(ConnectContext::detached()).await.unwrap()
    }
}

/// A port that swallows whatever asks for it: a listener whose queue is full drops every further request, as a firewall
/// does.
pub(crate) struct Hole {
    pub(crate) address: SocketAddr,
    _listener: socket2::Socket,
    _plugs: Vec<TcpStream>,
}

impl Hole {
    pub(crate) fn new() -> Self {
        let listener = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
        listener.bind(&SocketAddr::from(([127, 0, 0, 1], 0)).into()).unwrap();
        listener.listen(0).unwrap();
        let address = listener.local_addr().unwrap().as_socket().unwrap();
        let mut plugs = Vec::new();
        while let Ok(plug) = TcpStream::connect_timeout(&address, Duration::from_millis(300)) {
            plugs.push(plug);
        }
        Self { address, _listener: listener, _plugs: plugs }
    }
}

pub(crate) fn transport(config: SshConfigBuilder) -> SshTransport {
    SshTransport::new(config.build().unwrap())
}

/// Connects, and is glad that it fails.
pub(crate) async fn refused(config: SshConfigBuilder) -> SshError {
    transport(config).connect(ConnectContext::detached()).await.unwrap_err()
}

/// A context whose end and whose lost signals the test holds.
pub(crate) fn watched() -> (ConnectContext, Cancelled, mpsc::UnboundedReceiver<String>) {
    let cancelled = Cancelled::new();
    let (heard, lost) = mpsc::unbounded_channel();
    let cx = ConnectContext::detached_with(cancelled.clone(), move |why| {
        let _ = heard.send(why.to_owned());
    });
    (cx, cancelled, lost)
}

/// Polls a future `times` times at most, each time it wakes, then drops it. `Some` if it came to its end.
pub(crate) async fn cut<F: Future>(future: F, times: usize) -> Option<F::Output> {
    let mut future = pin!(future);
    let mut left = times;
    poll_fn(|cx| {
        if left == 0 {
            return Poll::Ready(None);
        }
        left -= 1;
        match future.as_mut().poll(cx) {
            Poll::Ready(output) => Poll::Ready(Some(output)),
            // The last poll is the last: nobody needs to wake us for the cut.
            Poll::Pending if left == 0 => Poll::Ready(None),
            Poll::Pending => Poll::Pending,
        }
    })
    .await
}

/// Fails the test, rather than hang it.
pub(crate) async fn soon<F: Future>(future: F) -> F::Output {
    tokio::time::timeout(LONG, future).await.expect("this ends, and quickly")
}

/// A folder whose keys the tests may spoil.
pub(crate) fn folder() -> tempfile::TempDir {
    tempfile::tempdir().unwrap()
}

/// `count` bytes that compress badly and are the same each time.
pub(crate) fn noise(count: usize) -> Arc<[u8]> {
    let mut state = 0x9E37_79B9_u32;
    (0..count)
        .map(|_| {
            state ^= state << 13;
            state ^= state >> 17;
            state ^= state << 5;
            state.to_le_bytes()[0]
        })
        .collect()
}
