//! Answering a command without running anything.

use std::{sync::Arc, time::Duration};

use russh::{
    ChannelId, ChannelWriteHalf, Error,
    server::{Handle, Msg, Session},
};
use tokio::time::sleep;

use super::{Answer, Exit, Fault, session::Slot, signals, switch::Switch};

/// Standard error's number.
pub(super) const STDERR: u32 = 1;

/// Whether [`say`] can answer at once: nothing to wait for, and the client has room for all of it.
pub(super) fn fits(answer: &Answer, id: ChannelId, session: &Session) -> bool {
    let length = answer.stdout.len() + answer.stderr.len();
    answer.delay.is_zero() && length <= session.writable_packet_size(&id) as usize
}

/// The whole answer in one piece, so that it leaves in one packet: the way that benchmarks take.
pub(super) fn say(answer: Answer, id: ChannelId, session: &mut Session) -> Result<(), Error> {
    session.channel_success(id)?;
    if !answer.stdout.is_empty() {
        session.data(id, answer.stdout)?;
    }
    if !answer.stderr.is_empty() {
        session.extended_data(id, STDERR, answer.stderr)?;
    }
    session.eof(id)?;
    match answer.exit {
        Exit::Code(code) => session.exit_status_request(id, code)?,
        Exit::Signal(name) => session.exit_signal_request(id, signals::by_name(name), false, "", "")?,
        Exit::Crash { signal, core_dumped, message } => {
            session.exit_signal_request(id, signals::by_name(signal), core_dumped, message, "")?;
        }
        Exit::None => {}
    }
    session.close(id)
}

/// Where a command's output goes when it takes its time.
pub(super) struct Stage {
    pub(super) write: ChannelWriteHalf<Msg>,
    pub(super) handle: Handle,
    pub(super) switch: Arc<Switch>,
}

/// The client is gone, or the server died as told: nobody is left to speak to.
pub(super) struct Gone;

impl Stage {
    pub(super) async fn play(self, answer: Answer, slot: Slot, delay: Option<Duration>, cut: Option<Fault>) {
        // Whoever is gone has no use for the rest.
        let _ = self.try_play(answer, slot, delay, cut).await;
    }

    async fn try_play(
        &self,
        answer: Answer,
        slot: Slot,
        delay: Option<Duration>,
        cut: Option<Fault>,
    ) -> Result<(), Gone> {
        self.begin(delay).await?;
        if !answer.delay.is_zero() {
            sleep(answer.delay).await;
        }
        self.stdout(answer.stdout, cut).await?;
        self.write.extended_data_bytes(STDERR, answer.stderr).await.map_err(|_| Gone)?;
        self.end(answer.exit, slot).await
    }

    /// Says that the command has started, after `delay`.
    pub(super) async fn begin(&self, delay: Option<Duration>) -> Result<(), Gone> {
        if let Some(delay) = delay {
            sleep(delay).await;
        }
        self.handle.channel_success(self.write.id()).await.map_err(|()| Gone)
    }

    /// Sends `data`; `cut` strikes in the middle of it.
    pub(super) async fn stdout(&self, mut data: Vec<u8>, cut: Option<Fault>) -> Result<(), Gone> {
        if let (Some(fault), false) = (cut, data.is_empty()) {
            let rest = data.split_off(data.len().div_ceil(2));
            let data = std::mem::replace(&mut data, rest);
            match fault {
                Fault::Delay(delay) => {
                    self.write.data_bytes(data).await.map_err(|_| Gone)?;
                    sleep(delay).await;
                }
                Fault::Hang => {
                    self.write.data_bytes(data).await.map_err(|_| Gone)?;
                    std::future::pending::<()>().await;
                }
                Fault::Die => {
                    self.last_words(data).await?;
                    self.switch.kill();
                    return Err(Gone);
                }
            }
        }
        self.write.data_bytes(data).await.map_err(|_| Gone)
    }

    /// Sends `data` and waits until at least its first byte is with the kernel.
    async fn last_words(&self, mut data: Vec<u8>) -> Result<(), Gone> {
        // In two writes: the first that we see may be the «command has started» from before.
        let rest = data.split_off(1);
        let mark = self.switch.written();
        self.write.data_bytes(data).await.map_err(|_| Gone)?;
        self.switch.written_past(mark).await;
        if rest.is_empty() {
            return Ok(());
        }
        let mark = self.switch.written();
        self.write.data_bytes(rest).await.map_err(|_| Gone)?;
        self.switch.written_past(mark).await;
        Ok(())
    }

    /// Says how the command ended, and closes the channel.
    pub(super) async fn end(&self, exit: Exit, slot: Slot) -> Result<(), Gone> {
        match exit {
            Exit::Code(code) => self.write.exit_status(code).await.map_err(|_| Gone)?,
            Exit::Signal(name) => self.killed_by(signals::by_name(name), false, "").await?,
            Exit::Crash { signal, core_dumped, message } => {
                self.killed_by(signals::by_name(signal), core_dumped, message).await?;
            }
            Exit::None => {}
        }
        self.close(slot).await
    }

    pub(super) async fn killed_by(&self, signal: russh::Sig, core_dumped: bool, message: &str) -> Result<(), Gone> {
        let id = self.write.id();
        let sent = self.handle.exit_signal_request(id, signal, core_dumped, message.to_owned(), String::new());
        sent.await.map_err(|()| Gone)
    }

    pub(super) async fn close(&self, slot: Slot) -> Result<(), Gone> {
        // Before the client can know: who sees the close may open the next one.
        drop(slot);
        self.write.eof().await.map_err(|_| Gone)?;
        self.write.close().await.map_err(|_| Gone)
    }
}
