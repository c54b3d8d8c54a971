//! `sshd`: a throw-away OpenSSH server.

use crate::{
    debian::Program,
    demo,
    run::{self, Done},
};

pub(crate) const SSHD: Program = Program { file: "/usr/sbin/sshd", package: "openssh-server" };

/// Containers are made of this machine's own programs; `ip` cuts them off.
pub(crate) const IN_CONTAINERS: &[Program] = &[SSHD, Program { file: "ip", package: "iproute2" }];

/// Becomes the testkit's server.
pub(crate) fn run() -> Done {
    SSHD.ensure_installed()?;
    run::become_(&mut demo::example("xec-pool-testkit", "sshd")?)
}
