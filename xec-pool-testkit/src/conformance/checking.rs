//! Promises about what a transport says of a connection.

use std::time::{Duration, Instant};

use tokio::time::timeout;
use xec_pool_core::{Check, CloseReason, Transport as _};

use super::{
    Environment, Peer,
    stage::{CHECKS, Kept, MOST_CUTS, connect, cut, endless, kill},
};

/// A check that has not passed by then has noticed, or will be ended by the pool.
const SILENCE: Duration = Duration::from_secs(1);

/// Looks in a row.
const LOOKS: u32 = 1000;

pub(super) async fn an_idle_check_notices_silence<E: Environment>(environment: &E) -> Kept {
    let dialled = connect(environment).await?;
    environment.set_peer(Peer::Frozen).await;
    match timeout(SILENCE, dialled.transport.validate(&dialled.connection, Check::Idle)).await {
        Ok(Ok(())) => Err("the idle check passes although the peer says nothing".to_owned()),
        Ok(Err(_)) | Err(_) => Ok(()),
    }
}

pub(super) async fn a_check_notices_death<E: Environment>(environment: &E) -> Kept {
    let dialled = connect(environment).await?;
    kill(environment, 1).await?;
    dialled.until_check_fails(environment).await?;
    for check in CHECKS {
        if let Some(Ok(())) = dialled.check(check).await {
            return Err(format!("the check {check:?} passes after another one has failed"));
        }
    }
    Ok(())
}

pub(super) async fn dropping_a_check_leaves_it_closable<E: Environment>(environment: &E) -> Kept {
    for polls in 0..MOST_CUTS {
        let dialled = connect(environment).await?;
        let ended = cut(dialled.transport.validate(&dialled.connection, Check::Idle), polls).await.is_some();
        let closed = dialled.close(environment, CloseReason::ValidationFailed).await;
        closed.map_err(|how| format!("after a check that was dropped after {polls} polls: {how}"))?;
        if ended {
            return Ok(());
        }
    }
    endless("a check")
}

pub(super) async fn is_broken_never_takes_it_back<E: Environment>(environment: &E) -> Kept {
    let dialled = connect(environment).await?;
    if (0..LOOKS).any(|_| dialled.is_broken()) {
        return Err("it is true of a connection that lives".to_owned());
    }
    kill(environment, 1).await?;
    // Where nothing but a check tells the transport, let one tell it.
    dialled.until_check_fails(environment).await?;
    dialled.until_broken(environment).await?;
    for check in CHECKS {
        if (0..LOOKS).any(|_| !dialled.is_broken()) {
            return Err("it has been true and is false again".to_owned());
        }
        let _ = dialled.check(check).await;
    }
    if dialled.is_broken() { Ok(()) } else { Err("it has been true and is false after a check".to_owned()) }
}

pub(super) async fn is_broken_asks_nobody<E: Environment>(environment: &E) -> Kept {
    let dialled = connect(environment).await?;
    environment.set_peer(Peer::Frozen).await;
    // Not tokio's clock: a thread that is held up is held up in real time.
    let began = Instant::now();
    for _ in 0..LOOKS {
        dialled.is_broken();
        if began.elapsed() >= Duration::from_secs(1) {
            return Err("it takes more than a millisecond a look".to_owned());
        }
    }
    Ok(())
}
