//! Commands, more of them and fewer: it comes and goes like the tide, above what the pool has for a third of the time.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use tokio::{task::JoinSet, time::sleep};

use super::hosts::{Host, random};

/// From one flood to the next.
const TIDE: Duration = Duration::from_secs(30);

/// Callers there are at flood, for each connection there may be.
const CALLERS_PER_CONNECTION: u32 = 4;

pub(crate) fn start(host: &Arc<Host>, tasks: &mut JoinSet<()>) {
    let began = Instant::now();
    let callers = host.size * CALLERS_PER_CONNECTION;
    for caller in 0..callers {
        let host = Arc::clone(host);
        tasks.spawn(async move {
            loop {
                let phase = began.elapsed().as_secs_f64() / TIDE.as_secs_f64() * std::f64::consts::TAU;
                // From nobody to all of them.
                let tide = f64::from(callers) * (0.5 - 0.5 * phase.cos());
                if f64::from(caller) < tide {
                    call(&host).await;
                }
                sleep(Duration::from_millis(50).mul_f64(0.5 + random())).await;
            }
        });
    }
}

/// Runs a command; what became of it is in the figures.
async fn call(host: &Host) {
    if host.pool.command("work").output().await.is_err() {
        // Whoever is refused comes again, but not at once.
        sleep(Duration::from_millis(400)).await;
    }
}
