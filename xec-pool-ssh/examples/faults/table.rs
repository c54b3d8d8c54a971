//! The matrix as Markdown: a grid to look at, then a line for each cell.

use std::{fmt::Write as _, time::Duration};

use crate::matrix::{
    cell::{Found, Outcome, Row},
    whole::PATIENCE,
    words::{Fault, State},
};

pub(crate) fn markdown(rows: &[Row], took: Duration, before: usize, after: usize) -> String {
    let mut text = String::new();
    grid(&mut text, rows);
    text += "\n| state | fault | the caller sees | after | works again after | left over there |\n";
    text += "|---|---|---|---|---|---|\n";
    for row in rows {
        line(&mut text, row);
    }
    let senseless = rows.iter().filter(|row| matches!(row.outcome, Outcome::Senseless(_))).count();
    let green = rows.iter().filter(|row| row.is_green()).count() - senseless;
    let settled = rows.iter().filter_map(|row| match &row.outcome {
        Outcome::Ran(found) => Some(found.settled),
        Outcome::Senseless(_) | Outcome::Failed(_) => None,
    });
    let settled = settled.max();
    let _ = writeln!(
        text,
        "\n{green} of {} cells that were run are green, {senseless} make no sense; {:.0} s. After each, within {} s: no \
         slot, lease, waiting caller, task or socket is left, created = destroyed, acquired = released, no sshd serves us \
         over there; the slowest of that took {:.2} s. Before its end each connection that was left carried all the sessions that it may have, at once. \
         Open files of the whole run: {before} before, {after} after.",
        rows.len() - senseless,
        took.as_secs_f64(),
        PATIENCE.as_secs(),
        settled.unwrap_or_default().as_secs_f64(),
    );
    text
}

fn grid(text: &mut String, rows: &[Row]) {
    let faults = Fault::ALL.map(Fault::name).join(" | ");
    let _ = writeln!(text, "| | {faults} |\n|---|{}", "---|".repeat(Fault::ALL.len()));
    for state in State::ALL {
        let _ = write!(text, "| {} |", state.name());
        for fault in Fault::ALL {
            let row = rows.iter().find(|row| row.state == state && row.fault == fault);
            let mark = match row.map(|row| (&row.outcome, row.is_green())) {
                None => " ",
                Some((Outcome::Senseless(_), _)) => "–",
                Some((_, true)) => "✓",
                Some((_, false)) => "✗",
            };
            let _ = write!(text, " {mark} |");
        }
        text.push('\n');
    }
}

fn line(text: &mut String, row: &Row) {
    let (state, fault) = (row.state.name(), row.fault.name());
    let _ = match &row.outcome {
        Outcome::Senseless(why) => writeln!(text, "| {state} | {fault} | – {why} | | | |"),
        Outcome::Failed(why) => writeln!(text, "| {state} | {fault} | ✗ {} | | | |", flat(why)),
        Outcome::Ran(found) => writeln!(
            text,
            "| {state} | {fault} | {}{} | {} | {}{} | {} |",
            flat(&found.sees),
            problems(found),
            seconds(found.after),
            seconds(found.recovery),
            if found.asks > 1 { format!(", {} asks", found.asks) } else { String::new() },
            if found.left_running == 0 {
                "nothing".to_owned()
            } else {
                format!("{} not told to end", found.left_running)
            },
        ),
    };
}

fn problems(found: &Found) -> String {
    found.problems.iter().map(|problem| format!(" ✗ {}", flat(problem))).collect()
}

fn seconds(time: Duration) -> String {
    format!("{:.2} s", time.as_secs_f64())
}

/// On one line, with no end of a cell in it.
fn flat(text: &str) -> String {
    text.replace('\n', " ").replace('|', "/")
}
