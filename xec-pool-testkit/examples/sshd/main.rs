//! A throw-away OpenSSH server on loopback, to try things on: `cargo run -p xec-pool-testkit --example sshd
//! --features sshd`. It says how to reach it, and goes with Ctrl-C or with the end of its input.
#![expect(clippy::print_stdout, reason = "it is a program")]

#[cfg(test)]
mod tests;

use std::{error::Error, path::Path};

use clap::Parser;
use tokio::{
    io::AsyncReadExt as _,
    signal::unix::{SignalKind, signal},
};
use xec_pool_testkit::LocalSshd;

/// A throw-away OpenSSH server on loopback.
#[derive(Parser)]
struct Flags {
    /// Say how to reach it in one line of JSON.
    #[arg(long)]
    json: bool,
    /// A line for sshd_config, before the defaults. May be given several times.
    #[arg(long = "config", value_name = "LINE")]
    config: Vec<String>,
}

fn main() -> Result<(), Box<dyn Error>> {
    serve(&Flags::parse())
}

fn serve(flags: &Flags) -> Result<(), Box<dyn Error>> {
    let builder = flags.config.iter().fold(LocalSshd::builder(), |builder, line| builder.config(line));
    let sshd = builder.start()?;
    println!("{}", if flags.json { in_json(&sshd) } else { in_words(&sshd) });
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let outcome = runtime.block_on(until_told());
    drop(sshd);
    // A read of the terminal cannot be taken back; waiting for it would be waiting for a key.
    runtime.shutdown_background();
    Ok(outcome?)
}

async fn until_told() -> std::io::Result<()> {
    let mut ended = signal(SignalKind::terminate())?;
    let mut hung_up = signal(SignalKind::hangup())?;
    let mut input = tokio::io::stdin();
    let mut ignored = [0; 256];
    loop {
        tokio::select! {
            pressed = tokio::signal::ctrl_c() => return pressed,
            _ = ended.recv() => return Ok(()),
            _ = hung_up.recv() => return Ok(()),
            read = input.read(&mut ignored) => if read? == 0 { return Ok(()) },
        }
    }
}

fn in_words(sshd: &LocalSshd) -> String {
    format!(
        "sshd listens on {addr} (pid {pid}). Ctrl-C or the end of input ends it.\n\n  {ssh}\n\n  {demo}",
        addr = sshd.addr(),
        pid = sshd.pid().unwrap_or_default(),
        ssh = ssh(sshd),
        demo = demo(sshd),
    )
}

fn in_json(sshd: &LocalSshd) -> String {
    serde_json::json!({
        "host": sshd.host(),
        "port": sshd.port(),
        "user": sshd.user(),
        "key": sshd.key_path(),
        "known_hosts": sshd.known_hosts_path(),
        "home": sshd.home(),
        "pid": sshd.pid(),
        "ssh": ssh(sshd),
        "demo": demo(sshd),
    })
    .to_string()
}

fn ssh(sshd: &LocalSshd) -> String {
    format!(
        "ssh -F none -o UserKnownHostsFile={} -o IdentitiesOnly=yes -i {} -p {} {}@{}",
        quoted(&sshd.known_hosts_path()),
        quoted(&sshd.key_path()),
        sshd.port(),
        sshd.user(),
        sshd.host(),
    )
}

/// The demo looks where ssh looks, so it gets a home where that is. Cargo must still find its own.
fn demo(sshd: &LocalSshd) -> String {
    let mut words = vec!["env -u SSH_AUTH_SOCK".to_owned(), format!("HOME={}", quoted(sshd.home()))];
    if let Some(home) = std::env::home_dir() {
        for (variable, folder) in [("CARGO_HOME", ".cargo"), ("RUSTUP_HOME", ".rustup")] {
            let is = std::env::var_os(variable).map_or_else(|| home.join(folder), Into::into);
            words.push(format!("{variable}={}", quoted(&is)));
        }
    }
    words.push(format!("cargo xtask demo {}@{}:{}", sshd.user(), sshd.host(), sshd.port()));
    words.join(" ")
}

fn quoted(path: &Path) -> String {
    let text = path.display().to_string();
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-+@".contains(c);
    if text.chars().all(plain) { text } else { format!("'{}'", text.replace('\'', r"'\''")) }
}
