//! What each error says of itself, in one table.

use std::{io, sync::Arc, time::Duration};

use super::{AcquireError, DialError, TimedOut, TimedOutStage};
use crate::{Destroyed, FailureKind, Phase, Stats, Wait};

type Error = AcquireError<io::Error>;

/// Its place in the table of words: a variant that is missing there does not compile here.
fn serial(error: &Error) -> usize {
    match error {
        AcquireError::Closed { .. } => 0,
        AcquireError::Draining { .. } => 1,
        AcquireError::QueueFull { .. } => 2,
        AcquireError::NoneIdle { .. } => 3,
        AcquireError::CircuitOpen { .. } => 4,
        AcquireError::Connect { .. } => 5,
        AcquireError::NoRuntime { .. } => 6,
        AcquireError::TimedOut(_) => 7,
    }
}

const WORDS: [&str; 8] =
    ["closed", "draining", "queue_full", "none_idle", "circuit_open", "connect", "no_runtime", "timed_out"];

fn name() -> Arc<str> {
    "db".into()
}

fn connect(kind: FailureKind) -> Error {
    AcquireError::Connect { pool: name(), attempts: 3, kind, cause: Arc::new(DialError::Stopped) }
}

fn timed_out(stage: TimedOutStage) -> Error {
    let (limit, waited) = (Duration::from_secs(1), Duration::from_secs(1));
    AcquireError::TimedOut(Box::new(TimedOut { pool: name(), limit, waited, stage, stats: stats(), last_error: None }))
}

#[test]
fn each_error_says_what_its_caller_can_do() {
    use FailureKind::{Config, Credentials, Lost, Other, Throttled, TimedOut, Trust, Unreachable};
    use TimedOutStage::{BackOff, Connect, Queue, Suspended, Validate};
    // The error; whether time lacked, whether there were too many callers, whether the same call may succeed later.
    let (no, yes) = (false, true);
    let table = [
        (AcquireError::Closed { pool: name() }, [no, no, no], None),
        (AcquireError::Draining { pool: name() }, [no, no, no], None),
        (AcquireError::QueueFull { pool: name(), waiting: 9 }, [no, yes, yes], None),
        (AcquireError::NoneIdle { pool: name() }, [no, yes, yes], None),
        (AcquireError::CircuitOpen { pool: name(), retry_after: None, cause: None }, [no, no, yes], None),
        (connect(Unreachable), [no, no, yes], Some(Unreachable)),
        (connect(TimedOut), [no, no, yes], Some(TimedOut)),
        (connect(Throttled), [no, no, yes], Some(Throttled)),
        (connect(Lost), [no, no, yes], Some(Lost)),
        (connect(Other), [no, no, yes], Some(Other)),
        (connect(Credentials), [no, no, no], Some(Credentials)),
        (connect(Trust), [no, no, no], Some(Trust)),
        (connect(Config), [no, no, no], Some(Config)),
        (AcquireError::NoRuntime { pool: name() }, [no, no, no], None),
        (timed_out(Queue), [yes, yes, yes], None),
        (timed_out(Connect), [yes, no, yes], None),
        (timed_out(BackOff), [yes, no, yes], None),
        (timed_out(Validate), [yes, no, yes], None),
        (timed_out(Suspended), [yes, no, yes], None),
    ];
    for (error, says, kind) in &table {
        assert_eq!([error.is_timeout(), error.is_overload(), error.is_retryable()], *says, "{error}");
        assert_eq!((error.kind(), error.as_str(), error.pool()), (*kind, WORDS[serial(error)], "db"), "{error}");
        assert!(error.to_string().starts_with("pool db: "), "{error}");
    }
    assert!((0..WORDS.len()).all(|variant| table.iter().any(|(error, ..)| serial(error) == variant)));
}

/// Of a pool that has done nothing.
fn stats() -> Stats {
    Stats {
        connecting: 0,
        idle: 0,
        active: 0,
        validating: 0,
        closing: 0,
        waiting: 0,
        leases: 0,
        min: 0,
        max: 1,
        created: 0,
        destroyed: Destroyed::default(),
        connect_failures: 0,
        acquired: 0,
        released: 0,
        timeouts: 0,
        rejected: 0,
        wait: Wait::default(),
        observer_panics: 0,
        phase: Phase::Open,
        suspended: false,
    }
}
