//! Which keys hosts are known by: OpenSSH's `known_hosts` files, read with all of their grammar.
//!
//! russh's own reader is not used: it knows neither `@revoked` nor `@cert-authority`, neither wildcards nor
//! negation, and one line that it cannot read costs the whole file.

// The columns of a line, from the inside out.
pub(crate) mod pattern;

pub(crate) mod line;

// What the lines together say of a key.
pub(crate) mod certificate;

pub(crate) mod verdict;

// The files.
pub(crate) mod file;

pub(crate) mod learn;

use std::path::{Path, PathBuf};

use self::line::{Claim, Line};

/// What one file says.
#[derive(Debug)]
pub(crate) struct KnownHosts {
    path: PathBuf,
    lines: Vec<Line>,
}

impl KnownHosts {
    /// Reads the content of a file. A line that cannot be read is skipped with a warning: it never counts for a key.
    pub(crate) fn parse(path: &Path, content: &[u8]) -> Self {
        let mut lines = Vec::new();
        for (index, bytes) in content.split(|byte| *byte == b'\n').enumerate() {
            let number = index + 1;
            let parsed = std::str::from_utf8(bytes).map_err(|_| "it is not UTF-8");
            match parsed.and_then(|text| Line::parse(number, text)) {
                Ok(Some(line)) => lines.push(line),
                Ok(None) => {}
                Err(reason) => {
                    tracing::warn!(file = %path.display(), line = number, reason, "known_hosts line skipped")
                }
            }
        }
        Self { path: path.to_owned(), lines }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// The lines that make this claim about a host, by any of the names given.
    fn about<'a, 'n>(&'a self, claim: Claim, names: &'n [&str]) -> impl Iterator<Item = &'a Line> + use<'a, 'n> {
        let is_about = move |line: &&'a Line| names.iter().any(|name| line.hosts.match_name(name));
        self.lines.iter().filter(move |line| line.claim == claim).filter(is_about)
    }
}

/// The names a host goes by in the files.
#[derive(Clone, Debug)]
pub(crate) struct Names {
    /// As it stands in lines of its own: `host`, or `[host]:port` where the port is not 22.
    own: String,
    /// Without the port, as a certificate names it.
    host: String,
}

impl Names {
    /// `host` is in lower case, as a target keeps it.
    pub(crate) fn new(host: &str, port: u16) -> Self {
        let own = match port {
            crate::target::DEFAULT_PORT => host.to_owned(),
            port => format!("[{host}]:{port}"),
        };
        Self { own, host: host.to_owned() }
    }

    pub(crate) fn own(&self) -> &str {
        &self.own
    }

    pub(crate) fn host(&self) -> &str {
        &self.host
    }

    /// Both. From: ssh's `check_host_key` — a key that is known for the host counts at any of its ports.
    fn all(&self) -> [&str; 2] {
        [&self.own, &self.host]
    }
}

#[cfg(test)]
#[cfg(feature = "sshd")]
mod openssh;
