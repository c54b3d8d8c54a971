//! Programs that tests need and Rust does not bring: installed where they are missing and we may.

use std::{env, path::Path, process::Command};

use crate::run::{self, Done, Failure};

/// A program, and the package of Debian's that has it.
pub(crate) struct Program {
    /// Where it is; without a folder: anywhere on the path.
    pub(crate) file: &'static str,
    pub(crate) package: &'static str,
}

impl Program {
    /// Installs it where it is missing and we may; else says what to type.
    pub(crate) fn ensure_installed(&self) -> Done {
        if is_there(self.file) {
            return Ok(());
        }
        self.install(run::read(Command::new("id").arg("-u"))?.trim() == "0")
    }

    fn install(&self, is_root: bool) -> Done {
        let Self { file, package } = self;
        if !is_root {
            return Err(Failure::from(format!(
                "{file} is missing; type: sudo apt-get install --no-install-recommends {package}"
            )));
        }
        run::run(Command::new("apt-get").arg("update"))?;
        run::run(
            Command::new("apt-get")
                .args(["install", "--yes", "--no-install-recommends", package])
                .env("DEBIAN_FRONTEND", "noninteractive"),
        )
    }
}

fn is_there(file: &str) -> bool {
    let path = env::var_os("PATH").unwrap_or_default();
    // An absolute file stays what it is, whatever it is joined to.
    env::split_paths(&path).chain([Path::new("/").into()]).any(|folder| folder.join(file).is_file())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_there_is_found_with_its_folder_and_without() {
        assert!(is_there("sh") && is_there("/bin/sh"));
        assert!(!is_there("no-such-program") && !is_there("/bin/no-such-program"));
    }

    #[test]
    fn who_may_not_install_is_told_what_to_type() {
        let said = Program { file: "/usr/sbin/a", package: "a-server" }.install(false).expect_err("we may not");
        let told = "/usr/sbin/a is missing; type: sudo apt-get install --no-install-recommends a-server";
        assert_eq!(said.to_string(), told);
    }
}
