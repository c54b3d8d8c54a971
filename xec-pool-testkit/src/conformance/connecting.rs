//! Promises about how a connection comes to be.

use std::time::Duration;

use tokio::time::timeout;
use xec_pool_core::Transport as _;

use super::{
    Environment, Peer,
    stage::{CHECKS, Connection, Kept, MOST_CUTS, connect, context, cut_to_nothing, endless, until_open, within},
};

/// Long enough for a connect to come to where a frozen peer holds it up. If it is not there yet, the promise is
/// asked of another place.
const ON_ITS_WAY: Duration = Duration::from_millis(50);

pub(super) async fn a_new_connection_passes_every_check<E: Environment>(environment: &E) -> Kept {
    let dialled = connect(environment).await?;
    until_open(environment, 1).await?;
    for check in CHECKS {
        match dialled.check(check).await {
            Some(Ok(())) => {}
            Some(Err(error)) => return Err(format!("the check {check:?} fails: {error}")),
            None => return Err(format!("the check {check:?} does not end")),
        }
        if dialled.is_broken() {
            return Err(format!("is_broken is true after the check {check:?} has passed"));
        }
    }
    Ok(())
}

pub(super) async fn connect_honours_its_token<E: Environment>(environment: &E) -> Kept {
    let (cx, cancel, _lost) = context();
    cancel.cancel();
    let transport = environment.transport();
    let connected = within(environment, "connect ends, cancelled before", transport.connect(cx)).await?;
    ends_at_once(environment, connected.ok()).await.map_err(|how| format!("cancelled before: {how}"))?;

    environment.set_peer(Peer::Frozen).await;
    let (cx, cancel, _lost) = context();
    let mut connecting = std::pin::pin!(transport.connect(cx));
    let early = timeout(ON_ITS_WAY, connecting.as_mut()).await;
    cancel.cancel();
    let connected = match early {
        Ok(connected) => connected,
        Err(_) => within(environment, "connect to a frozen peer ends, cancelled", connecting).await?,
    };
    environment.set_peer(Peer::Well).await;
    ends_at_once(environment, connected.ok()).await.map_err(|how| format!("cancelled in the middle: {how}"))
}

/// What was connected although its token is cancelled is over before anybody drops it.
async fn ends_at_once<E: Environment>(environment: &E, connection: Option<Connection<E>>) -> Kept {
    let seen = until_open(environment, 0).await;
    drop(connection);
    seen
}

pub(super) async fn dropping_connect_leaves_nothing_open<E: Environment>(environment: &E) -> Kept {
    let transport = environment.transport();
    environment.set_peer(Peer::Frozen).await;
    let (cx, _cancel, _lost) = context();
    drop(timeout(ON_ITS_WAY, transport.connect(cx)).await);
    environment.set_peer(Peer::Well).await;
    until_open(environment, 0).await.map_err(|how| format!("before a frozen peer: {how}"))?;

    for polls in 0..MOST_CUTS {
        let (cx, _cancel, _lost) = context();
        if cut_to_nothing(environment, "connect", transport.connect(cx), polls).await? {
            return Ok(());
        }
    }
    endless("connect")
}

pub(super) async fn a_peer_that_is_away_is_worth_a_retry<E: Environment>(environment: &E) -> Kept {
    environment.set_peer(Peer::Away).await;
    let (cx, _cancel, _lost) = context();
    let transport = environment.transport();
    let error = match within(environment, "connect fails", transport.connect(cx)).await? {
        Ok(_) => return Err("connect succeeds although nobody is there".to_owned()),
        Err(error) => error,
    };
    let kind = transport.classify(&error);
    if !kind.is_retried() {
        return Err(format!("{error}: is of the kind {kind}, which is never retried"));
    }
    environment.set_peer(Peer::Well).await;
    // And it was worth it.
    connect(environment).await.map(drop)
}
