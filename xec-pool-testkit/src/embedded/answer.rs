//! What a scripted server says to a command.

use std::time::Duration;

/// The answer to one command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    pub(super) stdout: Vec<u8>,
    pub(super) stderr: Vec<u8>,
    pub(super) exit: Exit,
    pub(super) delay: Duration,
}

/// How a command ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Exit {
    /// With an exit code.
    Code(u32),
    /// Killed by this signal, named without `SIG`.
    Signal(&'static str),
    /// Killed by this signal, and what the server has to tell beside it.
    Crash {
        /// Named without `SIG`.
        signal: &'static str,
        /// Whether it left a core dump.
        core_dumped: bool,
        /// The server's words.
        message: &'static str,
    },
    /// The channel is closed and nobody says how it ended.
    None,
}

impl Answer {
    /// Prints `stdout` and exits with 0.
    pub fn ok(stdout: impl Into<Vec<u8>>) -> Self {
        Self::exit(Exit::Code(0)).stdout(stdout)
    }

    /// Ends like this, and prints nothing.
    #[must_use]
    pub fn exit(exit: Exit) -> Self {
        Self { stdout: Vec::new(), stderr: Vec::new(), exit, delay: Duration::ZERO }
    }

    /// Prints this to standard output.
    #[must_use]
    pub fn stdout(mut self, stdout: impl Into<Vec<u8>>) -> Self {
        self.stdout = stdout.into();
        self
    }

    /// Prints this to standard error.
    #[must_use]
    pub fn stderr(mut self, stderr: impl Into<Vec<u8>>) -> Self {
        self.stderr = stderr.into();
        self
    }

    /// Starts at once, but prints and ends only after this time.
    #[must_use]
    pub fn delay(mut self, delay: Duration) -> Self {
        self.delay = delay;
        self
    }
}
