//! The demo's command line.

use std::path::PathBuf;

/// What runs where the user names nothing: harmless, quick, and known to every Unix.
const HARMLESS: [&str; 5] = ["true", "uname -s", "id -un", "pwd", "echo hello"];

/// Watch pooled SSH commands run: cold, a connection each; then through a pool; then 32 at once.
#[derive(clap::Parser)]
#[command(bin_name = "cargo xtask demo")]
pub(crate) struct Flags {
    /// The host, reached as ssh does: known_hosts, the agent, the default keys. Without one: a server in this process.
    #[arg(value_name = "user@host[:port]")]
    pub(crate) target: Option<String>,
    /// Log in with this private key alone.
    #[arg(long, value_name = "FILE", requires = "target")]
    pub(crate) identity: Option<PathBuf>,
    /// Believe the hosts in this file, in place of ~/.ssh/known_hosts.
    #[arg(long, value_name = "FILE", requires = "target")]
    pub(crate) known_hosts: Option<PathBuf>,
    /// End with the figures as one JSON object on a line of its own.
    #[arg(long)]
    pub(crate) json: bool,
    /// What to run; as with ssh, the remote shell reads the words. Without it: a few harmless commands.
    #[arg(last = true, value_name = "command")]
    command: Vec<String>,
}

impl Flags {
    /// The commands, each as the remote shell reads it.
    pub(crate) fn commands(&self) -> Vec<String> {
        if self.command.is_empty() { HARMLESS.map(str::to_owned).to_vec() } else { vec![self.command.join(" ")] }
    }
}
