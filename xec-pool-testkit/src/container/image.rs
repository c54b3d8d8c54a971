//! The image: this machine's own sshd on nothing, or Debian's from a registry, or one that is there.

use std::{
    collections::{BTreeSet, hash_map::DefaultHasher},
    env,
    fs::Metadata,
    hash::{Hash as _, Hasher as _},
    io,
    path::{Path, PathBuf},
    process::Command,
};

use testcontainers::{GenericBuildableImage, GenericImage, core::BuildImageOptions, runners::AsyncBuilder as _};

/// Which image; see the module above.
const CHOICE: &str = "XEC_POOL_SSHD_IMAGE";

const NAME: &str = "xec-pool-sshd";

/// Where there is a registry.
const DEBIAN: &str = "\
FROM debian:stable-slim
RUN apt-get update \\
 && apt-get install -y --no-install-recommends openssh-server iproute2 \\
 && rm -rf /var/lib/apt/lists/* /etc/ssh/ssh_host_*
";

/// Where there is none.
const SCRATCH: &str = "\
FROM scratch
COPY rootfs /
RUN mkdir -m 0700 /root && mkdir -m 1777 /tmp
";

const TOOLS: &[&str] = &[
    "cat", "chmod", "date", "dd", "echo", "env", "false", "head", "hostname", "id", "kill", "ln", "ls", "mkdir",
    "mkfifo", "mv", "printf", "rm", "seq", "sleep", "stat", "tail", "tee", "test", "touch", "tr", "true", "uname",
    "wc", "yes",
];

/// The image every container runs; made on first use, then found by its tag.
pub(super) async fn image() -> io::Result<GenericImage> {
    let once = BuildImageOptions::new().with_skip_if_exists(true);
    let choice = env::var(CHOICE).unwrap_or_default();
    let wanted = match choice.as_str() {
        "" | "host" => tokio::task::spawn_blocking(from_this_machine).await.map_err(io::Error::other)??,
        "debian" => GenericBuildableImage::new(NAME, "debian").with_dockerfile_string(DEBIAN),
        other => {
            let Some((name, tag)) = other.rsplit_once(':') else {
                return Err(io::Error::other(format!("{CHOICE} is `host`, `debian` or NAME:TAG, not `{other}`")));
            };
            return Ok(GenericImage::new(name, tag));
        }
    };
    wanted.build_image_with(once).await.map_err(io::Error::other)
}

/// A file here, and what it is called there.
type Entry = (PathBuf, String);

fn from_this_machine() -> io::Result<GenericBuildableImage> {
    let mut files = BTreeSet::from([
        (required("sshd", "openssh-server")?, "/usr/sbin/sshd".to_owned()),
        (required("ip", "iproute2")?, "/usr/bin/ip".to_owned()),
        (required("sh", "dash")?, "/bin/sh".to_owned()),
        (required("bash", "bash")?, "/bin/bash".to_owned()),
    ]);
    files.extend(TOOLS.iter().filter_map(|tool| Some((find(tool)?, format!("/usr/bin/{tool}")))));
    // Since OpenSSH 9.8 sshd is several programs.
    let parts = ["sshd-session", "sshd-auth", "sftp-server"].map(|part| format!("/usr/lib/openssh/{part}"));
    files.extend(parts.into_iter().filter(|part| Path::new(part).exists()).map(|part| (PathBuf::from(&part), part)));
    files.extend(libraries(&files)?);
    let image = GenericBuildableImage::new(NAME, tag(&files)?).with_dockerfile_string(SCRATCH);
    Ok(files.into_iter().fold(image, |image, (here, there)| image.with_file(here, format!("rootfs{there}"))))
}

fn required(tool: &str, package: &str) -> io::Result<PathBuf> {
    let missing = || format!("{tool} is not installed, and the container needs it: apt-get install {package}");
    find(tool).ok_or_else(|| io::Error::new(io::ErrorKind::NotFound, missing()))
}

fn find(tool: &str) -> Option<PathBuf> {
    let usual = ["/usr/sbin", "/usr/bin", "/sbin", "/bin"].map(PathBuf::from);
    usual.iter().map(|folder| folder.join(tool)).find(|path| path.is_file())
}

/// What the dynamic linker would load for these, itself included.
fn libraries(files: &BTreeSet<Entry>) -> io::Result<Vec<Entry>> {
    let said = Command::new("ldd").args(files.iter().map(|(here, _)| here)).output()?;
    let text = String::from_utf8_lossy(&said.stdout);
    // `/usr/sbin/sshd:` heads the list of each.
    let lines = text.lines().filter(|line| !line.ends_with(':'));
    let paths = lines.filter_map(|line| line.split_whitespace().find(|word| word.starts_with('/')));
    Ok(paths.map(|path| (PathBuf::from(path), path.to_owned())).collect())
}

/// Names the contents: an image whose programs were updated since is another one.
fn tag(files: &BTreeSet<Entry>) -> io::Result<String> {
    let mut hash = DefaultHasher::new();
    SCRATCH.hash(&mut hash);
    for (here, there) in files {
        let metadata: Metadata = here.metadata()?;
        (there, metadata.len(), metadata.modified().ok()).hash(&mut hash);
    }
    Ok(format!("host-{:016x}", hash.finish()))
}
