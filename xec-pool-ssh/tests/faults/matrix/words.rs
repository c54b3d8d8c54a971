//! The rows and the columns.

/// What a pool is at when a fault hits it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    /// A connection lies idle; a caller comes once the fault is there.
    Idle,
    /// A dial has the server's version and waits for the rest of the key exchange.
    Connecting,
    /// A dial waits for the server to look at its key.
    Authenticating,
    /// A check while idle waits for its answer; a caller waits for the check.
    Validating,
    /// A command waits for its session.
    Opening,
    /// A command runs and says nothing.
    Running,
    /// A command prints without end.
    Streaming,
    /// A command is fed more than it takes.
    Uploading,
    /// The pool drains and waits for a command.
    Draining,
}

impl State {
    pub(crate) const ALL: [Self; 9] = [
        Self::Idle,
        Self::Connecting,
        Self::Authenticating,
        Self::Validating,
        Self::Opening,
        Self::Running,
        Self::Streaming,
        Self::Uploading,
        Self::Draining,
    ];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Idle => "idle",
            Self::Connecting => "connecting",
            Self::Authenticating => "authenticating",
            Self::Validating => "validating",
            Self::Opening => "opening a channel",
            Self::Running => "running",
            Self::Streaming => "streaming out",
            Self::Uploading => "uploading",
            Self::Draining => "draining",
        }
    }

    /// Whether a proxy on the way holds the pool in it.
    pub(crate) const fn is_proxied(self) -> bool {
        matches!(self, Self::Connecting | Self::Validating | Self::Opening)
    }

    /// Whether a command has begun when the fault comes.
    pub(crate) const fn has_command(self) -> bool {
        matches!(self, Self::Running | Self::Streaming | Self::Uploading | Self::Draining)
    }
}

/// What happens to the server, or to the way there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// The processes behind its connections are killed.
    Killed,
    /// All of it is frozen, until the caller has his answer.
    Frozen,
    /// The machine crashes and comes back.
    Rebooted,
    /// Its network cable is pulled, until the caller has his answer.
    Unplugged,
    /// Packets vanish, until the caller has his answer.
    BlackHole,
    /// Connections are reset.
    Reset,
    /// 50 ms each way and 1 MiB a second.
    Slow,
    /// The connection has all the sessions that it may have.
    MaxSessions,
    /// The server turns new connections away.
    MaxStartups,
    /// The server can start no process, or write no file.
    Exhausted,
}

impl Fault {
    pub(crate) const ALL: [Self; 10] = [
        Self::Killed,
        Self::Frozen,
        Self::Rebooted,
        Self::Unplugged,
        Self::BlackHole,
        Self::Reset,
        Self::Slow,
        Self::MaxSessions,
        Self::MaxStartups,
        Self::Exhausted,
    ];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Killed => "killed",
            Self::Frozen => "frozen",
            Self::Rebooted => "rebooted",
            Self::Unplugged => "cable pulled",
            Self::BlackHole => "black hole",
            Self::Reset => "reset",
            Self::Slow => "slow",
            Self::MaxSessions => "MaxSessions",
            Self::MaxStartups => "MaxStartups",
            Self::Exhausted => "exhausted",
        }
    }

    /// Whether connections end by it.
    pub(crate) const fn ends_connections(self) -> bool {
        matches!(self, Self::Killed | Self::Frozen | Self::Rebooted | Self::Unplugged | Self::BlackHole | Self::Reset)
    }

    /// How many sessions a connection has at most: sshd's own limit, where the fault is not another.
    pub(crate) fn sessions(self) -> usize {
        if self == Self::MaxSessions { 1 } else { 10 }
    }
}

/// How many commands run on over there, because they could not be told to end.
pub(crate) fn may_leave(state: State, fault: Fault) -> usize {
    // Who writes to nobody ends by that, and nothing survives a reboot.
    let goes_on = state.has_command() && state != State::Streaming;
    usize::from(goes_on && fault.ends_connections() && fault != Fault::Rebooted)
}

/// Why a cell makes no sense, where it does not.
pub(crate) const fn senseless(state: State, fault: Fault) -> Option<&'static str> {
    match (state, fault) {
        (State::Connecting | State::Authenticating, Fault::MaxSessions) => {
            Some("no session is asked for before the login")
        }
        (State::Validating, Fault::MaxSessions) => Some("a check pings, and opens no session"),
        (State::Authenticating, Fault::MaxStartups) => {
            Some("who logs in has his place, and dials at once begin at one")
        }
        _ => None,
    }
}
