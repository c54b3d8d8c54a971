//! What can happen on the way.

use std::{num::NonZeroU32, time::Duration};

/// One of the two ways through a proxy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Direction {
    /// From the client to the server.
    ToServer,
    /// From the server to the client.
    ToClient,
}

/// What every connection meets, open or new, until it is changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fault {
    /// Bytes take longer, in each direction by `delay` and an even share of `jitter`. They keep their order. As many
    /// pass as before, up to 4 MiB within one delay: so many are on their way in a direction at most, and who sends
    /// more waits longer.
    Latency {
        /// At least this long.
        delay: Duration,
        /// At most this much longer, drawn anew for each piece.
        jitter: Duration,
    },
    /// No more bytes a second than this, in each direction of each connection.
    Throttle {
        /// Bytes a second.
        bytes_per_second: NonZeroU32,
    },
    /// Nothing passes in either direction, no end and no reset either, and new connections do not reach the server.
    BlackHole,
    /// Nothing passes in this direction, no end and no reset either.
    Freeze(Direction),
    /// The server's first line passes, and nothing of the server's after it.
    StallAfterBanner,
    /// A connection is struck when this many bytes have passed in this direction, exactly these; at once if they have
    /// already.
    StrikeAfter {
        /// Where they are counted.
        direction: Direction,
        /// How many.
        bytes: u64,
        /// What happens then.
        blow: Blow,
    },
    /// New connections are refused, as if nobody listened. The port stays taken.
    Refuse,
}

/// What happens to a connection once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Blow {
    /// It is closed to both sides, as if the process on the other one had ended. What is on its way is lost.
    Close,
    /// It is reset to both sides (`SO_LINGER` 0). While the server is still being dialled it hears an end instead.
    Reset,
    /// Whoever listens in this direction hears the end; the other one may go on talking, heard by nobody. The
    /// opposite direction lives on.
    HalfClose(Direction),
}

/// One line of a script.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Act {
    /// As [`FaultProxy::set_faults`](super::FaultProxy::set_faults).
    Faults(Vec<Fault>),
    /// As [`FaultProxy::strike`](super::FaultProxy::strike).
    Strike(Blow),
}

/// All faults in force, sorted by what a pump asks.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Weather {
    pub(super) delay: Duration,
    pub(super) jitter: Duration,
    pub(super) bytes_per_second: Option<NonZeroU32>,
    pub(super) black_hole: bool,
    frozen: [bool; 2],
    pub(super) stall_after_banner: bool,
    strike_after: [Option<(u64, Blow)>; 2],
    pub(super) refuse: bool,
}

impl Weather {
    pub(super) fn of(faults: impl IntoIterator<Item = Fault>) -> Self {
        let mut weather = Self::default();
        for fault in faults {
            match fault {
                Fault::Latency { delay, jitter } => (weather.delay, weather.jitter) = (delay, jitter),
                Fault::Throttle { bytes_per_second } => weather.bytes_per_second = Some(bytes_per_second),
                Fault::BlackHole => weather.black_hole = true,
                Fault::Freeze(direction) => weather.frozen[direction as usize] = true,
                Fault::StallAfterBanner => weather.stall_after_banner = true,
                Fault::StrikeAfter { direction, bytes, blow } => {
                    weather.strike_after[direction as usize] = Some((bytes, blow));
                }
                Fault::Refuse => weather.refuse = true,
            }
        }
        weather
    }

    pub(super) fn has_delay(&self) -> bool {
        !(self.delay.is_zero() && self.jitter.is_zero())
    }

    pub(super) fn is_frozen(&self, direction: Direction) -> bool {
        self.black_hole || self.frozen[direction as usize]
    }

    pub(super) fn strike_after(&self, direction: Direction) -> Option<(u64, Blow)> {
        self.strike_after[direction as usize]
    }
}
