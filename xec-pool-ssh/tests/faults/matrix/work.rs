//! Brings a pool into a state, exactly, and out of it again.

use std::{
    sync::Arc,
    time::{Duration, Instant, SystemTime},
};

use tokio::task::JoinHandle;
use xec_pool_core::{DrainReport, Phase};
use xec_pool_ssh::{Output, SshError};
use xec_pool_testkit::proxy::{self, Direction};

use super::{
    place::{CHECK, DRAIN, PART, Place},
    slow::{STAMP, slowness},
    words::{Fault, State},
};

pub(crate) type Answer = Result<Output, SshError>;

/// A caller's answer.
pub(crate) struct Heard {
    pub(crate) answer: Answer,
    pub(crate) asked: Instant,
    pub(crate) at: Instant,
    /// The same, by everybody's clock.
    pub(crate) told: SystemTime,
}

impl Heard {
    fn now(answer: Answer, asked: Instant) -> Self {
        Self { answer, asked, at: Instant::now(), told: SystemTime::now() }
    }
}

/// What somebody waits for, once the state is reached.
pub(crate) struct Work {
    pub(crate) caller: JoinHandle<Heard>,
    /// What a second command on the same connection got, while the first held the only session.
    pub(crate) second: Option<Answer>,
    /// And how long it took.
    pub(crate) drain: Option<JoinHandle<(DrainReport, Duration)>>,
    /// When the state is over by itself, at the earliest: a fault that comes later misses it.
    pub(crate) ends: Option<Instant>,
}

impl Work {
    /// For a state that lasts so long from now on. The pool's own clock for it may have begun a moment before.
    fn ending(self, after: Duration) -> Self {
        Self { ends: Some(Instant::now() + after - EARLIER), ..self }
    }
}

const EARLIER: Duration = Duration::from_millis(100);

/// Where a gate in the command is the way on, it opens only after the fault has come.
const WAIT: &str = "echo > /dev/shm/mark; read -r _ < /dev/shm/gate";

/// More than a channel's window: the rest waits on our side.
pub(super) const UPLOAD_BYTES: usize = 3 << 20;

/// A check that has not ended by then waits for an answer that is held up.
const ANSWERED: Duration = Duration::from_millis(100);

/// A command and its input. It stands still once it has said at `mark` that it has begun, unless it is to stream.
fn command(state: State, fault: Fault) -> (String, Vec<u8>) {
    let last = if fault == Fault::Exhausted {
        "head -c 1000000 /dev/zero > /small/file"
    } else if fault == Fault::Slow {
        STAMP
    } else {
        "true"
    };
    match state {
        State::Streaming if fault.ends_connections() => ("echo > /dev/shm/mark; exec yes".to_owned(), Vec::new()),
        State::Streaming => {
            let text = format!("head -c 65536 /dev/zero; {WAIT}; head -c {UPLOAD_BYTES} /dev/zero; {last}");
            (text, Vec::new())
        }
        State::Uploading => {
            let to = if fault == Fault::Exhausted { "/small/file" } else { "/dev/null" };
            (format!("head -c 65536 > /dev/null; {WAIT}; cat > {to}"), vec![7; UPLOAD_BYTES])
        }
        State::Idle
        | State::Connecting
        | State::Authenticating
        | State::Validating
        | State::Opening
        | State::Running
        | State::Draining => (format!("{WAIT}; {last}"), Vec::new()),
    }
}

/// Before a state can be reached: a connection lies ready, where the state needs one.
pub(crate) async fn prepare(place: &Place, state: State) {
    if !matches!(state, State::Connecting | State::Authenticating) {
        let pool = place.pool.clone();
        let first = place.spawn(async move { pool.command("true").output().await });
        first.await.expect("it does not panic").expect("a healthy server runs it");
    }
}

