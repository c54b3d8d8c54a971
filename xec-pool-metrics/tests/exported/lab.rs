//! An SDK that keeps what it is told.

use std::collections::{BTreeMap, BTreeSet};

use opentelemetry::KeyValue;
use opentelemetry_sdk::{
    metrics::{
        InMemoryMetricExporter, PeriodicReader, SdkMeterProvider,
        data::{AggregatedMetrics, HistogramDataPoint, Metric, MetricData},
    },
    trace::{InMemorySpanExporter, InMemorySpanExporterBuilder, SdkTracerProvider, SpanData},
};
use xec_pool_metrics::{
    Telemetry, TelemetryBuilder,
    names::{Instrument, InstrumentKind, attribute},
};

/// Telemetry, and what comes out at its other end.
pub(crate) struct Lab {
    pub(crate) telemetry: Telemetry,
    pub(crate) meters: SdkMeterProvider,
    pub(crate) tracers: SdkTracerProvider,
    metrics: InMemoryMetricExporter,
    spans: InMemorySpanExporter,
}

/// A point's attributes but the pool's name, as `key=value key=value`; its value, or how much a histogram counted.
pub(crate) type Series = BTreeMap<String, f64>;

impl Lab {
    pub(crate) fn new() -> Self {
        Self::with(|builder| builder)
    }

    pub(crate) fn with(settings: impl FnOnce(TelemetryBuilder) -> TelemetryBuilder) -> Self {
        let (metrics, spans) = (InMemoryMetricExporter::default(), InMemorySpanExporterBuilder::new().build());
        let meters = SdkMeterProvider::builder().with_reader(PeriodicReader::builder(metrics.clone()).build()).build();
        let tracers = SdkTracerProvider::builder().with_simple_exporter(spans.clone()).build();
        let builder = Telemetry::builder().meter_provider(&meters).tracer_provider(&tracers);
        let telemetry = settings(builder).build();
        Self { telemetry, meters, tracers, metrics, spans }
    }

    /// Runs `look` on what is collected now.
    pub(crate) fn collect<R>(&self, look: impl FnOnce(&[&Metric]) -> R) -> R {
        self.metrics.reset();
        self.meters.force_flush().unwrap();
        let collected = self.metrics.get_finished_metrics().unwrap();
        let all = collected.iter().flat_map(|resource| resource.scope_metrics()).flat_map(|scope| scope.metrics());
        look(&all.collect::<Vec<_>>())
    }

    /// The points of an instrument, collected now; those of several pools are added up.
    pub(crate) fn series(&self, row: &Instrument) -> Series {
        self.collect(|all| {
            let mut series = Series::new();
            for (labels, value) in
                all.iter().filter(|metric| metric.name() == row.name).flat_map(|metric| points(metric))
            {
                *series.entry(labels).or_default() += value;
            }
            series
        })
    }

    /// The values of an attribute on the points of an instrument.
    pub(crate) fn values(&self, row: &Instrument, key: &str) -> BTreeSet<String> {
        self.collect(|all| {
            let told = all.iter().filter(|metric| metric.name() == row.name).flat_map(|metric| attributes(metric));
            told.flatten().filter(|label| label.key.as_str() == key).map(|label| label.value.to_string()).collect()
        })
    }

    /// What a histogram added up, over all its points.
    pub(crate) fn seconds(&self, row: &Instrument) -> f64 {
        self.sums(row).iter().map(|(_, sum)| sum).sum()
    }

    /// What a histogram added up, over the points with these attributes beside the pool's name.
    pub(crate) fn seconds_of(&self, row: &Instrument, wanted: &str) -> f64 {
        self.sums(row).iter().filter(|(labels, _)| labels == wanted).map(|(_, sum)| sum).sum()
    }

    fn sums(&self, row: &Instrument) -> Vec<(String, f64)> {
        self.collect(|all| {
            let metric = all.iter().find(|metric| metric.name() == row.name).unwrap();
            let AggregatedMetrics::F64(MetricData::Histogram(histogram)) = metric.data() else { panic!("{metric:?}") };
            let attributes = |point: &HistogramDataPoint<f64>| point.attributes().cloned().collect::<Vec<_>>();
            histogram.data_points().map(|point| (labels(&attributes(point)), point.sum())).collect()
        })
    }

    /// The spans that have ended.
    pub(crate) fn spans(&self) -> Vec<SpanData> {
        self.spans.get_finished_spans().unwrap()
    }
}

pub(crate) fn series<const N: usize>(points: [(&str, f64); N]) -> Series {
    points.map(|(labels, value)| (labels.to_owned(), value)).into()
}

/// The points of a metric: attributes and value, or how much a histogram counted.
fn raw(metric: &Metric) -> Vec<(Vec<KeyValue>, f64)> {
    match metric.data() {
        AggregatedMetrics::F64(MetricData::Histogram(data)) => {
            data.data_points().map(|point| (point.attributes().cloned().collect(), point.count() as f64)).collect()
        }
        AggregatedMetrics::F64(MetricData::Gauge(data)) => {
            data.data_points().map(|point| (point.attributes().cloned().collect(), point.value())).collect()
        }
        AggregatedMetrics::U64(MetricData::Sum(data)) => {
            data.data_points().map(|point| (point.attributes().cloned().collect(), point.value() as f64)).collect()
        }
        AggregatedMetrics::I64(MetricData::Sum(data)) => {
            data.data_points().map(|point| (point.attributes().cloned().collect(), point.value() as f64)).collect()
        }
        other => panic!("{} is {other:?}", metric.name()),
    }
}

fn attributes(metric: &Metric) -> Vec<Vec<KeyValue>> {
    raw(metric).into_iter().map(|(attributes, _)| attributes).collect()
}

pub(crate) fn point_count(metric: &Metric) -> usize {
    raw(metric).len()
}

/// What kind of instrument it is from, its buckets, and all keys of its attributes.
pub(crate) fn shape(metric: &Metric) -> (InstrumentKind, Vec<f64>, BTreeSet<String>) {
    let keys = attributes(metric).into_iter().flatten().map(|label| label.key.to_string()).collect();
    let (kind, bounds) = match metric.data() {
        AggregatedMetrics::F64(MetricData::Histogram(data)) => {
            (InstrumentKind::Histogram, data.data_points().next().unwrap().bounds().collect())
        }
        AggregatedMetrics::F64(MetricData::Gauge(_)) => (InstrumentKind::Gauge, Vec::new()),
        AggregatedMetrics::U64(MetricData::Sum(data)) if data.is_monotonic() => (InstrumentKind::Counter, Vec::new()),
        AggregatedMetrics::I64(MetricData::Sum(data)) if !data.is_monotonic() => {
            (InstrumentKind::UpDownCounter, Vec::new())
        }
        other => panic!("{} is {other:?}", metric.name()),
    };
    (kind, bounds, keys)
}

fn points(metric: &Metric) -> Vec<(String, f64)> {
    raw(metric).into_iter().map(|(attributes, value)| (labels(&attributes), value)).collect()
}

fn labels(attributes: &[KeyValue]) -> String {
    let others = attributes.iter().filter(|label| label.key.as_str() != attribute::POOL);
    let mut told: Vec<_> = others.map(|label| format!("{}={}", label.key, label.value)).collect();
    told.sort_unstable();
    told.join(" ")
}
