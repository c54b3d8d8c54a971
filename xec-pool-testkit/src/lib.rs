//! Test doubles for xec-pool: servers and transports that fail on command.
//!
//! | feature | brings | needs |
//! |---|---|---|
//! | – | [`MockTransport`]: does what a script says, hook by hook; [`MockHandle`] knows what happened | nothing |
//! | – | [`Recorder`]: keeps a pool's events and checks that they make sense | nothing |
//! | – | [`conformance`](mod@conformance): what a pool trusts its transport to do, as tests | nothing |
//! | `proxy` | `FaultProxy`: a TCP proxy that is slow, silent, shut or cut on command | nothing |
//! | `embedded-ssh` | `EmbeddedSsh`: an SSH server in this process, with knobs for every bad day | Rust |
//! | `sshd` | `LocalSshd`: OpenSSH's own sshd as a child process | Unix, openssh-server |
//! | `containers` | `SshdContainer`: the same as another machine, to freeze, crash and unplug | a Docker engine |
//!
//! # Test your program without a network
//!
//! Let your program take its pool as `Pool<T>`, and hand it one of a [`MockTransport`]. A script says what each dial and
//! each check does; on tokio's paused clock an outage of a minute takes no time.
//!
//! ```
//! use std::time::Duration;
//! use xec_pool_core::{FailureKind, Pool, PoolConfig, Transport};
//! use xec_pool_testkit::{MockTransport, Recorder, mock::{Hook, Step}};
//!
//! /// Your program: works, or says that it is late.
//! async fn work<T: Transport>(pool: &Pool<T>) -> &'static str {
//!     match pool.acquire().await {
//!         Ok(_lease) => "done",
//!         Err(error) if error.is_timeout() => "late",
//!         Err(_) => "failed",
//!     }
//! }
//!
//! # #[tokio::main(flavor = "current_thread", start_paused = true)] async fn main() {
//! let (transport, handle) = MockTransport::new();
//! let (one_at_most, recorder) = (PoolConfig::builder().max_connections(1).build().expect("valid"), Recorder::new());
//! let pool = Pool::builder(transport).config(one_at_most).observer(recorder.clone()).build().expect("valid");
//! assert_eq!(work(&pool).await, "done");
//!
//! // A host that is away for a moment is dialled again, and nobody notices.
//! handle.lose_all("the cable");
//! handle.script(Hook::Connect, [Step::fail(FailureKind::Unreachable), Step::ok().slow(Duration::from_secs(2))]);
//! assert_eq!(work(&pool).await, "done");
//!
//! // One that says nothing costs the caller its patience and no more.
//! handle.lose_all("the power");
//! handle.script(Hook::Connect, [Step::hang()]);
//! assert_eq!(work(&pool).await, "late");
//!
//! pool.close().await;
//! handle.assert_none_left();
//! recorder.assert_adds_up(&pool.stats());
//! # }
//! ```
//!
//! A program on `xec-pool-ssh` can speak real SSH to a server in its own process: scripted answers, no shell, no
//! container. This crate does not know that one, so the program itself is not here; this is the server, and what it is
//! to be told:
//!
//! ```
//! # #[cfg(not(feature = "embedded-ssh"))] fn main() {}
//! # #[cfg(feature = "embedded-ssh")]
//! # #[tokio::main(flavor = "current_thread")] async fn main() -> std::io::Result<()> {
//! use xec_pool_testkit::{embedded::{Answer, EmbeddedSsh}, keys};
//!
//! let server = EmbeddedSsh::builder()
//!     .answer(|command| match command {
//!         "uptime" => Answer::ok("up 3 days"),
//!         _ => Answer::ok(""),
//!     })
//!     .start()
//!     .await?;
//! // Plug this in: `SshConfig::builder(target.parse()?).private_key_text(key).known_hosts([file])`.
//! let (target, key) = (format!("tester@{}", server.addr()), keys::USER_ED25519.private);
//! let file = std::env::temp_dir().join("known_hosts-of-a-test");
//! std::fs::write(&file, server.known_hosts_line())?;
//! // `pool.command("uptime").output()` says "up 3 days".
//! # let _ = (target, key); std::fs::remove_file(file) }
//! ```
//!
//! # Test your transport
//!
//! [`conformance`](mod@conformance) asks it for nineteen promises, from «a dropped connect leaves nothing open» to «a death is signalled».
//! Over TCP three lines make the environment: a `FaultProxy` dies, freezes and counts
//! for any server. This file is one of our own tests, as it stands:
//!
//! ```text
#![doc = include_str!("../tests/conformance/echo.rs")]
//! ```
//!
//! Then put a pool of it through what your users will: [`Recorder`] checks that every event has its place.
//!
//! # What to fault
//!
//! | the bad day | in no time ([`MockTransport`]) | on the wire (`FaultProxy`) | in SSH (`EmbeddedSsh`, `LocalSshd`) | on another machine (`SshdContainer`) |
//! |---|---|---|---|---|
//! | nobody listens | `Step::fail(Unreachable)` | `Fault::Refuse` | `kill` (of `LocalSshd`) | `kill` |
//! | the process dies | [`lose_all`](MockHandle::lose_all) | `Blow::Close` | `kill_connections` | `kill_connections` |
//! | a router forgets the connection | | `Blow::Reset` | | |
//! | the cable is pulled | `Step::hang()` | `Fault::BlackHole` | | `unplug`, `cut` |
//! | the machine is frozen, or swaps | `Step::hang()` | `Fault::Freeze` | `pause`, `stop` | `pause` |
//! | it dies and nobody is told | [`break_connection`](MockHandle::break_connection) | `Fault::BlackHole` | | `cut`, then `kill` |
//! | a slow link | `Step::ok().slow(…)` | `Fault::Latency`, `Fault::Throttle` | `Fault::Delay` | |
//! | the login hangs | `Step::hang()` | `Fault::StallAfterBanner` | a fault at `Step::Banner`, `Kex`, `Auth` | |
//! | the answer is cut off | | `Fault::StrikeAfter` | a fault at `Step::MidOutput` | |
//! | a wrong password | `Step::fail(Credentials)` | | `accept_password` | |
//! | too many at once | `Step::fail(Throttled)` | | `max_startups`, `max_sessions`; lines of `config` | lines of `config` |
//! | it can start no process | | | | `limit_processes` |
//! | its disk is full | | | | `small_disk` |
//! | a reboot | | a script (`play`) | `kill`, `kill_connections`, then `restart` (`LocalSshd`) | `restart` |
//! | your own code panics | `Step::panic()` | | | |
//!
//! Ask after each: what did the caller see, and in time? Is the pool whole: as many leases as before, nothing left open
//! ([`MockHandle::assert_none_left`], `FaultProxy::counters`)? Cancel callers while it lasts: most leaks hide there.
#![cfg_attr(docsrs, feature(doc_cfg))]

/// A transport by script.
pub mod mock;

/// An observer that remembers.
pub mod recorder;

// The promises of a transport, as tests.
pub mod conformance;

// A TCP proxy that fails on command.
#[cfg(feature = "proxy")]
pub mod proxy;

/// Key pairs for tests, committed and therefore worthless.
#[cfg(any(feature = "containers", feature = "embedded-ssh", feature = "sshd"))]
pub mod keys;

/// An SSH server in this process.
#[cfg(feature = "embedded-ssh")]
pub mod embedded;

/// OpenSSH's own sshd.
#[cfg(feature = "sshd")]
pub mod sshd;

/// OpenSSH's own sshd, in containers.
#[cfg(feature = "containers")]
pub mod container;

#[cfg(feature = "containers")]
pub use crate::container::SshdContainer;
#[cfg(feature = "embedded-ssh")]
pub use crate::embedded::EmbeddedSsh;
#[cfg(feature = "proxy")]
pub use crate::proxy::FaultProxy;
#[cfg(feature = "sshd")]
pub use crate::sshd::LocalSshd;
pub use crate::{
    mock::{MockHandle, MockTransport},
    recorder::Recorder,
};
