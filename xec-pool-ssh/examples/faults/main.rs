//! The matrix of states and faults, all of it: `cargo xtask faults [--out FILE]`. Needs a Docker engine.
#![cfg_attr(not(target_os = "linux"), expect(unused, reason = "it counts sockets by /proc"))]

use std::{
    fs,
    io::{self, IsTerminal as _, Write as _},
    path::PathBuf,
    process::ExitCode,
    sync::Arc,
    time::{Duration, Instant},
};

use clap::Parser;
use tokio::sync::Semaphore;
use xec_pool_testkit::SshdContainer;

#[path = "../../tests/faults/matrix/mod.rs"]
mod matrix;

// The table.
mod table;

use self::matrix::{
    cell::{Row, run},
    whole::PATIENCE,
    words::{Fault, State},
};

/// Runs every state of a pool against every fault of its server, and writes a table.
#[derive(Parser)]
struct Flags {
    /// Write the table there as well, in Markdown.
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Only this state: a row's name.
    #[arg(long, value_parser = State::ALL.map(State::name))]
    state: Option<String>,
    /// Only this fault: a column's name.
    #[arg(long, value_parser = Fault::ALL.map(Fault::name))]
    fault: Option<String>,
    /// How many cells run at once.
    #[arg(long, default_value_t = 3)]
    at_once: usize,
}

#[tokio::main]
async fn main() -> io::Result<ExitCode> {
    let flags = Flags::parse();
    let began = Instant::now();
    // What is made once, for good, is there after the first container; and no engine is told in one sentence.
    drop(SshdContainer::start().await?);
    let before = descriptors()?;
    let rows = all(&flags).await?;
    let after = settled(before).await?;
    let text = table::markdown(&rows, began.elapsed(), before, after);
    write!(io::stdout(), "{text}")?;
    if let Some(file) = flags.out {
        fs::write(file, &text)?;
    }
    if after > before {
        writeln!(io::stderr(), "LEFT: {after} open files, {before} before")?;
    }
    let is_green = !rows.is_empty() && rows.iter().all(Row::is_green) && after <= before;
    Ok(if is_green { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Open files, once they are as many as before, or for long enough not: the cells' runtimes end in the background.
async fn settled(before: usize) -> io::Result<usize> {
    let began = Instant::now();
    loop {
        let now = descriptors()?;
        if now <= before || began.elapsed() > PATIENCE {
            return Ok(now);
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

async fn all(flags: &Flags) -> io::Result<Vec<Row>> {
    let wanted = |name: &str, only: &Option<String>| only.as_ref().is_none_or(|only| only == name);
    let room = Arc::new(Semaphore::new(flags.at_once.max(1)));
    let mut running = Vec::new();
    for state in State::ALL.into_iter().filter(|state| wanted(state.name(), &flags.state)) {
        for fault in Fault::ALL.into_iter().filter(|fault| wanted(fault.name(), &flags.fault)) {
            let room = Arc::clone(&room);
            running.push(tokio::spawn(async move {
                let _place = room.acquire_owned().await;
                run(state, fault).await
            }));
        }
    }
    let count = running.len();
    let mut rows = Vec::with_capacity(count);
    for row in running {
        let row = row.await.map_err(io::Error::other)?;
        if io::stderr().is_terminal() || !row.is_green() {
            let mark = if row.is_green() { "ok" } else { "RED" };
            writeln!(io::stderr(), "{:>3}/{count} {mark} {row}", rows.len() + 1)?;
        }
        rows.push(row);
    }
    Ok(rows)
}

/// Open files of this process, without the Unix sockets: the engine's client keeps some of those.
fn descriptors() -> io::Result<usize> {
    let unix: Vec<String> = fs::read_to_string("/proc/net/unix")?
        .lines()
        .filter_map(|line| Some(format!("socket:[{}]", line.split_whitespace().nth(6)?)))
        .collect();
    let links = fs::read_dir("/proc/self/fd")?.flatten().filter_map(|entry| fs::read_link(entry.path()).ok());
    Ok(links.filter(|target| !unix.iter().any(|socket| target.as_os_str() == socket.as_str())).count())
}
