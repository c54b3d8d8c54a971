//! A client, a server and the proxy between them.

use std::time::Duration;

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    time::timeout,
};
use xec_pool_testkit::FaultProxy;

/// Long enough for anything on loopback that nobody holds up.
pub(crate) const BRIEF: Duration = Duration::from_millis(100);

/// A test that takes longer hangs.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

pub(crate) struct Stage {
    pub(crate) proxy: FaultProxy,
    pub(crate) server: TcpListener,
}

/// The two ends of one connection.
pub(crate) struct Ends {
    pub(crate) client: TcpStream,
    pub(crate) served: TcpStream,
}

impl Stage {
    pub(crate) async fn new() -> Self {
        let server = TcpListener::bind("127.0.0.1:0").await.expect("loopback has ports");
        let addr = server.local_addr().expect("it is bound");
        Self { proxy: FaultProxy::start(addr).await.expect("loopback has ports"), server }
    }

    pub(crate) async fn client(&self) -> TcpStream {
        TcpStream::connect(self.proxy.addr()).await.expect("the proxy listens")
    }

    pub(crate) async fn connect(&self) -> Ends {
        let client = self.client().await;
        let (served, _) = in_time(self.server.accept()).await.expect("it listens");
        Ends { client, served }
    }
}

pub(crate) async fn in_time<F: Future>(future: F) -> F::Output {
    timeout(PATIENCE, future).await.expect("it does not hang")
}

pub(crate) async fn say(stream: &mut TcpStream, bytes: &[u8]) {
    in_time(stream.write_all(bytes)).await.expect("it is open");
}

/// Exactly so many bytes.
pub(crate) async fn hear(stream: &mut TcpStream, count: usize) -> Vec<u8> {
    let mut bytes = vec![0; count];
    in_time(stream.read_exact(&mut bytes)).await.expect("so many come");
    bytes
}

/// All until the end, and whether that was a clean one.
pub(crate) async fn hear_out(stream: &mut TcpStream) -> (Vec<u8>, bool) {
    let mut bytes = Vec::new();
    let end = in_time(stream.read_to_end(&mut bytes)).await;
    (bytes, end.is_ok())
}

/// Whether nothing comes for a while: no byte, no end, no error.
pub(crate) async fn is_silent(stream: &mut TcpStream) -> bool {
    timeout(BRIEF, stream.read_u8()).await.is_err()
}
