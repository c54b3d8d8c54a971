//! Pooled SSH commands whose metrics and spans are pushed over OTLP/HTTP, to a collector or whatever else takes it.
//!
//! `cargo run -p xec-pool-metrics --example otlp [-- http://127.0.0.1:4318]`. The SSH server is in this process.
#![expect(clippy::print_stdout, reason = "a program that says what it did")]

#[cfg(test)]
mod tests;

use std::{env, error::Error, io::Write as _};

use opentelemetry::trace::{FutureExt as _, TraceContextExt as _, Tracer as _, TracerProvider as _};
use opentelemetry_otlp::{MetricExporter, Protocol, SpanExporter, WithExportConfig as _};
use opentelemetry_sdk::{Resource, metrics::SdkMeterProvider, trace::SdkTracerProvider};
use tempfile::NamedTempFile;
use xec_pool_core::Pool;
use xec_pool_metrics::Telemetry;
use xec_pool_ssh::{SshConfig, SshPool, SshTransport};
use xec_pool_testkit::{EmbeddedSsh, keys};

/// Where a collector listens.
const COLLECTOR: &str = "http://127.0.0.1:4318";

const COMMANDS: u32 = 20;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let collector = env::args().nth(1).unwrap_or_else(|| COLLECTOR.to_owned());
    run(&collector).await?;
    println!("{COMMANDS} commands, pushed to {collector}");
    Ok(())
}

async fn run(collector: &str) -> Result<(), Box<dyn Error>> {
    let (meters, tracers) = providers(collector)?;
    let telemetry =
        Telemetry::builder().meter_provider(&meters).tracer_provider(&tracers).lease_spans().command_spans().build();
    // Kept until all is pushed: the levels of a pool that is gone are told no more.
    let pool = work(&telemetry, &tracers).await?;
    // It waits for the network, which is nothing for a thread of the runtime.
    tokio::task::spawn_blocking(move || tracers.shutdown().and(meters.shutdown())).await??;
    drop(pool);
    Ok(())
}

/// An SDK that pushes both kinds. By its own clock: every minute metrics, every five seconds spans, and at shutdown.
fn providers(collector: &str) -> Result<(SdkMeterProvider, SdkTracerProvider), Box<dyn Error>> {
    let resource = Resource::builder().with_service_name("xec-pool-otlp-example").build();
    let metrics = MetricExporter::builder()
        .with_http()
        .with_protocol(Protocol::HttpBinary)
        .with_endpoint(format!("{collector}/v1/metrics"))
        .build()?;
    let spans = SpanExporter::builder()
        .with_http()
        .with_protocol(Protocol::HttpBinary)
        .with_endpoint(format!("{collector}/v1/traces"))
        .build()?;
    let meters = SdkMeterProvider::builder().with_periodic_exporter(metrics).with_resource(resource.clone()).build();
    let tracers = SdkTracerProvider::builder().with_batch_exporter(spans).with_resource(resource).build();
    Ok((meters, tracers))
}

async fn work(telemetry: &Telemetry, tracers: &SdkTracerProvider) -> Result<SshPool, Box<dyn Error>> {
    let server = EmbeddedSsh::start().await?;
    let mut known_hosts = NamedTempFile::new()?;
    known_hosts.write_all(server.known_hosts_line().as_bytes())?;
    let config = SshConfig::builder(format!("demo@{}", server.addr()).parse()?)
        .known_hosts([known_hosts.path()])
        .private_key_text(keys::USER_ED25519.private)
        .build()?;
    let pool: SshPool = Pool::builder(SshTransport::new(config)).observer(telemetry.clone()).build()?.into();
    let tracer = tracers.tracer("example");
    for _ in 0..COMMANDS {
        let cx = opentelemetry::Context::new().with_span(tracer.start("request"));
        pool.command("uptime").output().with_context(cx).await?;
    }
    pool.close().await;
    Ok(pool)
}
