//! OpenSSH's own sshd as a child process, on loopback, in some ten milliseconds.
//!
//! It needs no container, no root and no set-up but the program itself; it can be killed, frozen, restarted and told
//! any line of `sshd_config`. What it is not: another machine. It logs in only the user who runs the test. Killing
//! and freezing single connections needs `/proc`, so Linux.
//!
//! # Examples
//!
//! ```no_run
//! use xec_pool_testkit::LocalSshd;
//!
//! let mut sshd = LocalSshd::builder().config("MaxSessions 2").start()?;
//! println!("ssh -p {} -i {} {}@127.0.0.1", sshd.port(), sshd.key_path().display(), sshd.user());
//! sshd.kill_connections(); // whoever is connected hears an end of file
//! sshd.stop(); // frozen: silence
//! sshd.cont();
//! sshd.kill(); // refuses; who is connected stays so
//! sshd.restart()?; // on the same port
//! # Ok::<(), std::io::Error>(())
//! ```

use std::{
    fmt, io,
    net::{Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
};

use rustix::process::Signal;

// What is on disk: configuration, keys, known_hosts.
mod home;

// The process that listens, and what it says.
mod daemon;

// Who descends from it.
mod family;

use self::{
    daemon::{Daemon, Log},
    family::Family,
    home::Home,
};
use crate::keys::{self, TestKey};

/// A running sshd. Dropping it kills it, its connections and the commands that run on them.
///
/// It ends with its process too, whatever that dies of (`SIGKILL`, Ctrl-C, an `exit` past a `static`): a helper beside
/// it sees to that. Then its folder stays in the temporary directory, and connections end when their clients do, but for
/// those that were frozen by [`stop`](Self::stop).
///
/// A command without a terminal outlives its connection: one whose connection has ended before is nobody's child any
/// more and stays. Let test commands end at the end of their input (`cat`), not by the clock (`sleep`).
pub struct LocalSshd {
    program: PathBuf,
    home: Home,
    addr: SocketAddr,
    user: String,
    host_key: TestKey,
    log: Log,
    /// `None` while it is killed.
    daemon: Option<Daemon>,
    family: Family,
}

/// Settings of a [`LocalSshd`].
#[derive(Clone, Debug)]
#[must_use = "nothing listens before start()"]
pub struct LocalSshdBuilder {
    program: Option<PathBuf>,
    config: String,
    host_keys: Vec<TestKey>,
}

impl LocalSshdBuilder {
    /// One or more lines of `sshd_config`. They stand before the defaults, and in that file the first value wins. End
    /// a `Match` block with `Match all`.
    pub fn config(mut self, lines: impl AsRef<str>) -> Self {
        self.config.push_str(lines.as_ref());
        self.config.push('\n');
        self
    }

    /// This sshd instead of the system's: another version, say.
    pub fn program(mut self, path: impl Into<PathBuf>) -> Self {
        self.program = Some(path.into());
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

    /// Starts it on 127.0.0.1, on a free port, and returns when it listens. Blocks for some ten milliseconds.
    ///
    /// # Errors
    ///
    /// When sshd is not installed (the text says what to type), or does not like its configuration (the text is what
    /// it said).
    pub fn start(self) -> io::Result<LocalSshd> {
        let program = home::program(self.program)?;
        let home = Home::new(&self.host_keys)?;
        home.configure(&program, &self.config)?;
        let log = Log::default();
        let daemon = Daemon::start_anywhere(&program, home.config(), &log)?;
        let addr = daemon.addr();
        let host_key = self.host_keys[0];
        home.trust(&known_hosts_line(host_key, addr))?;
        let user = home::current_user()?;
        Ok(LocalSshd { program, home, addr, user, host_key, log, daemon: Some(daemon), family: Family::default() })
    }
}

fn known_hosts_line(key: TestKey, addr: SocketAddr) -> String {
    key.known_hosts_line(&format!("[{}]:{}", addr.ip(), addr.port()))
}

impl LocalSshd {
    /// An sshd to be: the testkit's user keys let the current user in.
    pub fn builder() -> LocalSshdBuilder {
        LocalSshdBuilder { program: None, config: String::new(), host_keys: vec![keys::HOST_ED25519] }
    }

    /// [`builder`](Self::builder) as it is, started.
    ///
    /// # Errors
    ///
    /// As [`LocalSshdBuilder::start`].
    pub fn start() -> io::Result<Self> {
        Self::builder().start()
    }

    /// Where it listens.
    #[must_use]
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Its host: always 127.0.0.1.
    #[must_use]
    pub fn host(&self) -> String {
        Ipv4Addr::LOCALHOST.to_string()
    }

    /// Its port.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.addr.port()
    }

    /// Who can log in: the current user.
    #[must_use]
    pub fn user(&self) -> &str {
        &self.user
    }

    /// A private key that opens ([`keys::USER_ED25519`]; the others in [`keys::USERS`] do too).
    #[must_use]
    pub fn key_path(&self) -> PathBuf {
        self.home.key()
    }

    /// A `known_hosts` file that knows it.
    #[must_use]
    pub fn known_hosts_path(&self) -> PathBuf {
        self.home.known_hosts()
    }

    /// The line in that file.
    #[must_use]
    pub fn known_hosts_line(&self) -> String {
        known_hosts_line(self.host_key, self.addr)
    }

    /// A line for a `known_hosts` that knows it under another address: that of a `FaultProxy` before it, say.
    #[must_use]
    pub fn known_hosts_line_for(&self, addr: SocketAddr) -> String {
        known_hosts_line(self.host_key, addr)
    }

    /// A folder that looks like the home of somebody who may log in: `.ssh/id_ed25519`, `.ssh/known_hosts`.
    #[must_use]
    pub fn home(&self) -> &Path {
        self.home.path()
    }

    /// What it has said so far, the last 10,000 lines.
    #[must_use]
    pub fn log(&self) -> Vec<String> {
        self.log.lines()
    }

    /// Forgets what it has said so far, so that who counts its own memory does not count that.
    pub fn forget_log(&self) {
        self.log.forget();
    }

    /// The process that listens; `None` while it is killed.
    #[must_use]
    pub fn pid(&self) -> Option<u32> {
        self.daemon.as_ref().map(Daemon::pid)
    }

    /// The sshd processes behind connections, also of those that outlive a killed daemon. With privilege separation
    /// there are two for each connection.
    #[must_use]
    pub fn connection_pids(&self) -> Vec<u32> {
        self.family.connections(self.pid())
    }

    /// Kills the processes behind all connections, at once and without a word to anybody, and returns how many
    /// processes that were.
    pub fn kill_connections(&self) -> usize {
        let pids = self.connection_pids();
        pids.iter().for_each(|pid| family::signal(*pid, Signal::KILL));
        pids.len()
    }

    /// Freezes it and all connections: what they are sent is taken by the kernel, nobody answers.
    pub fn stop(&self) {
        self.pid().into_iter().for_each(|pid| family::signal(pid, Signal::STOP));
        // Now nobody can be born any more.
        self.connection_pids().into_iter().for_each(|pid| family::signal(pid, Signal::STOP));
    }

    /// Ends [`stop`](Self::stop).
    pub fn cont(&self) {
        // The commands too: one may have been an sshd still when it was hit, and would sleep for ever.
        self.family.members(self.pid()).into_iter().chain(self.pid()).for_each(|pid| family::signal(pid, Signal::CONT));
    }

    /// Kills the process that listens. New connections are refused; open ones go on, for they are other processes.
    pub fn kill(&mut self) {
        if let Some(daemon) = self.daemon.take() {
            // Frozen first: a child born after we have looked would be nobody's.
            family::signal(daemon.pid(), Signal::STOP);
            self.family.adopt(daemon.pid());
            daemon.kill();
        }
    }

    /// Starts it again on the same port, after killing it if it still runs. Open connections go on; for a reboot call
    /// [`kill`](Self::kill) and [`kill_connections`](Self::kill_connections) before.
    ///
    /// # Errors
    ///
    /// When somebody else has taken the port meanwhile.
    pub fn restart(&mut self) -> io::Result<()> {
        self.kill();
        self.daemon = Some(Daemon::start_at(self.addr, &self.program, self.home.config(), &self.log)?);
        Ok(())
    }
}

impl Drop for LocalSshd {
    fn drop(&mut self) {
        self.kill();
        self.family.kill_all();
    }
}

impl fmt::Debug for LocalSshd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LocalSshd").field("addr", &self.addr).field("pid", &self.pid()).finish_non_exhaustive()
    }
}
