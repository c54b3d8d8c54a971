//! What a pool trusts its transport to do, as tests: run them on yours.
//!
//! You say how to make the transport, how to kill, freeze and remove the peer, and how many connections the peer sees
//! ([`Environment`]); [`conformance!`](crate::conformance!) makes a test of each promise. A transport of plain TCP has
//! its environment ready-made: `Proxied` (feature `proxy`) puts a fault proxy before the server.
//!
//! Everything here happens in real time unless your environment works on a paused clock; what should happen at once
//! may take [`Environment::patience`].
//!
//! # Examples
//!
//! A transport of sixty lines, and all that it takes to test it, is in the testkit's `tests/conformance/echo.rs`. With
//! an environment in hand:
//!
//! ```
//! # use xec_pool_testkit::{MockTransport, MockHandle, conformance::{Environment, Peer}, mock::{Hook, Step}};
//! # use xec_pool_core::FailureKind;
//! # use std::sync::Arc;
//! # struct Mocked { transport: Arc<MockTransport>, handle: MockHandle }
//! # #[async_trait::async_trait]
//! # impl Environment for Mocked {
//! #     type Transport = MockTransport;
//! #     fn transport(&self) -> Arc<MockTransport> { Arc::clone(&self.transport) }
//! #     async fn set_peer(&self, peer: Peer) {
//! #         let (connect, validate) = match peer {
//! #             Peer::Frozen => (Step::hang(), Step::hang()),
//! #             Peer::Away => (Step::fail(FailureKind::Unreachable), Step::ok()),
//! #             _ => (Step::ok(), Step::ok()),
//! #         };
//! #         self.handle.always(Hook::Connect, connect);
//! #         self.handle.always(Hook::Validate, validate);
//! #     }
//! #     async fn kill_connections(&self) {
//! #         self.handle.lose_all("killed");
//! #     }
//! #     async fn until_open(&self, count: usize) { self.handle.until_open(count).await; }
//! # }
//! # #[tokio::main(flavor = "current_thread", start_paused = true)] async fn main() {
//! # let (transport, handle) = MockTransport::new();
//! # let environment = Mocked { transport: Arc::new(transport), handle };
//! use xec_pool_testkit::conformance;
//!
//! // One test for each promise: `conformance!(environment().await);`, outside of any function. Or all in one:
//! let broken = conformance::run(&environment).await;
//! assert!(broken.is_empty(), "{broken:#?}");
//! // Or one:
//! conformance::a_death_is_signalled(&environment).await.expect("a mock says so");
//! # }
//! ```

use std::{fmt, sync::Arc, time::Duration};

use async_trait::async_trait;
use xec_pool_core::Transport;

// What the promises are made of.
mod stage;

// The promises, by the time of a connection's life they are about.
mod connecting;

mod checking;

mod living;

mod ending;

// An environment for whoever speaks TCP.
#[cfg(feature = "proxy")]
mod proxied;

#[cfg(feature = "proxy")]
pub use self::proxied::Proxied;

/// How the other side of a transport's connections is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Peer {
    /// Answers.
    Well,
    /// Says nothing and closes nothing, to connections open and new, until it is well again.
    Frozen,
    /// Nobody is there: connections that were open are dead, new ones cannot be made.
    Away,
}

/// A transport to be tested, and what can be done to the other side of it.
///
/// One environment has one peer and serves one promise at a time.
#[async_trait]
pub trait Environment: Send + Sync + 'static {
    /// What is tested.
    type Transport: Transport;

    /// The transport, always the same. Let its checks be real ones: a [`Check::Idle`](xec_pool_core::Check::Idle) that
    /// is content with having heard something of late cannot notice a peer that has just frozen.
    fn transport(&self) -> Arc<Self::Transport>;

    /// Makes the peer so. Completes when it is.
    ///
    /// # Cancel safety
    ///
    /// The suite awaits it to its end.
    async fn set_peer(&self, peer: Peer);

    /// Ends the peer's side of all open connections, as if the process behind them had been killed. New ones are
    /// welcome.
    ///
    /// # Cancel safety
    ///
    /// The suite awaits it to its end.
    async fn kill_connections(&self);

    /// Waits until the peer sees exactly so many open connections. Only asked of a peer that is well.
    ///
    /// # Cancel safety
    ///
    /// Must be safe to drop: the suite bounds the wait by [`patience`](Self::patience).
    async fn until_open(&self, count: usize);

    /// The transport as it is of somebody whom the peer refuses: with a wrong password, or a key it does not know. Its
    /// errors are those that are likeliest to show a [secret](Self::secrets). `None` where nobody logs in.
    fn refused(&self) -> Option<Arc<Self::Transport>> {
        None
    }

    /// Texts that must be in no error, and not in the transport's name: passwords, keys, those of
    /// [`refused`](Self::refused) too. Without one `errors_hold_no_secret` has nothing to look for.
    fn secrets(&self) -> Vec<String> {
        Vec::new()
    }

    /// How long what should happen at once may take. 5 seconds unless said otherwise.
    fn patience(&self) -> Duration {
        PATIENCE
    }
}

const PATIENCE: Duration = Duration::from_secs(5);

/// A promise that was broken.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Broken {
    /// Which: the name of the function.
    pub promise: &'static str,
    /// How.
    pub how: String,
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.promise, self.how)
    }
}

impl std::error::Error for Broken {}

