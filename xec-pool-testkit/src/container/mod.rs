//! OpenSSH's server in containers: machines with an address of their own, which can be frozen, crashed and unplugged.
//!
//! It needs a Docker engine that runs, and no registry: the image is made, in about a second, from this machine's own
//! sshd. Each container is on a network that nothing else is on, and its port is published on 127.0.0.1 alone.
//! `LocalSshd` is quicker, and needs no engine; this is for what only another machine can do.
//!
//! | environment | image |
//! |---|---|
//! | `XEC_POOL_SSHD_IMAGE` unset, or `host` | this machine's sshd and its libraries, on nothing |
//! | `XEC_POOL_SSHD_IMAGE=debian` | Debian with its openssh-server, from a registry |
//! | `XEC_POOL_SSHD_IMAGE=NAME:TAG` | one that the engine has already; dropbear is run where it has no sshd |
//! | `DOCKER_HOST` | where the engine is, if not at its usual socket |
//!
//! The second of these needs a registry and Debian's packages: no test of ours has ever run it.
//!
//! # What is cleaned up
//!
//! | what happens | what goes | what stays |
//! |---|---|---|
//! | a drop, a panic | the container, its network, its folder | nothing |
//! | Ctrl-C: `SIGINT`, `SIGTERM`, `SIGQUIT` | all containers, networks and folders of this process | nothing |
//! | `SIGKILL`; a process that ends first | a container that runs, when its [`lifetime`] is over | the others |
//!
//! What stays of a killed process is removed by a later one when it starts its first container: containers whose time
//! is over, paused ones too, and networks that nothing runs on. Its folder (`xec-pool-container-…`, in the temporary
//! directory) is yours.
//!
//! With the first container those three signals are taken for the whole process: it has cleaned up before it ends by
//! them, a minute later at most, and it does end, even if it listens to them itself.
//!
//! [`lifetime`]: crate::container::SshdContainerBuilder::lifetime
//!
//! # Examples
//!
//! ```no_run
//! # async fn f() -> std::io::Result<()> {
//! use xec_pool_testkit::SshdContainer;
//!
//! let sshd = SshdContainer::builder().config("MaxSessions 2").start().await?;
//! println!("ssh -i key {}@{}", sshd.user(), sshd.addr().ip());
//! sshd.pause().await?; // frozen: silence, until unpause()
//! sshd.unpause().await?;
//! sshd.cut().await?; // packets vanish, until heal()
//! sshd.heal().await?;
//! sshd.unplug().await?; // no network, until plug()
//! sshd.plug().await?;
//! sshd.kill().await?; // the machine crashes, until restart()
//! sshd.restart().await?;
//! # Ok(()) }
//! ```

