//! One cell, from beginning to end.

use std::{
    fmt, io,
    sync::atomic::Ordering,
    time::{Duration, Instant},
};

use tokio::time::timeout;
use xec_pool_core::AcquireError;
use xec_pool_ssh::{Output, SshError};

use super::{
    blow::{self, Held},
    place::{DRAIN, Place},
    seen::{Seen, expected, may_pass},
    slow::too_quick,
    whole,
    words::{Fault, State, may_leave, senseless},
    work::{self, Answer, Work},
};

/// Longer than anything here takes.
const LONG: Duration = Duration::from_secs(60);

/// What is asked of a container has no limit of its own.
const CELL: Duration = Duration::from_secs(180);

/// How long the pool may take until it works again.
const RECOVERED: Duration = Duration::from_secs(10);

/// Calls until then: whoever asks waits for the pool, so one is the rule, and one or two may be unlucky.
const ASKS: u32 = 3;

/// How often a cell is set up, at most, until its fault comes while its state lasts: some end by themselves, and a busy
/// machine may take longer to strike.
const TRIES: usize = 4;

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
    /// From the end of the fault, or the making of a drained pool's successor, to the next result.
    pub(crate) recovery: Duration,
    /// Calls until then, that one included.
    pub(crate) asks: u32,
    /// Commands that run on over there, where nobody could tell them to end.
    pub(crate) left_running: usize,
    /// The longest that anything took to end, or to come to rest.
    pub(crate) settled: Duration,
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
            Outcome::Ran(Found { sees, after, settled, problems, .. }) => {
                write!(f, "{sees} after {after:?}, settled in {settled:?} {problems:?}")
            }
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
    for _ in 0..TRIES {
        if let Some(found) = tried(state, fault).await? {
            return Ok(found);
        }
    }
    Err(io::Error::other(format!("{TRIES} times the state was over before the fault came")))
}

/// `None` where the fault missed the state.
async fn tried(state: State, fault: Fault) -> io::Result<Option<Found>> {
    let mut found = Found::default();
    let mut place = Place::new(state, fault).await?;
    work::prepare(&place, state).await;
    let first = blow::comes_first(state, fault);
    let work = if first { None } else { Some(work::begin(&place, state, fault).await?) };
    // Before that is asked: what is there now was there when these were counted.
    let missing = whole::nothing_there(&place)?;
    let is_ready = (first && state != State::Idle) || work::is_there(&place, state);
    // Two moments: what happens, happens between them.
    let struck = Instant::now();
    let mut held = blow::strike(&place, state, fault).await?;
    let mut over = Instant::now();
    let work = match work {
        Some(work) => work,
        None => work::begin(&place, state, fault).await?,
    };
    if !is_ready || work.ends.is_some_and(|ends| ends < held.landed) {
        return Ok(None);
    }
    if !(first && state == State::Connecting) {
        found.problems.extend(missing);
    }
    work::release(&place, state, fault).await?;
    answered(&mut found, state, fault, work, struck).await;
    found.problems.extend(has_met(&place, state, fault));
    blow::lift(&place, state, fault, &mut held).await?;
    work::let_go(&place, state).await?;
    if !blow::is_over_at_once(fault) {
        over = Instant::now();
    }
    dialled(&mut found, state, held).await;
    if state == State::Draining {
        refuses(&mut found, &place).await;
        found.problems.extend(whole::nothing_left(&place).await);
        place.renew();
        // Of the next pool's, for a drained one works no more.
        over = Instant::now();
    }
    recovered(&mut found, &place, over).await;
    found.problems.extend(whole::at_rest(&place).await);
    found.problems.extend(whole::sessions(&place, fault.sessions()).await);
    let pool = place.pool.clone();
    place.spawn(async move { pool.close().await }).await.map_err(io::Error::other)?;
    found.problems.extend(whole::nothing_left(&place).await);
    let (problem, left) = whole::over_there(&place, may_leave(state, fault)).await;
    found.problems.extend(problem);
    found.left_running = left;
    found.settled = Duration::from_millis(place.settled_ms.load(Ordering::Relaxed));
    Ok(Some(found))
}

