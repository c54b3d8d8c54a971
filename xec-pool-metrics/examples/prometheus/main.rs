//! Pooled SSH commands under a load that changes, `/metrics` for Prometheus, and a live page at `/`.
//!
//! `cargo run -p xec-pool-metrics --example prometheus [-- PORT]`, then open the address that it prints. Everything
//! stays on loopback; the SSH servers are in this process.
#![expect(clippy::print_stdout, reason = "a program that says where to look")]

mod demo;

#[cfg(test)]
mod tests;

use std::{env, error::Error, time::Duration};

use tokio::time::sleep;

/// OpenTelemetry's own choice for Prometheus exporters.
const PORT: u16 = 9464;

/// How long all is well before one of the hosts goes down, and how long that takes.
const WELL: Duration = Duration::from_secs(40);
const DOWN: Duration = Duration::from_secs(20);

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let port = env::args().nth(1).map_or(Ok(PORT), |port| port.parse())?;
    let demo = demo::start(port).await?;
    println!("http://{}/         the pools, live", demo.addr());
    println!("http://{}/metrics  the same for Prometheus", demo.addr());
    println!("Ctrl-C ends it.");
    let weather = async {
        loop {
            sleep(WELL).await;
            demo.unlucky().set_down(true);
            sleep(DOWN).await;
            demo.unlucky().set_down(false);
        }
    };
    tokio::select! {
        ended = tokio::signal::ctrl_c() => ended?,
        () = weather => {}
    }
    demo.end().await;
    Ok(())
}
