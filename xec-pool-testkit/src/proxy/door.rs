//! The listening end: can be shut and opened again without losing its port.

use std::{
    io,
    net::{Ipv4Addr, SocketAddr},
    sync::{Mutex, MutexGuard, PoisonError},
    task::{Context, Poll},
};

use tokio::{
    net::{TcpListener, TcpSocket, TcpStream},
    runtime::Handle,
};

/// Clients that may stand before the door.
const BACKLOG: u32 = 1024;

pub(super) struct Door {
    addr: SocketAddr,
    /// Bound and never listening: the port is ours while nobody listens there, and the kernel refuses clients.
    _anchor: TcpSocket,
    listener: Mutex<Option<TcpListener>>,
    /// A door may be opened from a thread that has no runtime.
    runtime: Handle,
}

impl Door {
    pub(super) fn open() -> io::Result<Self> {
        let anchor = bound(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)))?;
        let addr = anchor.local_addr()?;
        let listener = Mutex::new(Some(bound(addr)?.listen(BACKLOG)?));
        Ok(Self { addr, _anchor: anchor, listener, runtime: Handle::current() })
    }

    pub(super) fn addr(&self) -> SocketAddr {
        self.addr
    }

    pub(super) fn set_open(&self, open: bool) {
        let mut listener = self.listener();
        if open && listener.is_none() {
            let _here = self.runtime.enter();
            let opened = bound(self.addr).and_then(|socket| socket.listen(BACKLOG));
            *listener = Some(opened.expect("the anchor holds the port; a file descriptor is all it takes"));
        } else if !open {
            *listener = None;
        }
    }

    pub(super) fn shut(&self) {
        self.set_open(false);
    }

    /// Pending for ever while it is shut: who polls asks again when the weather changes.
    pub(super) fn poll_accept(&self, cx: &mut Context<'_>) -> Poll<io::Result<(TcpStream, SocketAddr)>> {
        match &*self.listener() {
            Some(listener) => listener.poll_accept(cx),
            None => Poll::Pending,
        }
    }

    fn listener(&self) -> MutexGuard<'_, Option<TcpListener>> {
        self.listener.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A socket on a port that others of ours may be bound to.
fn bound(addr: SocketAddr) -> io::Result<TcpSocket> {
    let socket = TcpSocket::new_v4()?;
    #[cfg(unix)]
    socket.set_reuseport(true)?;
    socket.set_reuseaddr(true)?;
    socket.bind(addr)?;
    Ok(socket)
}
