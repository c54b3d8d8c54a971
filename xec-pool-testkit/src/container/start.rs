//! From a builder to a server that listens.

use std::{
    io,
    net::SocketAddr,
    sync::{
        Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use tempfile::TempDir;
use testcontainers::{
    ContainerAsync, ContainerRequest, CopyTargetOptions, GenericImage, ImageExt as _,
    bollard::{Docker, models::PortBinding},
    core::{IntoContainerPort as _, Mount, client::docker_client_instance},
    runners::AsyncRunner as _,
};

use tokio::{io::AsyncReadExt as _, net::TcpStream, time::timeout};

use super::{
    PATIENCE, PORT, SshdContainer,
    boot::{DEFAULTS, GROUP, PASSWD, RUN},
    image, interrupt, sweep, workshop,
};
use crate::keys::{self, TestKey};

/// Longer than any test, shorter than a lunch.
const LIFETIME: Duration = Duration::from_secs(15 * 60);

/// How often one that starts is asked whether it listens.
const STEP: Duration = Duration::from_millis(10);

/// Settings of an [`SshdContainer`].
#[derive(Clone, Debug)]
#[must_use = "nothing listens before start()"]
pub struct SshdContainerBuilder {
    config: String,
    network: Option<String>,
    files: Vec<(String, Vec<u8>, u32)>,
    small_disk_bytes: Option<i64>,
    penalties: bool,
    lifetime: Duration,
}

impl Default for SshdContainerBuilder {
    fn default() -> Self {
        Self {
            config: String::new(),
            network: None,
            files: Vec::new(),
            small_disk_bytes: None,
            penalties: false,
            lifetime: LIFETIME,
        }
    }
}

impl SshdContainerBuilder {
    /// One or more lines of `sshd_config`. They stand before the defaults, and in that file the first value wins. End
    /// a `Match` block with `Match all`.
    pub fn config(mut self, lines: impl AsRef<str>) -> Self {
        self.config.push_str(lines.as_ref());
        self.config.push('\n');
        self
    }

    /// The network it is on, made on first use and removed with the last container on it. The name is this process's
    /// own: another's is another network. Without it, it has one for itself. Docker has addresses for some thirty
    /// networks.
    pub fn network(mut self, name: impl Into<String>) -> Self {
        self.network = Some(name.into());
        self
    }

    /// A file in it, root's, with these permissions.
    pub fn file(mut self, path: impl Into<String>, contents: impl Into<Vec<u8>>, mode: u32) -> Self {
        self.files.push((path.into(), contents.into(), mode));
        self
    }

    /// A disk at `/small`, open to all, that is full after so many bytes (a page at least).
    pub const fn small_disk(mut self, bytes: i64) -> Self {
        self.small_disk_bytes = Some(bytes);
        self
    }

    /// Leaves on what OpenSSH 9.8 and later do to addresses whose logins fail; off otherwise, for in a test everybody
    /// comes from the same one.
    pub const fn penalties(mut self) -> Self {
        self.penalties = true;
        self
    }

    /// How long it lives at most, restarts included, so that what a killed test leaves behind ends by itself. A paused
    /// one cannot, and goes when another process starts one. Default: 15 minutes.
    pub const fn lifetime(mut self, at_most: Duration) -> Self {
        self.lifetime = at_most;
        self
    }

    /// Starts it, and returns when it listens: in about a third of a second, where the image is there.
    ///
    /// # Errors
    ///
    /// When no engine answers (the text says what to do), when the image cannot be made, or when sshd does not start.
    ///
    /// # Cancel safety
    ///
    /// Safe to drop at any await: what was started by then is removed in the background. A process that ends meanwhile
    /// may leave a container and its network, as a killed one does.
    pub async fn start(self) -> io::Result<SshdContainer> {
        // In a task of its own: a start that is dropped in the middle would leave what it started.
        workshop::runtime()?.spawn(self.start_now()).await.map_err(io::Error::other)?
    }

    /// Starts several of these at once, all on one network.
    ///
    /// # Errors
    ///
    /// As [`start`](Self::start), for the first that fails; the others are removed.
    ///
    /// # Cancel safety
    ///
    /// As [`start`](Self::start).
    pub async fn start_many(self, count: usize) -> io::Result<Vec<SshdContainer>> {
        let network = self.network.clone().unwrap_or_else(new_network);
        let workshop = workshop::runtime()?;
        let one = || workshop.spawn(self.clone().network(&network).start_now());
        let starting: Vec<_> = (0..count).map(|_| one()).collect();
        let mut started = Vec::with_capacity(count);
        for one in starting {
            started.push(one.await.map_err(io::Error::other)?);
        }
        started.into_iter().collect()
    }

    async fn start_now(self) -> io::Result<SshdContainer> {
        let docker = engine().await?;
        interrupt::watch(&docker).await?;
        sweep::once(&docker).await;
        let image = image::image().await?;
        let door = interrupt::enter().await;
        let home = TempDir::with_prefix(interrupt::folder_prefix())?;
        TestKey { name: "id_ed25519", ..keys::USER_ED25519 }.write_to(home.path())?;
        std::fs::write(home.path().join("known_hosts"), keys::HOST_ED25519.known_hosts_line("*"))?;
        let network = interrupt::network_prefix() + &self.network.clone().unwrap_or_else(new_network);
        let container = self.request(image, &network).start().await.map_err(io::Error::other)?;
        drop(door);
        let located = locate(&container).await;
        let addr = Mutex::new(*located.as_ref().unwrap_or(&NOWHERE));
        let sshd = SshdContainer { container: Some(container), docker, network, home, addr };
        if let Err(error) = located {
            // One that has ended already has no address any more, but words.
            sshd.has_not_ended().await?;
            return Err(error);
        }
        sshd.listens().await?;
        Ok(sshd)
    }

    fn request(self, image: GenericImage, network: &str) -> ContainerRequest<GenericImage> {
        let authorized: String = keys::USERS.iter().map(|key| key.public).collect();
        let lifetime = self.lifetime.as_secs().to_string();
        let ends = (sweep::since_1970() + self.lifetime).as_secs().to_string();
        let config = self.config_text();
        let request = image
            .with_exposed_port(PORT.tcp())
            .with_network(network)
            .with_cap_add("NET_ADMIN") // to cut itself off
            .with_label(sweep::ENDS, ends)
            .with_label(interrupt::PROCESS, interrupt::process())
            .with_copy_to("/run/sshd/.keep", Vec::new())
            .with_copy_to("/home/tester/.keep", Vec::new())
            .with_copy_to("/etc/passwd", PASSWD.as_bytes().to_vec())
            .with_copy_to("/etc/group", GROUP.as_bytes().to_vec())
            .with_copy_to("/etc/shells", b"/bin/sh\n".to_vec())
            .with_copy_to("/etc/ssh/sshd_config", config.into_bytes())
            .with_copy_to(
                CopyTargetOptions::new("/etc/ssh/host_key").with_mode(0o600),
                text(keys::HOST_ED25519.private),
            )
            .with_copy_to("/etc/ssh/authorized_keys", text(&authorized))
            .with_copy_to("/home/tester/.ssh/authorized_keys", text(&authorized))
            .with_cmd(["/bin/sh", "-c", RUN, "run", &lifetime, if self.penalties { "yes" } else { "no" }])
            .with_startup_timeout(PATIENCE)
            .with_host_config_modifier(|host| {
                // For this machine alone: the keys that open it are everybody's.
                let here = PortBinding { host_ip: Some("127.0.0.1".to_owned()), host_port: Some(String::new()) };
                host.publish_all_ports = Some(false);
                host.port_bindings = Some([(format!("{PORT}/tcp"), Some(vec![here]))].into());
            });
        let request = match self.small_disk_bytes {
            Some(bytes) => request.with_mount(Mount::tmpfs_mount("/small").with_size_bytes(bytes).with_mode(0o1777)),
            None => request,
        };
        self.files.into_iter().fold(request, |request, (path, contents, mode)| {
            request.with_copy_to(CopyTargetOptions::new(path).with_mode(mode), contents)
        })
    }

    fn config_text(&self) -> String {
        let mut text = format!("{}{DEFAULTS}", self.config);
        // Of this one alone the last value wins.
        if !self.config.contains("MaxStartups") {
            text += "MaxStartups 100\n";
        }
        text
    }
}

/// Nobody is there.
const NOWHERE: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::UNSPECIFIED), 0);