/// Brings the pool into the state.
pub(crate) async fn begin(place: &Place, state: State, fault: Fault) -> std::io::Result<Work> {
    match state {
        State::Idle => Ok(plain(place)),
        State::Connecting => {
            if fault != Fault::MaxStartups {
                place.way().set_faults([proxy::Fault::StallAfterBanner]);
            }
            let work = plain(place).ending(PART);
            if fault != Fault::MaxStartups {
                place.way().wait_until(|counters| counters.to_client > 0).await;
            }
            Ok(work)
        }
        State::Authenticating => {
            let hold = if fault == Fault::Exhausted { 2 } else { 600 };
            place.sshd.exec(&format!("echo {hold} > /dev/shm/hold; mkfifo -m 666 /dev/shm/auth")).await?;
            let work = plain(place).ending(PART.min(Duration::from_secs(hold)));
            place.sshd.exec("cat /dev/shm/mark").await?;
            Ok(work)
        }
        State::Validating => {
            // The question itself is held up: the server must not have answered it before the fault.
            place.way().set_faults([proxy::Fault::Freeze(Direction::ToServer)]);
            let mut held_up = None;
            while held_up.is_none_or(|since: Instant| since.elapsed() < ANSWERED) {
                tokio::task::yield_now().await;
                let is_checking = place.pool.stats().validating > 0;
                held_up = if is_checking { held_up.or_else(|| Some(Instant::now())) } else { None };
            }
            // Since then, not since it was seen for the second time.
            Ok(plain(place).ending(CHECK - ANSWERED))
        }
        State::Opening => {
            place.way().set_faults([proxy::Fault::Freeze(Direction::ToServer)]);
            let work = plain(place);
            while place.pool.stats().active == 0 {
                tokio::task::yield_now().await;
            }
            Ok(work)
        }
        State::Running | State::Streaming | State::Uploading | State::Draining => held(place, state, fault).await,
    }
}

/// Whether the pool is in the state, and nothing else has happened.
pub(crate) fn is_there(place: &Place, state: State) -> bool {
    let stats = place.pool.stats();
    match state {
        State::Idle => stats.idle == 1 && stats.leases == 0,
        State::Connecting | State::Authenticating => stats.connecting == 1 && stats.connect_failures == 0,
        State::Validating => stats.validating == 1 && stats.created == 1,
        State::Opening | State::Running | State::Streaming | State::Uploading => stats.active == 1,
        State::Draining => stats.active == 1 && stats.phase == Phase::Draining,
    }
}

fn plain(place: &Place) -> Work {
    let pool = place.pool.clone();
    let caller = place.spawn(async move {
        let asked = Instant::now();
        Heard::now(pool.command("true").output().await, asked)
    });
    Work { caller, second: None, drain: None, ends: None }
}

/// A command on a lease; where sessions are what lacks, one more that wants one of the same connection.
async fn held(place: &Place, state: State, fault: Fault) -> std::io::Result<Work> {
    let pool = place.pool.clone();
    let (text, input) = command(state, fault);
    let (hand_over, taken) = tokio::sync::oneshot::channel();
    let caller = place.spawn(async move {
        let asked = Instant::now();
        let lease = Arc::new(pool.acquire().await.expect("a healthy server is connected to"));
        let _ = hand_over.send(Arc::clone(&lease));
        let mut command = lease.shell(text);
        command.stdin(input).max_output(1 << 20);
        Heard::now(command.output().await, asked)
    });
    let lease = taken.await.expect("it was lent");
    place.sshd.exec("cat /dev/shm/mark").await?;
    let second = if fault == Fault::MaxSessions {
        let asked = place.spawn(async move { lease.command("true").output().await });
        Some(asked.await.map_err(std::io::Error::other)?)
    } else {
        drop(lease);
        None
    };
    let pool = place.pool.clone();
    let draining = async move {
        let began = Instant::now();
        (pool.drain(DRAIN).await, began.elapsed())
    };
    let drain = (state == State::Draining).then(|| place.spawn(draining));
    while drain.is_some() && place.pool.stats().phase == Phase::Open {
        tokio::task::yield_now().await;
    }
    Ok(Work { caller, second, drain, ends: None })
}

/// Lets what was held go on, now that the fault is there.
pub(crate) async fn release(place: &Place, state: State, fault: Fault) -> std::io::Result<()> {
    if let Some(proxy) = &place.proxy {
        proxy.set_faults(if fault == Fault::Slow { slowness().to_vec() } else { Vec::new() });
    }
    let can_be_told = !matches!(fault, Fault::Frozen | Fault::Rebooted | Fault::Killed);
    if state == State::Authenticating && fault != Fault::Exhausted && can_be_told {
        // Opened for both, so that it does not wait for a reader who may be gone.
        place.sshd.exec("echo 1<> /dev/shm/auth").await?;
    }
    if state.has_command() && !fault.ends_connections() {
        place.sshd.exec("echo > /dev/shm/gate").await?;
    }
    Ok(())
}

/// What waits over there for a word that has not come is given it: it is the test's, not the pool's.
pub(crate) async fn let_go(place: &Place, state: State) -> std::io::Result<()> {
    if state == State::Authenticating {
        place.sshd.exec("if [ -p /dev/shm/auth ]; then echo 1<> /dev/shm/auth; fi").await?;
    }
    Ok(())
}
