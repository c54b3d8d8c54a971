//! Watch pooled SSH commands run: `cargo xtask demo [user@host[:port]] [-- command …]`.
//!
//! Without a host it starts an SSH server in this process. Reading order: `flags`, `place` (where), `show` (what is
//! run), `report` (what a person reads).
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "it is a program")]

// What the user wants.
mod flags;

// Where the commands run.
mod place;

// Running them, three ways.
mod show;

// What came out.
mod report;

use std::{error::Error, process::ExitCode};

use clap::Parser as _;
use tokio::signal::ctrl_c;

use self::{flags::Flags, place::Place, show::Show};

/// Anything that ends the demo early.
type Failure = Box<dyn Error + Send + Sync>;

const WELL: u8 = 0;
const FAILED: u8 = 1;

/// What a shell says of a program that Ctrl-C ended: 128 and the signal's number.
const INTERRUPTED: u8 = 130;

#[tokio::main]
async fn main() -> ExitCode {
    ExitCode::from(told(&Flags::parse()).await)
}

/// Runs it, says what went wrong, and returns the exit code.
async fn told(flags: &Flags) -> u8 {
    match run(flags).await {
        Ok(code) => code,
        Err(failure) => {
            eprintln!("error: {}", chain(&*failure));
            FAILED
        }
    }
}

async fn run(flags: &Flags) -> Result<u8, Failure> {
    let place = Place::new(flags).await?;
    println!("{place}\n");
    let show = Show::new(&place, flags.commands())?;
    let outcome = tokio::select! {
        outcome = show.run() => outcome,
        pressed = ctrl_c() => {
            pressed?;
            return interrupt(&show, &place).await;
        }
    };
    let drained = show.drain().await;
    let report = outcome?;
    let leaked = show.leaked(&place).await;
    println!("{report}\n\n{}\n{drained}", show.stats());
    let closed = all_closed(leaked, &place);
    if flags.json {
        println!("{}", report.to_json(&place.name(), show.created(), leaked));
    }
    closed.map(|()| WELL)
}

/// Says so, or fails.
fn all_closed(leaked: u64, place: &Place) -> Result<(), Failure> {
    if leaked > 0 {
        return Err(format!("{leaked} connections were not closed").into());
    }
    let counted = if place.server().is_some() { "the server says so, too" } else { "by our count" };
    println!("every connection closed ({counted})");
    Ok(())
}

/// The commands were abandoned with the future that ran them; what is left is to let go of the connections. A second
/// Ctrl-C does not wait for that.
async fn interrupt(show: &Show, place: &Place) -> Result<u8, Failure> {
    eprintln!("\ninterrupted: draining (Ctrl-C again to leave at once)");
    let let_go = async {
        println!("{}", show.drain().await);
        all_closed(show.leaked(place).await, place)
    };
    tokio::select! {
        closed = let_go => closed?,
        _ = ctrl_c() => {}
    }
    Ok(INTERRUPTED)
}

/// An error and its causes in one line.
fn chain(error: &(dyn Error + 'static)) -> String {
    let mut line = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        line = format!("{line}: {error}");
        cause = error.source();
    }
    line
}

#[cfg(test)]
mod tests;
