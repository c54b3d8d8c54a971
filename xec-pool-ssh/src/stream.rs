//! The socket under a connection: it can be ended from outside at once, it counts, and it hurries the handshake.

use std::{
    io,
    net::{Shutdown, SocketAddr},
    pin::Pin,
    sync::{
        Arc, Mutex, OnceLock, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    task::{Context, Poll, ready},
    time::{Duration, Instant},
};

use socket2::SockRef;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
};

/// A server may say something before its version line (RFC 4253, 4.2); this much of it is kept for error texts.
const PREAMBLE_BYTES: usize = 1024;

/// The socket, as everybody but russh sees it.
#[derive(Debug)]
pub(crate) struct Socket {
    tcp: TcpStream,
    peer: SocketAddr,
    killed: AtomicBool,
    /// Until the first session is open the server is Nagled: what it sends next waits for our acknowledgement.
    hurrying: AtomicBool,
    greeted: AtomicBool,
    preamble: Mutex<Vec<u8>>,
    version: OnceLock<String>,
    received_bytes: AtomicU64,
    sent_bytes: AtomicU64,
    opened: Instant,
    last_received_ms: AtomicU64,
}

impl Socket {
    /// Takes over a freshly connected socket.
    pub(crate) fn new(tcp: TcpStream) -> io::Result<Arc<Self>> {
        // Without it each small request waits 40 ms for an acknowledgement that the server holds back.
        tcp.set_nodelay(true)?;
        Ok(Arc::new(Self {
            peer: tcp.peer_addr()?,
            tcp,
            killed: AtomicBool::new(false),
            hurrying: AtomicBool::new(true),
            greeted: AtomicBool::new(false),
            preamble: Mutex::new(Vec::new()),
            version: OnceLock::new(),
            received_bytes: AtomicU64::new(0),
            sent_bytes: AtomicU64::new(0),
            opened: Instant::now(),
            last_received_ms: AtomicU64::new(0),
        }))
    }

    /// The kill switch: ends the connection at once, in both directions, and wakes whoever reads or writes.
    pub(crate) fn kill(&self) {
        if !self.killed.swap(true, Ordering::AcqRel) {
            // The kernel wakes both sides of the stream. An error here means that it has ended already.
            let _ = SockRef::from(&self.tcp).shutdown(Shutdown::Both);
        }
    }

    pub(crate) fn is_killed(&self) -> bool {
        self.killed.load(Ordering::Acquire)
    }

    /// Ends the hurry: from now on acknowledgements may wait for company.
    pub(crate) fn calm_down(&self) {
        self.hurrying.store(false, Ordering::Relaxed);
    }

    /// Whether the server has told its version.
    pub(crate) fn is_greeted(&self) -> bool {
        self.greeted.load(Ordering::Acquire)
    }

    /// What the server said in place of, or before, its version.
    pub(crate) fn preamble(&self) -> Option<String> {
        let heard = self.preamble.lock().unwrap_or_else(PoisonError::into_inner);
        let text = printable(&heard);
        (!text.is_empty()).then_some(text)
    }

    /// The server's version line; empty before it has come.
    pub(crate) fn version(&self) -> &str {
        self.version.get().map_or("", String::as_str)
    }

    pub(crate) const fn opened(&self) -> Instant {
        self.opened
    }

    pub(crate) const fn peer(&self) -> SocketAddr {
        self.peer
    }

    pub(crate) fn received_bytes(&self) -> u64 {
        self.received_bytes.load(Ordering::Relaxed)
    }

    pub(crate) fn sent_bytes(&self) -> u64 {
        self.sent_bytes.load(Ordering::Relaxed)
    }

    /// How long ago the last byte came.
    pub(crate) fn silent_for(&self) -> Duration {
        let last = Duration::from_millis(self.last_received_ms.load(Ordering::Relaxed));
        self.opened.elapsed().saturating_sub(last)
    }

    fn received(&self, data: &[u8]) {
        self.received_bytes.fetch_add(data.len() as u64, Ordering::Relaxed);
        let now = u64::try_from(self.opened.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.last_received_ms.store(now, Ordering::Relaxed);
        if self.hurrying.load(Ordering::Relaxed) {
            self.hurry();
        }
        if !self.is_greeted() {
            self.listen_for_greeting(data);
        }
    }

    /// The kernel forgets it after each read, so it is set after each read.
    fn hurry(&self) {
        #[cfg(target_os = "linux")]
        let _ = SockRef::from(&self.tcp).set_tcp_quickack(true);
    }

    #[cold]
    fn listen_for_greeting(&self, data: &[u8]) {
        let mut heard = self.preamble.lock().unwrap_or_else(PoisonError::into_inner);
        let room = PREAMBLE_BYTES.saturating_sub(heard.len());
        heard.extend_from_slice(&data[..data.len().min(room)]);
        let Some((start, version)) = version_line(&heard) else { return };
        let _ = self.version.set(version);
        heard.truncate(start);
        drop(heard);
        self.greeted.store(true, Ordering::Release);
    }
}

/// Where the version line begins, and what it says, once all of it is there.
fn version_line(heard: &[u8]) -> Option<(usize, String)> {
    let mut start = 0;
    for line in heard.split_inclusive(|byte| *byte == b'\n') {
        if line.starts_with(b"SSH-") && line.ends_with(b"\n") {
            return Some((start, printable(line)));
        }
        start += line.len();
    }
    None
}

/// What a server says ends up in logs: no control characters.
fn printable(said: &[u8]) -> String {
    let text: String = String::from_utf8_lossy(said).chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    text.trim().to_owned()
}

/// The socket, as russh sees it. Whoever drops it ends the connection, whoever else still looks at the socket.
#[derive(Debug)]
pub(crate) struct Stream(Arc<Socket>);

impl Stream {
    pub(crate) const fn new(socket: Arc<Socket>) -> Self {
        Self(socket)
    }

    fn alive(&self) -> io::Result<()> {
        if self.0.is_killed() { Err(io::ErrorKind::ConnectionAborted.into()) } else { Ok(()) }
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        self.0.kill();
    }
}

impl AsyncRead for Stream {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let socket = &self.0;
        loop {
            self.alive()?;
            ready!(socket.tcp.poll_read_ready(cx))?;
            match socket.tcp.try_read(buf.initialize_unfilled()) {
                Ok(count) => {
                    // What the kill switch ends looks like a polite end of file otherwise.
                    self.alive()?;
                    let start = buf.filled().len();
                    buf.advance(count);
                    socket.received(&buf.filled()[start..]);
                    return Poll::Ready(Ok(()));
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Poll::Ready(Err(error)),
            }
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, data: &[u8]) -> Poll<io::Result<usize>> {
        let socket = &self.0;
        loop {
            self.alive()?;
            ready!(socket.tcp.poll_write_ready(cx))?;
            match socket.tcp.try_write(data) {
                Ok(count) => {
                    socket.sent_bytes.fetch_add(count as u64, Ordering::Relaxed);
                    return Poll::Ready(Ok(count));
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Poll::Ready(Err(error)),
            }
        }
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        // Never an error: russh would skip `Handler::disconnected`, and with it the reason of the end.
        let _ = SockRef::from(&self.0.tcp).shutdown(Shutdown::Write);
        Poll::Ready(Ok(()))
    }
}

#[cfg(test)]
mod tests;
