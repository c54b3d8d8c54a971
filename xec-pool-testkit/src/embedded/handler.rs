//! What the server does when a client asks: russh calls, this answers.

use std::sync::Arc;

use russh::{
    Channel, ChannelId, ChannelOpenFailure, Error, Sig,
    server::{Auth, ChannelOpenHandle, Handler, Msg, PublicKeyOffer, Session as Russh, VerifiedPublicKey},
};
use tokio::time::sleep;

use super::{
    AuthMethod, Fault, Step,
    connection::Mode,
    script,
    session::{Opened, Playing, Session, Slot},
    shell,
};

impl Handler for Session {
    type Error = Error;

    async fn auth_none(&mut self, user: &str) -> Result<Auth, Error> {
        self.at_auth().await?;
        self.judge(user, AuthMethod::None, false)
    }

    async fn auth_password(&mut self, user: &str, password: &str) -> Result<Auth, Error> {
        self.at_auth().await?;
        let accepted = self.shared.users.takes_password(user, password);
        self.judge(user, AuthMethod::Password, accepted)
    }

    async fn auth_publickey_offered(&mut self, user: &str, offer: PublicKeyOffer<'_>) -> Result<Auth, Error> {
        self.at_auth().await?;
        if self.shared.users.takes_key(user, offer.public_key) {
            // Not an attempt yet: the signature is still to come, and then counts.
            return Ok(Auth::Accept);
        }
        self.judge(user, AuthMethod::PublicKey, false)
    }

    async fn auth_publickey(&mut self, user: &str, key: VerifiedPublicKey<'_>) -> Result<Auth, Error> {
        let accepted = self.shared.users.takes_key(user, key.public_key);
        self.judge(user, AuthMethod::PublicKey, accepted)
    }

    async fn auth_succeeded(&mut self, _: &mut Russh) -> Result<(), Error> {
        self.entry.authenticated();
        Ok(())
    }

    async fn channel_open_session(
        &mut self,
        channel: Channel<Msg>,
        reply: ChannelOpenHandle,
        _: &mut Russh,
    ) -> Result<(), Error> {
        self.sweep();
        let Some(slot) = Slot::take(&self.open, self.shared.manners.max_sessions) else {
            self.shared.ledger.change(|counters| counters.sessions_refused += 1);
            reply.reject(ChannelOpenFailure::ConnectFailed).await;
            return Ok(());
        };
        let id = channel.id();
        // Input comes through `data`. The reading half is dropped: unread, it would block the whole connection.
        let (_, write) = channel.split();
        self.channels.insert(id, Opened::Waiting { write, env: Vec::new(), slot });
        self.shared.ledger.change(|counters| counters.sessions += 1);
        match self.shared.fault_at(Step::Open) {
            None => reply.accept().await,
            Some(Fault::Delay(delay)) => {
                self.tasks.spawn(async move {
                    sleep(delay).await;
                    reply.accept().await;
                });
            }
            Some(Fault::Die) => return self.die(),
            Some(Fault::Hang) => self.parked.push(reply),
        }
        Ok(())
    }

    async fn env_request(&mut self, id: ChannelId, name: &str, value: &str, session: &mut Russh) -> Result<(), Error> {
        match self.channels.get_mut(&id) {
            Some(Opened::Waiting { env, .. }) if self.shared.manners.accept_env => {
                env.push((name.into(), value.into()));
                session.channel_success(id)
            }
            Some(Opened::Waiting { .. } | Opened::Running(_) | Opened::Playing(_)) | None => {
                session.channel_failure(id)
            }
        }
    }

    async fn exec_request(&mut self, id: ChannelId, command: &[u8], session: &mut Russh) -> Result<(), Error> {
        self.shared.ledger.command();
        if self.shared.manners.refuse_commands {
            return session.channel_failure(id);
        }
        let delay = match self.shared.fault_at(Step::Exec) {
            None => None,
            Some(Fault::Delay(delay)) => Some(delay),
            Some(Fault::Die) => return self.die(),
            Some(Fault::Hang) => return Ok(()),
        };
        let Some(Opened::Waiting { write, env, slot }) = self.channels.remove(&id) else {
            return session.channel_failure(id);
        };
        let cut = self.shared.fault_at(Step::MidOutput);
        let command = String::from_utf8_lossy(command);
        match &self.shared.mode {
            Mode::Script(answer) => {
                let answer = answer(&command);
                if delay.is_none() && cut.is_none() && script::fits(&answer, id, session) {
                    drop(slot);
                    return script::say(answer, id, session);
                }
                let stage = script::Stage { write, handle: session.handle(), switch: Arc::clone(&self.entry.switch) };
                let task = self.tasks.spawn(stage.play(answer, slot, delay, cut));
                self.channels.insert(id, Opened::Playing(Playing(task)));
            }
            Mode::Shell => {
                let stage = script::Stage { write, handle: session.handle(), switch: Arc::clone(&self.entry.switch) };
                let order = shell::Order { command: command.into_owned(), env, delay, cut };
                let remote = shell::start(&mut self.tasks, stage, order, slot);
                self.channels.insert(id, Opened::Running(remote));
            }
        }
        Ok(())
    }

    async fn data(&mut self, id: ChannelId, data: &[u8], _: &mut Russh) -> Result<(), Error> {
        match self.channels.get(&id) {
            Some(Opened::Running(remote)) => remote.stdin(data),
            Some(Opened::Waiting { .. } | Opened::Playing(_)) | None => Ok(()),
        }
    }

    fn adjust_window(&mut self, _: ChannelId, current: u32) -> u32 {
        // A target of one byte is never undercut by half, so russh never tops the window up again.
        if self.shared.manners.starve_stdin { 1 } else { current }
    }

    async fn channel_eof(&mut self, id: ChannelId, _: &mut Russh) -> Result<(), Error> {
        if let Some(Opened::Running(remote)) = self.channels.get_mut(&id) {
            remote.end_stdin();
        }
        Ok(())
    }

    async fn channel_close(&mut self, id: ChannelId, _: &mut Russh) -> Result<(), Error> {
        // Ends the command too: nobody would hear of its end any more.
        self.channels.remove(&id);
        Ok(())
    }

    async fn signal(&mut self, id: ChannelId, signal: Sig, _: &mut Russh) -> Result<(), Error> {
        if let Some(Opened::Running(remote)) = self.channels.get(&id) {
            remote.signal(&signal);
        }
        Ok(())
    }

    async fn shell_request(&mut self, id: ChannelId, session: &mut Russh) -> Result<(), Error> {
        session.channel_failure(id)
    }

    async fn subsystem_request(&mut self, id: ChannelId, _: &str, session: &mut Russh) -> Result<(), Error> {
        session.channel_failure(id)
    }

    async fn pty_request(
        &mut self,
        id: ChannelId,
        _: &str,
        _: u32,
        _: u32,
        _: u32,
        _: u32,
        _: &[(russh::Pty, u32)],
        session: &mut Russh,
    ) -> Result<(), Error> {
        session.channel_failure(id)
    }
}
