//! The numbers the machine goes by: a valid configuration, in its own units.

use super::moment::Span;

/// See the field of the same name in [`PoolConfig`](crate::PoolConfig). [`Span::FOREVER`] stands for none.
#[derive(Clone, Debug)]
pub(crate) struct Limits {
    pub(crate) min: u32,
    pub(crate) max: u32,
    pub(crate) idle_timeout: Span,
    pub(crate) acquire_timeout: Span,
    pub(crate) queue_timeout: Span,
    pub(crate) queue_capacity: u32,
    /// `queue_discipline` is lifo: the newest caller is served first.
    pub(crate) newest_first: bool,
    pub(crate) evict_interval: Span,
    pub(crate) validate: bool,
    pub(crate) validate_on_borrow: bool,
    pub(crate) validate_on_return: bool,
    pub(crate) validate_interval: Span,
    pub(crate) validate_bypass: Span,
    pub(crate) retry_attempts: u32,
    pub(crate) retry_delay: Span,
    pub(crate) recreate_on_error: bool,
    pub(crate) max_concurrent_connects: u32,
    pub(crate) metrics_interval: Span,
}
