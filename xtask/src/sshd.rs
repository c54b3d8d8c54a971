//! `sshd`: a throw-away OpenSSH server, and making sure that this machine has one.

use std::{path::Path, process::Command};

use crate::{
    demo,
    run::{self, Done, Failure},
};

const SSHD: &str = "/usr/sbin/sshd";

/// Becomes the testkit's server.
pub(crate) fn run() -> Done {
    ensure_installed()?;
    run::become_(&mut demo::example("xec-pool-testkit", "sshd")?)
}

/// Installs OpenSSH's server where it is missing and we may; else says what to type.
pub(crate) fn ensure_installed() -> Done {
    if Path::new(SSHD).exists() {
        return Ok(());
    }
    let is_root = run::read(Command::new("id").arg("-u"))?.trim() == "0";
    if !is_root {
        return Err(Failure::from(format!(
            "{SSHD} is missing; type: sudo apt-get install --no-install-recommends openssh-server"
        )));
    }
    run::run(Command::new("apt-get").arg("update"))?;
    run::run(
        Command::new("apt-get")
            .args(["install", "--yes", "--no-install-recommends", "openssh-server"])
            .env("DEBIAN_FRONTEND", "noninteractive"),
    )
}
