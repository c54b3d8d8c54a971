//! What callers see, and what they should.

use std::{error::Error, fmt, time::Duration};

use xec_pool_core::{AcquireError, DialError, FailureKind, TimedOutStage};
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
    Lost {
        phase: Phase,
        cause: LossCause,
    },
    /// Dials failed: how the last one did.
    NotConnected {
        kind: FailureKind,
        why: String,
    },
    /// The caller's time was up: what lacked, and how the last dial failed, if one did.
    TooLate {
        stage: TimedOutStage,
        last: Option<FailureKind>,
        why: String,
    },
    NoSession,
    NoCommand,
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
            Err(SshError::ConnectionLost { phase, cause, .. }) => Self::Lost { phase: *phase, cause: cause.clone() },
            Err(SshError::Acquire { source, .. }) => Self::without(source),
            Err(SshError::ChannelRefused { .. }) => Self::NoSession,
            Err(SshError::RequestRefused { .. }) => Self::NoCommand,
            Err(other) => Self::Other(other.to_string()),
        }
    }

    fn without(error: &AcquireError<SshError>) -> Self {
        match error {
            AcquireError::Connect { cause, .. } => Self::NotConnected { kind: kind_of(cause), why: last(error) },
            AcquireError::TimedOut(late) => {
                let dial = late.last_error().map(|dial| kind_of(dial));
                Self::TooLate { stage: late.stage(), last: dial, why: last(error) }
            }
            AcquireError::Closed { .. }
            | AcquireError::Draining { .. }
            | AcquireError::QueueFull { .. }
            | AcquireError::NoneIdle { .. }
            | AcquireError::CircuitOpen { .. }
            | AcquireError::NoRuntime { .. }
            | _ => Self::Other(error.to_string()),
        }
    }

    /// How the last dial failed, where that is why there is no connection.
    pub(crate) const fn dial_failed(&self) -> Option<FailureKind> {
        match self {
            Self::NotConnected { kind, .. } | Self::TooLate { last: Some(kind), .. } => Some(*kind),
            Self::TooLate { last: None, .. }
            | Self::Done
            | Self::Code(_)
            | Self::Lost { .. }
            | Self::NoSession
            | Self::NoCommand
            | Self::Other(_) => None,
        }
    }

    /// What ended was still under way when the caller's time was up.
    const fn is_too_early_to_tell(&self) -> bool {
        matches!(self, Self::TooLate { stage: TimedOutStage::Connect | TimedOutStage::Validate, last: None, .. })
    }
}

fn kind_of(error: &DialError<SshError>) -> FailureKind {
    match error {
        DialError::Transport(error) => error.kind(),
        // The transport gives up first, and says in which phase: this would be ours.
        DialError::TimedOut { .. } => FailureKind::Other,
        DialError::Lost => FailureKind::Lost,
        DialError::Panicked | DialError::Stopped | _ => FailureKind::Other,
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
            Self::Lost { phase, cause } => write!(f, "`ConnectionLost` {phase}: {}", word(cause)),
            Self::NotConnected { kind, why } => write!(f, "`Acquire`, `Connect` ({kind}): {why}"),
            Self::TooLate { stage, why, .. } => write!(f, "`Acquire`, `TimedOut` ({stage}): {why}"),
            Self::NoSession => f.write_str("`ChannelRefused`"),
            Self::NoCommand => f.write_str("`RequestRefused`"),
            Self::Other(text) => f.write_str(text),
        }
    }
}

/// What a caller may be told, and how soon: after his call, where he asks the pool for a connection; after the fault,
/// where his command runs already.
pub(crate) struct Expected {
    pub(crate) what: fn(&Seen) -> bool,
    pub(crate) words: &'static str,
    pub(crate) within: Duration,
}

/// The deadline of who asks the pool holds whatever happens, and a busy machine is a little late.
const ASKED: Duration = ACQUIRE.saturating_add(Duration::from_secs(1));

/// A dead connection is noticed within the keepalives: three times 500 ms, and a busy machine.
const NOTICED: Duration = Duration::from_secs(4);

/// 3 MiB at 1 MiB a second, and a busy machine.
const TRANSFERRED: Duration = Duration::from_secs(6);

pub(crate) fn expected(state: State, fault: Fault) -> Expected {
    if state.has_command() { of_a_command(fault) } else { of_a_call(state, fault) }
}

