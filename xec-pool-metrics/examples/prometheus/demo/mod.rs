//! Two hosts, a pool for each, a load, and somebody who serves the figures. The tests start it, too.

// The hosts.
mod hosts;

// Who uses them.
mod load;

// Who shuts a host out that is down.
mod breaker;

// Who tells.
mod serve;

use std::{error::Error, net::SocketAddr, sync::Arc, time::Duration};

use opentelemetry_sdk::metrics::SdkMeterProvider;
use prometheus::Registry;
use tokio::task::JoinSet;
use xec_pool_metrics::Telemetry;

use self::hosts::Host;

/// A running demo. Dropping it ends it.
pub(crate) struct Demo {
    addr: SocketAddr,
    hosts: [Arc<Host>; 2],
    tasks: JoinSet<()>,
    _meters: SdkMeterProvider,
}

/// Starts everything; port 0 is any free one.
pub(crate) async fn start(port: u16) -> Result<Demo, Box<dyn Error>> {
    let registry = Registry::new();
    let exporter = opentelemetry_prometheus::exporter().with_registry(registry.clone()).scope_info_enabled(false);
    let meters = SdkMeterProvider::builder().with_reader(exporter.build()?).build();
    let telemetry = Telemetry::builder().meter_provider(&meters).build();
    let web = Host::start("web", 6, Duration::from_millis(60), &telemetry).await?;
    let batch = Host::start("batch", 3, Duration::from_millis(250), &telemetry).await?;
    let hosts = [Arc::new(web), Arc::new(batch)];
    let mut tasks = JoinSet::new();
    let addr = serve::start(port, registry, &mut tasks).await?;
    hosts.iter().for_each(|host| load::start(host, &mut tasks));
    Ok(Demo { addr, hosts, tasks, _meters: meters })
}

impl Demo {
    pub(crate) fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// The host that may be told to be down.
    pub(crate) fn unlucky(&self) -> &Arc<Host> {
        &self.hosts[1]
    }

    pub(crate) async fn end(mut self) {
        self.tasks.shutdown().await;
        for host in &self.hosts {
            host.pool.close().await;
        }
    }
}
