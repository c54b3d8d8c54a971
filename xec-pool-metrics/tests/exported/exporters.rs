//! An exporter that lags or panics neither slows nor breaks a pool.

use std::{
    fmt,
    panic::{AssertUnwindSafe, catch_unwind},
    pin::pin,
    sync::{
        Arc, Mutex,
        mpsc::{Receiver, SyncSender, sync_channel},
    },
    task::{Context, Waker},
    time::Duration,
};

use opentelemetry_sdk::{
    error::OTelSdkResult,
    metrics::{PeriodicReader, SdkMeterProvider, Temporality, data::ResourceMetrics, exporter::PushMetricExporter},
    trace::{BatchSpanProcessor, SdkTracerProvider, Span, SpanData, SpanExporter, SpanProcessor},
};
use xec_pool_core::Pool;
use xec_pool_metrics::Telemetry;
use xec_pool_testkit::MockTransport;

use super::scenes::{MS, at_most, gated_pool, pool};

/// More than a queue of the SDK's holds.
const TURNS: u32 = 5_000;

/// What an exporter does when it is asked to export.
#[derive(Clone)]
struct Behaviour(Arc<dyn Fn() + Send + Sync>);

impl fmt::Debug for Behaviour {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Behaviour")
    }
}

impl Behaviour {
    fn panics() -> Self {
        Self(Arc::new(|| panic!("an exporter panics, as planned")))
    }

    /// Says that it is there, and stays until somebody lets it go.
    fn hangs() -> (Self, Receiver<()>, SyncSender<()>) {
        let ((arrive, arrived), (release, released)) = (sync_channel(1), sync_channel(1));
        let released = Mutex::new(released);
        let hang = move || {
            let _ = arrive.try_send(());
            let _ = released.lock().unwrap().recv();
        };
        (Self(Arc::new(hang)), arrived, release)
    }
}

impl SpanExporter for Behaviour {
    async fn export(&self, _: Vec<SpanData>) -> OTelSdkResult {
        (self.0)();
        Ok(())
    }
}

impl SpanProcessor for Behaviour {
    fn on_start(&self, _: &mut Span, _: &opentelemetry::Context) {}

    fn on_end(&self, _: SpanData) {
        (self.0)();
    }

    fn force_flush(&self) -> OTelSdkResult {
        Ok(())
    }

    fn shutdown_with_timeout(&self, _: Duration) -> OTelSdkResult {
        Ok(())
    }
}

impl PushMetricExporter for Behaviour {
    async fn export(&self, _: &ResourceMetrics) -> OTelSdkResult {
        (self.0)();
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

fn meters(exporter: Behaviour) -> SdkMeterProvider {
    let reader = PeriodicReader::builder(exporter).with_interval(MS).build();
    SdkMeterProvider::builder().with_reader(reader).build()
}

async fn turn(pool: &Pool<MockTransport>) {
    for _ in 0..TURNS {
        drop(pool.acquire().await.unwrap());
    }
    let stats = pool.stats();
    assert_eq!((stats.acquired, stats.released), (TURNS.into(), TURNS.into()));
    assert_eq!(stats.active, 0);
}

#[tokio::test]
async fn a_pool_goes_on_while_metrics_and_spans_are_stuck() {
    let (metrics, metrics_arrived, let_metrics_go) = Behaviour::hangs();
    let (spans, spans_arrived, let_spans_go) = Behaviour::hangs();
    let meters = meters(metrics);
    let tracers = SdkTracerProvider::builder().with_span_processor(BatchSpanProcessor::builder(spans).build()).build();
    let telemetry = Telemetry::builder().meter_provider(&meters).tracer_provider(&tracers).lease_spans().build();
    let (first, _handle) = pool(&telemetry, at_most(1));
    turn(&first).await;
    // Both are at it, and neither comes to an end.
    metrics_arrived.recv().unwrap();
    spans_arrived.recv().unwrap();
    let (second, _handle) = pool(&telemetry, at_most(1));
    turn(&second).await;
    // Let go, they never stop again.
    drop((let_metrics_go, let_spans_go));
}

#[tokio::test]
async fn a_pool_goes_on_though_whoever_takes_its_spans_panics_each_time() {
    let meters = meters(Behaviour::panics());
    let tracers = SdkTracerProvider::builder().with_span_processor(Behaviour::panics()).build();
    let telemetry = Telemetry::builder().meter_provider(&meters).tracer_provider(&tracers).lease_spans().build();
    let (pool, _handle) = pool(&telemetry, at_most(1));
    let lease = pool.acquire().await.unwrap();
    tokio::time::timeout(MS, pool.acquire()).await.unwrap_err();
    drop(lease);
    let fallen = catch_unwind(AssertUnwindSafe(|| {
        let _held = pool.try_acquire().unwrap();
        let mut waiting = pin!(pool.acquire());
        assert!(waiting.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
        panic!("a caller panics, as planned")
    }));
    assert!(fallen.is_err(), "and a panic within a panic has not ended the process");
    drop(pool.acquire().await.unwrap());
    assert_eq!(pool.stats().active, 0);
    let (gated, doorman) = gated_pool(&telemetry);
    doorman.opens_circuit(None);
    // Nobody has used it, so this is its end, here.
    drop((gated, doorman));
}