/// Makes one public function of each promise, and [`run`] of all.
macro_rules! promises {
    ($($(#[doc = $doc:literal])+ $name:ident in $module:ident;)+) => {
        $(
            $(#[doc = $doc])+
            ///
            /// # Errors
            ///
            /// If not, saying how.
            ///
            /// # Cancel safety
            ///
            /// Dropping it ends the connections it has made, and leaves the peer as it is at that moment.
            pub async fn $name<E: Environment>(environment: &E) -> Result<(), Broken> {
                let kept = stage::on_a_clean_stage(environment, $module::$name(environment)).await;
                kept.map_err(|how| Broken { promise: stringify!($name), how })
            }
        )+

        /// Every promise, one after the other. What is returned was broken.
        ///
        /// # Cancel safety
        ///
        /// Dropping it ends the connections it has made, and leaves the peer as it is at that moment.
        pub async fn run<E: Environment>(environment: &E) -> Vec<Broken> {
            let mut broken = Vec::new();
            $(broken.extend($name(environment).await.err());)+
            broken
        }

        #[cfg(test)]
        const NAMES: &[&str] = &[$(stringify!($name)),+];
    };
}

promises! {
    /// A connection to a peer that is well is not broken and passes every check.
    a_new_connection_passes_every_check in connecting;
    /// A connect whose token is cancelled ends by itself, before the first byte and in the middle of a handshake that
    /// nobody answers. What it may return all the same ends at once.
    connect_honours_its_token in connecting;
    /// A connect that is dropped, wherever it stands, leaves nothing open.
    dropping_connect_leaves_nothing_open in connecting;
    /// That nobody answers is an error of a kind that is retried: a pool that took it for wrong credentials would never
    /// dial again.
    a_peer_that_is_away_is_worth_a_retry in connecting;
    /// A thorough check ([`Check::Idle`](xec_pool_core::Check::Idle)) does not pass while the peer says nothing.
    an_idle_check_notices_silence in checking;
    /// After the peer's death the thorough check fails, and after it every other one.
    a_check_notices_death in checking;
    /// A check that is dropped, wherever it stands, leaves a connection that can be closed.
    dropping_a_check_leaves_it_closable in checking;
    /// `is_broken` is false of a connection that lives, and once it has been true it stays true.
    is_broken_never_takes_it_back in checking;
    /// `is_broken` does not wait for the peer: a thousand looks take less than a second while it is frozen.
    is_broken_asks_nobody in checking;
    /// The pool is told of a death while nobody looks, and `is_broken` agrees.
    a_death_is_signalled in living;
    /// A cancelled token ends a connection at once, also in the hands of a caller.
    the_token_ends_a_lent_connection in living;
    /// The end of one connection leaves the others alone.
    connections_are_independent in living;
    /// A pool of them survives the death of all it has, and closes without a rest.
    a_pool_of_them_recovers in living;
    /// No secret is in an error's text or debug text, nor in the transport's name.
    errors_hold_no_secret in living;
    /// A close ends the connection within the default `close_timeout` (5 s), whatever the reason.
    close_ends_it in ending;
    /// So does one of a connection whose peer is frozen.
    close_of_a_frozen_peer_is_bounded in ending;
    /// And one of a connection whose peer is dead.
    close_of_a_dead_peer_is_bounded in ending;
    /// A close that is dropped, wherever it stands, has ended the connection.
    dropping_close_ends_it in ending;
    /// So has the drop of a connection, on a thread without a runtime too.
    dropping_a_connection_ends_it in ending;
}

/// Makes a test of each promise of [`conformance`](mod@crate::conformance), named after it. The argument is an
/// expression that makes an [`Environment`](crate::conformance::Environment), anew for each test; it may `.await`. Needs
/// tokio's `macros`.
///
/// ```no_run
/// mod my_transport {
///     xec_pool_testkit::conformance!(super::environment().await);
/// }
/// # fn main() {}
/// ```
#[macro_export]
macro_rules! conformance {
    ($environment:expr) => {
        $crate::conformance! { @ $environment;
            a_new_connection_passes_every_check
            connect_honours_its_token
            dropping_connect_leaves_nothing_open
            a_peer_that_is_away_is_worth_a_retry
            an_idle_check_notices_silence
            a_check_notices_death
            dropping_a_check_leaves_it_closable
            is_broken_never_takes_it_back
            is_broken_asks_nobody
            a_death_is_signalled
            the_token_ends_a_lent_connection
            connections_are_independent
            a_pool_of_them_recovers
            errors_hold_no_secret
            close_ends_it
            close_of_a_frozen_peer_is_bounded
            close_of_a_dead_peer_is_bounded
            dropping_close_ends_it
            dropping_a_connection_ends_it
        }
    };
    (@ $environment:expr; $($promise:ident)+) => {
        $(
            #[::tokio::test]
            async fn $promise() {
                let environment = $environment;
                if let Err(broken) = $crate::conformance::$promise(&environment).await {
                    panic!("{broken}");
                }
            }
        )+
    };
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_macro_makes_a_test_of_every_promise() {
        let text = include_str!("mod.rs");
        let (_, list) = text.split_once("@ $environment;\n").expect("the macro's first arm");
        let (list, _) = list.split_once('}').expect("its end");
        assert_eq!(list.split_whitespace().collect::<Vec<_>>(), super::NAMES);
    }
}
