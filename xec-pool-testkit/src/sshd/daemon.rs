//! The sshd that listens.

use std::{
    collections::VecDeque,
    io::{self, BufRead as _, BufReader, Write as _},
    net::{Ipv4Addr, SocketAddr, TcpListener},
    path::{Path, PathBuf},
    process::{Child, ChildStderr, Command, Stdio},
    sync::{Arc, Mutex, PoisonError},
    thread,
    time::Duration,
};

/// Ports that may turn out to be somebody else's before we give up.
const TRIES: u32 = 20;

/// How long a port may take to come free after its owner was killed, in steps.
const PATIENCE: Duration = Duration::from_millis(25);

/// The dead man's handle: `$0 $@` takes the place of the shell, and a helper kills it when the other end of the
/// shell's input is gone, which is how the death of our process shows, whatever it died of. A line instead of an end
/// says that we have done it ourselves; the number may be another's by then. The helper must outlive a hang-up, which
/// sshd takes for «start again», and hold nothing that sshd's end is told by.
const HANDLE: &str = "\
exec 3<&0
(trap '' HUP INT TERM; read -r _ <&3 || kill -9 $$) >/dev/null 2>&1 &
exec \"$0\" \"$@\" </dev/null 3<&-";

/// What sshd says, shared by one after another on the same port.
#[derive(Clone, Default)]
pub(super) struct Log(Arc<Mutex<VecDeque<String>>>);

impl Log {
    const LIMIT: usize = 10_000;

    fn push(&self, line: String) {
        let mut lines = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if lines.len() == Self::LIMIT {
            lines.pop_front();
        }
        lines.push_back(line);
    }

    pub(super) fn lines(&self) -> Vec<String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).iter().cloned().collect()
    }

    pub(super) fn forget(&self) {
        // With the room it took.
        drop(std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner)));
    }
}

pub(super) struct Daemon {
    /// Its input is our end of the [`HANDLE`].
    child: Child,
    addr: SocketAddr,
}

/// Why it did not start.
enum Refused {
    PortTaken,
    Other(io::Error),
}

impl From<io::Error> for Refused {
    fn from(error: io::Error) -> Self {
        Self::Other(error)
    }
}

impl Daemon {
    /// Starts one on a free port. Sshd cannot choose one itself (`Port 0` is an error), so we ask for one, give it
    /// back and hope; if somebody was quicker, sshd says so and we ask again.
    pub(super) fn start_anywhere(program: &Path, config: PathBuf, log: &Log) -> io::Result<Self> {
        for _ in 0..TRIES {
            let addr = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?;
            match Self::start(addr, program, &config, log) {
                Err(Refused::PortTaken) => {}
                Err(Refused::Other(error)) => return Err(error),
                Ok(daemon) => return Ok(daemon),
            }
        }
        Err(io::Error::new(io::ErrorKind::AddrInUse, format!("no port for sshd in {TRIES} tries")))
    }

    /// Starts one on this port, which one before it may only just have left.
    pub(super) fn start_at(addr: SocketAddr, program: &Path, config: PathBuf, log: &Log) -> io::Result<Self> {
        for _ in 0..TRIES {
            match Self::start(addr, program, &config, log) {
                Err(Refused::PortTaken) => thread::sleep(PATIENCE),
                Err(Refused::Other(error)) => return Err(error),
                Ok(daemon) => return Ok(daemon),
            }
        }
        Err(io::Error::new(io::ErrorKind::AddrInUse, format!("{addr} is somebody else's now")))
    }

    fn start(addr: SocketAddr, program: &Path, config: &Path, log: &Log) -> Result<Self, Refused> {
        let mut command = Command::new("/bin/sh");
        command.args(["-c", HANDLE]).arg(program);
        command.args(["-D", "-e", "-f"]).arg(config).args(["-o", &format!("ListenAddress={addr}")]);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn()?;
        let stderr = child.stderr.take().ok_or_else(|| io::Error::other("a piped stream is there"))?;
        // From here on its drop kills it.
        let daemon = Self { child, addr };
        listen_for_it(BufReader::new(stderr), log)?;
        Ok(daemon)
    }

    pub(super) fn addr(&self) -> SocketAddr {
        self.addr
    }

    pub(super) fn pid(&self) -> u32 {
        self.child.id()
    }

    pub(super) fn kill(self) {
        drop(self);
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        // It may be dead already; then there is only its body to bury.
        let _ = self.child.kill();
        // Before its number is free for others.
        let _ = self.child.stdin.take().map(|mut handle| handle.write_all(b"\n"));
        let _ = self.child.wait();
    }
}

/// Reads until sshd says that it listens: it does so only after its own bind, so nobody else can be meant. What it
/// says later goes to the log, until its last child has ended.
fn listen_for_it(mut stderr: BufReader<ChildStderr>, log: &Log) -> Result<(), Refused> {
    let mut said = String::new();
    loop {
        let from = said.len();
        if stderr.read_line(&mut said)? == 0 {
            let taken = said.contains("Address already in use");
            let error = || Refused::Other(io::Error::other(format!("sshd does not start: {}", said.trim_end())));
            return Err(if taken { Refused::PortTaken } else { error() });
        }
        let line = said[from..].trim_end();
        log.push(line.to_owned());
        if line.contains("Server listening on") {
            break;
        }
    }
    let log = log.clone();
    thread::Builder::new().name("sshd log".into()).spawn(move || {
        for line in stderr.lines().map_while(Result::ok) {
            log.push(line.trim_end().to_owned());
        }
    })?;
    Ok(())
}
