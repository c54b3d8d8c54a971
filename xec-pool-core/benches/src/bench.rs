//! One run of a bench program: its flags, its cases, its rows.

use std::{fs, path::PathBuf, process::ExitCode};

use clap::Parser;
use serde_json::json;

use crate::{
    figures::{Figure, Goal, Row, Samples},
    instructions::Probe,
    table,
};

/// Measure xec-pool beside its peers, interleaved in one run.
#[derive(Parser)]
struct Options {
    /// Fewer rounds: ends within a minute, with wider spreads.
    #[arg(long)]
    quick: bool,
    /// Write the figures there as well.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Only the case of this name.
    #[arg(long, value_name = "NAME")]
    case: Option<String>,
    /// What `cargo bench` passes to every bench program.
    #[arg(long, hide = true)]
    bench: bool,
    /// Only run one subject's operation so many times, for valgrind to count.
    #[arg(long, hide = true, num_args = 2, value_names = ["SUBJECT", "TIMES"])]
    probe: Option<Vec<String>>,
}

/// One run: cases are added to it one by one, and shown as they end.
pub struct Bench {
    group: &'static str,
    options: Options,
    rows: Vec<Row>,
}

/// One case: what is measured, in which figures, how often.
pub struct Case<'a> {
    /// Its name; the rows of all but its first figure are called `name/figure`.
    pub name: &'a str,
    /// One sentence for people.
    pub about: &'a str,
    /// The subject that ratios are made to.
    pub base: &'a str,
    /// What a measurement returns, in order. The first is the case's own.
    pub figures: &'a [Figure<'a>],
    /// What our subject shall reach.
    pub goals: &'a [Goal<'a>],
    /// Rounds in a full run, and in a quick one.
    pub rounds: (usize, usize),
}

/// Who is measured: a name, and what measures it once.
pub struct Subject<'a> {
    name: &'a str,
    measure: Box<dyn FnMut() -> Vec<f64> + 'a>,
}

impl<'a> Subject<'a> {
    /// A subject whose `measure` returns one number for each figure of the case.
    pub fn new(name: &'a str, measure: impl FnMut() -> Vec<f64> + 'a) -> Self {
        Self { name, measure: Box::new(measure) }
    }
}

/// Whose turn it is when, in a round: each begins as often as any other, and follows each other one as often. A figure
/// also depends on what ran before, and a tail more than a median.
fn order(round: usize, subjects: usize) -> impl Iterator<Item = usize> {
    let backwards = (round / subjects) % 2 == 1;
    (0..subjects).map(move |turn| {
        let turn = if backwards { subjects - 1 - turn } else { turn };
        (round + turn) % subjects
    })
}

impl Bench {
    /// Reads the flags. Where valgrind runs this program to count instructions, runs that probe and ends instead.
    #[must_use]
    pub fn from_args(group: &'static str, probes: &[Probe]) -> Self {
        let options = Options::parse();
        if let Some([subject, times]) = options.probe.as_deref() {
            Probe::run_named(probes, subject, times);
            std::process::exit(0);
        }
        Self { group, options, rows: Vec::new() }
    }

    /// Whether the developer wants an answer within a minute.
    #[must_use]
    pub fn is_quick(&self) -> bool {
        self.options.quick
    }

    /// Whether a case is asked for: all are, unless one is named.
    #[must_use]
    pub fn wants(&self, case: &str) -> bool {
        self.options.case.as_deref().is_none_or(|wanted| wanted == case)
    }

    /// Measures a case and shows it. Before the rounds, each subject is measured once for nothing, to warm it up.
    ///
    /// # Panics
    ///
    /// If no subject is called as the base is, or one returns more or fewer numbers than the case has figures.
    pub fn case(&mut self, case: &Case<'_>, mut subjects: Vec<Subject<'_>>) {
        let rounds = if self.options.quick { case.rounds.1 } else { case.rounds.0 };
        eprintln!("{}/{}: {rounds} rounds", self.group, case.name);
        for subject in &mut subjects {
            (subject.measure)();
        }
        let mut samples = Samples::new(subjects.iter().map(|subject| subject.name.to_owned()).collect());
        for round in 0..rounds {
            for index in order(round, subjects.len()) {
                samples.add(index, (subjects[index].measure)());
            }
        }
        let rows = samples.rows(self.group, case);
        println!("{}", table::show(case, &rows));
        self.rows.extend(rows);
    }

    /// Counts instructions per operation under valgrind and shows them; says so where there is no valgrind.
    pub fn instructions(&mut self, case: &str, base: &str, probes: &[Probe]) {
        match Probe::count_all(probes, self.group, case, base) {
            Ok(rows) => {
                println!("{}", table::show_rows(&format!("{case}: counted by callgrind"), &rows));
                self.rows.extend(rows);
            }
            Err(why) => println!("{case}: {why}\n"),
        }
    }

    /// Writes the file of figures, if one is asked for. The last thing a bench program does.
    #[must_use]
    pub fn finish(self) -> ExitCode {
        let Some(file) = self.options.json else {
            return ExitCode::SUCCESS;
        };
        let rows: Vec<_> = self.rows.iter().map(Row::to_json).collect();
        match fs::write(&file, format!("{:#}\n", json!({ "rows": rows }))) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => {
                eprintln!("{}: {error}", file.display());
                ExitCode::FAILURE
            }
        }
    }
}
