//! Running the commands three ways, and letting go of every connection afterwards.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use indicatif::{ProgressBar, ProgressStyle};
use tokio::{task::JoinSet, time::timeout};
use xec_pool_core::{PoolConfig, Stats};
use xec_pool_ssh::SshPool;

use crate::{
    Failure,
    place::Place,
    report::{Act, Report, in_short},
};

/// Commands on a connection each. Few: with a host far away each of them takes a second.
const COLD: usize = 10;

/// Commands through the pool, one after another.
const WARM: usize = 50;

/// Commands at once …
pub(crate) const AT_ONCE: usize = 32;

/// … through so many connections.
pub(crate) const CONNECTIONS: u32 = 4;

/// How long the end may take, for each pool and for the server in this process to notice it.
const DRAIN: Duration = Duration::from_secs(5);

pub(crate) struct Show {
    commands: Arc<[String]>,
    cold: SshPool,
    pool: SshPool,
}

impl Show {
    pub(crate) fn new(place: &Place, commands: Vec<String>) -> Result<Self, Failure> {
        // Somebody is watching: what a dial says is told at once, not tried again behind their back.
        let settings = |max| PoolConfig::builder().max_connections(max).retry_attempts(0).acquire_timeout(None);
        // Each connection is given up after one command, on purpose: nothing is to be put in its place.
        let cold = settings(1).recreate_on_error(false);
        // One configuration for both: a key is read once.
        let config = place.config();
        Ok(Self {
            commands: commands.into(),
            cold: SshPool::with(config.clone(), cold.build()?)?,
            pool: SshPool::with(config, settings(CONNECTIONS).build()?)?,
        })
    }

    /// # Cancel safety
    ///
    /// Safe to drop: the commands are abandoned, and `drain` lets go of the connections.
    pub(crate) async fn run(&self) -> Result<Report, Failure> {
        Ok(Report { cold: self.cold().await?, warm: self.warm().await?, at_once: self.at_once().await? })
    }

    fn command(&self, index: usize) -> &str {
        &self.commands[index % self.commands.len()]
    }

    async fn cold(&self) -> Result<Act, Failure> {
        let progress = progress("cold: a connection each", COLD);
        let began = Instant::now();
        let mut took = Vec::new();
        for index in 0..COLD {
            let command = self.command(index);
            let start = Instant::now();
            let lease = self.cold.acquire().await?;
            let output = lease.shell(command).output().await?;
            // The next one waits until it is closed: at most one connection at a time, so its end is counted too.
            lease.discard("the demo wants a connection each");
            took.push(start.elapsed());
            if index < self.commands.len() {
                progress.suspend(|| println!("  $ {command:<12} {}", in_short(&output)));
            }
            progress.inc(1);
        }
        progress.finish_and_clear();
        Ok(Act::new(self.cold.stats().created, took, began.elapsed()))
    }

    async fn warm(&self) -> Result<Act, Failure> {
        let progress = progress("warm: through the pool", WARM);
        drop(self.pool.acquire().await?);
        let began = Instant::now();
        let mut took = Vec::new();
        for index in 0..WARM {
            let start = Instant::now();
            self.pool.shell(self.command(index)).output().await?;
            took.push(start.elapsed());
            progress.inc(1);
        }
        progress.finish_and_clear();
        Ok(Act::new(self.pool.stats().created, took, began.elapsed()))
    }

    async fn at_once(&self) -> Result<Act, Failure> {
        let progress = progress("all at once", AT_ONCE);
        let opened_before = self.pool.stats().created;
        let began = Instant::now();
        let mut callers = JoinSet::new();
        for index in 0..AT_ONCE {
            let (pool, command) = (self.pool.clone(), self.command(index).to_owned());
            callers.spawn(async move { pool.shell(command).output().await.map(|_| began.elapsed()) });
        }
        let mut took = Vec::new();
        while let Some(caller) = callers.join_next().await {
            took.push(caller??);
            progress.inc(1);
        }
        progress.finish_and_clear();
        Ok(Act::new(self.pool.stats().created - opened_before, took, began.elapsed()))
    }

    /// Ends both pools and says how that went.
    ///
    /// # Cancel safety
    ///
    /// Safe to drop: the draining goes on.
    pub(crate) async fn drain(&self) -> String {
        let (cold, pool) = tokio::join!(self.cold.drain(DRAIN), self.pool.drain(DRAIN));
        format!("drained: {} closed, {} killed", cold.closed + pool.closed, cold.killed + pool.killed)
    }

    /// Connections that were opened and not closed, as we count them and, where that is in sight, as the server does.
    pub(crate) async fn leaked(&self, place: &Place) -> u64 {
        let ours: u64 = self.both().map(|stats| stats.created - stats.destroyed.total()).iter().sum();
        let theirs = match place.server() {
            Some(server) => {
                // It hears of the last ends a moment after us. What is still open then is open for good.
                let closed = timeout(DRAIN, server.wait_until(|counters| counters.open == 0)).await;
                closed.unwrap_or_else(|_| server.counters()).open
            }
            None => 0,
        };
        ours.max(theirs)
    }

    /// The connections of all acts.
    pub(crate) fn created(&self) -> u64 {
        self.both().iter().map(|stats| stats.created).sum()
    }

    /// The pool's figures, for people.
    pub(crate) fn stats(&self) -> String {
        let stats = self.pool.stats();
        format!(
            "the pool: {stats}\n          {} created, {} destroyed, {} acquired, {} released, {} timeouts, {} rejected, \
             average wait {:.1?}",
            stats.created,
            stats.destroyed.total(),
            stats.acquired,
            stats.released,
            stats.timeouts,
            stats.rejected,
            stats.wait.average,
        )
    }

    fn both(&self) -> [Stats; 2] {
        [self.cold.stats(), self.pool.stats()]
    }
}

fn progress(title: &'static str, commands: usize) -> ProgressBar {
    let style =
        ProgressStyle::with_template("  {prefix:<26} {bar:32} {pos}/{len}").expect("the template is well-formed");
    ProgressBar::new(commands as u64).with_style(style).with_prefix(title)
}
