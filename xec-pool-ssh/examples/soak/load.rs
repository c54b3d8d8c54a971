//! What callers do: commands of all kinds, some given up in the middle.

use std::{sync::Arc, sync::atomic::Ordering, time::Duration};

use fastrand::Rng;
use tokio::time::timeout;
use xec_pool_core::{AcquireError, DialError};
use xec_pool_ssh::{Command, ExitStatus, SshError, SshPool};

use crate::{
    Over,
    figures::{Figures, MARK},
    place::Place,
};

/// Whoever waits longer than this is stuck: every wait in the pool has a shorter bound.
const STUCK: Duration = Duration::from_secs(60);

/// What became of one call.
pub(crate) enum Call {
    /// A command was run.
    Done,
    /// A connection was held, or looked for, and no command was run.
    Held,
    Failed,
    /// The caller left.
    Left,
    /// It ended, and not as it can.
    Wrong(String),
}

pub(crate) async fn call(place: Arc<Place>, figures: Arc<Figures>, over: Over, mut chance: Rng) {
    while !over.load(Ordering::Acquire) {
        let pool = place.pool();
        match timeout(STUCK, one(&pool, &mut chance)).await {
            Ok(call) => {
                place.called(&call);
                figures.called(call);
            }
            Err(_) => figures.violated(format!("a caller is stuck: {}", pool.stats())),
        }
        // Callers that fail at once do not spin.
        tokio::time::sleep(Duration::from_millis(chance.u64(..20))).await;
    }
}

async fn one(pool: &SshPool, chance: &mut Rng) -> Call {
    match chance.u32(..20) {
        0..8 => code(pool, chance.u32(..4)).await,
        8..10 => echo(pool, chance).await,
        10..12 => upload(pool, chance.usize(..1 << 20)).await,
        12..14 => download(pool, chance.usize(..1 << 20)).await,
        14..17 => leave(pool, chance).await,
        17 => give_up(pool).await,
        18 => hold(pool, chance).await,
        _ => peek(pool),
    }
}

/// Every process over there can be told by its environment.
fn shell<'a>(pool: &'a SshPool, text: impl Into<String>) -> Command<'a> {
    let mut command = pool.shell(text);
    command.env(MARK, std::process::id().to_string());
    command
}

async fn code(pool: &SshPool, code: u32) -> Call {
    match shell(pool, format!("exit {code}")).status().await {
        Ok(status) if status == ExitStatus::Code(code) => Call::Done,
        Ok(other) => cut_short(&other),
        Err(error) => failed(&error),
    }
}

async fn echo(pool: &SshPool, chance: &mut Rng) -> Call {
    let word: String = (0..32).map(|_| chance.alphanumeric()).collect();
    match shell(pool, format!("printf %s {word}")).output().await {
        Ok(output) if output.status.success() && output.stdout == word.as_bytes() => Call::Done,
        Ok(output) if output.status.success() => Call::Wrong(format!("{word} came back as {output:?}")),
        Ok(output) => cut_short(&output.status),
        Err(error) => failed(&error),
    }
}

async fn upload(pool: &SshPool, bytes: usize) -> Call {
    match shell(pool, "wc -c").stdin(vec![7; bytes]).output().await {
        Ok(output) if output.status.success() => {
            let counted = String::from_utf8_lossy(&output.stdout).trim().to_owned();
            if counted == bytes.to_string() { Call::Done } else { Call::Wrong(format!("{counted} of {bytes} arrived")) }
        }
        Ok(output) => cut_short(&output.status),
        Err(error) => failed(&error),
    }
}

async fn download(pool: &SshPool, bytes: usize) -> Call {
    match shell(pool, format!("head -c {bytes} /dev/zero")).output().await {
        Ok(output) if output.status.success() && output.stdout.len() == bytes => Call::Done,
        Ok(output) if output.status.success() => Call::Wrong(format!("{} of {bytes} came", output.stdout.len())),
        Ok(output) => cut_short(&output.status),
        Err(error) => failed(&error),
    }
}

