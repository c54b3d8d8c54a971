//! The pump: reads a channel until it is closed, whatever else happens, and never waits for anybody meanwhile.

use std::{
    ops::ControlFlow,
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use russh::{ChannelMsg, ChannelReadHalf, ChannelWriteHalf, Sig, client::Msg};
use tokio::time::timeout;

use super::{
    Carrier, Order, Reply,
    caller::{Caller, Left},
    open,
};
use crate::{ExitStatus, Output, SshError, error::Phase, status::Capture};

/// How long an abandoned channel is still read after it was closed on this side. Then russh throws its data away.
const FAREWELL: Duration = Duration::from_secs(5);

/// The code of standard error (RFC 4254, 5.2).
const STDERR: u32 = 1;

/// Opens a channel, runs the command, answers, and always closes the channel.
pub(super) async fn run(carrier: Arc<Carrier>, order: Order, reply: Reply) {
    let mut caller = Caller::new(reply, order.timeout);
    let channel = match open::session(&carrier, &mut caller).await {
        Ok(Some(channel)) => channel,
        Ok(None) => return,
        Err(error) => return caller.answer(Err(error)),
    };
    let (mut read, write) = channel.split();
    let mut pump = Pump::new(order.max_output);
    let requested = AtomicBool::new(false);
    // Where there is no input, its end waits for the server's first word: what has ended by then, as quick commands
    // on a quick server have, is spared a packet. What reads its input to the end has it one round trip later.
    let no_input = order.stdin.is_empty().then(|| write.eof());
    let sending = send(&write, order.line, order.stdin, &requested);
    let end = pump.work(&mut read, sending, no_input, &mut caller).await;
    let phase = pump.phase(requested.into_inner());
    match end {
        End::Closed => return caller.answer(Ok(pump.finish())),
        End::Lost => return caller.answer(Err(carrier.lost_for_good(phase).await)),
        End::Refused => caller.answer(Err(SshError::RequestRefused { host: Arc::clone(&carrier.host) })),
        End::Left(left) => caller.dismiss(left, &carrier, phase),
    }
    farewell(read, write, phase).await;
}

/// Asks for the command and feeds it. Waits for window, which russh does not wake when the channel dies: so it is
/// always polled beside the reading, and dropped with it.
async fn send(
    write: &ChannelWriteHalf<Msg>,
    line: String,
    stdin: Bytes,
    requested: &AtomicBool,
) -> Result<(), russh::Error> {
    write.exec(true, line).await?;
    requested.store(true, Ordering::Relaxed);
    if !stdin.is_empty() {
        write.data_bytes(stdin).await?;
        write.eof().await?;
    }
    Ok(())
}

/// Ends a command that is still there: a signal for the process, if the server passes signals on, and the close that
/// the server waits for. Both are only queued, so this never waits for the process.
async fn farewell(mut read: ChannelReadHalf, write: ChannelWriteHalf<Msg>, phase: Phase) {
    let mut reading = pin!(async { while !matches!(read.wait().await, None | Some(ChannelMsg::Close)) {} });
    let goodbye = async {
        if phase > Phase::NotSent {
            write.signal(Sig::TERM).await?;
        }
        write.close().await
    };
    // The session may be unable to take the messages before it got rid of what it has for us.
    tokio::select! {
        _ = goodbye => {}
        () = &mut reading => return,
    }
    let _ = timeout(FAREWELL, reading).await;
}

/// How the work on a channel came to its end.
enum End {
    /// The server closed the channel: what we know now is all there is to know.
    Closed,
    /// The channel ended without a close: the connection is lost.
    Lost,
    /// The server does not run the command.
    Refused,
    /// Nobody waits for the answer any more.
    Left(Left),
}

/// What a channel has told so far.
struct Pump {
    confirmed: bool,
    status: Option<ExitStatus>,
    stdout: Capture,
    stderr: Capture,
}

impl Pump {
    const fn new(max_output: usize) -> Self {
        Self { confirmed: false, status: None, stdout: Capture::new(max_output), stderr: Capture::new(max_output) }
    }

    async fn work(
        &mut self,
        read: &mut ChannelReadHalf,
        sending: impl Future<Output = Result<(), russh::Error>>,
        no_input: Option<impl Future<Output = Result<(), russh::Error>>>,
        caller: &mut Caller,
    ) -> End {
        let mut sending = pin!(sending);
        let (mut sent, mut ended) = (false, no_input.is_none());
        let mut ending = pin!(async { if let Some(end) = no_input { end.await } else { Ok(()) } });
        loop {
            tokio::select! {
                // Reading first: it runs dry often, for its queue is shorter than what a task may take at once.
                biased;
                message = read.wait() => {
                    if let ControlFlow::Break(end) = self.take(message) {
                        return end;
                    }
                }
                // Its failure is the channel's end, which the reading reports, and better.
                _ = &mut sending, if !sent => sent = true,
                _ = &mut ending, if self.confirmed && !ended => ended = true,
                left = caller.left() => return End::Left(left),
            }
        }
    }

    fn take(&mut self, message: Option<ChannelMsg>) -> ControlFlow<End> {
        match message {
            None => return ControlFlow::Break(End::Lost),
            Some(ChannelMsg::Close) => return ControlFlow::Break(End::Closed),
            Some(ChannelMsg::Failure) if !self.confirmed => return ControlFlow::Break(End::Refused),
            Some(ChannelMsg::Success) => self.confirmed = true,
            Some(ChannelMsg::Data { data }) => self.stdout.push(&data),
            Some(ChannelMsg::ExtendedData { data, ext: STDERR }) => self.stderr.push(&data),
            Some(ChannelMsg::ExitStatus { exit_status }) => self.status = Some(ExitStatus::Code(exit_status)),
            Some(ChannelMsg::ExitSignal { signal_name, core_dumped, error_message, lang_tag: _ }) => {
                let name = signal(signal_name);
                self.status = Some(ExitStatus::Signal { name, core_dumped, message: error_message });
            }
            // End of file, windows, and what only servers hear.
            Some(_) => {}
        }
        ControlFlow::Continue(())
    }

    fn phase(&self, requested: bool) -> Phase {
        if self.confirmed {
            Phase::Running
        } else if requested {
            Phase::Requested
        } else {
            Phase::NotSent
        }
    }

    fn finish(self) -> Output {
        Output::new(self.status.unwrap_or(ExitStatus::Missing), self.stdout, self.stderr)
    }
}

fn signal(signal: Sig) -> String {
    let name = match signal {
        Sig::ABRT => "ABRT",
        Sig::ALRM => "ALRM",
        Sig::FPE => "FPE",
        Sig::HUP => "HUP",
        Sig::ILL => "ILL",
        Sig::INT => "INT",
        Sig::KILL => "KILL",
        Sig::PIPE => "PIPE",
        Sig::QUIT => "QUIT",
        Sig::SEGV => "SEGV",
        Sig::TERM => "TERM",
        Sig::USR1 => "USR1",
        Sig::Custom(name) => return name,
    };
    name.to_owned()
}
