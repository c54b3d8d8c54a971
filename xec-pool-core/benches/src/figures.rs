//! Samples become rows: medians, spreads, ratios.

use serde_json::{Value, json};

use crate::{OURS, bench::Case};

/// One number that a measurement returns.
#[derive(Clone, Copy)]
pub struct Figure<'a> {
    /// Its name beside the case's.
    pub name: &'a str,
    /// What it counts in.
    pub unit: &'a str,
}

/// What our subject shall reach in a figure.
#[derive(Clone, Copy)]
pub enum Goal<'a> {
    /// At most so many times the base's number.
    Ratio(&'a str, f64),
    /// At most this number.
    Value(&'a str, f64),
}

/// The numbers of all rounds: for each subject, for each round, one for each figure.
pub(crate) struct Samples {
    subjects: Vec<(String, Vec<Vec<f64>>)>,
}

/// One subject's result in one figure of one case.
pub(crate) struct Row {
    pub(crate) group: String,
    pub(crate) case: String,
    pub(crate) subject: String,
    pub(crate) median: f64,
    pub(crate) unit: String,
    /// Half of all rounds lie in a range of this part of the median.
    pub(crate) spread: f64,
    pub(crate) base: String,
    /// None where the base has nothing to be compared with (0).
    pub(crate) ratio: Option<f64>,
}

impl Samples {
    pub(crate) fn new(names: Vec<String>) -> Self {
        Self { subjects: names.into_iter().map(|name| (name, Vec::new())).collect() }
    }

    pub(crate) fn add(&mut self, subject: usize, numbers: Vec<f64>) {
        self.subjects[subject].1.push(numbers);
    }

    pub(crate) fn rows(&self, group: &str, case: &Case<'_>) -> Vec<Row> {
        let mut rows = Vec::new();
        for (index, figure) in case.figures.iter().enumerate() {
            let base = self.column(case.base, index);
            for (subject, _) in &self.subjects {
                let mut numbers = self.column(subject, index);
                let ratios = numbers.iter().zip(&base).filter(|(_, base)| **base > 0.0).map(|(own, base)| own / base);
                let mut ratios: Vec<f64> = ratios.collect();
                let ratio = (!ratios.is_empty()).then(|| percentile(&mut ratios, 50.0));
                let (low, high) = (percentile(&mut numbers, 25.0), percentile(&mut numbers, 75.0));
                let median = percentile(&mut numbers, 50.0);
                rows.push(Row {
                    group: group.to_owned(),
                    case: row_name(case, index),
                    subject: subject.clone(),
                    median,
                    unit: figure.unit.to_owned(),
                    spread: if median > 0.0 { (high - low) / median } else { 0.0 },
                    base: case.base.to_owned(),
                    ratio,
                });
            }
        }
        rows
    }

    fn column(&self, subject: &str, figure: usize) -> Vec<f64> {
        let (_, rounds) =
            self.subjects.iter().find(|(name, _)| name == subject).expect("the base is one of the subjects");
        rounds.iter().map(|numbers| *numbers.get(figure).expect("a measurement returns one number a figure")).collect()
    }
}

impl Row {
    pub(crate) fn to_json(&self) -> Value {
        json!({
            "group": self.group,
            "case": self.case,
            "subject": self.subject,
            "median": self.median,
            "unit": self.unit,
            "base": self.base,
            "ratio": self.ratio,
        })
    }
}

impl Goal<'_> {
    /// Says whether our subject reached it, in a line for people.
    pub(crate) fn verdict(&self, case: &Case<'_>, rows: &[Row]) -> String {
        let (Self::Ratio(figure, most) | Self::Value(figure, most)) = *self;
        let index = case.figures.iter().position(|candidate| candidate.name == figure);
        let name = row_name(case, index.expect("a goal names a figure of its case"));
        let row = rows.iter().find(|row| row.subject == OURS && row.case == name).expect("we are one of the subjects");
        let (reached, against) = match self {
            Self::Ratio(..) => (row.ratio.unwrap_or(f64::NAN), format!("× {}", row.base)),
            Self::Value(..) => (row.median, row.unit.clone()),
        };
        // As it is printed: of medians that spread by tenths, a third digit says nothing.
        let reached = (reached * 100.0).round() / 100.0;
        let word = if reached <= most { "met" } else { "MISSED" };
        format!("goal {name}: at most {most:.2} {against}: {reached:.2}, {word}")
    }
}

fn row_name(case: &Case<'_>, figure: usize) -> String {
    if figure == 0 { case.name.to_owned() } else { format!("{}/{}", case.name, case.figures[figure].name) }
}

/// The number below which `percent` of all numbers lie (nearest rank); sorts them.
///
/// # Panics
///
/// If there is none.
#[must_use]
pub fn percentile(numbers: &mut [f64], percent: f64) -> f64 {
    numbers.sort_unstable_by(f64::total_cmp);
    let rank = (percent / 100.0 * numbers.len() as f64).ceil() as usize;
    numbers[rank.clamp(1, numbers.len()) - 1]
}
