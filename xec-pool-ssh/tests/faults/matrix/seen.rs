//! What callers see, and what they should.

use std::{error::Error, fmt, time::Duration};

use xec_pool_core::{AcquireError, FailureKind};
use xec_pool_ssh::{LossCause, Phase, SshError};

use super::{
    place::ACQUIRE,
    words::{Fault, State},
    work::Answer,
};

/// An answer, as far as a row of the table tells it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Seen {
    Done,
    Code(u32),
    Lost { phase: Phase, cause: String },
    NoConnection { kind: FailureKind, why: String },
    Refused(&'static str),
    GaveUp,
    Other(String),
}

impl Seen {
    pub(crate) fn of(answer: &Answer) -> Self {
        match answer {
            Ok(output) if output.status.success() => Self::Done,
            Ok(output) => match output.status.code() {
                Some(code) => Self::Code(code),
                None => Self::Other(output.status.to_string()),
            },
            Err(SshError::ConnectionLost { phase, cause, .. }) => {
                Self::Lost { phase: *phase, cause: word(cause).to_owned() }
            }
            Err(error @ SshError::Acquire { source, .. }) => {
                Self::NoConnection { kind: error.kind(), why: last(source) }
            }
            Err(SshError::ChannelRefused { .. }) => Self::Refused("no session"),
            Err(SshError::RequestRefused { .. }) => Self::Refused("no command"),
            Err(SshError::CommandTimedOut { .. }) => Self::GaveUp,
            Err(other) => Self::Other(other.to_string()),
        }
    }
}

fn word(cause: &LossCause) -> &'static str {
    match cause {
        LossCause::Disconnected { .. } => "hung up with a word",
        LossCause::Closed => "hung up",
        LossCause::Network(_) => "reset",
        LossCause::Silent => "silent",
        LossCause::Ended => "ended here",
        LossCause::Protocol(_) => "broke the protocol",
        LossCause::Stopped | _ => "stopped",
    }
}

/// The reason behind all reasons.
fn last(error: &AcquireError<SshError>) -> String {
    let mut reason: &dyn Error = error;
    while let Some(deeper) = reason.source() {
        reason = deeper;
    }
    let text = reason.to_string();
    // The address is another one in each run.
    let short = text.split_once(" took longer").map(|(_, rest)| format!("took longer{rest}"));
    short.unwrap_or_else(|| text.split(" to tester@").next().unwrap_or_default().replace("tester@", ""))
}

impl fmt::Display for Seen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Done => f.write_str("its result"),
            Self::Code(code) => write!(f, "exit code {code}"),
            Self::Lost { phase, cause } => write!(f, "`ConnectionLost` {phase}: {cause}"),
            Self::NoConnection { kind, why } => write!(f, "`Acquire` ({kind}): {why}"),
            Self::Refused(what) => {
                write!(f, "`{}`", if *what == "no session" { "ChannelRefused" } else { "RequestRefused" })
            }
            Self::GaveUp => f.write_str("`CommandTimedOut`"),
            Self::Other(text) => f.write_str(text),
        }
    }
}

/// What a caller may be told, and how soon after the fault.
pub(crate) struct Expected {
    pub(crate) what: fn(&Seen) -> bool,
    pub(crate) words: &'static str,
    pub(crate) within: Duration,
}

/// A dead connection is noticed within the keepalives: three times 500 ms, and a busy machine.
const NOTICED: Duration = Duration::from_secs(4);

pub(crate) fn expected(state: State, fault: Fault) -> Expected {
    let done = |within| Expected { what: |seen| *seen == Seen::Done, words: "its result", within };
    let lost = Expected {
        what: |seen| matches!(seen, Seen::Lost { phase: Phase::Running, .. }),
        words: "a loss while the command ran",
        within: NOTICED,
    };
    // A command that was not sent is tried on another connection first; then the caller's time runs anew.
    let no_connection = Expected {
        what: |seen| matches!(seen, Seen::NoConnection { kind, .. } if kind.is_retried()),
        words: "no connection, for now",
        within: NOTICED + ACQUIRE + Duration::from_secs(1),
    };
    match fault {
        _ if state.has_command() && fault.ends_connections() => lost,
        _ if fault.is_silence() => no_connection,
        Fault::MaxStartups if state == State::Connecting => no_connection,
        Fault::Slow if state == State::Running => {
            Expected { what: |seen| *seen == Seen::GaveUp, words: "its own time limit", within: NOTICED }
        }
        Fault::Exhausted if state.has_command() => Expected {
            what: |seen| matches!(seen, Seen::Code(code) if *code != 0),
            words: "the command's own failure",
            within: NOTICED,
        },
        // Without a process for the session the server hangs up, sometimes just after it has said welcome.
        Fault::Exhausted if matches!(state, State::Connecting | State::Authenticating) => Expected {
            what: |seen| matches!(seen, Seen::NoConnection { .. } | Seen::Lost { phase: Phase::NotSent, .. }),
            words: "no connection, or the loss of a new one",
            within: NOTICED + ACQUIRE,
        },
        Fault::Exhausted => {
            Expected { what: |seen| *seen == Seen::Refused("no command"), words: "a refusal", within: NOTICED }
        }
        // By how long the machine takes to come back.
        Fault::Rebooted => Expected {
            what: |seen| *seen == Seen::Done || matches!(seen, Seen::NoConnection { kind, .. } if kind.is_retried()),
            words: "its result, or no connection for now",
            within: NOTICED + ACQUIRE,
        },
        // Once more on another connection, or never touched.
        Fault::Killed
        | Fault::Frozen
        | Fault::Unplugged
        | Fault::BlackHole
        | Fault::Reset
        | Fault::Slow
        | Fault::MaxSessions
        | Fault::MaxStartups => done(NOTICED + ACQUIRE),
    }
}
