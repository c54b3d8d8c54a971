//! The front page's code, so that it compiles: here, because this crate's tests see both its siblings it is about.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a front page's programs speak to the terminal")]

use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use xec_pool_breaker::{Breaker, BreakerConfig};
use xec_pool_core::{Check, CloseReason, ConnectContext, FailureKind, Pool, PoolConfig, PoolEvent, Transport};
use xec_pool_ssh::{SshConfig, SshPool, SshTransport};

mod commands {
    use super::*;

    #[tokio::main]
    pub(super) async fn main() -> Result<(), Box<dyn std::error::Error>> {
        let host = SshConfig::builder("deploy@web1.example.com".parse()?).build()?;
        let size = PoolConfig::builder().min_connections(1).max_connections(4).build()?;
        let pool = SshPool::with(host, size)?;
        for unit in ["nginx", "postgresql"] {
            let output = pool.command("systemctl").arg("is-active").arg(unit).output().await?;
            println!("{unit}: {}", String::from_utf8_lossy(&output.stdout).trim());
        }
        pool.drain(Duration::from_secs(5)).await;
        Ok(())
    }
}

async fn a_host_that_is_down() -> Result<(), Box<dyn std::error::Error>> {
    let config = BreakerConfig::builder()
        .failure_threshold(5) // failures in a row that open the circuit
        .open_for(Duration::from_secs(30)) // time before the next try
        .failure_window(Duration::from_secs(60)) // failures longer ago do not count
        .build()?;
    let breaker = Breaker::new(config); // clones are the same breaker: one for all pools of a host
    let host = SshConfig::builder("user@server.com".parse()?).build()?;
    let pool: SshPool = Pool::builder(SshTransport::new(host)).gate(breaker.clone()).build()?.into();
    let mut events = pool.subscribe();
    tokio::spawn(async move {
        while let Some(event) = events.next().await {
            match event {
                PoolEvent::CircuitOpened { .. } => eprintln!("circuit open: host unavailable"),
                PoolEvent::CircuitHalfOpened => eprintln!("circuit half-open: testing the connection"),
                PoolEvent::CircuitClosed => eprintln!("circuit closed: host recovered"),
                _ => {}
            }
        }
    });
    Ok(())
}

struct Tcp(String);

#[async_trait::async_trait]
impl Transport for Tcp {
    type Connection = TcpStream;
    type Error = std::io::Error;
    async fn connect(&self, _: ConnectContext) -> Result<TcpStream, Self::Error> {
        TcpStream::connect(&self.0).await
    }
    async fn validate(&self, peer: &TcpStream, _: Check) -> Result<(), Self::Error> {
        peer.peer_addr().map(drop)
    }
    async fn close(&self, _: TcpStream, _: CloseReason) {}
    fn is_broken(&self, peer: &TcpStream) -> bool {
        peer.take_error().is_ok_and(|error| error.is_some())
    }
    fn classify(&self, _: &Self::Error) -> FailureKind {
        FailureKind::Unreachable
    }
}

async fn a_transport_of_your_own() -> Result<(), Box<dyn std::error::Error>> {
    let pool = Pool::builder(Tcp("127.0.0.1:5432".into())).build()?;
    let connection = pool.acquire().await?; // goes back when it is dropped
    drop(connection);
    Ok(())
}

#[tokio::test]
async fn the_transport_of_the_front_page_connects() {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let pool = Pool::builder(Tcp(listener.local_addr().unwrap().to_string())).build().unwrap();
    assert_eq!(pool.acquire().await.unwrap().peer_addr().unwrap(), listener.local_addr().unwrap());
    assert_eq!(pool.close().await.closed, 1);
}

#[test]
fn the_front_page_shows_this_code() {
    // Named, so that they count as used: they would need a host.
    let _shown = (commands::main, a_host_that_is_down, a_transport_of_your_own);
    let squeeze = |text: &str| text.split_whitespace().collect::<String>();
    let (page, code) =
        (include_str!("../../../README.md"), squeeze(&include_str!("readme.rs").replace("pub(super) ", "")));
    let blocks: Vec<_> = page.split("```rust\n").skip(1).filter_map(|rest| rest.split("```").next()).collect();
    assert!(blocks.len() >= 3, "{} blocks of code", blocks.len());
    for paragraph in blocks.iter().flat_map(|block| block.split("\n\n")).filter(|text| !text.starts_with("use ")) {
        assert!(code.contains(&squeeze(paragraph)), "not in this file, so not compiled:\n{paragraph}");
    }
}