use std::{
    fmt, io,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    path::PathBuf,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use tempfile::TempDir;
use testcontainers::{ContainerAsync, GenericImage, bollard::Docker};

// The program in it, and all that the program needs.
mod image;

// From a builder to a server that listens.
mod start;

// Where that is done, and undone.
mod workshop;

// What is in it when it starts.
mod boot;

// What can happen to it.
mod faults;

// What is asked inside of it.
mod inside;

// What earlier processes left.
mod sweep;

// What this one leaves when it is interrupted: nothing.
mod interrupt;

pub use self::start::SshdContainerBuilder;
use crate::keys;

/// The user whom the testkit's keys let in; `root` is let in as well.
const USER: &str = "tester";

/// sshd's port inside.
const PORT: u16 = 22;

/// A running sshd in a container. Dropping it removes the container, and blocks meanwhile.
///
/// All its methods take `&self`: faults may come together, and many containers may be hit at once.
///
/// # Cancel safety
///
/// Its methods may be dropped at any await; whether the engine does what it was asked to is then not known.
pub struct SshdContainer {
    /// `None` once it was dropped.
    container: Option<ContainerAsync<GenericImage>>,
    docker: Docker,
    network: String,
    home: TempDir,
    addr: Mutex<SocketAddr>,
}

impl SshdContainer {
    /// A container to be: the testkit's user keys let `tester` in.
    pub fn builder() -> SshdContainerBuilder {
        SshdContainerBuilder::default()
    }

    /// [`builder`](Self::builder) as it is, started.
    ///
    /// # Errors
    ///
    /// As [`SshdContainerBuilder::start`].
    ///
    /// # Cancel safety
    ///
    /// As [`SshdContainerBuilder::start`].
    pub async fn start() -> io::Result<Self> {
        Self::builder().start().await
    }

    /// Where it listens. On Linux, its own address: it stays over restarts, as long as nothing else joins its network.
    /// Elsewhere the engine sits in a machine of its own, and this is the published port.
    #[must_use]
    pub fn addr(&self) -> SocketAddr {
        *self.addr.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Its port as published on 127.0.0.1. Another one after each [`restart`](Self::restart) and
    /// [`plug`](Self::plug); behind it the engine accepts for it, whatever state it is in.
    ///
    /// # Errors
    ///
    /// When it has none: it is killed or unplugged.
    ///
    /// # Cancel safety
    ///
    /// Safe to drop: it only asks.
    pub async fn published(&self) -> io::Result<SocketAddr> {
        let port = self.container().get_host_port_ipv4(PORT).await.map_err(io::Error::other)?;
        Ok((Ipv4Addr::LOCALHOST, port).into())
    }

    /// Who can log in.
    #[must_use]
    pub fn user(&self) -> &str {
        USER
    }

    /// A private key that opens ([`keys::USER_ED25519`]; the others in [`keys::USERS`] do too).
    #[must_use]
    pub fn key_path(&self) -> PathBuf {
        self.home.path().join("id_ed25519")
    }

    /// A `known_hosts` file that knows it, by whatever address it is reached.
    #[must_use]
    pub fn known_hosts_path(&self) -> PathBuf {
        self.home.path().join("known_hosts")
    }

    /// The line in that file.
    #[must_use]
    pub fn known_hosts_line(&self) -> String {
        keys::HOST_ED25519.known_hosts_line("*")
    }

    /// Whether the engine runs it: not after [`kill`](Self::kill), nor when its time is over. A paused one runs.
    ///
    /// # Errors
    ///
    /// When the engine does not know it.
    ///
    /// # Cancel safety
    ///
    /// Safe to drop: it only asks.
    pub async fn is_running(&self) -> io::Result<bool> {
        self.container().is_running().await.map_err(io::Error::other)
    }

    /// The engine's name for it.
    #[must_use]
    pub fn id(&self) -> &str {
        self.container().id()
    }

    fn container(&self) -> &ContainerAsync<GenericImage> {
        self.container.as_ref().expect("only its drop takes it")
    }

    /// Asks where it is now.
    async fn locate(&self) -> io::Result<()> {
        let addr = start::locate(self.container()).await?;
        *self.addr.lock().unwrap_or_else(PoisonError::into_inner) = addr;
        Ok(())
    }

    /// This machine, as seen from its network.
    async fn gateway(&self) -> io::Result<IpAddr> {
        let all = self.docker.inspect_network(&self.network, None).await.map_err(io::Error::other)?;
        let configured = all.ipam.and_then(|ipam| ipam.config).unwrap_or_default();
        let gateway = configured.into_iter().find_map(|config| config.gateway);
        let gateway = gateway.ok_or_else(|| io::Error::other("its network has no gateway"))?;
        gateway.parse().map_err(io::Error::other)
    }
}

impl Drop for SshdContainer {
    fn drop(&mut self) {
        if let Some(container) = self.container.take() {
            workshop::remove(container);
        }
    }
}

impl fmt::Debug for SshdContainer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SshdContainer")
            .field("id", &self.container.as_ref().map(|container| container.id()))
            .field("addr", &self.addr())
            .field("network", &self.network)
            .finish_non_exhaustive()
    }
}

/// How long one step of the engine may take: on a busy machine it is slow, but it does come.
const PATIENCE: Duration = Duration::from_secs(60);
