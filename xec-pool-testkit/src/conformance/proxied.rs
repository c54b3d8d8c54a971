//! An environment for whoever speaks TCP: the fault proxy is the peer.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use xec_pool_core::Transport;

use super::{Environment, Peer};
use crate::proxy::{Blow, Fault, FaultProxy};

/// A transport whose connections go through a [`FaultProxy`]: dies, freezes and counts for any server.
///
/// # Examples
///
/// ```no_run
/// use xec_pool_testkit::{FaultProxy, conformance::{self, Proxied}};
/// # fn my_transport(_: std::net::SocketAddr) -> xec_pool_testkit::MockTransport { xec_pool_testkit::MockTransport::new().0 }
///
/// # async fn f(server: std::net::SocketAddr) -> std::io::Result<()> {
/// let proxy = FaultProxy::start(server).await?;
/// let transport = my_transport(proxy.addr());
/// let broken = conformance::run(&Proxied::new(proxy, transport).secrets(["hunter2"])).await;
/// assert!(broken.is_empty(), "{broken:#?}");
/// # Ok(()) }
/// ```
#[derive(Debug)]
pub struct Proxied<T> {
    proxy: FaultProxy,
    transport: Arc<T>,
    refused: Option<Arc<T>>,
    secrets: Vec<String>,
    patience: Duration,
}

impl<T: Transport> Proxied<T> {
    /// A transport that dials the proxy's [`addr`](FaultProxy::addr).
    #[must_use]
    pub fn new(proxy: FaultProxy, transport: T) -> Self {
        let patience = super::PATIENCE;
        Self { proxy, transport: Arc::new(transport), refused: None, secrets: Vec::new(), patience }
    }

    /// [`Environment::refused`]: one that dials the proxy too, with credentials that the server does not accept.
    #[must_use]
    pub fn refused(mut self, transport: T) -> Self {
        self.refused = Some(Arc::new(transport));
        self
    }

    /// [`Environment::secrets`], instead of none.
    #[must_use]
    pub fn secrets(mut self, secrets: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.secrets = secrets.into_iter().map(Into::into).collect();
        self
    }

    /// [`Environment::patience`], instead of 5 seconds.
    #[must_use]
    pub const fn patience(mut self, patience: Duration) -> Self {
        self.patience = patience;
        self
    }
}

#[async_trait]
impl<T: Transport> Environment for Proxied<T> {
    type Transport = T;

    fn transport(&self) -> Arc<T> {
        Arc::clone(&self.transport)
    }

    async fn set_peer(&self, peer: Peer) {
        match peer {
            Peer::Well => self.proxy.clear_faults(),
            Peer::Frozen => self.proxy.set_faults([Fault::BlackHole]),
            Peer::Away => {
                self.proxy.set_faults([Fault::Refuse]);
                self.proxy.strike(Blow::Reset);
            }
        }
    }

    async fn kill_connections(&self) {
        self.proxy.strike(Blow::Close);
    }

    async fn until_open(&self, count: usize) {
        self.proxy.wait_until(|seen| seen.open == count as u64).await;
    }

    fn refused(&self) -> Option<Arc<T>> {
        self.refused.clone()
    }

    fn secrets(&self) -> Vec<String> {
        self.secrets.clone()
    }

    fn patience(&self) -> Duration {
        self.patience
    }
}
