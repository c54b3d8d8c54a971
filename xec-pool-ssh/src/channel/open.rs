//! Opening a channel, and asking again where the server refuses one that it owes.

use std::{pin::pin, sync::Arc, time::Duration};

use russh::{Channel, ChannelOpenFailure, client::Msg};
use tokio::time::sleep;

use super::{Carrier, caller::Caller};
use crate::{SshError, error::Phase};

/// sshd frees a session only after it has reaped the process, so it refuses below its own limit for a few
/// milliseconds after each command. 1, 2, 4 … 128 ms: a quarter of a second in all.
const FIRST_WAIT: Duration = Duration::from_millis(1);
const LAST_WAIT: Duration = Duration::from_millis(128);

/// Opens a session channel. `None`: the caller left meanwhile, and nothing is open.
pub(super) async fn session(carrier: &Carrier, caller: &mut Caller) -> Result<Option<Channel<Msg>>, SshError> {
    let mut wait = FIRST_WAIT;
    loop {
        let reason = match once(carrier, caller).await {
            Ok(channel) => return Ok(channel),
            Err(russh::Error::ChannelOpenFailure(reason)) => reason,
            Err(russh::Error::SendError | russh::Error::Disconnect) => {
                return Err(carrier.lost_for_good(Phase::NotSent).await);
            }
            Err(error) => {
                let host = Arc::clone(&carrier.host);
                return Err(SshError::Protocol { host, phase: Phase::NotSent, source: Box::new(error) });
            }
        };
        if wait > LAST_WAIT || !may_pass(&reason) {
            return Err(SshError::ChannelRefused { host: Arc::clone(&carrier.host), reason: describe(&reason) });
        }
        tokio::select! {
            () = sleep(wait) => wait *= 2,
            left = caller.left() => {
                caller.dismiss(left, carrier, Phase::NotSent);
                return Ok(None);
            }
        }
    }
}

async fn once(carrier: &Carrier, caller: &mut Caller) -> Result<Option<Channel<Msg>>, russh::Error> {
    let mut opening = pin!(carrier.handle.channel_open_session());
    let left = tokio::select! {
        opened = &mut opening => {
            carrier.link.socket.calm_down();
            return opened.map(Some);
        }
        left = caller.left() => left,
    };
    caller.dismiss(left, carrier, Phase::NotSent);
    // To its end all the same: russh leaks a channel whose opening is given up. It sends nothing, and the server
    // counts the channel until the connection ends.
    if let Ok(channel) = opening.await {
        let _ = channel.close().await;
    }
    Ok(None)
}

const fn may_pass(reason: &ChannelOpenFailure) -> bool {
    match reason {
        ChannelOpenFailure::ConnectFailed
        | ChannelOpenFailure::ResourceShortage
        | ChannelOpenFailure::AdministrativelyProhibited => true,
        ChannelOpenFailure::UnknownChannelType | ChannelOpenFailure::Other { .. } => false,
    }
}

fn describe(reason: &ChannelOpenFailure) -> String {
    match reason {
        ChannelOpenFailure::ConnectFailed => "connect failed".to_owned(),
        ChannelOpenFailure::ResourceShortage => "resource shortage".to_owned(),
        ChannelOpenFailure::AdministrativelyProhibited => "administratively prohibited".to_owned(),
        ChannelOpenFailure::UnknownChannelType => "unknown channel type".to_owned(),
        ChannelOpenFailure::Other { code, .. } => format!("reason {code}"),
    }
}
