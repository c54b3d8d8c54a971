//! What is wrong with a configuration.

use std::time::Duration;

/// Why a configuration cannot work. Names the field and the numbers; nothing has been dialled.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum BreakerConfigError {
    /// Two policies were given, and a breaker has one.
    #[error("failure_rate replaces failure_threshold and failure_window: give one or the other")]
    TwoPolicies,

    /// A failure rate needs to know what it is taken over, and only one such thing.
    #[error("failure_rate needs either calls or time, to say what it is taken over")]
    NoWindow,

    /// A field that must not be zero is.
    #[error("{field} must not be zero")]
    #[non_exhaustive]
    Zero {
        /// Which.
        field: &'static str,
    },

    /// A number is larger than what is kept, so it could never be reached.
    #[error("{field} ({given}) is more than {most}, so the circuit could never open")]
    #[non_exhaustive]
    TooMany {
        /// Which.
        field: &'static str,
        /// As given.
        given: u32,
        /// The most allowed.
        most: u32,
    },

    /// A duration is so long that it can only be a mistake.
    #[error("{field} ({given:?}) is longer than {most:?}")]
    #[non_exhaustive]
    TooLong {
        /// Which.
        field: &'static str,
        /// As given.
        given: Duration,
        /// The most allowed.
        most: Duration,
    },

    /// An opening would have to end before it may.
    #[error("max_open_for ({max_open_for:?}) is less than open_for ({open_for:?})")]
    #[non_exhaustive]
    MaxBelow {
        /// `max_open_for`.
        max_open_for: Duration,
        /// `open_for`.
        open_for: Duration,
    },

    /// A number is not where it makes sense.
    #[error("{field} ({given}) is not {}", range(*least, *most))]
    #[non_exhaustive]
    OutOfRange {
        /// Which.
        field: &'static str,
        /// As given.
        given: f64,
        /// The least that makes sense.
        least: f64,
        /// The most that makes sense.
        most: f64,
    },

    /// The section could not be read.
    #[error("section circuitBreaker: {why}")]
    #[non_exhaustive]
    Unreadable {
        /// What the reader said.
        why: String,
    },

    /// The section switches the breaker off, and here one is wanted.
    #[error("enabled is false: leave the section out, or read it by BreakerConfig::take_from")]
    Disabled,
}

fn range(least: f64, most: f64) -> String {
    match (least, most) {
        (f64::MIN_POSITIVE, most) => format!("above 0 and at most {most}"),
        (least, f64::MAX) => format!("at least {least}"),
        (least, most) => format!("between {least} and {most}"),
    }
}
