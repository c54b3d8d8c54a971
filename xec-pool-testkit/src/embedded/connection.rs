//! From a stream to a session, and what the connections of a server share.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use russh::{
    Disconnect,
    server::{self, Config},
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpListener,
    task::JoinSet,
};

use super::{
    Answer, Fault, Step,
    counters::Ledger,
    fault::Faults,
    session::Session,
    switch::{Switch, Switched},
    users::Users,
};

/// How commands are run.
pub(super) enum Mode {
    Shell,
    Script(Box<dyn Fn(&str) -> Answer + Send + Sync>),
}

/// Limits and habits.
#[derive(Debug)]
pub(super) struct Manners {
    pub(super) max_sessions: usize,
    pub(super) max_startups: u64,
    pub(super) max_auth_tries: usize,
    pub(super) accept_env: bool,
    pub(super) starve_stdin: bool,
    pub(super) refuse_commands: bool,
}

impl Default for Manners {
    fn default() -> Self {
        Self {
            max_sessions: usize::MAX,
            max_startups: u64::MAX,
            max_auth_tries: 6,
            accept_env: false,
            starve_stdin: false,
            refuse_commands: false,
        }
    }
}

/// What the connections of a server share.
pub(super) struct Shared {
    config: Arc<Config>,
    pub(super) users: Users,
    pub(super) mode: Mode,
    pub(super) manners: Manners,
    pub(super) faults: Faults,
    pub(super) ledger: Ledger,
    paused: AtomicBool,
    live: Mutex<Live>,
}

#[derive(Default)]
struct Live {
    next: u64,
    connections: HashMap<u64, Connection>,
}

struct Connection {
    switch: Arc<Switch>,
    /// Once it has told its version.
    session: Option<server::Handle>,
    authenticated: bool,
    /// Whether the server has hung up.
    is_sent_away: bool,
}

impl Shared {
    pub(super) fn new(config: Config, users: Users, mode: Mode, manners: Manners, faults: Faults) -> Self {
        Self {
            config: Arc::new(config),
            users,
            mode,
            manners,
            faults,
            ledger: Ledger::default(),
            paused: AtomicBool::new(false),
            live: Mutex::default(),
        }
    }

    /// What happens to who comes to `step` now. Uses up one strike, and counts it.
    pub(super) fn fault_at(&self, step: Step) -> Option<Fault> {
        let fault = self.faults.at(step)?;
        self.ledger.change(|counters| counters.faults += 1);
        Some(fault)
    }

    pub(super) fn kill_all(&self) -> usize {
        let switches: Vec<_> = self.live().connections.values().map(|one| Arc::clone(&one.switch)).collect();
        // After the lock: a woken task may end its connection, which takes it.
        switches.iter().for_each(|switch| switch.kill());
        switches.len()
    }

    pub(super) async fn disconnect_all(&self, message: &str) -> usize {
        let mut telling = JoinSet::new();
        for one in self.live().connections.values_mut() {
            let Some(session) = one.session.clone() else { continue };
            one.is_sent_away = true;
            let message = message.to_owned();
            // All at once: one that does not read must not keep the others from hearing.
            telling.spawn(async move { session.disconnect(Disconnect::ByApplication, message, String::new()).await });
        }
        telling.join_all().await.iter().filter(|told| told.is_ok()).count()
    }

    pub(super) fn set_paused(&self, paused: bool) {
        let live = self.live();
        self.paused.store(paused, Ordering::SeqCst);
        let switches: Vec<_> = live.connections.values().map(|one| Arc::clone(&one.switch)).collect();
        drop(live);
        switches.iter().for_each(|switch| switch.set_paused(paused));
    }

    fn live(&self) -> MutexGuard<'_, Live> {
        self.live.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A connection's place in the books. Dropping it closes the entry.
pub(super) struct Entry {
    shared: Arc<Shared>,
    id: u64,
    pub(super) switch: Arc<Switch>,
    /// Whether the server has spoken, so that leaving now is an aborted handshake.
    greeted: AtomicBool,
    /// Whether a login was answered.
    answered: AtomicBool,
}

impl Entry {
    /// `None` if `MaxStartups` says so.
    fn new(shared: &Arc<Shared>) -> Option<Self> {
        let switch = Arc::new(Switch::default());
        let mut live = shared.live();
        let strangers = live.connections.values().filter(|one| !one.authenticated).count() as u64;
        if strangers >= shared.manners.max_startups {
            drop(live);
            shared.ledger.change(|counters| {
                counters.accepted += 1;
                counters.refused += 1;
            });
            return None;
        }
        let id = live.next;
        live.next += 1;
        live.connections.insert(
            id,
            Connection { switch: Arc::clone(&switch), session: None, authenticated: false, is_sent_away: false },
        );
        // Under the lock, so that no resume() slips in between.
        switch.set_paused(shared.paused.load(Ordering::SeqCst));
        drop(live);
        shared.ledger.change(|counters| {
            counters.accepted += 1;
            counters.open += 1;
        });
        let no = || AtomicBool::new(false);
        Some(Self { shared: Arc::clone(shared), id, switch, greeted: no(), answered: no() })
    }

    fn speaks(&self, session: server::Handle) {
        if let Some(connection) = self.shared.live().connections.get_mut(&self.id) {
            connection.session = Some(session);
        }
    }

    pub(super) fn answered(&self) {
        self.answered.store(true, Ordering::SeqCst);
    }

    pub(super) fn authenticated(&self) {
        if let Some(connection) = self.shared.live().connections.get_mut(&self.id) {
            connection.authenticated = true;
        }
        self.shared.ledger.change(|counters| counters.authenticated += 1);
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        let gone = self.shared.live().connections.remove(&self.id);
        let sent_away = self.switch.is_killed() || gone.is_some_and(|one| one.is_sent_away);
        let ours = sent_away || self.answered.load(Ordering::SeqCst);
        let aborted = self.greeted.load(Ordering::SeqCst) && !ours;
        self.shared.ledger.change(|counters| {
            counters.open -= 1;
            counters.aborted_handshakes += u64::from(aborted);
        });
    }
}

/// Takes clients until it is aborted.
pub(super) async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    while let Ok((stream, _)) = listener.accept().await {
        // Answers are written in one piece: waiting for more to send would only cost 40 ms each.
        if stream.set_nodelay(true).is_ok() {
            serve(stream, &shared);
        }
    }
}

pub(super) fn serve<S>(stream: S, shared: &Arc<Shared>)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    if let Some(entry) = Entry::new(shared) {
        tokio::spawn(converse(stream, Arc::new(entry), Arc::clone(shared)));
    }
}

async fn converse<S>(stream: S, entry: Arc<Entry>, shared: Arc<Shared>)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    match shared.fault_at(Step::Accept) {
        None => {}
        Some(Fault::Delay(delay)) => {
            tokio::select! {
                () = tokio::time::sleep(delay) => {}
                () = entry.switch.killed() => return,
            }
        }
        Some(Fault::Die) => return entry.switch.kill(),
        Some(Fault::Hang) => return entry.switch.killed().await,
    }
    entry.greeted.store(true, Ordering::SeqCst);
    let stream = Switched::new(stream, Arc::clone(&entry.switch), Arc::clone(&shared));
    let session = Session::new(Arc::clone(&entry), Arc::clone(&shared));
    // How a session ends is the client's to judge; the books say what there is to say.
    if let Ok(running) = server::run_stream(Arc::clone(&shared.config), stream, session).await {
        entry.speaks(running.handle());
        let _ = running.await;
    }
}
