//! A slow way, and what shows that it was one.

use std::{
    num::NonZeroU32,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use xec_pool_testkit::proxy;

use super::{
    words::State,
    work::{Answer, Heard, UPLOAD_BYTES},
};

const DELAY: Duration = Duration::from_millis(50);
const BYTES_PER_SECOND: u32 = 1 << 20;

/// sshd's window: so much of an upload may have gone before the way became slow.
const WINDOW_BYTES: usize = 2 << 20;

/// Of what a transfer should take: the first step costs nothing, and what the command has read opens the window again.
const SLACK: Duration = Duration::from_millis(200);

/// What the command of such a cell says last: the moment, by the clock that it has in common with us.
pub(super) const STAMP: &str = "date +%s%N";

pub(super) fn slowness() -> [proxy::Fault; 2] {
    let bytes_per_second = NonZeroU32::new(BYTES_PER_SECOND).expect("it is not zero");
    [proxy::Fault::Latency { delay: DELAY, jitter: Duration::ZERO }, proxy::Fault::Throttle { bytes_per_second }]
}

/// Where an answer came sooner than it can on such a way.
pub(super) fn too_quick(state: State, heard: &Heard, after: Duration) -> Option<String> {
    let (took, least) = match state {
        // A session and an exec take four ways; three where the session was asked for before. The rest of the key
        // exchange, the service and the login take six, the server's word about a key or a check takes one.
        State::Idle => (after, 4 * DELAY),
        State::Connecting => (after, 10 * DELAY),
        State::Authenticating | State::Validating => (after, 5 * DELAY),
        State::Opening => (after, 3 * DELAY),
        // It speaks when it is told to, by another way: what it says last has one way to go.
        State::Running | State::Draining => match stamp(&heard.answer) {
            Some(said) => (heard.told.duration_since(said).unwrap_or_default(), DELAY),
            None => return Some(format!("no moment in {:?}", heard.answer)),
        },
        State::Streaming => (after, transfer(UPLOAD_BYTES)),
        State::Uploading => (after, transfer(UPLOAD_BYTES - WINDOW_BYTES)),
    };
    (took < least).then(|| format!("slow? It took {took:?}, not {least:?}"))
}

#[expect(clippy::cast_precision_loss, reason = "some megabytes")]
fn transfer(bytes: usize) -> Duration {
    Duration::from_secs_f64(bytes as f64 / f64::from(BYTES_PER_SECOND)).saturating_sub(SLACK)
}

fn stamp(answer: &Answer) -> Option<SystemTime> {
    let said = String::from_utf8_lossy(&answer.as_ref().ok()?.stdout).trim().parse().ok()?;
    Some(UNIX_EPOCH + Duration::from_nanos(said))
}
