//! No waiting for company, the kill switch, and what is heard before the greeting.

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
};

use super::*;

async fn pair() -> (Arc<Socket>, TcpStream) {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    let (near, far) = tokio::join!(TcpStream::connect(address), listener.accept());
    (Socket::new(near.unwrap()).unwrap(), far.unwrap().0)
}

/// Forty milliseconds a command hang on the one, forty a connect on the other.
#[tokio::test]
async fn it_never_waits_for_company_and_acknowledges_at_once_while_it_hurries() {
    let (socket, mut far) = pair().await;
    assert!(socket.tcp.nodelay().unwrap());
    #[cfg(target_os = "linux")]
    {
        let quick = || SockRef::from(&socket.tcp).tcp_quickack().unwrap();
        SockRef::from(&socket.tcp).set_tcp_quickack(false).unwrap();
        far.write_all(b"SSH-2.0-x\r\n").await.unwrap();
        let mut stream = Stream::new(Arc::clone(&socket));
        let _count = stream.read(&mut [0; 64]).await.unwrap();
        assert!(quick(), "set again after each read");
        socket.calm_down();
        SockRef::from(&socket.tcp).set_tcp_quickack(false).unwrap();
        far.write_all(b"more").await.unwrap();
        let _count = stream.read(&mut [0; 64]).await.unwrap();
        assert!(!quick(), "not any more");
    }
}

#[tokio::test]
async fn the_kill_switch_wakes_a_reader_and_ends_the_connection() {
    let (socket, mut far) = pair().await;
    let mut stream = Stream::new(Arc::clone(&socket));
    let mut buffer = [0; 8];
    let (read, ()) = tokio::join!(stream.read(&mut buffer), async { socket.kill() });
    assert_eq!(read.unwrap_err().kind(), io::ErrorKind::ConnectionAborted);
    assert_eq!(far.read(&mut buffer).await.unwrap(), 0, "the far end sees the end of it");
}

#[tokio::test]
async fn the_kill_switch_wakes_a_blocked_writer() {
    let (socket, _far) = pair().await;
    let mut stream = Stream::new(Arc::clone(&socket));
    let block = vec![0; 64 << 20];
    let (written, ()) = tokio::join!(stream.write_all(&block), async { socket.kill() });
    assert!(written.is_err(), "nobody reads, so this can only end by the switch");
}

#[tokio::test]
async fn dropping_the_stream_ends_the_connection_whoever_holds_the_socket() {
    let (socket, mut far) = pair().await;
    drop(Stream::new(Arc::clone(&socket)));
    assert_eq!(far.read(&mut [0; 8]).await.unwrap(), 0);
}

#[tokio::test]
async fn it_hears_the_greeting_and_what_came_before() {
    let (socket, mut far) = pair().await;
    let mut stream = Stream::new(Arc::clone(&socket));
    let mut buffer = [0; 64];
    far.write_all(b"Mind the gap\r\nSSH-2.0-x").await.unwrap();
    let mut count = stream.read(&mut buffer).await.unwrap();
    assert!(!socket.is_greeted(), "the line is not complete");
    far.write_all(b"\r\n").await.unwrap();
    count += stream.read(&mut buffer).await.unwrap();
    assert!(socket.is_greeted());
    assert_eq!(socket.version(), "SSH-2.0-x");
    assert_eq!(socket.preamble().as_deref(), Some("Mind the gap"));
    assert_eq!(socket.received_bytes(), count as u64);
}
