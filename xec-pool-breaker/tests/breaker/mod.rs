//! On the mock and on paused time: nothing here needs a host.
#![expect(
    clippy::unwrap_used,
    clippy::wildcard_enum_match_arm,
    reason = "a test that finds what it did not expect should panic"
)]

use std::{num::NonZeroU32, time::Duration};

use xec_pool_breaker::{Breaker, BreakerConfig, BreakerConfigBuilder};
use xec_pool_core::{DialRequest, Events, Gate, Pool, PoolConfig, PoolConfigBuilder, PoolEvent, PoolId};
use xec_pool_testkit::mock::{MockHandle, MockTransport};

// Each row of the table, told through the gate.
mod stories;

// What callers of a pool see.
mod callers;

mod credentials;

mod recovery;

mod shared;

// Several threads at once.
mod storm;

// What the front page promises to compile.
mod readme;

const MS: Duration = Duration::from_millis(1);
const SECOND: Duration = Duration::from_secs(1);

/// The seed's numbers, exactly.
fn exact() -> BreakerConfigBuilder {
    BreakerConfig::builder().open_for_jitter(0.0)
}

fn breaker(config: BreakerConfigBuilder) -> Breaker {
    Breaker::new(config.build().expect("valid"))
}

/// A request of a pool that is not there.
fn request(pool: u64) -> DialRequest {
    // Of no pool that a test builds: those are numbered from below.
    DialRequest::new(PoolId::new(u64::MAX - pool), "web", None, NonZeroU32::MIN)
}

/// A pool that gives up after one failed dial, and does not back off.
fn hasty() -> PoolConfigBuilder {
    PoolConfig::builder().retry_attempts(0).retry_delay(Duration::ZERO)
}

fn pool(config: PoolConfigBuilder, gate: impl Gate) -> (Pool<MockTransport>, MockHandle) {
    let (transport, handle) = MockTransport::new();
    let config = config.build().expect("valid");
    (Pool::builder(transport).config(config).gate(gate).build().expect("nothing unclaimed"), handle)
}

/// The circuit's events that came meanwhile, in the seed's words.
fn heard(events: &mut Events) -> Vec<String> {
    std::iter::from_fn(|| events.try_next()).filter_map(|event| in_the_seed_s_words(&event)).collect()
}

/// `None`: it is not about the circuit.
fn in_the_seed_s_words(event: &PoolEvent) -> Option<String> {
    match (event.seed_name()?, event) {
        (name, PoolEvent::CircuitOpened { retry_after: Some(after), .. }) => Some(format!("{name} ({after:?})")),
        (name, _) => name.starts_with("circuit:").then(|| name.to_owned()),
    }
}
