//! What `dashboards/xec-pool.json` and `alerts.yml` ask for, and which metrics and labels those expressions name.

use std::{
    collections::{BTreeMap, BTreeSet},
    iter::Peekable,
    str::CharIndices,
};

use serde_json::Value;

const DASHBOARD: &str = include_str!("../../dashboards/xec-pool.json");
const ALERTS: &str = include_str!("../../alerts.yml");

/// Where an expression stands, and the expression.
pub(crate) type Expression = (String, String);

/// Those of panels, of their legends and of the variables.
pub(crate) fn dashboard() -> Vec<Expression> {
    let dashboard: Value = serde_json::from_str(DASHBOARD).unwrap();
    let mut found = Vec::new();
    for panel in dashboard["panels"].as_array().unwrap() {
        for target in panel["targets"].as_array().into_iter().flatten() {
            let legend = target["legendFormat"].as_str().unwrap();
            let keys: Vec<_> = legend.split("{{").skip(1).map(|part| part.split("}}").next().unwrap()).collect();
            let expression = target["expr"].as_str().unwrap();
            // A legend can use what its expression groups by.
            assert!(keys.iter().all(|key| expression.contains(key)), "{legend} of {expression}");
            found.push((panel["title"].to_string(), expression.to_owned()));
        }
    }
    found
}

/// The titles of the dashboard's rows.
pub(crate) fn rows() -> Vec<String> {
    let dashboard: Value = serde_json::from_str(DASHBOARD).unwrap();
    let panels = dashboard["panels"].as_array().unwrap();
    let rows = panels.iter().filter(|panel| panel["type"] == "row");
    rows.map(|row| row["title"].as_str().unwrap().to_owned()).collect()
}

/// The variables of the dashboard, as `(metric, label)`.
fn variables() -> Vec<(String, String)> {
    let dashboard: Value = serde_json::from_str(DASHBOARD).unwrap();
    let queries =
        dashboard["templating"]["list"].as_array().unwrap().iter().filter_map(|v| v["query"]["query"].as_str());
    let inside =
        queries.map(|query| query.strip_prefix("label_values(").and_then(|rest| rest.strip_suffix(')')).unwrap());
    inside.map(|pair| pair.split_once(", ").unwrap()).map(|(metric, label)| (metric.into(), label.into())).collect()
}

/// Alerts by name. One line each: so no reader of YAML is needed.
pub(crate) fn alerts() -> Vec<Expression> {
    let after = |key: &'static str| ALERTS.lines().filter_map(move |line| line.trim_start().strip_prefix(key));
    let (names, expressions): (Vec<_>, Vec<_>) = (after("- alert: ").collect(), after("expr: ").collect());
    assert_eq!(names.len(), expressions.len(), "each alert has one line of expression");
    names.into_iter().zip(expressions).map(|(name, text)| (name.to_owned(), text.to_owned())).collect()
}

/// All of them.
pub(crate) fn all() -> Vec<Expression> {
    let variables =
        variables().into_iter().map(|(metric, label)| ("variable".into(), format!("sum by ({label}) ({metric})")));
    dashboard().into_iter().chain(alerts()).chain(variables).collect()
}

/// What an expression names.
#[derive(Default)]
pub(crate) struct Query {
    /// Metrics, each with the labels in its braces.
    pub(crate) selectors: BTreeMap<String, BTreeSet<String>>,
    /// Labels after `by`, `without`, `ignoring`.
    pub(crate) grouping: BTreeSet<String>,
}

impl Query {
    /// Reads as much of PromQL as finds its names.
    pub(crate) fn read(text: &str) -> Self {
        let (mut query, mut chars) = (Self::default(), text.char_indices().peekable());
        while let Some(&(_, next)) = chars.peek() {
            if !is_word(next) {
                skip(&mut chars, next);
                continue;
            }
            let name = word(text, &mut chars);
            match name {
                "by" | "without" | "ignoring" | "on" => {
                    while chars.next_if(|(_, c)| matches!(c, ' ' | '(')).is_some() {}
                    let list = until(text, &mut chars, ')');
                    query.grouping.extend(list.split(',').map(|label| label.trim().to_owned()));
                }
                _ if name.starts_with("xec_pool_") => {
                    let labels = query.selectors.entry(name.to_owned()).or_default();
                    if chars.next_if(|(_, c)| *c == '{').is_some() {
                        let matchers = until(text, &mut chars, '}');
                        let keys = matchers.split(',').filter_map(|one| one.split(['=', '!']).next());
                        labels.extend(keys.filter(|key| !key.is_empty()).map(str::to_owned));
                    }
                }
                _ => {}
            }
        }
        query
    }
}

type Chars<'a> = Peekable<CharIndices<'a>>;

fn is_word(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_'
}

fn word<'a>(text: &'a str, chars: &mut Chars<'_>) -> &'a str {
    let start = chars.peek().map_or(text.len(), |(at, _)| *at);
    while chars.next_if(|(_, c)| is_word(*c)).is_some() {}
    &text[start..chars.peek().map_or(text.len(), |(at, _)| *at)]
}

/// What stands before the next `end`, which is passed.
fn until<'a>(text: &'a str, chars: &mut Chars<'_>, end: char) -> &'a str {
    let start = chars.peek().map_or(text.len(), |(at, _)| *at);
    let stop = chars.by_ref().find(|(_, c)| *c == end).map_or(text.len(), |(at, _)| at);
    &text[start..stop]
}

/// Passes a character; in brackets, all of them: durations name nothing.
fn skip(chars: &mut Chars<'_>, next: char) {
    chars.next();
    if next == '[' {
        chars.by_ref().find(|(_, c)| *c == ']');
    }
}
