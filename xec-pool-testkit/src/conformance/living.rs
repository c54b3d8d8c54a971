//! Promises about a connection that is in use, and about what is told of it.

use xec_pool_core::{Check, CloseReason, Pool, PoolConfig, Transport as _};

use super::{
    Environment, Peer,
    stage::{Kept, connect, context, kill, until_open, within},
};

pub(super) async fn a_death_is_signalled<E: Environment>(environment: &E) -> Kept {
    let mut dialled = connect(environment).await?;
    kill(environment, 1).await?;
    dialled.until_lost(environment).await?;
    dialled.until_broken(environment).await
}

pub(super) async fn the_token_ends_a_lent_connection<E: Environment>(environment: &E) -> Kept {
    let dialled = connect(environment).await?;
    until_open(environment, 1).await?;
    dialled.cancel.cancel();
    until_open(environment, 0).await?;
    dialled.until_broken(environment).await
}

pub(super) async fn connections_are_independent<E: Environment>(environment: &E) -> Kept {
    let (stays, goes, cancelled) =
        (connect(environment).await?, connect(environment).await?, connect(environment).await?);
    until_open(environment, 3).await?;
    cancelled.cancel.cancel();
    until_open(environment, 2).await?;
    within(environment, "close ends", goes.transport.close(goes.connection, CloseReason::Drained)).await?;
    until_open(environment, 1).await?;
    match stays.check(Check::Idle).await {
        Some(Ok(())) if !stays.is_broken() => Ok(()),
        _ => Err("one connection is broken by the end of another".to_owned()),
    }
}

pub(super) async fn a_pool_of_them_recovers<E: Environment>(environment: &E) -> Kept {
    let said = |error: &dyn std::fmt::Display| error.to_string();
    let config = PoolConfig::builder().max_connections(2).build().map_err(|error| said(&error))?;
    let pool = Pool::builder(environment.transport()).config(config).build().map_err(|error| said(&error))?;
    let leases = (
        within(environment, "a first caller is served", pool.acquire()).await?.map_err(|error| said(&error))?,
        within(environment, "a second caller is served", pool.acquire()).await?.map_err(|error| said(&error))?,
    );
    kill(environment, 2).await?;
    drop(leases);
    // One after the other: who gets one that is dead gets another one at once.
    for _ in 0..2 {
        let lease = within(environment, "a caller is served after all are dead", pool.acquire()).await?;
        drop(lease.map_err(|error| format!("after all connections have died: {error}"))?);
    }
    within(environment, "the pool closes", pool.close()).await?;
    until_open(environment, 0).await
}

pub(super) async fn errors_hold_no_secret<E: Environment>(environment: &E) -> Kept {
    let dialled = connect(environment).await?;
    let mut texts = vec![dialled.transport.name().unwrap_or_default()];
    kill(environment, 1).await?;
    dialled.until_check_fails(environment).await?;
    texts.extend(dialled.check(Check::Idle).await.and_then(Result::err).map(|error| all_of(&error)));

    let (cx, _cancel, _lost) = context();
    if let Some(refused) = environment.refused() {
        match within(environment, "a refused connect fails", refused.connect(cx)).await? {
            Ok(_) => return Err("who should be refused is connected".to_owned()),
            Err(error) => texts.extend([refused.name().unwrap_or_default(), all_of(&error)]),
        }
    }

    environment.set_peer(Peer::Away).await;
    let (cx, _cancel, _lost) = context();
    let away = within(environment, "connect fails", dialled.transport.connect(cx)).await?;
    texts.extend(away.err().map(|error| all_of(&error)));
    for secret in environment.secrets() {
        if let Some(text) = texts.iter().find(|text| text.contains(&secret)) {
            return Err(format!("a secret is shown: {}", text.replace(&secret, "***")));
        }
    }
    Ok(())
}

/// What may be printed of an error.
fn all_of(error: &dyn std::error::Error) -> String {
    let mut text = format!("{error:?}");
    let mut cause = Some(error);
    while let Some(error) = cause {
        text.push_str(&format!(": {error}"));
        cause = error.source();
    }
    text
}
