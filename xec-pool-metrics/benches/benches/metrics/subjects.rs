//! Pools of numbers, watched in each way.

use std::{
    convert::Infallible,
    hint::black_box,
    time::{Duration, Instant},
};

use opentelemetry::metrics::noop::NoopMeterProvider;
use opentelemetry_sdk::{
    error::OTelSdkResult,
    metrics::{PeriodicReader, SdkMeterProvider, Temporality, data::ResourceMetrics, exporter::PushMetricExporter},
    trace::{BatchSpanProcessor, SdkTracerProvider, SpanData, SpanExporter},
};
use tokio::runtime::{Builder, Runtime};
use xec_pool_core::{Check, CloseReason, ConnectContext, Pool, Transport};
use xec_pool_metrics::{Telemetry, TelemetryBuilder};

const OPERATIONS: u32 = 20_000;

/// Connections are numbers, so that all that is measured is the pool and who watches it.
struct Numbers;

#[async_trait::async_trait]
impl Transport for Numbers {
    type Connection = u64;
    type Error = Infallible;

    async fn connect(&self, cx: ConnectContext) -> Result<u64, Infallible> {
        Ok(cx.id().get())
    }

    async fn validate(&self, _: &u64, _: Check) -> Result<(), Infallible> {
        Ok(())
    }

    async fn close(&self, _: u64, _: CloseReason) {}

    fn is_broken(&self, _: &u64) -> bool {
        false
    }
}

/// A pool with one idle connection, and the providers that must outlive it.
pub(crate) struct Watched {
    runtime: Runtime,
    pool: Pool<Numbers>,
    _meters: Option<SdkMeterProvider>,
    _tracers: Option<SdkTracerProvider>,
}

impl Watched {
    pub(crate) fn by_nobody() -> Self {
        Self::new(None, None, None)
    }

    fn new(
        telemetry: Option<TelemetryBuilder>,
        meters: Option<SdkMeterProvider>,
        tracers: Option<SdkTracerProvider>,
    ) -> Self {
        let runtime = Builder::new_current_thread().enable_time().build().expect("a runtime without I/O starts");
        let mut pool = Pool::builder(Numbers);
        if let Some(telemetry) = telemetry {
            pool = pool.observer(telemetry.build());
        }
        let pool = pool.build().expect("the defaults are valid");
        Self { runtime, pool, _meters: meters, _tracers: tracers }
    }

    /// One acquire and release.
    pub(crate) fn nanos(&self) -> f64 {
        self.runtime.block_on(async {
            let begin = Instant::now();
            for _ in 0..OPERATIONS {
                drop(black_box(self.pool.acquire().await.expect("a number connects")));
            }
            begin.elapsed().as_secs_f64() * 1e9 / f64::from(OPERATIONS)
        })
    }
}

pub(crate) fn no_op() -> Watched {
    Watched::new(Some(Telemetry::builder().meter_provider(&NoopMeterProvider::new()).without_spans()), None, None)
}

/// No provider is set, so that the global tracer is none.
pub(crate) fn no_op_with_spans() -> Watched {
    Watched::new(Some(Telemetry::builder().meter_provider(&NoopMeterProvider::new())), None, None)
}

pub(crate) fn sdk_metrics() -> Watched {
    let meters = meters();
    Watched::new(Some(Telemetry::builder().meter_provider(&meters).without_spans()), Some(meters), None)
}

pub(crate) fn sdk_metrics_and_spans() -> Watched {
    let meters = meters();
    let batches = BatchSpanProcessor::builder(Nowhere).build();
    let tracers = SdkTracerProvider::builder().with_span_processor(batches).build();
    let telemetry = Telemetry::builder().meter_provider(&meters).tracer_provider(&tracers);
    Watched::new(Some(telemetry), Some(meters), Some(tracers))
}

fn meters() -> SdkMeterProvider {
    SdkMeterProvider::builder().with_reader(PeriodicReader::builder(Nowhere).build()).build()
}

/// Where everything goes.
#[derive(Debug)]
struct Nowhere;

impl SpanExporter for Nowhere {
    async fn export(&self, _: Vec<SpanData>) -> OTelSdkResult {
        Ok(())
    }
}

impl PushMetricExporter for Nowhere {
    async fn export(&self, _: &ResourceMetrics) -> OTelSdkResult {
        Ok(())
    }

    fn force_flush(&self) -> OTelSdkResult {
        Ok(())
    }

    fn shutdown_with_timeout(&self, _: Duration) -> OTelSdkResult {
        Ok(())
    }

    fn temporality(&self) -> Temporality {
        Temporality::Cumulative
    }
}
