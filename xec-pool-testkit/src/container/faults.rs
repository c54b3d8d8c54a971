//! What can happen to a machine and to its network.

use std::io;

use testcontainers::bollard::{
    models::{ContainerUpdateBody, NetworkConnectRequest, NetworkDisconnectRequest},
    query_parameters::KillContainerOptions,
};

use super::SshdContainer;

/// Every `sshd` but the one that listens: monitors, sessions and what runs before the login. Killing only the
/// listener's children would leave sessions behind that a monitor has started (OpenSSH 10, and ordinary users in any).
const KILL_CONNECTIONS: &str = "\
for entry in /proc/[0-9]*; do
  pid=${entry#/proc/}
  read -r name < $entry/comm 2>/dev/null || continue
  case $pid:$name in
    1:*) ;;
    *:sshd*|*:dropbear*) kill -9 $pid && echo $pid ;;
  esac
done";

impl SshdContainer {
    /// Freezes everything in it: its kernel still takes connections and bytes, and nobody answers.
    ///
    /// # Errors
    ///
    /// When the engine refuses; so do all of these.
    ///
    /// # Cancel safety
    ///
    /// Once it is polled the engine may have been asked, and then does it: it may be frozen afterwards. So for all of these
    /// that ask the engine once.
    pub async fn pause(&self) -> io::Result<()> {
        self.container().pause().await.map_err(io::Error::other)
    }

    /// Ends [`pause`](Self::pause).
    ///
    /// # Errors
    ///
    /// As [`pause`](Self::pause).
    ///
    /// # Cancel safety
    ///
    /// As [`pause`](Self::pause): it may have thawed.
    pub async fn unpause(&self) -> io::Result<()> {
        self.container().unpause().await.map_err(io::Error::other)
    }

    /// Crashes it: everything in it ends at once, its connections without a word, for nobody is left to say one.
    ///
    /// # Errors
    ///
    /// As [`pause`](Self::pause).
    ///
    /// # Cancel safety
    ///
    /// As [`pause`](Self::pause): it may be dead.
    pub async fn kill(&self) -> io::Result<()> {
        let how = KillContainerOptions { signal: "SIGKILL".to_owned() };
        self.docker.kill_container(self.id(), Some(how)).await.map_err(io::Error::other)
    }

    /// Starts it again, after [`kill`](Self::kill) if it still runs: the same machine, the same files, nothing in
    /// memory. Returns when it listens.
    ///
    /// # Errors
    ///
    /// As [`pause`](Self::pause); also when sshd does not come back, or when its
    /// [`lifetime`](crate::container::SshdContainerBuilder::lifetime) is over.
    ///
    /// # Cancel safety
    ///
    /// It may be dead, or run and not listen yet, and [`addr`](Self::addr) may be that of before: call it again.
    pub async fn restart(&self) -> io::Result<()> {
        if self.is_running().await? {
            self.kill().await?;
        }
        self.container().start().await.map_err(io::Error::other)?;
        let located = self.locate().await;
        // One that has ended again is nowhere.
        self.has_not_ended().await?;
        located?;
        self.listens().await
    }

    /// Pulls its cable: it has no network at all. Connections do not hear of it.
    ///
    /// # Errors
    ///
    /// As [`pause`](Self::pause).
    ///
    /// # Cancel safety
    ///
    /// As [`pause`](Self::pause): its cable may be out.
    pub async fn unplug(&self) -> io::Result<()> {
        let request = NetworkDisconnectRequest { container: self.id().to_owned(), force: Some(true) };
        self.docker.disconnect_network(&self.network, request).await.map_err(io::Error::other)
    }

    /// Ends [`unplug`](Self::unplug). Connections that were quick to wait and slow to give up go on.
    ///
    /// # Errors
    ///
    /// As [`pause`](Self::pause).
    ///
    /// # Cancel safety
    ///
    /// Its cable may be in, and [`addr`](Self::addr) that of before.
    pub async fn plug(&self) -> io::Result<()> {
        let request = NetworkConnectRequest { container: self.id().to_owned(), ..Default::default() };
        self.docker.connect_network(&self.network, request).await.map_err(io::Error::other)?;
        self.locate().await
    }

    /// Makes a black hole of the way to this machine: whatever it sends here vanishes, acknowledgements too, so
    /// nothing gets through either way and nobody says so.
    ///
    /// # Errors
    ///
    /// As [`pause`](Self::pause); also in an image without `ip`.
    ///
    /// # Cancel safety
    ///
    /// As [`exec`](Self::exec): it may be cut off, and a second one fails then; [`heal`](Self::heal) ends it.
    pub async fn cut(&self) -> io::Result<()> {
        self.route("add").await
    }

    /// Ends [`cut`](Self::cut).
    ///
    /// # Errors
    ///
    /// As [`cut`](Self::cut).
    ///
    /// # Cancel safety
    ///
    /// As [`exec`](Self::exec): it may be healed, and a second one fails then.
    pub async fn heal(&self) -> io::Result<()> {
        self.route("del").await
    }

    async fn route(&self, verb: &str) -> io::Result<()> {
        let gateway = self.gateway().await?;
        self.exec(&format!("ip route {verb} blackhole {gateway}/32")).await.map(drop)
    }

    /// Kills the processes behind all connections, and returns how many those were. New connections are welcome.
    ///
    /// # Errors
    ///
    /// As [`pause`](Self::pause).
    ///
    /// # Cancel safety
    ///
    /// As [`exec`](Self::exec): some, all or none of them are killed.
    pub async fn kill_connections(&self) -> io::Result<usize> {
        Ok(self.exec(KILL_CONNECTIONS).await?.lines().count())
    }

    /// Lets it have so many processes at most: with 1 it can start none at all, as a machine that has run out of
    /// something. `None` ends that. [`exec`](Self::exec) needs one, too.
    ///
    /// # Errors
    ///
    /// As [`pause`](Self::pause).
    ///
    /// # Cancel safety
    ///
    /// As [`pause`](Self::pause): either limit may be in force.
    pub async fn limit_processes(&self, at_most: Option<u32>) -> io::Result<()> {
        let pids_limit = Some(at_most.map_or(-1, i64::from));
        let update = ContainerUpdateBody { pids_limit, ..Default::default() };
        self.docker.update_container(self.id(), update).await.map_err(io::Error::other)
    }
}
