//! What the server knows of one client.

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use russh::{
    ChannelId, ChannelWriteHalf, Error,
    server::{Auth, ChannelOpenHandle, Msg},
};
use tokio::{
    task::{AbortHandle, JoinSet},
    time::sleep,
};

use super::{
    AuthAttempt, AuthMethod, Fault, Step,
    connection::{Entry, Shared},
    shell::Remote,
};

/// One client's session.
pub(super) struct Session {
    pub(super) entry: Arc<Entry>,
    pub(super) shared: Arc<Shared>,
    asked_auth: bool,
    refused: usize,
    pub(super) open: Arc<AtomicUsize>,
    pub(super) channels: HashMap<ChannelId, Opened>,
    /// Requests to open that are never answered. Dropping one would refuse it.
    pub(super) parked: Vec<ChannelOpenHandle>,
    /// Whatever runs for this client; ends with it.
    pub(super) tasks: JoinSet<()>,
}

/// A channel that the client has opened.
pub(super) enum Opened {
    /// No command yet.
    Waiting { write: ChannelWriteHalf<Msg>, env: Vec<(String, String)>, slot: Slot },
    /// In a shell.
    Running(Remote),
    /// Being answered, and taking its time.
    Playing(Playing),
}

/// A task that ends with its channel.
pub(super) struct Playing(pub(super) AbortHandle);

impl Drop for Playing {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Counts as an open session while it lives.
pub(super) struct Slot(Arc<AtomicUsize>);

impl Slot {
    pub(super) fn take(open: &Arc<AtomicUsize>, max: usize) -> Option<Self> {
        // Only this client's session task takes, so nobody comes in between.
        (open.load(Ordering::SeqCst) < max).then(|| {
            open.fetch_add(1, Ordering::SeqCst);
            Self(Arc::clone(open))
        })
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Session {
    pub(super) fn new(entry: Arc<Entry>, shared: Arc<Shared>) -> Self {
        Self {
            entry,
            shared,
            asked_auth: false,
            refused: 0,
            open: Arc::default(),
            channels: HashMap::new(),
            parked: Vec::new(),
            tasks: JoinSet::new(),
        }
    }

    pub(super) fn die<T>(&self) -> Result<T, Error> {
        self.entry.switch.kill();
        Err(Error::Disconnect)
    }

    /// Lets [`Step::Auth`] strike, at the first request.
    pub(super) async fn at_auth(&mut self) -> Result<(), Error> {
        if std::mem::replace(&mut self.asked_auth, true) {
            return Ok(());
        }
        match self.shared.fault_at(Step::Auth) {
            None => Ok(()),
            Some(Fault::Delay(delay)) => {
                tokio::select! {
                    () = sleep(delay) => Ok(()),
                    () = self.entry.switch.killed() => self.die(),
                }
            }
            Some(Fault::Die) => self.die(),
            Some(Fault::Hang) => {
                self.entry.switch.killed().await;
                self.die()
            }
        }
    }

    pub(super) fn judge(&mut self, user: &str, method: AuthMethod, accepted: bool) -> Result<Auth, Error> {
        // Before the answer can be on the wire, so that who has it finds it in the books.
        self.entry.answered();
        self.shared.ledger.change(|counters| {
            counters.auth_attempts.push(AuthAttempt { user: user.into(), method, accepted });
        });
        if accepted {
            return Ok(Auth::Accept);
        }
        // Asking what is possible is free, as with OpenSSH.
        self.refused += usize::from(method != AuthMethod::None);
        if self.refused >= self.shared.manners.max_auth_tries {
            return Err(Error::Disconnect);
        }
        Ok(Auth::Reject { proceed_with_methods: Some(self.shared.users.methods()), partial_success: false })
    }

    /// Forgets what is finished, so that a long connection stays small.
    pub(super) fn sweep(&mut self) {
        while self.tasks.try_join_next().is_some() {}
        self.channels.retain(|_, channel| match channel {
            Opened::Waiting { .. } => true,
            Opened::Running(remote) => !remote.is_over(),
            Opened::Playing(Playing(task)) => !task.is_finished(),
        });
    }
}
