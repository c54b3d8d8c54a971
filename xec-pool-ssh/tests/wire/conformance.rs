//! What every pool trusts its transport to do, on a server in this process.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use xec_pool_ssh::SshTransport;
use xec_pool_testkit::{
    conformance::{Environment, Peer},
    embedded::{Fault, Step},
    keys,
};

use super::support::{World, transport};

const PASSWORD: &str = "hunter2-hunter2";
const WRONG_PASSWORD: &str = "hunter3-hunter3";

struct Embedded {
    world: World,
    transport: Arc<SshTransport>,
}

async fn embedded() -> Embedded {
    let world = World::new().await;
    // Every check pings: to have heard something of late says nothing of now.
    let transport = transport(world.config().password(PASSWORD)).ping_after(Duration::ZERO);
    Embedded { world, transport: Arc::new(transport) }
}

#[async_trait]
impl Environment for Embedded {
    type Transport = SshTransport;

    fn transport(&self) -> Arc<SshTransport> {
        Arc::clone(&self.transport)
    }

    async fn set_peer(&self, peer: Peer) {
        let server = &self.world.server;
        match peer {
            Peer::Frozen => server.pause(),
            Peer::Away => {
                server.set_fault(Step::Accept, Fault::Die);
                server.kill_connections();
            }
            Peer::Well | _ => {
                server.resume();
                server.clear_fault(Step::Accept);
            }
        }
    }

    async fn kill_connections(&self) {
        self.world.server.kill_connections();
    }

    async fn until_open(&self, count: usize) {
        self.world.server.wait_until(|seen| seen.open == count as u64).await;
    }

    fn refused(&self) -> Option<Arc<SshTransport>> {
        Some(Arc::new(transport(self.world.stranger().password(WRONG_PASSWORD))))
    }

    fn secrets(&self) -> Vec<String> {
        let key = keys::USER_ED25519.private.lines().nth(1).unwrap();
        [PASSWORD, WRONG_PASSWORD, key].map(str::to_owned).to_vec()
    }
}

xec_pool_testkit::conformance!(embedded().await);
