//! Faults, and their ends.

use std::{io, time::Instant};

use tokio::{io::AsyncReadExt as _, net::TcpStream, task::JoinHandle};
use xec_pool_core::{FailureKind, PoolEvent, WarmReport};
use xec_pool_ssh::SshError;
use xec_pool_testkit::proxy;

use super::{
    place::Place,
    slow::slowness,
    words::{Fault, State},
};

/// What keeps a fault going.
pub(crate) struct Held {
    /// When it had come, at the latest.
    pub(crate) landed: Instant,
    stranger: Option<TcpStream>,
    /// Who dials meanwhile, and was turned away.
    pub(crate) dialler: Option<JoinHandle<WarmReport<SshError>>>,
}

/// Ignores what asks it to end, and so keeps its session after its caller has left.
const STUBBORN: &str = "trap '' TERM; echo > /dev/shm/mark; read -r _ < /dev/shm/gate";

/// Whether the fault must be there before the state can be. Who waits for a check dials, too, and would be the stranger
/// that others are turned away for.
pub(crate) const fn comes_first(state: State, fault: Fault) -> bool {
    matches!(
        (state, fault),
        (State::Idle, _)
            | (State::Connecting | State::Validating | State::Draining, Fault::MaxStartups)
            | (State::Opening, Fault::MaxSessions)
    )
}

/// Lets it happen. What happens once has happened when this returns.
pub(crate) async fn strike(place: &Place, state: State, fault: Fault) -> io::Result<Held> {
    let sshd = &place.sshd;
    let mut held = Held { landed: Instant::now(), stranger: None, dialler: None };
    match fault {
        Fault::Killed => assert!(sshd.kill_connections().await? > 0, "there was one"),
        Fault::Frozen => sshd.pause().await?,
        Fault::Rebooted => {
            sshd.kill().await?;
            // What follows takes as long as a machine takes to come back.
            held.landed = Instant::now();
            sshd.restart().await?;
            return Ok(held);
        }
        Fault::Unplugged => sshd.unplug().await?,
        Fault::BlackHole => sshd.cut().await?,
        Fault::Reset => assert!(place.way().strike(proxy::Blow::Reset) > 0, "there was one"),
        Fault::Slow => place.way().set_faults(slowness()),
        Fault::MaxSessions if state.has_command() => {}
        Fault::MaxSessions => abandon_one(place).await?,
        Fault::MaxStartups => {
            held.stranger = Some(stranger(place).await?);
            // Where nothing is dialled the fault would meet nobody.
            held.dialler = if state == State::Connecting { None } else { Some(turned_away(place).await) };
        }
        // Its disk is small from the start.
        Fault::Exhausted if state.has_command() => {}
        Fault::Exhausted => sshd.limit_processes(Some(1)).await?,
    }
    held.landed = Instant::now();
    Ok(held)
}

/// Ends it, where it does not end by itself.
pub(crate) async fn lift(place: &Place, state: State, fault: Fault, held: &mut Held) -> io::Result<()> {
    held.stranger = None;
    let sshd = &place.sshd;
    match fault {
        Fault::Frozen => sshd.unpause().await,
        Fault::Unplugged => sshd.plug().await,
        Fault::BlackHole => sshd.heal().await,
        Fault::Slow => {
            place.way().clear_faults();
            Ok(())
        }
        Fault::MaxSessions if !state.has_command() => sshd.exec("echo > /dev/shm/gate").await.map(drop),
        Fault::Exhausted => sshd.limit_processes(None).await,
        Fault::Killed | Fault::Rebooted | Fault::Reset | Fault::MaxSessions | Fault::MaxStartups => Ok(()),
    }
}

/// A command whose caller leaves, and which stays.
async fn abandon_one(place: &Place) -> io::Result<()> {
    let pool = place.pool.clone();
    let caller = place.spawn(async move { pool.shell(STUBBORN).output().await });
    place.sshd.exec("cat /dev/shm/mark").await?;
    caller.abort();
    while place.pool.stats().active > 0 {
        tokio::task::yield_now().await;
    }
    Ok(())
}

/// Somebody who connects and does not log in.
async fn stranger(place: &Place) -> io::Result<TcpStream> {
    let mut stranger = TcpStream::connect(place.sshd.addr()).await?;
    stranger.read_exact(&mut [0; 4]).await?;
    Ok(stranger)
}

/// Somebody of ours who wants a second connection, and was turned away at least once.
async fn turned_away(place: &Place) -> JoinHandle<WarmReport<SshError>> {
    let pool = place.pool.clone();
    let dialler = place.spawn(async move { pool.warm(2).await });
    let is_told = |event: &PoolEvent| matches!(event, PoolEvent::RetryScheduled { kind: FailureKind::Throttled, .. });
    place.recorder.wait_for(is_told).await;
    dialler
}

/// Whether nothing is left to lift.
pub(crate) const fn is_over_at_once(fault: Fault) -> bool {
    matches!(fault, Fault::Killed | Fault::Rebooted | Fault::Reset)
}
