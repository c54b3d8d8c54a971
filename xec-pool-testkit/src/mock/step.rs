//! What a hook does when it is called.

use std::time::Duration;

use xec_pool_core::FailureKind;

/// A hook of [`Transport`](xec_pool_core::Transport) that a script can be given to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Hook {
    /// [`Transport::connect`](xec_pool_core::Transport::connect).
    Connect,
    /// [`Transport::validate`](xec_pool_core::Transport::validate).
    Validate,
    /// [`Transport::close`](xec_pool_core::Transport::close).
    Close,
    /// [`Transport::is_broken`](xec_pool_core::Transport::is_broken). It cannot wait: of a step it takes only whether
    /// it fails (then the connection is broken) or panics.
    IsBroken,
}

impl Hook {
    pub(super) const COUNT: usize = Self::IsBroken as usize + 1;
}

/// What a hook does when it is called once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    gated: bool,
    delay: Duration,
    end: End,
    dies_after: Option<Duration>,
    dies_connecting: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    Ok,
    Fail(FailureKind),
    Hang,
    Panic,
}

impl Step {
    const fn ending(end: End) -> Self {
        Self { gated: false, delay: Duration::ZERO, end, dies_after: None, dies_connecting: false }
    }

    /// Succeeds.
    #[must_use]
    pub const fn ok() -> Self {
        Self::ending(End::Ok)
    }

    /// Fails like this. Closing cannot fail.
    #[must_use]
    pub const fn fail(kind: FailureKind) -> Self {
        Self::ending(End::Fail(kind))
    }

    /// Never returns; a connect does when its token is cancelled.
    #[must_use]
    pub const fn hang() -> Self {
        Self::ending(End::Hang)
    }

    /// Panics.
    #[must_use]
    pub const fn panic() -> Self {
        Self::ending(End::Panic)
    }

    /// Takes this long first, on tokio's clock.
    #[must_use]
    pub const fn slow(mut self, delay: Duration) -> Self {
        self.delay = delay;
        self
    }

    /// Waits first until [`MockHandle::release`](super::MockHandle::release) lets it through.
    #[must_use]
    pub const fn gated(mut self) -> Self {
        self.gated = true;
        self
    }

    /// A connection that opens like this dies by itself after this time, and says so
    /// ([`LostSignal`](xec_pool_core::LostSignal)). For [`Hook::Connect`] only.
    #[must_use]
    pub const fn die_after(mut self, life: Duration) -> Self {
        self.dies_after = Some(life);
        self
    }

    /// The connection says that it is lost ([`LostSignal`](xec_pool_core::LostSignal)) before the hook ends, as it may.
    /// For [`Hook::Connect`] only.
    #[must_use]
    pub const fn die_connecting(mut self) -> Self {
        self.dies_connecting = true;
        self
    }

    pub(super) fn is_gated(&self) -> bool {
        self.gated
    }

    pub(super) fn delay(&self) -> Duration {
        self.delay
    }

    pub(super) fn end(&self) -> End {
        self.end
    }

    pub(super) fn dies_after(&self) -> Option<Duration> {
        self.dies_after
    }

    pub(super) fn dies_connecting(&self) -> bool {
        self.dies_connecting
    }

    /// For a hook that cannot wait: whether it fails.
    pub(super) fn at_once(&self) -> bool {
        match self.end {
            End::Ok | End::Hang => false,
            End::Fail(_) => true,
            End::Panic => panic!("panics as the script says"),
        }
    }
}
