//! `sshd`: a throw-away OpenSSH server.

use crate::{
    debian::Program,
    demo,
    run::{self, Done},
};

pub(crate) const SSHD: Program = Program { file: "/usr/sbin/sshd", package: "openssh-server" };

/// Becomes the testkit's server.
pub(crate) fn run() -> Done {
    SSHD.ensure_installed()?;
    run::become_(&mut demo::example("xec-pool-testkit", "sshd")?)
}
