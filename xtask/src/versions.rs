//! `test --sshd LIST`: the tests of containers once more, on the servers of other releases.

use std::process::{Command, Stdio};

use crate::{
    debian::Program,
    engine,
    run::{self, Done, Failure},
    sshd::IN_CONTAINERS,
};

/// The testkit's name for its images.
const NAME: &str = "xec-pool-sshd";

/// Debian's releases that we know to work: their OpenSSH is 8.4, 9.2 and 10.0. From 9.8 on failed logins are penalised.
const RELEASES: &[&str] = &["bullseye", "bookworm", "trixie"];

/// A small server that is nobody's OpenSSH, from the release that has it as the tests want it.
const DROPBEAR: &str = "dropbear";
const DROPBEAR_RELEASE: &str = "bookworm";

const MMDEBSTRAP: Program = Program { file: "mmdebstrap", package: "mmdebstrap" };

/// Where a test finds its image.
const CHOICE: &str = "XEC_POOL_SSHD_IMAGE";

/// Runs the tests of containers on each of these servers, in images that are made where they are missing.
pub(crate) fn run(servers: &[String], tests: impl Fn() -> Command) -> Done {
    let known = |server: &String| RELEASES.contains(&server.as_str()) || server == DROPBEAR;
    if let Some(stranger) = servers.iter().find(|server| !known(server)) {
        let all = RELEASES.join(", ");
        return Err(Failure::from(format!("--sshd knows {all} and {DROPBEAR}, not `{stranger}`")));
    }
    IN_CONTAINERS.iter().try_for_each(Program::ensure_installed)?;
    engine::ensure_running()?;
    for server in servers {
        ensure_image(server)?;
        let image = format!("{NAME}:{server}");
        let mut suite = tests();
        suite.args(["--package", "xec-pool-ssh", "--features", "containers", "--test", "servers"]);
        // The matrix turns knobs that dropbear has not got.
        if server != DROPBEAR {
            suite.args(["--test", "faults"]);
        }
        run::run(suite.env(CHOICE, &image))?;
    }
    Ok(())
}

/// Debian's packages, unpacked into an image without asking any registry: in about a minute.
fn ensure_image(server: &str) -> Done {
    let tag = format!("{NAME}:{server}");
    let mut inspect = Command::new("docker");
    inspect.args(["image", "inspect", &tag]).stdout(Stdio::null()).stderr(Stdio::null());
    let there = inspect.status().map_err(|error| Failure::from(format!("cannot start `docker`: {error}")))?;
    if there.success() {
        return Ok(());
    }
    MMDEBSTRAP.ensure_installed()?;
    let (release, packages) = match server {
        DROPBEAR => (DROPBEAR_RELEASE, "dropbear-bin,iproute2"),
        release => (release, "openssh-server,iproute2"),
    };
    let include = format!("--include={packages}");
    let mut unpack = Command::new("mmdebstrap");
    unpack.args(["--quiet", "--variant=essential", &include, release, "-"]).stdout(Stdio::piped());
    run::pipe(&mut unpack, Command::new("docker").args(["import", "-", &tag]))
}
