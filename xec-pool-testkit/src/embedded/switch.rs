//! A connection's stream with a switch on it: kill it, freeze it, or let a fault of the handshake strike.
//!
//! The SSH session runs in a task of russh's that cannot be stopped from outside; its stream can.

use std::{
    io,
    pin::Pin,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU8, AtomicU64, Ordering},
    },
    task::{Context, Poll, Waker, ready},
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    sync::Notify,
    time::Sleep,
};
use tokio_util::sync::CancellationToken;

use super::{
    connection::Shared,
    fault::{Fault, Step},
};

const KILLED: u8 = 1;
const PAUSED: u8 = 2;
/// Frozen by a fault, for good.
const HELD: u8 = 4;

/// The outer end: shared by whoever may end or freeze the connection.
#[derive(Default)]
pub(super) struct Switch {
    flags: AtomicU8,
    wakers: Mutex<[Option<Waker>; 2]>,
    killed: CancellationToken,
    written: AtomicU64,
    wrote: Notify,
}

#[derive(Clone, Copy)]
enum Side {
    Read,
    Write,
}

impl Switch {
    /// Ends the connection as if its process had been killed.
    pub(super) fn kill(&self) {
        self.flags.fetch_or(KILLED, Ordering::SeqCst);
        self.killed.cancel();
        self.wake();
    }

    pub(super) fn is_killed(&self) -> bool {
        self.flags.load(Ordering::SeqCst) & KILLED != 0
    }

    pub(super) async fn killed(&self) {
        self.killed.cancelled().await;
    }

    pub(super) fn set_paused(&self, paused: bool) {
        if paused {
            self.flags.fetch_or(PAUSED, Ordering::SeqCst);
        } else {
            self.flags.fetch_and(!PAUSED, Ordering::SeqCst);
        }
        self.wake();
    }

    /// Bytes given to the stream so far.
    pub(super) fn written(&self) -> u64 {
        self.written.load(Ordering::SeqCst)
    }

    /// Waits until more than `mark` bytes were given to the stream.
    pub(super) async fn written_past(&self, mark: u64) {
        loop {
            let mut wrote = std::pin::pin!(self.wrote.notified());
            wrote.as_mut().enable();
            if self.written() > mark {
                return;
            }
            wrote.await;
        }
    }

    fn hold(&self) {
        self.flags.fetch_or(HELD, Ordering::SeqCst);
    }

    /// Whether one side of the stream may move now. The waker is left here first, so that no change goes unheard.
    fn poll_open(&self, side: Side, cx: &Context<'_>) -> Poll<io::Result<()>> {
        let mut wakers = self.wakers.lock().unwrap_or_else(PoisonError::into_inner);
        match &mut wakers[side as usize] {
            Some(waker) => waker.clone_from(cx.waker()),
            empty => *empty = Some(cx.waker().clone()),
        }
        drop(wakers);
        match self.flags.load(Ordering::SeqCst) {
            0 => Poll::Ready(Ok(())),
            flags if flags & KILLED != 0 => Poll::Ready(Err(io::ErrorKind::ConnectionAborted.into())),
            _ => Poll::Pending,
        }
    }

    fn wake(&self) {
        let wakers = self.wakers.lock().unwrap_or_else(PoisonError::into_inner).clone();
        wakers.into_iter().flatten().for_each(Waker::wake);
    }
}

/// The inner end: what russh reads from and writes to.
pub(super) struct Switched<S> {
    stream: S,
    switch: Arc<Switch>,
    shared: Arc<Shared>,
    /// How often the server has begun to speak: 0 its identification, 1 its algorithms, 2 its half of the exchange.
    turn: u8,
    /// Whether the client has spoken since.
    heard: bool,
    delay: Option<Pin<Box<Sleep>>>,
}

/// From this turn on the handshake is over.
const HANDSHAKE_OVER: u8 = 3;

impl<S> Switched<S> {
    pub(super) fn new(stream: S, switch: Arc<Switch>, shared: Arc<Shared>) -> Self {
        Self { stream, switch, shared, turn: 0, heard: false, delay: None }
    }

    /// Lets the faults of the handshake strike, before the server speaks.
    fn poll_turn(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.heard && self.turn < HANDSHAKE_OVER {
            self.heard = false;
            self.turn += 1;
            let fault = match self.turn {
                1 => self.shared.fault_at(Step::Banner),
                2 => self.shared.fault_at(Step::Kex),
                _ => None,
            };
            match fault {
                None => {}
                Some(Fault::Delay(delay)) => self.delay = Some(Box::pin(tokio::time::sleep(delay))),
                Some(Fault::Die) => self.switch.kill(),
                Some(Fault::Hang) => self.switch.hold(),
            }
        }
        if let Some(delay) = &mut self.delay {
            ready!(delay.as_mut().poll(cx));
            self.delay = None;
        }
        self.switch.poll_open(Side::Write, cx)
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Switched<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        ready!(self.switch.poll_open(Side::Read, cx))?;
        ready!(Pin::new(&mut self.stream).poll_read(cx, buf))?;
        self.heard = true;
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Switched<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        ready!(self.poll_turn(cx))?;
        let count = ready!(Pin::new(&mut self.stream).poll_write(cx, buf))?;
        self.switch.written.fetch_add(count as u64, Ordering::SeqCst);
        self.switch.wrote.notify_waiters();
        Poll::Ready(Ok(count))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.switch.poll_open(Side::Write, cx))?;
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.switch.poll_open(Side::Write, cx))?;
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
