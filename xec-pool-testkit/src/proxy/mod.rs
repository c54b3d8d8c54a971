//! A TCP proxy that does to a connection what networks do to it, on command: put it between a client and any server.
//!
//! *Faults* stay in force until they are changed and meet every connection, open or new ([`Fault`]). *Blows* strike
//! the connections of the moment, once ([`Blow`]). A script is a list of both, each with the time to wait before it
//! ([`FaultProxy::play`]).
//!
//! In each direction of a connection it holds at most 256 KiB of what is on its way, beside what the kernel does, and
//! 4 MiB under [`Fault::Latency`]. What a proxy cannot do: drop packets. A client's `connect` always succeeds at once,
//! unless the proxy refuses; what would be lost on a real network comes late here. It works on real sockets, so not on
//! a paused clock.
//!
//! # Examples
//!
//! ```
//! use std::time::Duration;
//! use tokio::{io::{AsyncReadExt as _, AsyncWriteExt as _}, net::{TcpListener, TcpStream}};
//! use xec_pool_testkit::proxy::{Blow, Fault, FaultProxy};
//!
//! # #[tokio::main(flavor = "current_thread")] async fn main() -> std::io::Result<()> {
//! let server = TcpListener::bind("127.0.0.1:0").await?;
//! let proxy = FaultProxy::start(server.local_addr()?).await?;
//! let mut client = TcpStream::connect(proxy.addr()).await?;
//! let (mut served, _) = server.accept().await?;
//!
//! proxy.set_faults([Fault::Latency { delay: Duration::from_millis(20), jitter: Duration::from_millis(5) }]);
//! served.write_all(b"hello").await?;
//! let mut heard = [0; 5];
//! client.read_exact(&mut heard).await?;
//! assert_eq!(proxy.counters().to_client, 5);
//!
//! assert_eq!(proxy.strike(Blow::Reset), 1);
//! assert!(client.read(&mut heard).await.is_err());
//! # Ok(()) }
//! ```

use std::{fmt, io, net::SocketAddr, sync::Arc, time::Duration};

use tokio::task::AbortHandle;

// What a test says.
mod fault;

// What it reads.
mod books;

// How a connection is carried, from the outside in.
mod line;

mod door;

mod carry;

mod pump;

use self::line::Line;
pub use self::{
    books::{Counters, Passing},
    fault::{Act, Blow, Direction, Fault},
};

/// A running proxy on 127.0.0.1. Dropping it ends its connections and its tasks.
pub struct FaultProxy {
    line: Arc<Line>,
    accepting: AbortHandle,
}

impl FaultProxy {
    /// Listens on 127.0.0.1, on a free port, and forwards to `server`, faultlessly at first. The server need not be
    /// there yet: a client that comes while it is not is reset.
    ///
    /// # Errors
    ///
    /// When loopback has no free port.
    ///
    /// # Cancel safety
    ///
    /// Safe to drop; nothing is started then.
    pub async fn start(server: SocketAddr) -> io::Result<Self> {
        let line = Arc::new(Line::open(server)?);
        let accepting = tokio::spawn(carry::accept(Arc::clone(&line))).abort_handle();
        Ok(Self { line, accepting })
    }

    /// Where it listens. It stays that, whatever happens.
    #[must_use]
    pub fn addr(&self) -> SocketAddr {
        self.line.door.addr()
    }

    /// New connections are forwarded to `server` from now on: it came back at another address.
    pub fn forward_to(&self, server: SocketAddr) {
        self.line.forward_to(server);
    }

    /// From now on these faults are in force and no others. Of two of one kind the later one counts.
    ///
    /// # Panics
    ///
    /// When [`Fault::Refuse`] ends and the process has no file descriptor left to listen with.
    pub fn set_faults(&self, faults: impl IntoIterator<Item = Fault>) {
        self.line.set_faults(faults);
    }

    /// No fault is in force any more; what was held up goes on.
    ///
    /// # Panics
    ///
    /// As [`set_faults`](Self::set_faults).
    pub fn clear_faults(&self) {
        self.set_faults([]);
    }

    /// Strikes every connection that is open, and returns how many were. What a fault holds up at this moment is lost,
    /// also if the fault is lifted next.
    pub fn strike(&self, blow: Blow) -> usize {
        self.line.books.strike(blow, |_| true)
    }

    /// Strikes one connection, by its [`Passing::id`]. `false` if it is not open.
    pub fn strike_one(&self, id: u64, blow: Blow) -> bool {
        self.line.books.strike(blow, |candidate| candidate == id) == 1
    }

    /// Carries out a script: each act after its wait, one after the other.
    ///
    /// # Cancel safety
    ///
    /// Dropping it ends the script; the faults of the moment stay in force.
    ///
    /// # Panics
    ///
    /// As [`set_faults`](Self::set_faults).
    ///
    /// # Examples
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use xec_pool_testkit::proxy::{Act, Blow, Fault, FaultProxy};
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> std::io::Result<()> {
    /// # let proxy = FaultProxy::start(([127, 0, 0, 1], 1).into()).await?;
    /// let ms = Duration::from_millis;
    /// let reboot = [
    ///     (ms(10), Act::Faults(vec![Fault::BlackHole])),
    ///     (ms(20), Act::Strike(Blow::Reset)),
    ///     (ms(0), Act::Faults(vec![Fault::Refuse])),
    ///     (ms(20), Act::Faults(vec![])),
    /// ];
    /// // Beside the work that must bear it: tokio::join!(proxy.play(reboot), work)
    /// proxy.play(reboot).await;
    /// # Ok(()) }
    /// ```
    pub async fn play(&self, script: impl IntoIterator<Item = (Duration, Act), IntoIter: Send> + Send) {
        for (wait, act) in script {
            tokio::time::sleep(wait).await;
            match act {
                Act::Faults(faults) => self.set_faults(faults),
                Act::Strike(blow) => drop(self.strike(blow)),
            }
        }
    }

    /// What has passed so far.
    #[must_use]
    pub fn counters(&self) -> Counters {
        self.line.books.counters()
    }

    /// The connections that are open, the oldest first.
    #[must_use]
    pub fn connections(&self) -> Vec<Passing> {
        self.line.books.connections()
    }

    /// Waits until what has passed satisfies `condition`, and returns that. No polling, no sleeping.
    ///
    /// # Cancel safety
    ///
    /// Safe to drop.
    pub async fn wait_until(&self, condition: impl Fn(&Counters) -> bool + Send + Sync) -> Counters {
        self.line.books.wait_until(condition).await
    }
}

impl Drop for FaultProxy {
    fn drop(&mut self) {
        // At once, where the task may need a moment to hear of its end: nobody can get in after this.
        self.line.door.shut();
        self.accepting.abort();
    }
}

impl fmt::Debug for FaultProxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FaultProxy").field("addr", &self.addr()).field("open", &self.counters().open).finish()
    }
}
