//! Running a command for real, with `sh -c`.

use std::{
    os::unix::process::ExitStatusExt as _,
    process::{ExitStatus, Stdio},
    sync::{
        Arc,
        atomic::{AtomicI32, AtomicUsize, Ordering},
    },
    time::Duration,
};

use russh::{Error, Sig};
use rustix::process::{Pid, Signal, kill_process_group};
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _},
    process::{Child, ChildStdin, Command},
    sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel},
    task::{AbortHandle, JoinSet},
};

use super::{
    Exit, Fault,
    script::{Gone, STDERR, Stage},
    session::Slot,
    signals,
};

/// How much input may wait for a command that does not read. Russh's server cannot withhold the window, and a session
/// task that waits here could no longer pass on the output that the command waits for: so there is room for what a
/// test sends, and whoever sends more is cut off.
const STDIN_LIMIT: usize = 64 * 1024 * 1024;

/// What is sent at once.
const CHUNK: usize = 32 * 1024;

/// What to run, and how badly.
pub(super) struct Order {
    pub(super) command: String,
    pub(super) env: Vec<(String, String)>,
    pub(super) delay: Option<Duration>,
    pub(super) cut: Option<Fault>,
}

/// A running command, as the session sees it. Dropping it ends the command.
pub(super) struct Remote {
    input: Option<UnboundedSender<Vec<u8>>>,
    waiting: Arc<AtomicUsize>,
    group: Arc<Group>,
    task: AbortHandle,
}

impl Remote {
    pub(super) fn is_over(&self) -> bool {
        self.task.is_finished()
    }

    pub(super) fn stdin(&self, data: &[u8]) -> Result<(), Error> {
        let Some(input) = &self.input else { return Ok(()) };
        if self.waiting.fetch_add(data.len(), Ordering::SeqCst) > STDIN_LIMIT {
            return Err(Error::Pending);
        }
        // A command that has ended reads no more; what comes for it is lost, as in a pipe.
        let _ = input.send(data.to_vec());
        Ok(())
    }

    pub(super) fn end_stdin(&mut self) {
        self.input = None;
    }

    pub(super) fn signal(&self, signal: &Sig) {
        if let Some(signal) = signals::from_client(signal) {
            self.group.kill(signal);
        }
    }
}

impl Drop for Remote {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// The command and whatever it has started.
#[derive(Default)]
struct Group(AtomicI32);

impl Group {
    fn kill(&self, signal: Signal) {
        if let Some(pid) = Pid::from_raw(self.0.load(Ordering::SeqCst)) {
            // It may have ended already.
            let _ = kill_process_group(pid, signal);
        }
    }
}

/// Ends the group unless the command came to its own end.
struct Hold(Arc<Group>);

impl Drop for Hold {
    fn drop(&mut self) {
        self.0.kill(Signal::KILL);
    }
}

pub(super) fn start(tasks: &mut JoinSet<()>, stage: Stage, order: Order, slot: Slot) -> Remote {
    let (input, stdin) = unbounded_channel();
    let waiting = Arc::new(AtomicUsize::new(0));
    let group = Arc::new(Group::default());
    let job = Job { stage, stdin, waiting: Arc::clone(&waiting), hold: Hold(Arc::clone(&group)) };
    let task = tasks.spawn(async move {
        // Whoever is gone has no use for the rest.
        let _ = job.run(order, slot).await;
    });
    Remote { input: Some(input), waiting, group, task }
}

struct Job {
    stage: Stage,
    stdin: UnboundedReceiver<Vec<u8>>,
    waiting: Arc<AtomicUsize>,
    hold: Hold,
}

impl Job {
    async fn run(self, order: Order, slot: Slot) -> Result<(), Gone> {
        self.stage.begin(order.delay).await?;
        let Ok(mut child) = spawn(&order) else { return self.stage.end(Exit::Code(127), slot).await };
        let group = &self.hold.0.0;
        group.store(child.id().and_then(|id| i32::try_from(id).ok()).unwrap_or(0), Ordering::SeqCst);
        let (stdin, stdout, stderr) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
        let feeding = feed(stdin, self.stdin, &self.waiting);
        let output = async {
            tokio::try_join!(
                pump(&self.stage, stdout, None, order.cut),
                pump(&self.stage, stderr, Some(STDERR), None)
            )?;
            Ok::<_, Gone>(child.wait().await)
        };
        let status = tokio::select! {
            status = output => status?,
            never = feeding => match never {},
        };
        // It came to its own end: what it left in the background stays, as with OpenSSH.
        group.store(0, Ordering::SeqCst);
        let Ok(status) = status else { return self.stage.end(Exit::None, slot).await };
        report(&self.stage, status, slot).await
    }
}

fn spawn(order: &Order) -> std::io::Result<Child> {
    Command::new("/bin/sh")
        .arg("-c")
        .arg(&order.command)
        .envs(order.env.iter().map(|(name, value)| (name, value)))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        // A group of its own, so that a signal reaches all of it and none of us.
        .process_group(0)
        .kill_on_drop(true)
        .spawn()
}

async fn report(stage: &Stage, status: ExitStatus, slot: Slot) -> Result<(), Gone> {
    let Some(signal) = status.signal() else {
        let code = status.code().and_then(|code| u32::try_from(code).ok()).unwrap_or(255);
        return stage.end(Exit::Code(code), slot).await;
    };
    stage.killed_by(signals::for_client(signal), false, "").await?;
    stage.close(slot).await
}

enum Never {}

/// Gives the command its input, and its end of input. Never returns: only the command's end ends it.
async fn feed(stdin: Option<ChildStdin>, mut input: UnboundedReceiver<Vec<u8>>, waiting: &AtomicUsize) -> Never {
    if let Some(mut stdin) = stdin {
        while let Some(data) = input.recv().await {
            waiting.fetch_sub(data.len(), Ordering::SeqCst);
            if stdin.write_all(&data).await.is_err() {
                // It reads no more. The rest is dropped by `input`'s end.
                break;
            }
        }
    }
    input.close();
    std::future::pending().await
}

/// Sends what the command prints.
async fn pump<R>(stage: &Stage, from: Option<R>, ext: Option<u32>, mut cut: Option<Fault>) -> Result<(), Gone>
where
    R: AsyncRead + Unpin + Send,
{
    let Some(mut from) = from else { return Ok(()) };
    loop {
        let mut data = Vec::with_capacity(CHUNK);
        match from.read_buf(&mut data).await {
            Ok(0) | Err(_) => return Ok(()),
            Ok(_) => {}
        }
        match ext {
            None => stage.stdout(data, cut.take()).await?,
            Some(ext) => stage.write.extended_data_bytes(ext, data).await.map_err(|_| Gone)?,
        }
    }
}