/// For whom a command runs already.
fn of_a_command(fault: Fault) -> Expected {
    let done = |within| Expected { what: |seen| *seen == Seen::Done, words: "its result", within };
    match fault {
        Fault::Killed | Fault::Reset => Expected {
            what: |seen| {
                matches!(
                    seen,
                    Seen::Lost {
                        phase: Phase::Running,
                        cause: LossCause::Closed | LossCause::Network(_) | LossCause::Disconnected { .. },
                    }
                )
            },
            words: "a loss while the command ran, told by the other side",
            within: NOTICED,
        },
        Fault::Frozen | Fault::Unplugged | Fault::BlackHole => Expected {
            what: |seen| *seen == Seen::Lost { phase: Phase::Running, cause: LossCause::Silent },
            words: "a loss while the command ran, by silence",
            within: NOTICED,
        },
        // Whether the dying machine says a last word is a matter of luck.
        Fault::Rebooted => Expected {
            what: |seen| {
                matches!(
                    seen,
                    Seen::Lost {
                        phase: Phase::Running,
                        cause: LossCause::Closed | LossCause::Network(_) | LossCause::Silent,
                    }
                )
            },
            words: "a loss while the command ran",
            within: NOTICED,
        },
        Fault::Slow => done(TRANSFERRED),
        Fault::MaxSessions | Fault::MaxStartups => done(NOTICED),
        Fault::Exhausted => Expected {
            what: |seen| matches!(seen, Seen::Code(code) if *code != 0),
            words: "the command's own failure",
            within: NOTICED,
        },
    }
}

/// For who asks the pool.
fn of_a_call(state: State, fault: Fault) -> Expected {
    let told = |what, words| Expected { what, words, within: ASKED };
    match fault {
        // A proxy that finds no way to the host hangs up, and so does a server that is too busy.
        Fault::Unplugged if state.is_proxied() => told(
            |seen| is_out_of_reach(seen) || seen.dial_failed() == Some(FailureKind::Throttled),
            "that nobody answers, or that the proxy hangs up",
        ),
        Fault::Frozen | Fault::Unplugged | Fault::BlackHole => told(is_out_of_reach, "that nobody answers"),
        Fault::MaxStartups if state == State::Connecting => told(
            |seen| matches!(seen, Seen::TooLate { last: Some(FailureKind::Throttled), .. }),
            "that the server takes no connection, at his deadline",
        ),
        Fault::Exhausted if matches!(state, State::Connecting | State::Authenticating) => {
            told(is_turned_away, "that the server hangs up")
        }
        Fault::Exhausted => told(|seen| *seen == Seen::NoCommand, "a refusal"),
        // Who comes when it is back has nothing to suffer; else by how long the machine takes to come back.
        Fault::Rebooted if state != State::Idle => {
            told(|seen| *seen == Seen::Done || may_pass(seen), "its result, or no connection for now")
        }
        // Once more on another connection, or never touched.
        Fault::Killed | Fault::Rebooted | Fault::Reset | Fault::Slow | Fault::MaxSessions | Fault::MaxStartups => {
            told(|seen| *seen == Seen::Done, "its result")
        }
    }
}

fn is_out_of_reach(seen: &Seen) -> bool {
    let kind = seen.dial_failed();
    seen.is_too_early_to_tell() || matches!(kind, Some(FailureKind::TimedOut | FailureKind::Unreachable))
}

/// Without a process for the session the server hangs up: before it has said anything, or in the middle, or just
/// after it has said welcome.
fn is_turned_away(seen: &Seen) -> bool {
    let kind = seen.dial_failed();
    matches!(kind, Some(FailureKind::Throttled | FailureKind::Lost))
        || matches!(seen, Seen::Lost { phase: Phase::NotSent, .. })
}

/// Whether who asks again may be served.
pub(crate) fn may_pass(seen: &Seen) -> bool {
    // No fault here is an `Other`: it would be ours.
    let dial = seen.dial_failed().is_some_and(|kind| kind.is_retried() && kind != FailureKind::Other);
    let command = matches!(seen, Seen::Lost { phase: Phase::NotSent, .. } | Seen::NoSession);
    dial || command || seen.is_too_early_to_tell()
}
