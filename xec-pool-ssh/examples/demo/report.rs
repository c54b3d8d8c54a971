//! The figures: a table for people, one object for programs.

use std::{fmt, time::Duration};

use serde_json::{Value, json};
use xec_pool_ssh::Output;

use crate::show::AT_ONCE;

/// One way of running commands: what it took.
pub(crate) struct Act {
    connections: u64,
    /// Sorted.
    took: Vec<Duration>,
    elapsed: Duration,
}

impl Act {
    pub(crate) fn new(connections: u64, mut took: Vec<Duration>, elapsed: Duration) -> Self {
        took.sort_unstable();
        Self { connections, took, elapsed }
    }

    /// In milliseconds, by nearest rank.
    fn percentile(&self, percent: usize) -> f64 {
        let rank = (self.took.len() * percent).div_ceil(100);
        self.took[rank.max(1) - 1].as_secs_f64() * 1e3
    }

    fn per_second(&self) -> f64 {
        self.took.len() as f64 / self.elapsed.as_secs_f64()
    }
}

/// What came out of all three.
pub(crate) struct Report {
    pub(crate) cold: Act,
    pub(crate) warm: Act,
    pub(crate) at_once: Act,
}

impl Report {
    fn speedup(&self) -> f64 {
        self.cold.percentile(50) / self.warm.percentile(50)
    }

    /// One object on one line, its members in the order in which one reads them.
    pub(crate) fn to_json(&self, target: &str, created: u64, leaked: u64) -> String {
        let commands: usize = [&self.cold, &self.warm, &self.at_once].iter().map(|act| act.took.len()).sum();
        let members = [
            ("target", json!(target)),
            ("commands", json!(commands)),
            ("connections_created", json!(created)),
            ("cold_p50_ms", rounded(self.cold.percentile(50))),
            ("warm_p50_ms", rounded(self.warm.percentile(50))),
            ("speedup", rounded(self.speedup())),
            ("concurrent_per_s", rounded(self.at_once.per_second())),
            ("leaked", json!(leaked)),
        ];
        format!("{{{}}}", members.map(|(name, value)| format!("\"{name}\":{value}")).join(","))
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let at_once = format!("{AT_ONCE} at once");
        let rows = [
            ("cold, a connection each", &self.cold, 1.0),
            ("warm, one after another", &self.warm, self.speedup()),
            (at_once.as_str(), &self.at_once, self.at_once.per_second() / self.cold.per_second()),
        ];
        write!(f, "\n{:<24} {:>11} {:>9} {:>9} {:>9} {:>7}", "", "connections", "commands", "p50", "p99", "per s")?;
        write!(f, " {:>7}", "faster")?;
        for (name, act, faster) in rows {
            let (p50, p99) = (milliseconds(act.percentile(50)), milliseconds(act.percentile(99)));
            write!(f, "\n{name:<24} {:>11} {:>9} {p50:>9} {p99:>9}", act.connections, act.took.len())?;
            write!(f, " {:>7.0} {:>7}", act.per_second(), format!("{faster:.1} ×"))?;
        }
        write!(f, "\n(faster: by p50; at once: by commands per second)")
    }
}

fn milliseconds(number: f64) -> String {
    format!("{number:.2} ms")
}

/// No more digits than mean something.
fn rounded(number: f64) -> Value {
    json!((number * 1e3).round() / 1e3)
}

/// The first line a command printed, and how it ended if that was not well.
pub(crate) fn in_short(output: &Output) -> String {
    let printed = if output.stdout.is_empty() { &output.stderr } else { &output.stdout };
    let text = String::from_utf8_lossy(printed);
    // What a host prints goes to a terminal: no control characters.
    let line: String = text.lines().next().unwrap_or_default().chars().filter(|c| !c.is_control()).take(60).collect();
    if output.status.success() { line } else { format!("{line} ({})", output.status) }
}
