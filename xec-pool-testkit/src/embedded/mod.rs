//! An SSH server inside this process: real SSH on real TCP on loopback, or on any byte stream.
//!
//! It runs commands in a shell or answers them by script, and can be told to be slow, silent, full or dead at any
//! step. What it is not: an OpenSSH. No pty, no forwarding, no subsystems, no certificates; for those there is
//! `LocalSshd`.
//!
//! A connection that runs very many commands grows by some 3 KB each until it ends: russh 0.65 forgets a session's
//! entry only when the client closes it first. In a benchmark of minutes, reconnect now and then.
//!
//! # Examples
//!
//! ```
//! use xec_pool_testkit::embedded::{Answer, EmbeddedSsh, Fault, Step};
//!
//! # #[tokio::main(flavor = "current_thread")] async fn main() -> std::io::Result<()> {
//! let server = EmbeddedSsh::builder()
//!     .accept_password("ada", "lovelace")
//!     .answer(|command| Answer::ok(format!("you said {command}\n")))
//!     .max_sessions(10)
//!     .start()
//!     .await?;
//! server.set_fault(Step::Auth, Fault::Die);
//! // … connect to server.addr(), see it die, then:
//! server.clear_fault(Step::Auth);
//! assert_eq!(server.counters().accepted, 0);
//! # Ok(()) }
//! ```

use std::{fmt, io, net::SocketAddr, sync::Arc};

use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpListener,
    task::AbortHandle,
};

// What a test says beforehand.
mod builder;

mod answer;

mod fault;

mod users;

// What it reads afterwards.
mod counters;

// How a connection is served, from the outside in.
mod connection;

mod switch;

mod handler;

mod session;

mod script;

mod shell;

mod signals;

use self::connection::Shared;
pub use self::{
    answer::{Answer, Exit},
    builder::EmbeddedSshBuilder,
    counters::{AuthAttempt, AuthMethod, Counters},
    fault::{Fault, Step},
};
use crate::keys::TestKey;

/// A running server. Dropping it ends its connections, its tasks and the commands it started.
pub struct EmbeddedSsh {
    addr: SocketAddr,
    host_key: TestKey,
    shared: Arc<Shared>,
    accepting: AbortHandle,
}

impl EmbeddedSsh {
    /// A server to be: the testkit's user keys let anybody in, commands run in a shell.
    pub fn builder() -> EmbeddedSshBuilder {
        EmbeddedSshBuilder::new()
    }

    /// [`builder`](Self::builder) as it is, started.
    ///
    /// # Errors
    ///
    /// When loopback has no free port.
    ///
    /// # Cancel safety
    ///
    /// Safe to drop; nothing is started then.
    pub async fn start() -> io::Result<Self> {
        Self::builder().start().await
    }

    fn run(listener: TcpListener, host_key: TestKey, shared: Arc<Shared>) -> io::Result<Self> {
        let addr = listener.local_addr()?;
        let accepting = tokio::spawn(connection::accept(listener, Arc::clone(&shared))).abort_handle();
        Ok(Self { addr, host_key, shared, accepting })
    }

    /// Where it listens: 127.0.0.1 and a free port.
    #[must_use]
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// The line for a `known_hosts` file that makes a client trust this server at [`addr`](Self::addr).
    #[must_use]
    pub fn known_hosts_line(&self) -> String {
        self.host_key.known_hosts_line(&format!("[{}]:{}", self.addr.ip(), self.addr.port()))
    }

    /// The key it shows first.
    #[must_use]
    pub fn host_key(&self) -> TestKey {
        self.host_key
    }

    /// Serves one more client, on any byte stream (a `tokio::io::duplex`, a proxied socket). It counts like one that
    /// came over TCP.
    pub fn serve<S>(&self, stream: S)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        connection::serve(stream, &self.shared);
    }

    /// What it has seen so far.
    #[must_use]
    pub fn counters(&self) -> Counters {
        self.shared.ledger.counters()
    }

    /// Waits until what it has seen satisfies `condition`, and returns that. No polling, no sleeping.
    ///
    /// # Cancel safety
    ///
    /// Safe to drop.
    pub async fn wait_until(&self, condition: impl Fn(&Counters) -> bool + Send + Sync) -> Counters {
        self.shared.ledger.wait_until(condition).await
    }

    /// From now on, each connection that comes to `step` meets `fault` there.
    pub fn set_fault(&self, step: Step, fault: Fault) {
        self.shared.faults.set(step, fault, None);
    }

    /// The next `times` connections (or commands) that come to `step` meet `fault` there.
    pub fn set_fault_times(&self, step: Step, fault: Fault, times: u32) {
        self.shared.faults.set(step, fault, Some(times));
    }

    /// Nobody meets a fault at `step` any more; who met one already stays as they are.
    pub fn clear_fault(&self, step: Step) {
        self.shared.faults.clear(step);
    }

    /// Closes all connections as if the process behind them had been killed, and returns how many. New ones are
    /// welcome.
    pub fn kill_connections(&self) -> usize {
        self.shared.kill_all()
    }

    /// Hangs up with a word (`SSH_MSG_DISCONNECT`) on all connections that have got as far as the key exchange, and
    /// returns how many. New ones are welcome. It waits for one that is [paused](Self::pause) and has much to say.
    ///
    /// # Cancel safety
    ///
    /// Dropping it leaves some of them as they were.
    pub async fn disconnect(&self, message: &str) -> usize {
        self.shared.disconnect_all(message).await
    }

    /// All connections fall silent, open ones and new ones, as if the machine were frozen: nothing is read, nothing
    /// is written, nothing is closed.
    pub fn pause(&self) {
        self.shared.set_paused(true);
    }

    /// Ends [`pause`](Self::pause).
    pub fn resume(&self) {
        self.shared.set_paused(false);
    }
}

impl Drop for EmbeddedSsh {
    fn drop(&mut self) {
        self.accepting.abort();
        self.shared.kill_all();
    }
}

impl fmt::Debug for EmbeddedSsh {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EmbeddedSsh").field("addr", &self.addr).finish_non_exhaustive()
    }
}
