//! What the promises are made of: a connection and the ends of its strings, and waits that end.

use std::{future::poll_fn, pin::pin, sync::Arc, task::Poll, time::Duration};

use tokio::{sync::watch, time::timeout};
use xec_pool_core::{Cancelled, Check, CloseReason, ConnectContext, Transport};

use super::{Environment, Peer};

/// Whether a promise was kept; else how not.
pub(super) type Kept<T = ()> = Result<T, String>;

/// The defaults of `close_timeout` and `validate_timeout`: no pool waits longer.
pub(super) const CLOSE_TIMEOUT: Duration = Duration::from_secs(5);
const VALIDATE_TIMEOUT: Duration = Duration::from_secs(3);

/// Where a transport can only be asked, how often.
const GLANCE: Duration = Duration::from_millis(5);

/// No future of a hook is cut at more places than this.
pub(super) const MOST_CUTS: usize = 500;

pub(super) const CHECKS: [Check; 3] = [Check::Borrow, Check::Return, Check::Idle];

pub(super) type Connection<E> = <<E as Environment>::Transport as Transport>::Connection;
type Error<E> = <<E as Environment>::Transport as Transport>::Error;

/// Every promise begins with a peer that is well and has no connections, and leaves it so.
pub(super) async fn on_a_clean_stage<E: Environment>(
    environment: &E,
    promise: impl Future<Output = Kept> + Send,
) -> Kept {
    environment.set_peer(Peer::Well).await;
    until_open(environment, 0).await.map_err(|_| "there are connections before it begins".to_owned())?;
    let kept = promise.await;
    environment.set_peer(Peer::Well).await;
    kept
}

/// What a pool keeps of a connection.
pub(super) struct Dialled<E: Environment> {
    pub(super) transport: Arc<E::Transport>,
    pub(super) connection: Connection<E>,
    pub(super) cancel: Cancelled,
    lost: watch::Receiver<bool>,
}

/// A context, the way to end it, and the way to hear of a death.
pub(super) fn context() -> (ConnectContext, Cancelled, watch::Receiver<bool>) {
    let (cancel, (heard, lost)) = (Cancelled::new(), watch::channel(false));
    let cx = ConnectContext::detached_with(cancel.clone(), move |_| {
        heard.send_replace(true);
    });
    (cx, cancel, lost)
}

pub(super) async fn connect<E: Environment>(environment: &E) -> Kept<Dialled<E>> {
    let transport = environment.transport();
    let (cx, cancel, lost) = context();
    let connected = within(environment, "connect to a peer that is well ends", transport.connect(cx)).await?;
    let connection = connected.map_err(|error| format!("a peer that is well cannot be connected to: {error}"))?;
    Ok(Dialled { transport, connection, cancel, lost })
}

impl<E: Environment> Dialled<E> {
    pub(super) fn is_broken(&self) -> bool {
        self.transport.is_broken(&self.connection)
    }

    /// A check as a pool makes it. `None`: not within its time.
    pub(super) async fn check(&self, check: Check) -> Option<Result<(), Error<E>>> {
        timeout(VALIDATE_TIMEOUT, self.transport.validate(&self.connection, check)).await.ok()
    }

    pub(super) async fn close(self, environment: &E, reason: CloseReason) -> Kept {
        let Self { transport, connection, cancel: _cancel, lost: _lost } = self;
        timeout(CLOSE_TIMEOUT, transport.close(connection, reason))
            .await
            .map_err(|_| format!("close for the reason {reason} takes longer than {CLOSE_TIMEOUT:?}"))?;
        environment.set_peer(Peer::Well).await;
        until_open(environment, 0).await
    }

    pub(super) async fn until_lost(&mut self, environment: &E) -> Kept {
        let lost = self.lost.wait_for(|lost| *lost);
        // An error says that the last sender is gone: nobody can say it any more.
        match timeout(environment.patience(), lost).await {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(_)) | Err(_) => Err("nobody calls `lost` when the peer dies".to_owned()),
        }
    }

    pub(super) async fn until_broken(&self, environment: &E) -> Kept {
        let breaking = async {
            while !self.is_broken() {
                tokio::time::sleep(GLANCE).await;
            }
        };
        within(environment, "is_broken becomes true", breaking).await
    }

    /// Asks the thorough check until it fails.
    pub(super) async fn until_check_fails(&self, environment: &E) -> Kept {
        let failing = async {
            while let Some(Ok(())) = self.check(Check::Idle).await {
                tokio::time::sleep(GLANCE).await;
            }
        };
        within(environment, "the idle check fails", failing).await
    }
}

/// A future that should end at once.
pub(super) async fn within<E: Environment, F: Future>(environment: &E, what: &str, future: F) -> Kept<F::Output> {
    let patience = environment.patience();
    timeout(patience, future).await.map_err(|_| format!("not within {patience:?}: {what}"))
}

pub(super) async fn until_open<E: Environment>(environment: &E, count: usize) -> Kept {
    let what = format!("the peer sees {count} open connections");
    within(environment, &what, environment.until_open(count)).await
}

/// Kills so many connections, once the peer has noticed that it has them.
pub(super) async fn kill<E: Environment>(environment: &E, count: usize) -> Kept {
    until_open(environment, count).await?;
    environment.kill_connections().await;
    Ok(())
}

/// Drops a future after so many polls, or when it has come to its end: `true`. Then the peer must see no connection.
pub(super) async fn cut_to_nothing<E, F>(environment: &E, what: &str, future: F, polls: usize) -> Kept<bool>
where
    E: Environment,
    F: Future<Output: Send> + Send,
{
    let output = cut(future, polls).await;
    let ended = output.is_some();
    drop(output);
    until_open(environment, 0).await.map_err(|how| format!("{what}, dropped after {polls} polls: {how}"))?;
    Ok(ended)
}

/// What to say of a future that has been polled [`MOST_CUTS`] times.
pub(super) fn endless(what: &str) -> Kept {
    Err(format!("{what} does not end within {MOST_CUTS} polls"))
}

/// Polls a future as often as it wakes, at most so often, then drops it.
pub(super) async fn cut<F: Future>(future: F, polls: usize) -> Option<F::Output> {
    let mut future = pin!(future);
    let mut left = polls;
    poll_fn(|cx| {
        if left == 0 {
            return Poll::Ready(None);
        }
        left -= 1;
        match future.as_mut().poll(cx) {
            Poll::Ready(output) => Poll::Ready(Some(output)),
            Poll::Pending if left == 0 => Poll::Ready(None),
            Poll::Pending => Poll::Pending,
        }
    })
    .await
}
