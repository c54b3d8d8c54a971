//! The trees of spans that real commands on a real SSH connection leave, as README.md prints them.

use std::{fmt::Write as _, io::Write as _, time::Duration};

use opentelemetry::{
    Context,
    trace::{FutureExt as _, SpanId, Status, TraceContextExt as _, Tracer as _, TracerProvider as _},
};
use opentelemetry_sdk::trace::SpanData;
use tempfile::NamedTempFile;
use xec_pool_core::{Pool, PoolConfig};
use xec_pool_metrics::{Telemetry, names::attribute};
use xec_pool_ssh::{SshConfig, SshPool, SshTransport};
use xec_pool_testkit::{EmbeddedSsh, keys};

use super::{lab::Lab, readme::assert_section};

/// What is the same in every run, and not in every line anyway.
const LEFT_OUT: [&str; 6] =
    [attribute::POOL, attribute::HOST, attribute::PORT, attribute::FILE, attribute::LINE, attribute::WAITED];

async fn ssh_pool(telemetry: &Telemetry) -> (EmbeddedSsh, SshPool, NamedTempFile) {
    let server = EmbeddedSsh::start().await.unwrap();
    let mut known_hosts = NamedTempFile::new().unwrap();
    known_hosts.write_all(server.known_hosts_line().as_bytes()).unwrap();
    let target = format!("tester@{}", server.addr()).parse().unwrap();
    let config = SshConfig::builder(target).known_hosts([known_hosts.path()]);
    let transport = SshTransport::new(config.private_key_text(keys::USER_ED25519.private).build().unwrap());
    let config = PoolConfig::builder().retry_attempts(0).build().unwrap();
    let pool = Pool::builder(transport).config(config).observer(telemetry.clone()).build().unwrap();
    (server, pool.into(), known_hosts)
}

/// Runs a script as a caller who has a span of its own, and draws what that left.
async fn drawn(lab: &Lab, pool: &SshPool, request: &'static str, script: &str) -> String {
    let tracer = lab.tracers.tracer("caller");
    let cx = Context::new().with_span(tracer.start(request));
    pool.shell(script).env("SECRET", "hush").stdin("hush").output().with_context(cx.clone()).await.unwrap();
    cx.span().end();
    let trace = cx.span().span_context().trace_id();
    let mut spans: Vec<_> = lab.spans().into_iter().filter(|span| span.span_context.trace_id() == trace).collect();
    spans.sort_by_key(|span| (span.start_time, span.name != "xec.pool.acquire"));
    let mut text = String::new();
    draw(&mut text, &spans, SpanId::INVALID, 0);
    text
}

fn draw(text: &mut String, spans: &[SpanData], parent: SpanId, depth: usize) {
    for span in spans.iter().filter(|span| span.parent_span_id == parent) {
        let told = span.attributes.iter().filter(|label| !LEFT_OUT.contains(&label.key.as_str()));
        let told: Vec<_> = told.map(|label| format!("{}={}", label.key, label.value)).collect();
        let events: Vec<_> = span.events.iter().map(|event| &*event.name).collect();
        let mut line = format!("{:1$}{2}", "", depth * 2, span.name);
        for part in [told.join(" "), events.join(" → ")] {
            if !part.is_empty() {
                write!(line, "  {part}").unwrap();
            }
        }
        if span.status != Status::Unset {
            line.push_str("  (error)");
        }
        writeln!(text, "{line}").unwrap();
        draw(text, spans, span.span_context.span_id(), depth + 1);
    }
}

#[tokio::test]
async fn a_cold_and_a_warm_command_leave_the_trees_of_the_readme() {
    let lab = Lab::with(|builder| builder.lease_spans().command_text());
    let (_server, pool, _known_hosts) = ssh_pool(&lab.telemetry).await;
    let cold = drawn(&lab, &pool, "cold", "uptime").await;
    let warm = drawn(&lab, &pool, "warm", "exit 3").await;
    assert_section("trees", &format!("```text\n{cold}\n{warm}```\n"));
}

#[tokio::test]
async fn no_secret_and_no_user_reaches_a_span() {
    let lab = Lab::with(|builder| builder.lease_spans().command_text());
    let (server, pool, _known_hosts) = ssh_pool(&lab.telemetry).await;
    drawn(&lab, &pool, "one", "kill -TERM $$").await;
    server.kill_connections();
    drop(server);
    let _ = pool.command("true").env("SECRET", "hush").timeout(Duration::from_secs(5)).output().await;
    pool.close().await;
    let told = format!("{:?}", lab.spans());
    assert!(told.contains("TERM") && told.contains("connect_"), "{told}");
    assert!(!told.contains("hush") && !told.contains("tester"), "{told}");
}

#[tokio::test]
async fn a_command_says_nothing_of_its_text_unless_asked() {
    let lab = Lab::with(|builder| builder.command_spans());
    let (_server, pool, _known_hosts) = ssh_pool(&lab.telemetry).await;
    drawn(&lab, &pool, "one", "echo quiet").await;
    let spans = lab.spans();
    let command = spans.iter().find(|span| span.name == "xec.pool.command").unwrap();
    let request = spans.iter().find(|span| span.name == "one").unwrap();
    assert_eq!(command.parent_span_id, request.span_context.span_id(), "without a lease's span it is its caller's");
    assert!(!format!("{spans:?}").contains("quiet"), "{spans:#?}");
}

#[tokio::test]
async fn a_command_on_a_connection_that_was_kept_is_no_part_of_the_lease_that_ended() {
    let lab = Lab::with(|builder| builder.lease_spans().command_spans());
    let (_server, pool, _known_hosts) = ssh_pool(&lab.telemetry).await;
    let connection = pool.acquire().await.unwrap().detach().unwrap();
    connection.command("true").status().await.unwrap();
    let spans = lab.spans();
    let command = spans.iter().find(|span| span.name == "xec.pool.command").unwrap();
    assert_eq!(command.parent_span_id, SpanId::INVALID);
}
