//! Instructions per operation, counted by valgrind: a figure that no noisy machine disturbs.
//!
//! The bench program runs itself under callgrind twice, with n operations and with 2n: the difference over n is one
//! operation, without what setting up and warming up cost.

use std::{env, process::Command};

use crate::figures::Row;

/// Operations of the shorter run: enough to drown what the two runs do differently by chance.
const OPERATIONS: u64 = 20_000;

/// An operation of one subject that can be counted.
#[derive(Clone, Copy)]
pub struct Probe {
    subject: &'static str,
    run: fn(u64),
}

impl Probe {
    /// `run` sets the subject up and does its operation so many times.
    #[must_use]
    pub fn new(subject: &'static str, run: fn(u64)) -> Self {
        Self { subject, run }
    }

    pub(crate) fn run_named(probes: &[Self], subject: &str, times: &str) {
        let probe = probes.iter().find(|probe| probe.subject == subject).expect("only this program names a probe");
        (probe.run)(times.parse().expect("only this program says how often"));
    }

    pub(crate) fn count_all(probes: &[Self], group: &str, case: &str, base: &str) -> Result<Vec<Row>, String> {
        let counts: Vec<f64> = probes.iter().map(Self::count).collect::<Result<_, _>>()?;
        let base_count = probes.iter().zip(&counts).find(|(probe, _)| probe.subject == base).map(|(_, count)| *count);
        let row = |(probe, count): (&Self, &f64)| Row {
            group: group.to_owned(),
            case: case.to_owned(),
            subject: probe.subject.to_owned(),
            median: *count,
            unit: "instr".to_owned(),
            spread: 0.0,
            base: base.to_owned(),
            ratio: base_count.map(|base| count / base),
        };
        Ok(probes.iter().zip(&counts).map(row).collect())
    }

    fn count(&self) -> Result<f64, String> {
        let once = self.collected(OPERATIONS)?;
        let twice = self.collected(2 * OPERATIONS)?;
        Ok((twice - once) as f64 / OPERATIONS as f64)
    }

    fn collected(&self, times: u64) -> Result<u64, String> {
        let program = env::current_exe().map_err(|error| error.to_string())?;
        let output = Command::new("valgrind")
            .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
            .arg(program)
            .args(["--probe", self.subject, &times.to_string()])
            .output()
            .map_err(|_| "not counted: valgrind is not installed".to_owned())?;
        let said = String::from_utf8_lossy(&output.stderr);
        said.lines()
            .find_map(|line| line.split_once("Collected : "))
            .and_then(|(_, count)| count.trim().parse().ok())
            .ok_or_else(|| format!("not counted: valgrind ended with {}", output.status))
    }
}
