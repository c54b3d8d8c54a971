//! What a person reads.

use std::fmt::Write as _;

use crate::{bench::Case, figures::Row};

/// A case with its rows and what became of its goals.
pub(crate) fn show(case: &Case<'_>, rows: &[Row]) -> String {
    let mut text = show_rows(&format!("{}: {}", case.name, case.about), rows);
    for goal in case.goals {
        let _ = writeln!(text, "  {}", goal.verdict(case, rows));
    }
    text
}

pub(crate) fn show_rows(title: &str, rows: &[Row]) -> String {
    let mut text = format!("{title}\n");
    let _ = writeln!(text, "  {:<24} {:<12} {:>12} {:<8} {:>7}  ratio", "case", "subject", "median", "", "spread");
    for row in rows {
        let ratio = row.ratio.map_or_else(|| "-".to_owned(), |ratio| format!("{ratio:.2} × {}", row.base));
        let _ = writeln!(
            text,
            "  {:<24} {:<12} {:>12} {:<8} {:>6.0}%  {ratio}",
            row.case,
            row.subject,
            number(row.median),
            row.unit,
            row.spread * 100.0,
        );
    }
    text
}

/// Three digits that mean something, whatever the size.
fn number(value: f64) -> String {
    match value {
        0.0 => "0".to_owned(),
        value if value < 10.0 => format!("{value:.2}"),
        value if value < 100.0 => format!("{value:.1}"),
        value => format!("{value:.0}"),
    }
}
