//! How to write a transport, and how to test it: connections to a server that sends back what it hears.

use std::{io, net::SocketAddr};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    select,
    sync::{mpsc, oneshot},
};
use xec_pool_core::{Check, CloseReason, ConnectContext, FailureKind, Transport};
use xec_pool_testkit::{FaultProxy, conformance::Proxied};

// The transport: sixty lines.

struct Echo(SocketAddr);

/// Asks for a sign of life; the task that hears it owns the stream.
struct Line(mpsc::Sender<oneshot::Sender<()>>);

#[async_trait::async_trait]
impl Transport for Echo {
    type Connection = Line;
    type Error = io::Error;

    async fn connect(&self, cx: ConnectContext) -> io::Result<Line> {
        let stream = cx.cancelled().unless(TcpStream::connect(self.0)).await.ok_or_else(over)??;
        let (asks, asked) = mpsc::channel(1);
        // Ends with the token, with the peer or with the `Line`, whichever ends first, and the stream with it.
        tokio::spawn(async move {
            if let Some(Err(error)) = cx.cancelled().unless(serve(stream, asked)).await {
                cx.lost_signal().lost(&error.to_string());
            }
        });
        Ok(Line(asks))
    }

    async fn validate(&self, line: &Line, check: Check) -> io::Result<()> {
        if self.is_broken(line) {
            return Err(over());
        }
        if check == Check::Idle {
            let (answer, answered) = oneshot::channel();
            line.0.send(answer).await.map_err(|_| over())?;
            answered.await.map_err(|_| over())?;
        }
        Ok(())
    }

    async fn close(&self, line: Line, _: CloseReason) {
        drop(line);
    }

    fn is_broken(&self, line: &Line) -> bool {
        line.0.is_closed()
    }

    fn classify(&self, error: &io::Error) -> FailureKind {
        if error.kind() == io::ErrorKind::ConnectionRefused { FailureKind::Unreachable } else { FailureKind::Lost }
    }
}

fn over() -> io::Error {
    io::ErrorKind::ConnectionAborted.into()
}

async fn serve(mut stream: TcpStream, mut asked: mpsc::Receiver<oneshot::Sender<()>>) -> io::Result<()> {
    let mut asking = None;
    loop {
        select! {
            ask = asked.recv() => match ask {
                Some(ask) => {
                    asking = Some(ask);
                    stream.write_u8(b'?').await?;
                }
                None => return Ok(()),
            },
            heard = stream.read_u8() => {
                heard?;
                asking.take().map(|ask: oneshot::Sender<()>| ask.send(()));
            }
        }
    }
}

// Its tests: a server, a proxy before it, and one line.

async fn environment() -> Proxied<Echo> {
    let server = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let proxy = FaultProxy::start(server.local_addr().unwrap()).await.unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = server.accept().await {
            tokio::spawn(async move {
                let (mut reads, mut writes) = stream.split();
                tokio::io::copy(&mut reads, &mut writes).await
            });
        }
    });
    let transport = Echo(proxy.addr());
    Proxied::new(proxy, transport)
}

xec_pool_testkit::conformance!(environment().await);
