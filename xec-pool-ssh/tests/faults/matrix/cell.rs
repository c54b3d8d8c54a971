//! One cell, from beginning to end.

use std::{
    fmt, io,
    time::{Duration, Instant},
};

use tokio::time::timeout;
use xec_pool_core::AcquireError;
use xec_pool_ssh::SshError;

use super::{
    blow,
    place::{DRAIN, Place},
    seen::{Seen, expected},
    whole,
    words::{Fault, State, senseless},
    work::{self, Work},
};

/// Longer than anything here takes.
const LONG: Duration = Duration::from_secs(60);

/// What is asked of a container has no limit of its own.
const CELL: Duration = Duration::from_secs(180);

/// How long the pool may take until it works again.
const RECOVERED: Duration = Duration::from_secs(10);

/// What came of a cell.
#[derive(Debug)]
pub(crate) struct Row {
    pub(crate) state: State,
    pub(crate) fault: Fault,
    pub(crate) outcome: Outcome,
}

#[derive(Debug)]
pub(crate) enum Outcome {
    Senseless(&'static str),
    Ran(Found),
    /// The cell itself failed: the engine, or a panic.
    Failed(String),
}

#[derive(Debug, Default)]
pub(crate) struct Found {
    pub(crate) sees: String,
    /// From the fault, or the call if that was later, to the answer.
    pub(crate) after: Duration,
    /// From the end of the fault to the next result.
    pub(crate) recovery: Duration,
    /// Commands that run on over there, where nobody could tell them to end.
    pub(crate) left_running: usize,
    pub(crate) problems: Vec<String>,
}

impl Row {
    pub(crate) fn is_green(&self) -> bool {
        match &self.outcome {
            Outcome::Senseless(_) => true,
            Outcome::Ran(found) => found.problems.is_empty(),
            Outcome::Failed(_) => false,
        }
    }
}

impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} × {}: ", self.state.name(), self.fault.name())?;
        match &self.outcome {
            Outcome::Senseless(why) => write!(f, "no sense, for {why}"),
            Outcome::Failed(why) => write!(f, "failed: {why}"),
            Outcome::Ran(found) => write!(f, "{} after {:?} {:?}", found.sees, found.after, found.problems),
        }
    }
}

pub(crate) async fn run(state: State, fault: Fault) -> Row {
    let outcome = match senseless(state, fault) {
        Some(why) => Outcome::Senseless(why),
        // In a task, whose panic ends this cell only.
        None => match tokio::spawn(timeout(CELL, ran(state, fault))).await {
            Ok(Ok(Ok(found))) => Outcome::Ran(found),
            Ok(Ok(Err(error))) => Outcome::Failed(error.to_string()),
            Ok(Err(_)) => Outcome::Failed(format!("it did not end within {CELL:?}")),
            Err(panic) => Outcome::Failed(panic.to_string()),
        },
    };
    Row { state, fault, outcome }
}

async fn ran(state: State, fault: Fault) -> io::Result<Found> {
    let mut found = Found::default();
    let mut place = Place::new(state, fault).await?;
    work::prepare(&place, state).await;
    let (work, held) = if blow::comes_first(state, fault) {
        let held = blow::strike(&place, state, fault).await?;
        (work::begin(&place, state, fault).await?, held)
    } else {
        let work = work::begin(&place, state, fault).await?;
        (work, blow::strike(&place, state, fault).await?)
    };
    let struck = Instant::now();
    work::release(&place, state, fault).await?;
    answered(&mut found, state, fault, work, struck).await;
    blow::lift(&place, state, fault, held).await?;
    work::let_go(&place, state).await?;
    let lifted = if blow::is_over_at_once(fault) { struck } else { Instant::now() };
    if state == State::Draining {
        refuses(&mut found, &place).await;
        found.problems.extend(whole::nothing_left(&place).await);
        place.renew();
    }
    recovered(&mut found, &place, lifted).await;
    found.problems.extend(whole::at_rest(&place).await);
    let pool = place.pool.clone();
    place.spawn(async move { pool.close().await }).await.map_err(io::Error::other)?;
    found.problems.extend(whole::nothing_left(&place).await);
    let (problem, left) = whole::over_there(&place, state.has_command() && fault.ends_connections()).await;
    found.problems.extend(problem);
    found.left_running = left;
    Ok(found)
}

/// Waits for the answers, and holds them against what they should be.
async fn answered(found: &mut Found, state: State, fault: Fault, work: Work, struck: Instant) {
    let (answer, at) = timeout(LONG, work.caller).await.expect("the caller is answered").expect("and does not panic");
    let (seen, expected) = (Seen::of(&answer), expected(state, fault));
    found.sees = seen.to_string();
    found.after = at.saturating_duration_since(struck);
    if !(expected.what)(&seen) {
        found.problems.push(format!("expected {}, got {answer:?}", expected.words));
    }
    if found.after > expected.within {
        found.problems.push(format!("the answer took {:?}, not {:?}", found.after, expected.within));
    }
    if let Some(answer) = work.second {
        let seen = Seen::of(&answer);
        found.sees += &format!("; a second one: {seen}");
        if seen != Seen::Refused("no session") {
            found.problems.push(format!("a second session was refused, and its caller got {answer:?}"));
        }
    }
    if let Some(drain) = work.drain {
        let report = timeout(LONG, drain).await.expect("it ends").expect("and does not panic");
        found.sees += &format!("; drained, {} closed", report.closed);
        if struck.elapsed() > DRAIN + Duration::from_secs(2) || report.still_held > 0 {
            found.problems.push(format!("draining took {:?}: {report:?}", struck.elapsed()));
        }
    }
}

/// A drained pool says so, at once.
async fn refuses(found: &mut Found, place: &Place) {
    let pool = place.pool.clone();
    let asked = place.spawn(async move { pool.command("true").output().await });
    let answer = timeout(LONG, asked).await.expect("it is answered").expect("and does not panic");
    let refused = matches!(&answer, Err(SshError::Acquire { source, .. })
        if matches!(**source, AcquireError::Closed { .. } | AcquireError::Draining { .. }));
    if !refused {
        found.problems.push(format!("a drained pool answered {answer:?}"));
    }
}

/// Asks, as callers do, until one gets a result.
async fn recovered(found: &mut Found, place: &Place, lifted: Instant) {
    loop {
        let pool = place.pool.clone();
        let asked = place.spawn(async move { pool.command("true").output().await });
        let answer = timeout(LONG, asked).await.expect("it is answered").expect("and does not panic");
        found.recovery = lifted.elapsed();
        if Seen::of(&answer) == Seen::Done {
            break;
        }
        if found.recovery > RECOVERED {
            found.problems.push(format!("it does not work again: {answer:?}"));
            return;
        }
    }
    if found.recovery > RECOVERED {
        found.problems.push(format!("it took {:?} to work again", found.recovery));
    }
}
