//! Time as the machine knows it: a number it is handed.

use std::time::Duration;

/// A point in time, in nanoseconds since the pool's clock began.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Moment(pub(crate) u64);

/// A length of time in nanoseconds. [`Span::FOREVER`] stands for «no limit».
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Span(pub(crate) u64);

impl Moment {
    pub(crate) const START: Self = Self(0);
    pub(crate) const NEVER: Self = Self(u64::MAX);

    /// `self + span`; never wraps, so that «for ever» stays for ever.
    pub(crate) const fn after(self, span: Span) -> Self {
        Self(self.0.saturating_add(span.0))
    }

    /// How long ago `earlier` was; nothing if it lies ahead.
    pub(crate) const fn since(self, earlier: Self) -> Span {
        Span(self.0.saturating_sub(earlier.0))
    }
}

impl Span {
    pub(crate) const FOREVER: Self = Self(u64::MAX);

    pub(crate) const fn duration(self) -> Duration {
        Duration::from_nanos(self.0)
    }
}

impl From<Duration> for Span {
    fn from(duration: Duration) -> Self {
        // Not by way of u128: this is on the way of every call.
        let seconds = duration.as_secs().saturating_mul(1_000_000_000);
        Self(seconds.saturating_add(u64::from(duration.subsec_nanos())))
    }
}

impl From<Option<Duration>> for Span {
    fn from(limit: Option<Duration>) -> Self {
        limit.map_or(Self::FOREVER, Self::from)
    }
}
