//! What is wrong with a configuration.

use std::time::Duration;

/// Why a configuration cannot work. Names the field and the numbers; nothing has been dialled.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// A field that must not be zero is.
    #[error("{field} must not be zero")]
    #[non_exhaustive]
    Zero {
        /// Which.
        field: &'static str,
    },

    /// More connections are to be kept than are allowed.
    #[error("min_connections ({min}) is more than max_connections ({max})")]
    #[non_exhaustive]
    MinAboveMax {
        /// `min_connections`.
        min: u32,
        /// `max_connections`.
        max: u32,
    },

    /// A duration is so long that it can only be a mistake. For «no limit» leave it out or say 0.
    #[error("{field} ({given:?}) is longer than {most:?}; for no limit use 0")]
    #[non_exhaustive]
    TooLong {
        /// Which.
        field: &'static str,
        /// As given.
        given: Duration,
        /// The most allowed.
        most: Duration,
    },

    /// A share is not between 0 and 1.
    #[error("{field} ({given}) is not between 0 and 1")]
    #[non_exhaustive]
    NotAShare {
        /// Which.
        field: &'static str,
        /// As given.
        given: f64,
    },

    /// The configuration has a section that no crate in use has taken, so it would be ignored.
    #[error("section {section} belongs to another crate: let it take the section first (`{}`)", owner(section))]
    #[non_exhaustive]
    Unclaimed {
        /// Which.
        section: &'static str,
    },
}

fn owner(section: &str) -> &'static str {
    match section {
        "circuitBreaker" => "xec_pool_breaker::BreakerConfig::take_from(&mut config)",
        _ => "PoolConfig::take_section",
    }
}
