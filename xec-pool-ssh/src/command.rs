//! A command to run on another machine, built like `std::process::Command`.

use std::{fmt, sync::Arc, time::Duration};

use bytes::Bytes;

use crate::{
    ExitStatus, Output, SshConnection, SshError, SshPool,
    channel::Order,
    quote::{assign_into, change_into, is_variable_name, quote_into},
};

/// What `output` keeps of each stream where nobody says otherwise.
const MAX_OUTPUT: usize = 16 << 20;

/// A command on another machine.
///
/// Made by [`SshPool::command`] and [`SshPool::shell`], or by [`SshConnection::command`] and
/// [`SshConnection::shell`]. A command runs each time [`output`](Self::output)
/// or [`status`](Self::status) is called. Its standard input is empty unless [`stdin`](Self::stdin) gives one.
///
/// The login shell of the remote user reads the command line, as with `ssh`. Quoting is for POSIX shells.
#[must_use = "a command does nothing until its `output` or `status` is awaited"]
pub struct Command<'a> {
    on: Place<'a>,
    text: Text,
    variables: Vec<(String, String)>,
    directory: Option<String>,
    stdin: Bytes,
    timeout: Option<Duration>,
    max_output: usize,
}

/// Where a command runs.
#[derive(Clone, Copy)]
pub(crate) enum Place<'a> {
    Connection(&'a SshConnection),
    Pool(&'a SshPool),
}

impl<'a> From<&'a SshConnection> for Place<'a> {
    fn from(connection: &'a SshConnection) -> Self {
        Self::Connection(connection)
    }
}

impl<'a> From<&'a SshPool> for Place<'a> {
    fn from(pool: &'a SshPool) -> Self {
        Self::Pool(pool)
    }
}

impl<'a> Place<'a> {
    /// Not an `async fn`: a pool remembers who asked it, and inside a future that would be us.
    #[track_caller]
    fn run(
        self,
        order: Result<Order, &'static str>,
    ) -> impl Future<Output = Result<Output, SshError>> + Send + use<'a> {
        let borrowing = match (self, &order) {
            (Self::Pool(pool), Ok(_)) => Some((pool, pool.acquire())),
            (Self::Pool(_), Err(_)) | (Self::Connection(_), _) => None,
        };
        async move {
            let order = order.map_err(|problem| SshError::InvalidCommand { host: self.host(), problem })?;
            match (self, borrowing) {
                (_, Some((pool, acquire))) => pool.run(acquire, order).await,
                (Self::Connection(connection), None) => connection.carrier().run(order).await,
                (Self::Pool(pool), None) => pool.run(pool.acquire(), order).await,
            }
        }
    }

    fn host(self) -> Arc<str> {
        match self {
            Self::Connection(connection) => Arc::clone(&connection.carrier().host),
            Self::Pool(pool) => pool.transport().host_shared(),
        }
    }
}

enum Text {
    /// Words, quoted one by one.
    Words(Vec<String>),
    /// A script, as it is.
    Script(String),
}

impl<'a> Command<'a> {
    pub(crate) fn program(on: Place<'a>, program: String) -> Self {
        Self::new(on, Text::Words(vec![program]))
    }

    pub(crate) fn script(on: Place<'a>, script: String) -> Self {
        Self::new(on, Text::Script(script))
    }

    const fn new(on: Place<'a>, text: Text) -> Self {
        Self {
            on,
            text,
            variables: Vec::new(),
            directory: None,
            stdin: Bytes::new(),
            timeout: None,
            max_output: MAX_OUTPUT,
        }
    }

    /// Adds an argument. It arrives as it is: quoted, so no shell makes anything of it.
    ///
    /// After [`shell`](SshConnection::shell) it is one more quoted word at the end of the script.
    pub fn arg(&mut self, arg: impl Into<String>) -> &mut Self {
        match &mut self.text {
            Text::Words(words) => words.push(arg.into()),
            Text::Script(script) => {
                script.push(' ');
                quote_into(script, &arg.into());
            }
        }
        self
    }

    /// Adds arguments, each as [`arg`](Self::arg) does.
    pub fn args<S: Into<String>>(&mut self, args: impl IntoIterator<Item = S>) -> &mut Self {
        for arg in args {
            self.arg(arg);
        }
        self
    }

    /// Sets a variable of the command's environment, by a prefix that the remote shell reads. (The protocol's own
    /// way is refused by most servers, silently.)
    pub fn env(&mut self, name: impl Into<String>, value: impl Into<String>) -> &mut Self {
        self.variables.push((name.into(), value.into()));
        self
    }

