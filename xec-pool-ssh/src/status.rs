//! How a command ended, and what it printed.

use std::fmt;

/// How a remote command ended: as the server told it, never invented.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ExitStatus {
    /// It exited with this code. 255 is a code like any other; a lost connection is an error, not a status.
    Code(u32),
    /// A signal ended it.
    #[non_exhaustive]
    Signal {
        /// The signal's name without `SIG`, as the server sent it: `TERM`, `KILL`, `USR2`.
        name: String,
        /// Whether it left a core dump.
        core_dumped: bool,
        /// What the server had to say about it. Mostly nothing.
        message: String,
    },
    /// The server ended the command in good order without telling how. Some small servers do, and OpenSSH does where
    /// a `ChannelTimeout` strikes.
    Missing,
}

impl ExitStatus {
    /// Whether it exited with code 0.
    #[must_use]
    pub const fn success(&self) -> bool {
        matches!(self, Self::Code(0))
    }

    /// The exit code, if it exited by itself and the server told.
    #[must_use]
    pub const fn code(&self) -> Option<u32> {
        match self {
            Self::Code(code) => Some(*code),
            Self::Signal { .. } | Self::Missing => None,
        }
    }

    /// The name of the signal that ended it, without `SIG`, if one did.
    #[must_use]
    pub fn signal(&self) -> Option<&str> {
        match self {
            Self::Signal { name, .. } => Some(name),
            Self::Code(_) | Self::Missing => None,
        }
    }
}

impl fmt::Display for ExitStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Code(code) => write!(f, "exit status: {code}"),
            Self::Signal { name, core_dumped, message } => {
                write!(f, "signal: SIG{name}")?;
                if *core_dumped {
                    f.write_str(" (core dumped)")?;
                }
                if !message.is_empty() {
                    write!(f, ": {message}")?;
                }
                Ok(())
            }
            Self::Missing => f.write_str("ended without a status"),
        }
    }
}

/// What a finished command left.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Output {
    /// How it ended.
    pub status: ExitStatus,
    /// What it printed.
    pub stdout: Vec<u8>,
    /// What it complained of.
    pub stderr: Vec<u8>,
    /// Whether `stdout` stops at [`Command::max_output`](crate::Command::max_output); the rest was read and thrown
    /// away.
    pub stdout_truncated: bool,
    /// The same for `stderr`.
    pub stderr_truncated: bool,
}

/// One captured stream: never longer than its limit.
pub(crate) struct Capture {
    bytes: Vec<u8>,
    limit: usize,
    truncated: bool,
}

impl Capture {
    pub(crate) const fn new(limit: usize) -> Self {
        Self { bytes: Vec::new(), limit, truncated: false }
    }

    pub(crate) fn push(&mut self, data: &[u8]) {
        let room = self.limit - self.bytes.len();
        let taken = data.len().min(room);
        self.bytes.extend_from_slice(&data[..taken]);
        self.truncated |= taken < data.len();
    }
}

impl Output {
    pub(crate) fn new(status: ExitStatus, stdout: Capture, stderr: Capture) -> Self {
        Self {
            status,
            stdout: stdout.bytes,
            stderr: stderr.bytes,
            stdout_truncated: stdout.truncated,
            stderr_truncated: stderr.truncated,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_capture_keeps_the_beginning_and_says_so() {
        let mut capture = Capture::new(5);
        capture.push(b"abc");
        assert!(!capture.truncated);
        capture.push(b"de");
        assert!(!capture.truncated, "exactly full is not cut");
        capture.push(b"f");
        assert!(capture.truncated);
        assert_eq!(capture.bytes, b"abcde");
    }

    #[test]
    fn only_zero_is_success() {
        assert!(ExitStatus::Code(0).success());
        assert!(!ExitStatus::Code(255).success());
        assert!(!ExitStatus::Missing.success());
        assert_eq!((ExitStatus::Missing.code(), ExitStatus::Missing.signal()), (None, None));
    }
}
