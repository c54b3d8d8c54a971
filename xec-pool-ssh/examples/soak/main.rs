//! Random load, faults, cancels and changes of configuration against several sshds, for as long as one likes; at the
//! end nothing may be left: `cargo xtask soak --minutes 20`. A line of figures a minute.
#![cfg_attr(not(target_os = "linux"), expect(unused, reason = "it counts by /proc"))]

use std::{
    io::{self, Write as _},
    process::ExitCode,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use clap::Parser;
use peak_alloc::PeakAlloc;
use tokio::task::{JoinSet, spawn_blocking};
use xec_pool_core::PoolConfig;

// One server, the way to it, and the pool of the moment.
mod place;

// What callers do.
mod load;

// What happens to them.
mod weather;

// What is counted.
mod figures;

use self::{
    figures::{Figures, Sample},
    place::Place,
};

/// Memory that is free again stays with the process, so what the system says tells no leak: this counts what is in use.
#[global_allocator]
static HEAP: PeakAlloc = PeakAlloc;

/// Tries the pool on real servers until the time is over, and sees that nothing is left.
#[derive(Parser)]
struct Flags {
    /// How long.
    #[arg(long, default_value_t = 20.0)]
    minutes: f64,
    /// What is left to chance is drawn from this; a random one without it.
    #[arg(long)]
    seed: Option<u64>,
}

const SERVERS: usize = 3;

/// Callers of each pool.
const CALLERS: usize = 8;

/// How long what ends in the background may take at the end. Abandoned commands of root's on an old sshd are not told
/// to end, and take their time.
const PATIENCE: Duration = Duration::from_secs(30);

/// Set when the time is over.
type Over = Arc<AtomicBool>;

fn main() -> io::Result<ExitCode> {
    let flags = Flags::parse();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let problems = runtime.block_on(soak(&flags))?;
    let mut out = io::stdout();
    for problem in &problems {
        writeln!(out, "LEFT: {problem}")?;
    }
    if problems.is_empty() {
        writeln!(out, "\nNothing is left.")?;
    }
    Ok(if problems.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

async fn soak(flags: &Flags) -> io::Result<Vec<String>> {
    let seed = flags.seed.unwrap_or_else(|| fastrand::u64(..));
    writeln!(io::stdout(), "seed {seed}\n")?;
    let figures = Arc::new(Figures::new());
    let mut places = Vec::with_capacity(SERVERS);
    for _ in 0..SERVERS {
        places.push(Arc::new(Place::start(Arc::clone(&figures)).await?));
    }
    // Whatever is made once, for good, is there after the first command.
    for place in &places {
        place.pool().command("true").status().await.map_err(io::Error::other)?;
        place.renew(Duration::from_secs(5), PoolConfig::default()).await;
    }
    until_quiet(&places).await;
    forget_logs(&places);
    let before = Sample::take(&places);
    let over = Over::default();
    let mut work = begin(&places, &figures, &over, seed);
    minutes(&places, &figures, flags.minutes).await?;
    over.store(true, Ordering::Release);
    while let Some(ended) = work.join_next().await {
        if let Err(panic) = ended {
            figures.violated(format!("a task panicked: {panic}"));
        }
    }
    for place in &places {
        place.renew(Duration::from_secs(5), PoolConfig::default()).await;
    }
    let after = settled(&places, &before).await;
    writeln!(io::stdout(), "\nbefore: {before}\nafter:  {after}")?;
    Ok(figures.violations().into_iter().chain(after.more_than(&before)).collect())
}

fn begin(places: &[Arc<Place>], figures: &Arc<Figures>, over: &Over, seed: u64) -> JoinSet<()> {
    let mut chance = fastrand::Rng::with_seed(seed);
    let mut work = JoinSet::new();
    for place in places {
        for _ in 0..CALLERS {
            let (place, figures, over, chance) = (Arc::clone(place), Arc::clone(figures), over.clone(), chance.fork());
            work.spawn(load::call(place, figures, over, chance));
        }
        work.spawn(weather::change(Arc::clone(place), Arc::clone(figures), over.clone(), chance.fork()));
        let (place, figures, over, chance) = (Arc::clone(place), Arc::clone(figures), over.clone(), chance.fork());
        work.spawn(async move {
            // It signals processes and starts them.
            if let Err(panic) = spawn_blocking(move || weather::rage(&place, &figures, &over, chance)).await {
                std::panic::resume_unwind(panic.into_panic());
            }
        });
    }
    work
}

/// Prints a line a minute, and two at least, until the time is over. Meanwhile every server has to be of use: all
/// faults are shorter.
async fn minutes(places: &[Arc<Place>], figures: &Figures, minutes: f64) -> io::Result<()> {
    writeln!(io::stdout(), "{}", figures::HEAD)?;
    // Equal parts, so that none is too short to do anything in; and what stops in the first is missed in the last.
    let parts = minutes.ceil().max(2.0);
    let (mut part, mut seen) = (0, 0);
    while f64::from(part) < parts {
        tokio::time::sleep(Duration::from_secs_f64(minutes * 60.0 / parts)).await;
        part += 1;
        let minute = f64::from(part) * minutes / parts;
        let now = Sample::take(places);
        seen += now.commands;
        writeln!(io::stdout(), "{}", figures.line(minute, &now))?;
        io::stdout().flush()?;
        for idle in places.iter().filter(|place| !place.has_worked()) {
            figures.violated(format!("no command came to its end before minute {minute:.1}: {}", idle.pool().stats()));
        }
    }
    if seen == 0 {
        figures.violated("no command was ever seen over there: at the end none would be, either".to_owned());
    }
    Ok(())
}

/// Waits until it is as it was, or for long enough.
async fn settled(places: &[Arc<Place>], before: &Sample) -> Sample {
    let began = Instant::now();
    loop {
        forget_logs(places);
        let now = Sample::take(places);
        if now.more_than(before).is_empty() || began.elapsed() > PATIENCE {
            return now;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// What the testkit's servers have said is in this process's memory: the last 10,000 lines of each.
fn forget_logs(places: &[Arc<Place>]) {
    places.iter().for_each(|place| place.sshd().forget_log());
}

async fn until_quiet(places: &[Arc<Place>]) {
    let began = Instant::now();
    while !Sample::take(places).remote.is_empty() && began.elapsed() < PATIENCE {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
