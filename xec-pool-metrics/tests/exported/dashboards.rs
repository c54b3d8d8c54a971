//! The dashboard and the alerts ask for nothing that a real exporter does not give.

use std::collections::{BTreeMap, BTreeSet};

use opentelemetry_sdk::metrics::SdkMeterProvider;
use prometheus::{Registry, TextEncoder};
use xec_pool_core::{Endpoint, Pool};
use xec_pool_metrics::{
    Telemetry,
    names::{self, InstrumentKind},
};
use xec_pool_testkit::MockTransport;

use super::scenes;
use crate::expressions::{self, Query};

/// The names of all series, each with the labels that occur on it.
type Told = BTreeMap<String, BTreeSet<String>>;

/// What a Prometheus exporter gives of pools to which everything has happened, by name and by group.
async fn told() -> Told {
    let registry = Registry::new();
    let exporter = opentelemetry_prometheus::exporter().with_registry(registry.clone()).build().unwrap();
    let meters = SdkMeterProvider::builder().with_reader(exporter).build();
    let telemetry = Telemetry::builder().meter_provider(&meters).endpoint_on_levels().build();
    let _pools = (scenes::everything(&telemetry).await, scenes::everything(&telemetry.group("fleet")).await);
    let somewhere = MockTransport::new().0.at(Endpoint::new("web1", 22));
    let _pool = Pool::builder(somewhere).observer(telemetry).build().unwrap();
    let mut told = Told::new();
    for line in TextEncoder::new().encode_to_string(&registry.gather()).unwrap().lines() {
        if line.starts_with('#') {
            continue;
        }
        let (name, labels) = line.split_once('{').unwrap();
        let keys = labels.split("\",").filter_map(|label| Some(label.split_once('=')?.0.to_owned()));
        told.entry(name.to_owned()).or_default().extend(keys);
    }
    told
}

fn missing(query: &Query, told: &Told) -> Vec<String> {
    let mut missing = Vec::new();
    for (metric, labels) in &query.selectors {
        match told.get(metric) {
            None => missing.push(metric.clone()),
            Some(keys) => missing.extend(labels.difference(keys).map(|label| format!("{metric} has no {label}"))),
        }
    }
    let known: BTreeSet<_> = query.selectors.keys().filter_map(|metric| told.get(metric)).flatten().cloned().collect();
    missing.extend(query.grouping.difference(&known).map(|label| format!("nothing in it has {label}")));
    missing
}

#[tokio::test(start_paused = true)]
async fn every_metric_and_label_that_they_name_comes_out_of_a_real_exporter() {
    let told = told().await;
    for (place, text) in expressions::all() {
        let query = Query::read(&text);
        assert!(!query.selectors.is_empty(), "{place}: nothing found in {text}");
        assert!(missing(&query, &told).is_empty(), "{place}: {:?} in {text}", missing(&query, &told));
    }
    let wrong =
        Query::read("sum by (no_such_label) (rate(xec_pool_no_such_metric{}[5m])) + xec_pool_connection_max{x=\"\"}");
    let missed = ["xec_pool_connection_max has no x", "xec_pool_no_such_metric", "nothing in it has no_such_label"];
    assert_eq!(missing(&wrong, &told), missed, "and what does not is noticed");
}

#[test]
fn the_dashboard_shows_every_instrument_in_the_rows_it_should_have() {
    let shown: BTreeSet<String> =
        expressions::dashboard().iter().flat_map(|(_, text)| Query::read(text).selectors.into_keys()).collect();
    for row in &names::INSTRUMENTS {
        let name = row.name.replace('.', "_");
        let found = shown.iter().any(|shown| match row.kind {
            InstrumentKind::Histogram => shown.starts_with(&format!("{name}_seconds_")),
            InstrumentKind::Counter => *shown == format!("{name}_total"),
            InstrumentKind::Gauge => *shown == format!("{name}_ratio"),
            _ => *shown == name,
        });
        assert!(found, "{name}");
    }
    assert_eq!(expressions::rows(), ["Demand", "Supply", "Latency", "Failures", "Breaker"]);
}

#[test]
fn there_is_an_alert_for_each_thing_that_somebody_must_look_at() {
    let alerts: Vec<_> = expressions::alerts().into_iter().map(|(name, _)| name).collect();
    let expected = [
        "XecPoolSaturated",
        "XecPoolQueueRefusing",
        "XecPoolBreakerOpen",
        "XecPoolLeasesNotReturned",
        "XecPoolEventsMissed",
    ];
    assert_eq!(alerts, expected);
}