fn text(text: &str) -> Vec<u8> {
    text.as_bytes().to_vec()
}

impl SshdContainer {
    /// Waits until it greets. The engine's «started» says nothing about the server in it.
    pub(super) async fn listens(&self) -> io::Result<()> {
        let began = tokio::time::Instant::now();
        while !greets(self.addr()).await {
            self.has_not_ended().await?;
            if began.elapsed() > PATIENCE {
                let text = format!("sshd in its container says nothing for {PATIENCE:?}");
                return Err(io::Error::new(io::ErrorKind::TimedOut, text));
            }
            tokio::time::sleep(STEP).await;
        }
        Ok(())
    }

    /// Else says what it said last.
    pub(super) async fn has_not_ended(&self) -> io::Result<()> {
        if self.is_running().await? {
            return Ok(());
        }
        let said = self.log().await?.join("\n");
        Err(io::Error::other(format!("sshd does not start: {said}")))
    }
}

async fn greets(addr: SocketAddr) -> bool {
    let greeting = async {
        let mut line = [0; 4];
        TcpStream::connect(addr).await?.read_exact(&mut line).await?;
        Ok::<_, io::Error>(line)
    };
    // Nobody answers for a machine that is not there yet.
    timeout(STEP * 50, greeting).await.is_ok_and(|line| line.is_ok_and(|line| &line == b"SSH-"))
}

/// The engine, if it answers.
async fn engine() -> io::Result<Docker> {
    let silent = |said: &dyn std::fmt::Display| {
        let advice = "start one (`dockerd`, or its service), or say where it is with DOCKER_HOST";
        io::Error::new(io::ErrorKind::NotConnected, format!("no Docker engine answers ({said}): {advice}"))
    };
    let docker = docker_client_instance().await.map_err(|error| silent(&error))?;
    docker.ping().await.map_err(|error| silent(&error))?;
    Ok(docker)
}

fn new_network() -> String {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    NEXT.fetch_add(1, Ordering::Relaxed).to_string()
}

pub(super) async fn locate(container: &ContainerAsync<GenericImage>) -> io::Result<SocketAddr> {
    if cfg!(target_os = "linux") {
        Ok((container.get_bridge_ip_address().await.map_err(io::Error::other)?, PORT).into())
    } else {
        let port = container.get_host_port_ipv4(PORT).await.map_err(io::Error::other)?;
        Ok((std::net::Ipv4Addr::LOCALHOST, port).into())
    }
}