/// Where a fault could be passed by unseen: the command that found no session did run on another connection.
fn has_met(place: &Place, state: State, fault: Fault) -> Option<String> {
    let created = place.pool.stats().created;
    let should_be = if state.has_command() { 1 } else { 2 };
    (fault == Fault::MaxSessions && created != should_be)
        .then(|| format!("{created} connections were made, where it takes {should_be}"))
}

/// The command's own failure is the one that was meant.
fn wrong_failure(state: State, fault: Fault, answer: &Answer) -> Option<String> {
    let is_full = |output: &Output| String::from_utf8_lossy(&output.stderr).contains("No space left");
    let is_wrong = state.has_command() && fault == Fault::Exhausted && !answer.as_ref().is_ok_and(is_full);
    is_wrong.then(|| format!("no word of a full disk in {answer:?}"))
}

/// Waits for the answers, and holds them against what they should be.
async fn answered(found: &mut Found, state: State, fault: Fault, work: Work, struck: Instant) {
    let heard = timeout(LONG, work.caller).await.expect("the caller is answered").expect("and does not panic");
    let (seen, expected) = (Seen::of(&heard.answer), expected(state, fault));
    found.sees = seen.to_string();
    found.after = heard.at.saturating_duration_since(struck.max(heard.asked));
    if !(expected.what)(&seen) {
        found.problems.push(format!("expected {}, got {:?}", expected.words, heard.answer));
    }
    found.problems.extend(wrong_failure(state, fault, &heard.answer));
    if fault == Fault::Slow {
        found.problems.extend(too_quick(state, &heard, found.after));
    }
    let took = heard.at - if state.has_command() { struck } else { heard.asked };
    if took > expected.within {
        found.problems.push(format!("the answer took {took:?}, not {:?}", expected.within));
    }
    if let Some(answer) = work.second {
        let seen = Seen::of(&answer);
        found.sees += &format!("; a second one: {seen}");
        if seen != Seen::NoSession {
            found.problems.push(format!("a second session was refused, and its caller got {answer:?}"));
        }
    }
    if let Some(drain) = work.drain {
        let (report, took) = timeout(LONG, drain).await.expect("it ends").expect("and does not panic");
        found.sees += &format!("; drained, {} closed", report.closed);
        if took > DRAIN + Duration::from_secs(2) || report.still_held > 0 {
            found.problems.push(format!("draining took {took:?}: {report:?}"));
        }
    }
}

/// Who was turned away while the fault lasted has his connection now; a pool that drains has given up for him.
async fn dialled(found: &mut Found, state: State, held: Held) {
    let Some(dialler) = held.dialler else { return };
    let report = timeout(LONG, dialler).await.expect("it ends").expect("and does not panic");
    let drains = state == State::Draining;
    found.sees += if drains { "; a second one: turned away" } else { "; a second one: turned away, then served" };
    let is_right = if drains { report.opened == 0 && !report.failures.is_empty() } else { report.open == 2 };
    if !is_right {
        found.problems.push(format!("who was turned away came away with {report:?}"));
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
async fn recovered(found: &mut Found, place: &Place, over: Instant) {
    loop {
        let pool = place.pool.clone();
        let asked = place.spawn(async move { pool.command("true").output().await });
        let answer = timeout(LONG, asked).await.expect("it is answered").expect("and does not panic");
        found.recovery = over.elapsed();
        found.asks += 1;
        let seen = Seen::of(&answer);
        if found.recovery > RECOVERED || (found.asks == ASKS && seen != Seen::Done) {
            found.problems.push(format!(
                "it took {:?} and {} asks, the last of which got {answer:?}",
                found.recovery, found.asks
            ));
        } else if seen != Seen::Done && !may_pass(&seen) {
            found.problems.push(format!("while it recovered a caller got {answer:?}"));
        } else if seen != Seen::Done {
            continue;
        }
        return;
    }
}
