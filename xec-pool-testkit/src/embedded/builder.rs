//! What a test says about its server beforehand.

use std::{fmt, io, net::Ipv4Addr, sync::Arc, time::Duration};

use russh::{keys::PrivateKey, server::Config};
use tokio::net::TcpListener;

use super::{
    Answer, EmbeddedSsh, Fault, Step,
    connection::{Manners, Mode, Shared},
    fault::Faults,
    users::Users,
};
use crate::keys::{self, TestKey};

/// Settings of an [`EmbeddedSsh`].
#[must_use = "nothing listens before start()"]
pub struct EmbeddedSshBuilder {
    keys: Vec<(String, String)>,
    passwords: Vec<(String, String)>,
    host_keys: Vec<TestKey>,
    mode: Mode,
    manners: Manners,
    window: u32,
    faults: Faults,
}

impl EmbeddedSshBuilder {
    pub(super) fn new() -> Self {
        Self {
            keys: Vec::new(),
            passwords: Vec::new(),
            host_keys: vec![keys::HOST_ED25519],
            mode: Mode::Shell,
            manners: Manners::default(),
            window: Config::default().window_size,
            faults: Faults::default(),
        }
    }

    /// Lets `user` in with the private half of `public` (a line as in `authorized_keys`). Once any key or password
    /// is named, the testkit's own keys no longer open by themselves.
    pub fn accept_key(mut self, user: impl Into<String>, public: impl Into<String>) -> Self {
        self.keys.push((user.into(), public.into()));
        self
    }

    /// Lets `user` in with this password.
    pub fn accept_password(mut self, user: impl Into<String>, password: impl Into<String>) -> Self {
        self.passwords.push((user.into(), password.into()));
        self
    }

    /// The keys it proves itself with, instead of [`keys::HOST_ED25519`].
    ///
    /// # Panics
    ///
    /// If there is none.
    pub fn host_keys(mut self, keys: &[TestKey]) -> Self {
        assert!(!keys.is_empty(), "a server without a host key cannot be");
        self.host_keys = keys.to_vec();
        self
    }

    /// Runs each command with `sh -c`, as whoever runs this process. The default.
    pub fn shell(mut self) -> Self {
        self.mode = Mode::Shell;
        self
    }

    /// Runs nothing; answers each command in this process. What it is sent on standard input is thrown away.
    pub fn answer(mut self, answer: impl Fn(&str) -> Answer + Send + Sync + 'static) -> Self {
        self.mode = Mode::Script(Box::new(answer));
        self
    }

    /// At most this many sessions at once on a connection; more are refused (sshd's `MaxSessions`, whose default is
    /// 10). Default: no limit.
    pub fn max_sessions(mut self, sessions: usize) -> Self {
        self.manners.max_sessions = sessions;
        self
    }

    /// At most this many connections at once that have not logged in yet; more are dropped before the banner (sshd's
    /// `MaxStartups`). Default: no limit.
    pub fn max_startups(mut self, startups: u64) -> Self {
        self.manners.max_startups = startups;
        self
    }

    /// With this many refused keys and passwords the connection is closed (sshd's `MaxAuthTries`). Default: 6.
    pub fn max_auth_tries(mut self, tries: usize) -> Self {
        self.manners.max_auth_tries = tries;
        self
    }

    /// Whether clients may set environment variables. Default: no, as in OpenSSH.
    pub fn accept_env(mut self, accept: bool) -> Self {
        self.manners.accept_env = accept;
        self
    }

    /// How many bytes a client may send on a channel before it must wait. Default: 2 MiB.
    pub fn window(mut self, bytes: u32) -> Self {
        self.window = bytes;
        self
    }

    /// The window is topped up once at most, so an upload of more than two windows blocks for ever: what a command
    /// that never reads its input does to a client.
    pub fn starve_stdin(mut self) -> Self {
        self.manners.starve_stdin = true;
        self
    }

    /// Sessions are opened, and every command in them is refused: what a server does that is for files or tunnels only.
    /// No command comes to [`Step::Exec`] or [`Step::MidOutput`] then.
    pub fn refuse_commands(mut self) -> Self {
        self.manners.refuse_commands = true;
        self
    }

    /// Each connection that comes to `step` meets `fault` there, as by [`EmbeddedSsh::set_fault`].
    pub fn fault(self, step: Step, fault: Fault) -> Self {
        self.faults.set(step, fault, None);
        self
    }

    /// Listens on 127.0.0.1, on a free port.
    ///
    /// # Errors
    ///
    /// When there is none, or when a key given as text is none.
    ///
    /// # Cancel safety
    ///
    /// Safe to drop; nothing is started then.
    pub async fn start(self) -> io::Result<EmbeddedSsh> {
        let users = Users::new(&self.keys, self.passwords).map_err(not_a_key)?;
        let open = |key: &TestKey| PrivateKey::from_openssh(key.private).map_err(not_a_key);
        let config = Config {
            methods: users.methods(),
            // Russh would wait a second before each refusal, to hide how long the decision took. We hide nothing.
            auth_rejection_time: Duration::ZERO,
            keys: self.host_keys.iter().map(open).collect::<io::Result<_>>()?,
            window_size: self.window,
            // We count ourselves, as OpenSSH does: russh would let one more through and then not look at it.
            max_auth_attempts: usize::MAX,
            // A silent client is the client's affair, and a silent server is what some tests want.
            inactivity_timeout: None,
            ..Config::default()
        };
        let host_key = self.host_keys[0];
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let shared = Shared::new(config, users, self.mode, self.manners, self.faults);
        EmbeddedSsh::run(listener, host_key, Arc::new(shared))
    }
}

fn not_a_key(error: impl fmt::Display) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, format!("not a usable key: {error}"))
}

impl fmt::Debug for EmbeddedSshBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EmbeddedSshBuilder").field("manners", &self.manners).finish_non_exhaustive()
    }
}