    /// Runs the command in this directory: a path as the remote host sees it, relative ones from where a login
    /// starts. `~` has no meaning here. If it is not there the command does not run, and the remote shell says so
    /// with its own text and code.
    pub fn current_dir(&mut self, directory: impl Into<String>) -> &mut Self {
        self.directory = Some(directory.into());
        self
    }

    /// What the command reads. Without it, it reads an empty input.
    pub fn stdin(&mut self, bytes: impl Into<Vec<u8>>) -> &mut Self {
        self.stdin = Bytes::from(bytes.into());
        self
    }

    /// How long the command may take, from the moment it has a connection, opening its session included. Then it is
    /// given up, as if its future had been dropped, and answers [`SshError::CommandTimedOut`]. Without it there is
    /// no limit.
    pub fn timeout(&mut self, limit: Duration) -> &mut Self {
        self.timeout = Some(limit);
        self
    }

    /// How much of each of the two streams is kept: 16 MiB unless said otherwise. What comes after is read and
    /// thrown away, and the [`Output`] says so.
    pub fn max_output(&mut self, bytes: usize) -> &mut Self {
        self.max_output = bytes;
        self
    }

    /// Runs the command and collects what it prints.
    ///
    /// # Errors
    ///
    /// [`SshError::InvalidCommand`] before anything is sent, if the command holds a NUL or a variable has a name that
    /// is none. Otherwise whatever keeps it from coming to an end; [`SshError::maybe_ran`] tells whether it may have
    /// run nevertheless. A command that fails is no error: see [`Output::status`].
    ///
    /// # Cancel safety
    ///
    /// Safe to drop at any await. The command is then abandoned: its process is sent a `TERM` and its session is
    /// closed, in the background; the connection stays usable. A process that ignores `TERM`, or a server that passes
    /// no signals on (OpenSSH before 9.3 does not for root), lets it run until it reads its input's end or writes.
    #[track_caller]
    pub fn output(&self) -> impl Future<Output = Result<Output, SshError>> + Send + use<'a> {
        self.on.run(self.order())
    }

    /// Runs the command and throws away what it prints.
    ///
    /// # Errors
    ///
    /// As [`output`](Self::output).
    ///
    /// # Cancel safety
    ///
    /// As [`output`](Self::output).
    #[track_caller]
    pub fn status(&self) -> impl Future<Output = Result<ExitStatus, SshError>> + Send + use<'a> {
        let run = self.on.run(self.order().map(|order| Order { max_output: 0, ..order }));
        async move { Ok(run.await?.status) }
    }

    fn order(&self) -> Result<Order, &'static str> {
        let (line, text_at) = self.line()?;
        Ok(Order { line, text_at, stdin: self.stdin.clone(), max_output: self.max_output, timeout: self.timeout })
    }

    /// The line that the remote shell reads, and where in it the command itself begins.
    fn line(&self) -> Result<(String, usize), &'static str> {
        if self.variables.iter().any(|(name, _)| !is_variable_name(name)) {
            return Err("the name of a variable has letters, digits and `_` only, and no digit first");
        }
        let mut line = String::new();
        let text_at;
        match &self.text {
            Text::Words(words) => {
                if let Some(directory) = &self.directory {
                    change_into(&mut line, directory);
                    line.push_str(" && ");
                }
                assign_into(&mut line, &self.variables);
                // Only where the shell would stay between us and the program otherwise.
                if !line.is_empty() {
                    line.push_str("exec ");
                }
                text_at = line.len();
                for (index, word) in words.iter().enumerate() {
                    if index > 0 {
                        line.push(' ');
                    }
                    quote_into(&mut line, word);
                }
            }
            Text::Script(script) => {
                if let Some(directory) = &self.directory {
                    change_into(&mut line, directory);
                    line.push_str(" || exit\n");
                }
                if !self.variables.is_empty() {
                    line.push_str("export ");
                    assign_into(&mut line, &self.variables);
                    line.push('\n');
                }
                text_at = line.len();
                line.push_str(script);
            }
        }
        // The protocol would carry it, and the remote shell would cut the command there.
        if line.contains('\0') { Err("it holds a NUL character") } else { Ok((line, text_at)) }
    }
}

impl fmt::Debug for Command<'_> {
    /// Without the command's text, its environment and its input: they may hold secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Command")
            .field("timeout", &self.timeout)
            .field("max_output", &self.max_output)
            .finish_non_exhaustive()
    }
}
