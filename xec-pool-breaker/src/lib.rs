//! A circuit breaker for xec-pool: a gate that shuts when connects to a host keep failing.
//!
//! While it is shut, idle connections flow and callers who would need a new one fail at once with
//! [`AcquireError::CircuitOpen`](xec_pool_core::AcquireError::CircuitOpen). Then one dial probes the host, not one a
//! caller, and dials grow again from there.
//!
//! ```no_run
//! use std::time::Duration;
//! use xec_pool_breaker::{Breaker, BreakerConfig};
//! use xec_pool_core::{Pool, PoolEvent};
//! use xec_pool_ssh::{SshConfig, SshPool, SshTransport};
//!
//! # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let config = BreakerConfig::builder()
//!     .failure_threshold(5)                    // failures in a row that open the circuit
//!     .open_for(Duration::from_secs(30))       // time before the next try
//!     .failure_window(Duration::from_secs(60)) // failures longer ago do not count
//!     .build()?;
//! let breaker = Breaker::new(config);          // clones are the same breaker: one for all pools of a host
//! let host = SshConfig::builder("user@server.com".parse()?).build()?;
//! let pool: SshPool = Pool::builder(SshTransport::new(host)).gate(breaker.clone()).build()?.into();
//! let mut events = pool.subscribe();
//! tokio::spawn(async move {
//!     while let Some(event) = events.next().await {
//!         match event {
//!             PoolEvent::CircuitOpened { .. } => eprintln!("circuit open: host unavailable"),
//!             PoolEvent::CircuitHalfOpened => eprintln!("circuit half-open: testing the connection"),
//!             PoolEvent::CircuitClosed => eprintln!("circuit closed: host recovered"),
//!             _ => {}
//!         }
//!     }
//! });
//! # Ok(()) }
//! ```
//!
//! Not here: retries and back-off, which are the pool's own (each attempt asks the breaker), and limits on how many
//! dial or wait, which are the pool's too: being busy is no failure.
#![cfg_attr(docsrs, feature(doc_cfg))]

// What users hold.
mod breaker;

mod breakers;

mod config;

mod state;

// Inside: it decides, it keeps, it tells.
mod circuit;

mod ledger;

mod news;

/// Not for users: what `cargo xtask fuzz` drives.
#[cfg(all(any(test, fuzzing), feature = "serde"))]
#[doc(hidden)]
pub mod fuzzing;

pub use crate::{
    breaker::Breaker,
    breakers::Breakers,
    config::{BreakerConfig, BreakerConfigBuilder, BreakerConfigError, FailureRate},
    state::{BreakerState, Snapshot},
};