/// Drops a call at any moment.
async fn leave(pool: &SshPool, chance: &mut Rng) -> Call {
    let command = if chance.bool() { shell(pool, "sleep 0.3") } else { shell(pool, "yes") };
    match timeout(Duration::from_millis(chance.u64(..200)), command.output()).await {
        Err(_) => Call::Left,
        Ok(Ok(output)) if output.status.success() => Call::Done,
        Ok(Ok(output)) => cut_short(&output.status),
        Ok(Err(error)) => failed(&error),
    }
}

async fn give_up(pool: &SshPool) -> Call {
    match shell(pool, "sleep 0.5").timeout(Duration::from_millis(50)).output().await {
        Err(SshError::CommandTimedOut { .. }) => Call::Left,
        Ok(output) => cut_short(&output.status),
        Err(error) => failed(&error),
    }
}

/// Holds a connection for a while, and sometimes throws it away.
async fn hold(pool: &SshPool, chance: &mut Rng) -> Call {
    match pool.acquire().await {
        Ok(lease) => {
            tokio::time::sleep(Duration::from_millis(chance.u64(..100))).await;
            if chance.u32(..4) == 0 {
                lease.discard("by chance");
            }
            Call::Held
        }
        Err(error) => refused(&error),
    }
}

fn peek(pool: &SshPool) -> Call {
    match pool.try_acquire() {
        Ok(_) | Err(AcquireError::NoneIdle { .. }) => Call::Held,
        Err(error) => refused(&error),
    }
}

/// A command that did not end by itself; what kills connections may hit the command first.
fn cut_short(status: &ExitStatus) -> Call {
    match status {
        ExitStatus::Signal { .. } | ExitStatus::Missing => Call::Failed,
        ExitStatus::Code(_) | _ => Call::Wrong(format!("it ended with {status}")),
    }
}

/// What a fault can do is a failure; what only we can do wrong, or the servers, is not one to bear.
fn failed(error: &SshError) -> Call {
    match error {
        SshError::Acquire { source, .. } => refused(source),
        SshError::Connect { .. }
        | SshError::TimedOut { .. }
        | SshError::Throttled { .. }
        | SshError::ConnectionLost { .. }
        | SshError::ChannelRefused { .. } => Call::Failed,
        SshError::Key { .. }
        | SshError::Resolve { .. }
        | SshError::Negotiation { .. }
        | SshError::HostKey { .. }
        | SshError::Auth { .. }
        | SshError::InvalidCommand { .. }
        | SshError::RequestRefused { .. }
        | SshError::CommandTimedOut { .. }
        | SshError::Protocol { .. }
        | _ => Call::Wrong(format!("{error:?}")),
    }
}

/// Why there was no connection: because dials failed as they may, or time was up, or the pool was just replaced.
fn refused(error: &AcquireError<SshError>) -> Call {
    let dial = match error {
        AcquireError::Closed { .. } | AcquireError::Draining { .. } => return Call::Failed,
        AcquireError::Connect { cause, .. } => Some(cause),
        AcquireError::TimedOut(late) => late.last_error(),
        // There are fewer callers than places in the queue, and no gate.
        AcquireError::QueueFull { .. }
        | AcquireError::NoneIdle { .. }
        | AcquireError::CircuitOpen { .. }
        | AcquireError::NoRuntime { .. }
        | _ => return Call::Wrong(format!("{error:?}")),
    };
    match dial.map(|dial| &**dial) {
        Some(DialError::Transport(error)) => failed(error),
        None | Some(DialError::Lost | DialError::Stopped) => Call::Failed,
        // The transport ends a dial before the pool does.
        Some(DialError::TimedOut { .. } | DialError::Panicked | _) => Call::Wrong(format!("{error:?}")),
    }
}
