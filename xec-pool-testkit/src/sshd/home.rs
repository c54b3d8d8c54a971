//! What sshd and its clients need on disk.

use std::{
    fs, io,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::OnceLock,
};

use tempfile::TempDir;

use crate::keys::{self, TestKey};

/// A folder for one sshd; gone with it.
pub(super) struct Home {
    folder: TempDir,
    host_keys: Vec<PathBuf>,
}

impl Home {
    pub(super) fn new(host_keys: &[TestKey]) -> io::Result<Self> {
        let folder = TempDir::with_prefix("xec-pool-sshd-")?;
        let ssh = folder.path().join(".ssh");
        fs::create_dir(&ssh)?;
        TestKey { name: "id_ed25519", ..keys::USER_ED25519 }.write_to(&ssh)?;
        let authorized: String = keys::USERS.iter().map(|key| key.public).collect();
        fs::write(folder.path().join("authorized_keys"), authorized)?;
        let host_keys = host_keys.iter().map(|key| key.write_to(folder.path())).collect::<io::Result<_>>()?;
        Ok(Self { folder, host_keys })
    }

    /// Writes `sshd_config`: `first`, then the defaults.
    pub(super) fn configure(&self, program: &Path, first: &str) -> io::Result<()> {
        let folder = self.path().display();
        let mut text = String::from(first);
        for key in &self.host_keys {
            text += &format!("HostKey {}\n", key.display());
        }
        text += &format!("AuthorizedKeysFile {folder}/authorized_keys\n{DEFAULTS}");
        // Of this one alone the last value wins.
        if !first.contains("MaxStartups") {
            text += "MaxStartups 100\n";
        }
        fs::write(self.config(), &text)?;
        // OpenSSH 9.8 and later shut out an address after a few failed logins, which in a test is everybody's.
        if knows_penalties(program, &self.config()) {
            fs::write(self.config(), text + "PerSourcePenalties no\n")?;
        }
        Ok(())
    }

    pub(super) fn trust(&self, line: &str) -> io::Result<()> {
        fs::write(self.known_hosts(), line)
    }

    pub(super) fn path(&self) -> &Path {
        self.folder.path()
    }

    pub(super) fn config(&self) -> PathBuf {
        self.path().join("sshd_config")
    }

    pub(super) fn key(&self) -> PathBuf {
        self.path().join(".ssh/id_ed25519")
    }

    pub(super) fn known_hosts(&self) -> PathBuf {
        self.path().join(".ssh/known_hosts")
    }
}

/// `StrictModes no`: the folder lies under a world-writable one. `SetEnv SHLVL=5`: bash sources its start-up files
/// for a shell that it takes for the first one under sshd, and those can cost more than the test.
const DEFAULTS: &str = "\
StrictModes no
UsePAM no
UseDNS no
PidFile none
PasswordAuthentication no
KbdInteractiveAuthentication no
PermitRootLogin prohibit-password
MaxSessions 10
LogLevel VERBOSE
SetEnv SHLVL=5
Subsystem sftp internal-sftp
";

/// Where sshd is. Only its absolute path will do: it starts itself again for each connection.
pub(super) fn program(wanted: Option<PathBuf>) -> io::Result<PathBuf> {
    let here = |path: &PathBuf| path.is_absolute() && path.is_file();
    let missing = || io::Error::new(io::ErrorKind::NotFound, "sshd is not installed: apt-get install openssh-server");
    let program = wanted.or_else(|| candidates().find(here)).filter(here).ok_or_else(missing)?;
    if rustix::process::geteuid().is_root() {
        // Root's sshd refuses to start without it, and Debian makes it only when the service starts.
        fs::create_dir_all("/run/sshd")?;
    }
    Ok(program)
}

fn candidates() -> impl Iterator<Item = PathBuf> {
    let usual = ["/usr/sbin", "/usr/local/sbin", "/sbin", "/usr/local/bin", "/opt/homebrew/sbin"].map(PathBuf::from);
    let search = std::env::var_os("PATH").unwrap_or_default();
    let named: Vec<_> = std::env::split_paths(&search).collect();
    usual.into_iter().chain(named).map(|folder| folder.join("sshd"))
}

pub(super) fn current_user() -> io::Result<String> {
    let said = Command::new("id").arg("-un").output()?;
    let name = String::from_utf8_lossy(&said.stdout).trim().to_owned();
    if name.is_empty() { Err(io::Error::other("`id -un` does not say who we are")) } else { Ok(name) }
}

fn knows_penalties(program: &Path, config: &Path) -> bool {
    static KNOWN: OnceLock<bool> = OnceLock::new();
    *KNOWN.get_or_init(|| {
        let mut probe = Command::new(program);
        probe.args(["-t", "-o", "PerSourcePenalties=no", "-f"]).arg(config);
        let status = probe.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status();
        status.is_ok_and(|status| status.success())
    })
}
