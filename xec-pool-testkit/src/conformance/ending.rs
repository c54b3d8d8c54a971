//! Promises about the end of a connection.

use std::thread;

use xec_pool_core::{CloseReason, Transport as _};

use super::{
    Environment, Peer,
    stage::{Kept, MOST_CUTS, connect, cut_to_nothing, endless, kill, until_open},
};

/// Of the kinds that matter: chosen by the pool, and taken for dead.
const REASONS: [CloseReason; 3] = [CloseReason::IdleTimeout, CloseReason::Drained, CloseReason::ValidationFailed];

pub(super) async fn close_ends_it<E: Environment>(environment: &E) -> Kept {
    for reason in REASONS {
        let dialled = connect(environment).await?;
        until_open(environment, 1).await?;
        dialled.close(environment, reason).await?;
    }
    Ok(())
}

pub(super) async fn close_of_a_frozen_peer_is_bounded<E: Environment>(environment: &E) -> Kept {
    for reason in REASONS {
        let dialled = connect(environment).await?;
        environment.set_peer(Peer::Frozen).await;
        dialled.close(environment, reason).await?;
    }
    Ok(())
}

pub(super) async fn close_of_a_dead_peer_is_bounded<E: Environment>(environment: &E) -> Kept {
    for reason in REASONS {
        let dialled = connect(environment).await?;
        kill(environment, 1).await?;
        dialled.close(environment, reason).await?;
    }
    Ok(())
}

pub(super) async fn dropping_close_ends_it<E: Environment>(environment: &E) -> Kept {
    for polls in 0..MOST_CUTS {
        let dialled = connect(environment).await?;
        let transport = environment.transport();
        let closing = transport.close(dialled.connection, CloseReason::Drained);
        if cut_to_nothing(environment, "close", closing, polls).await? {
            return Ok(());
        }
    }
    endless("close")
}

pub(super) async fn dropping_a_connection_ends_it<E: Environment>(environment: &E) -> Kept {
    let dialled = connect(environment).await?;
    until_open(environment, 1).await?;
    drop(dialled.connection);
    until_open(environment, 0).await?;

    let dialled = connect(environment).await?;
    until_open(environment, 1).await?;
    let connection = dialled.connection;
    if thread::spawn(move || drop(connection)).join().is_err() {
        return Err("it panics where there is no runtime".to_owned());
    }
    until_open(environment, 0).await
}
