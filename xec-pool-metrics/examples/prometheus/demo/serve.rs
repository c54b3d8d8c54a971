//! `/metrics` and `/`, on loopback. As much of HTTP as a scraper and a browser need.

use std::{
    io,
    net::{Ipv4Addr, SocketAddr},
    time::Duration,
};

use prometheus::{Registry, TEXT_FORMAT, TextEncoder};
use tokio::{
    io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader},
    net::{TcpListener, TcpStream},
    task::JoinSet,
    time::timeout,
};

const PAGE: &str = include_str!("page.html");

/// What a request may take, in bytes and in time.
const MOST_BYTES: u64 = 16 << 10;
const PATIENCE: Duration = Duration::from_secs(5);

pub(crate) async fn start(port: u16, registry: Registry, tasks: &mut JoinSet<()>) -> io::Result<SocketAddr> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await?;
    let addr = listener.local_addr()?;
    tasks.spawn(async move {
        let mut visitors = JoinSet::new();
        while let Ok((visitor, _)) = listener.accept().await {
            let registry = registry.clone();
            visitors.spawn(async move { timeout(PATIENCE, answer(visitor, &registry)).await });
            while visitors.try_join_next().is_some() {}
        }
    });
    Ok(addr)
}

async fn answer(mut visitor: TcpStream, registry: &Registry) -> io::Result<()> {
    let (read, mut write) = visitor.split();
    let mut lines = BufReader::new(read.take(MOST_BYTES)).lines();
    let request = lines.next_line().await?.unwrap_or_default();
    // To the end of the request, or the visitor would see its connection reset.
    while lines.next_line().await?.is_some_and(|line| !line.is_empty()) {}
    let mut words = request.split(' ');
    let (status, kind, body) = match (words.next(), words.next()) {
        (Some("GET"), Some("/")) => ("200 OK", "text/html; charset=utf-8", PAGE.to_owned()),
        (Some("GET"), Some("/metrics")) => match figures(registry) {
            Ok(text) => ("200 OK", TEXT_FORMAT, text),
            Err(error) => ("500 Internal Server Error", "text/plain", error.to_string()),
        },
        _ => ("404 Not Found", "text/plain", "there is / and /metrics\n".to_owned()),
    };
    let head = format!(
        "HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {}\r\nCache-Control: no-store\r\nConnection: close\r\n\r\n",
        body.len()
    );
    write.write_all(head.as_bytes()).await?;
    write.write_all(body.as_bytes()).await
}

fn figures(registry: &Registry) -> prometheus::Result<String> {
    TextEncoder::new().encode_to_string(&registry.gather())
}
