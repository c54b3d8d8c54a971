//! `test --sshd LIST`: the tests of containers once more, on the servers of other releases.

use std::{
    hash::{DefaultHasher, Hash as _, Hasher as _},
    process::{self, Command, Stdio},
};

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
        let mut suite = tests();
        choose(&mut suite, server)?;
        suite.args(["--package", "xec-pool-ssh", "--features", "containers", "--test", "servers"]);
        // The matrix turns knobs that dropbear has not got, it punishes nobody, and the testkit's own tests speak to
        // OpenSSH. The breaker's target has the name of ssh's.
        if server != DROPBEAR {
            suite.args(["--test", "faults", "--package", "xec-pool-testkit", "--test", "container"]);
            suite.args(["--package", "xec-pool-breaker"]);
        }
        run::run(&mut suite)?;
    }
    Ok(())
}

/// Lets a program find the OpenSSH of one of the releases in its containers.
pub(crate) fn choose_release(program: &mut Command, release: &str) -> Done {
    if RELEASES.contains(&release) {
        return choose(program, release);
    }
    Err(Failure::from(format!("--sshd knows {} here, not `{release}`", RELEASES.join(", "))))
}

fn choose(program: &mut Command, server: &str) -> Done {
    let recipe = recipe(server);
    let tag = tag(server, &recipe);
    ensure_image(&tag, &recipe)?;
    program.env(CHOICE, tag);
    Ok(())
}

/// What mmdebstrap is told.
fn recipe(server: &str) -> [&str; 5] {
    let (release, packages) = match server {
        DROPBEAR => (DROPBEAR_RELEASE, "--include=dropbear-bin,iproute2"),
        release => (release, "--include=openssh-server,iproute2"),
    };
    ["--quiet", "--variant=essential", packages, release, "-"]
}

/// Names the recipe as well: an image that an older one made is another image.
fn tag(server: &str, recipe: &[&str]) -> String {
    let mut hash = DefaultHasher::new();
    recipe.hash(&mut hash);
    format!("{NAME}:{server}-{:08x}", hash.finish() >> 32)
}

/// Debian's packages, unpacked into an image without asking any registry: in about a minute.
fn ensure_image(tag: &str, recipe: &[&str]) -> Done {
    if quietly(&["image", "inspect", tag])? {
        return Ok(());
    }
    MMDEBSTRAP.ensure_installed()?;
    // Docker makes an image of nothing or of a half, too: until all of it is there, it has a name nobody asks for.
    let unfinished = format!("{tag}.{}", process::id());
    let mut import = Command::new("docker");
    import.args(["import", "-", &unfinished]);
    let finished = run::pipe(Command::new("mmdebstrap").args(recipe), &mut import)
        .and_then(|()| run::run(Command::new("docker").args(["tag", &unfinished, tag])));
    quietly(&["image", "rm", &unfinished])?;
    finished
}

/// Whether docker did it.
fn quietly(args: &[&str]) -> Done<bool> {
    let status = Command::new("docker").args(args).stdout(Stdio::null()).stderr(Stdio::null()).status();
    Ok(status.map_err(|error| Failure::from(format!("cannot start `docker`: {error}")))?.success())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_image_that_another_recipe_made_has_another_name() {
        let name = tag("trixie", &recipe("trixie"));
        assert!(name.starts_with("xec-pool-sshd:trixie-"), "{name}");
        assert_eq!(name, tag("trixie", &recipe("trixie")));
        assert_ne!(name, tag("trixie", &recipe(DROPBEAR)));
    }
}
