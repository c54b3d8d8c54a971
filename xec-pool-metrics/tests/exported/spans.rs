//! Spans: whose children they are, what they say, how they end.

use opentelemetry::{
    Context, KeyValue,
    trace::{
        FutureExt as _, Link, SpanId, SpanKind, Status, TraceContextExt as _, TraceId, TraceState, Tracer as _,
        TracerProvider as _,
    },
};
use opentelemetry_sdk::trace::{
    InMemorySpanExporterBuilder, Sampler, SamplingDecision, SamplingResult, SdkTracerProvider, ShouldSample, SpanData,
};
use xec_pool_core::{AcquireOptions, Endpoint, FailureKind, Pool};
use xec_pool_metrics::{
    Telemetry,
    names::{self, attribute},
};
use xec_pool_testkit::{
    MockTransport,
    mock::{Hook, Step},
};

use super::{
    lab::Lab,
    scenes::{KINDS, MS, SECOND, at_most, gated_pool, pool},
};

/// Runs something as a caller who has a span of its own, called `request`.
async fn requested<F: Future>(lab: &Lab, work: F) -> F::Output {
    let tracer = lab.tracers.tracer("caller");
    let cx = Context::new().with_span(tracer.start("request"));
    let done = work.with_context(cx.clone()).await;
    cx.span().end();
    done
}

fn only<'a>(spans: &'a [SpanData], name: &str) -> &'a SpanData {
    let mut found = spans.iter().filter(|span| span.name == name);
    let span = found.next().unwrap_or_else(|| panic!("no {name} in {spans:#?}"));
    assert!(found.next().is_none(), "more than one {name}");
    span
}

fn value(span: &SpanData, key: &str) -> Option<String> {
    span.attributes.iter().find(|label| label.key.as_str() == key).map(|label| label.value.to_string())
}

fn is_child(span: &SpanData, parent: &SpanData) -> bool {
    span.parent_span_id == parent.span_context.span_id()
        && span.span_context.trace_id() == parent.span_context.trace_id()
}

#[tokio::test(start_paused = true)]
async fn an_acquire_is_its_callers_and_a_dial_is_the_acquires() {
    let lab = Lab::new();
    let (transport, handle) = MockTransport::new();
    let transport = transport.named("ada@web1:22").at(Endpoint::new("web1", 22));
    handle.always(Hook::Connect, Step::ok().slow(20 * MS));
    let pool = Pool::builder(transport).observer(lab.telemetry.group("web")).build().unwrap();
    drop(requested(&lab, pool.acquire()).await.unwrap());
    let spans = lab.spans();
    let (request, acquire) = (only(&spans, "request"), only(&spans, names::ACQUIRE.name));
    let connect = only(&spans, names::CONNECT.name);
    assert!(is_child(acquire, request) && is_child(connect, acquire), "{spans:#?}");
    assert_eq!((&acquire.span_kind, &connect.span_kind), (&SpanKind::Internal, &SpanKind::Client));
    for span in [acquire, connect] {
        let told = [attribute::POOL, attribute::GROUP, attribute::HOST, attribute::PORT, attribute::ERROR];
        let expected = [Some("web1:22"), Some("web"), Some("web1"), Some("22"), None];
        assert_eq!(told.map(|key| value(span, key)), expected.map(|value| value.map(str::to_owned)));
        assert_eq!(span.status, Status::Unset);
        assert_eq!(span.instrumentation_scope.name(), "xec-pool");
    }
    let told = [attribute::CONNECTION, attribute::REUSED, attribute::WAITED].map(|key| value(acquire, key).unwrap());
    assert_eq!(told, ["1", "false", "0.02"]);
    assert!(value(acquire, attribute::FILE).unwrap().ends_with("spans.rs"), "who asked");
    assert_eq!(value(connect, attribute::ATTEMPT).as_deref(), Some("1"));
    assert_eq!(connect.events.iter().map(|event| &event.name).collect::<Vec<_>>(), ["dial"], "its phases");
}

#[tokio::test(start_paused = true)]
async fn a_dial_that_nobody_waits_for_is_a_root_linked_to_nobody() {
    let lab = Lab::new();
    let warm = async {
        let (pool, _handle) = pool(&lab.telemetry, at_most(2).min_connections(1));
        pool.warm(1).await;
    };
    requested(&lab, warm).await;
    let spans = lab.spans();
    let connect = only(&spans, names::CONNECT.name);
    assert_eq!((connect.parent_span_id, connect.links.len()), (SpanId::INVALID, 0));
}

#[tokio::test(start_paused = true)]
async fn what_failed_and_was_made_good_is_told_of_the_dial_and_not_of_its_caller() {
    let lab = Lab::new();
    let (pool, handle) = pool(&lab.telemetry, at_most(1));
    handle.script(Hook::Connect, [Step::fail(FailureKind::Unreachable)]);
    drop(pool.acquire().await.unwrap());
    let spans = lab.spans();
    let dials: Vec<_> = spans.iter().filter(|span| span.name == names::CONNECT.name).collect();
    let acquire = only(&spans, names::ACQUIRE.name);
    assert_eq!(dials.iter().map(|dial| value(dial, attribute::ATTEMPT).unwrap()).collect::<Vec<_>>(), ["1", "2"]);
    assert_eq!(value(dials[0], attribute::ERROR).as_deref(), Some("unreachable"));
    assert!(matches!(&dials[0].status, Status::Error { description } if description.contains("as the script says")));
    assert!(dials.iter().all(|dial| is_child(dial, acquire)));
    assert_eq!((&acquire.status, value(acquire, attribute::ERROR)), (&Status::Unset, None));
}

#[tokio::test(start_paused = true)]
async fn an_acquire_that_fails_says_why_in_the_word_of_the_metric() {
    let lab = Lab::new();
    for kind in KINDS.into_iter().filter(|kind| *kind != FailureKind::Throttled) {
        let (pool, handle) = pool(&lab.telemetry, at_most(1).retry_attempts(0));
        handle.always(Hook::Connect, Step::fail(kind));
        pool.acquire().await.unwrap_err();
    }
    let (one, _handle) = pool(&lab.telemetry, at_most(1));
    let lease = one.acquire().await.unwrap();
    one.acquire_with(AcquireOptions::new().timeout(MS)).await.unwrap_err();
    tokio::time::timeout(MS, one.acquire()).await.unwrap_err();
    drop(lease);
    one.close().await;
    one.acquire().await.unwrap_err();
    let failed: Vec<_> = lab
        .spans()
        .into_iter()
        .filter(|span| span.name == names::ACQUIRE.name && span.status != Status::Unset)
        .map(|span| value(&span, attribute::ERROR).unwrap())
        .collect();
    let told = lab.values(&names::WAIT_TIME, attribute::ERROR);
    assert_eq!(failed.len(), 10);
    assert_eq!(told, failed.into_iter().collect());
}

#[tokio::test(start_paused = true)]
async fn messages_are_told_without_the_user() {
    let lab = Lab::new();
    let transport = MockTransport::new().0.named("ada@web1:22").at(Endpoint::new("web1", 22));
    let pool = Pool::builder(transport).observer(lab.telemetry.clone()).build().unwrap();
    pool.close().await;
    pool.acquire().await.unwrap_err();
    let spans = lab.spans();
    let status = &only(&spans, names::ACQUIRE.name).status;
    assert_eq!(*status, Status::error("pool web1:22: closed"));
}

#[tokio::test(start_paused = true)]
async fn a_lease_is_told_on_request_and_is_its_callers() {
    let lab = Lab::with(|builder| builder.lease_spans());
    let (pool, _handle) = pool(&lab.telemetry, at_most(1));
    let lease = requested(&lab, pool.acquire()).await.unwrap();
    assert!(lab.spans().iter().all(|span| span.name != names::LEASE_SPAN.name), "it is not over");
    drop(lease);
    drop(pool.try_acquire().unwrap());
    let spans = lab.spans();
    let leases: Vec<_> = spans.iter().filter(|span| span.name == names::LEASE_SPAN.name).collect();
    assert!(is_child(leases[0], only(&spans, "request")), "not of the wait, which is over");
    assert_eq!(leases[1].parent_span_id, SpanId::INVALID, "nobody asked");
    assert_eq!(leases.iter().map(|lease| value(lease, attribute::LEASE).unwrap()).collect::<Vec<_>>(), ["1", "2"]);
}

#[tokio::test(start_paused = true)]
async fn a_breaker_that_is_not_closed_is_one_span_with_its_transitions_as_events() {
    let lab = Lab::new();
    let (pool, doorman) = gated_pool(&lab.telemetry);
    doorman.opens_circuit(Some(SECOND));
    doorman.half_opens();
    doorman.opens_circuit(Some(2 * SECOND));
    assert!(pool.acquire().await.is_err());
    assert!(lab.spans().iter().all(|span| span.name != names::BREAKER.name), "it is not over");
    doorman.half_opens();
    doorman.closes_circuit();
    let spans = lab.spans();
    let outage = only(&spans, names::BREAKER.name);
    let ways: Vec<_> = outage.events.iter().map(|event| event.name.to_string()).collect();
    assert_eq!(ways, ["open", "half_open", "open", "half_open", "closed"]);
    assert_eq!((outage.parent_span_id, &outage.status), (SpanId::INVALID, &Status::error("nobody home")));
    assert_eq!(value(outage, attribute::ERROR).as_deref(), Some("circuit_open"));
    let first = &outage.events.iter().next().unwrap().attributes;
    let told: Vec<_> = first.iter().map(|label| format!("{}={}", label.key, label.value)).collect();
    assert_eq!(told, ["xec.pool.breaker.from=closed", "xec.pool.breaker.retry_after=1"]);
    doorman.opens_circuit(None);
    drop((pool, doorman));
    for _ in 0..20 {
        tokio::task::yield_now().await;
    }
    assert_eq!(lab.spans().iter().filter(|span| span.name == names::BREAKER.name).count(), 2, "ends with its pool");
}

#[tokio::test(start_paused = true)]
async fn nobody_keeps_the_span_of_a_caller_open() {
    let lab = Lab::with(|builder| builder.lease_spans());
    let (pool, handle) = pool(&lab.telemetry, at_most(1));
    handle.always(Hook::Connect, Step::ok().gated());
    let tracer = lab.tracers.tracer("caller");
    let asking = pool.acquire().with_context(Context::new().with_span(tracer.start("request")));
    let dialling = tokio::time::timeout(MS, asking).await;
    assert!(dialling.is_err());
    // Dropped with its last context, a span ends: the dial goes on and has none.
    let ended = lab.spans();
    assert!(ended.iter().any(|span| span.name == "request"), "{ended:#?}");
    handle.release(Hook::Connect, 1);
    let lease = pool.acquire().with_context(Context::new().with_span(tracer.start("second"))).await.unwrap();
    assert!(lab.spans().iter().any(|span| span.name == "second"), "the lease has none either");
    drop(lease);
}

/// Samples dials, where nothing above them says otherwise.
#[derive(Clone, Debug)]
struct DialsOnly;

impl ShouldSample for DialsOnly {
    fn should_sample(
        &self,
        _: Option<&Context>,
        _: TraceId,
        name: &str,
        _: &SpanKind,
        _: &[KeyValue],
        _: &[Link],
    ) -> SamplingResult {
        let dial = name == names::CONNECT.name;
        let decision = if dial { SamplingDecision::RecordAndSample } else { SamplingDecision::Drop };
        SamplingResult { decision, attributes: Vec::new(), trace_state: TraceState::default() }
    }
}

#[tokio::test(start_paused = true)]
async fn what_a_sampler_left_out_has_no_children() {
    let exporter = InMemorySpanExporterBuilder::new().build();
    let sampler = Sampler::ParentBased(Box::new(DialsOnly));
    let tracers = SdkTracerProvider::builder().with_sampler(sampler).with_simple_exporter(exporter.clone()).build();
    let telemetry = Telemetry::builder().tracer_provider(&tracers).build();
    let (waited_for, _handle) = pool(&telemetry, at_most(1));
    drop(waited_for.acquire().await.unwrap());
    assert_eq!(exporter.get_finished_spans().unwrap().len(), 0, "the dial belongs to an acquire that is left out");
    let (pool, _handle) = pool(&telemetry, at_most(1));
    pool.warm(1).await;
    assert_eq!(exporter.get_finished_spans().unwrap().len(), 1, "and this one to nobody");
}

#[tokio::test(start_paused = true)]
async fn who_wants_no_spans_gets_none() {
    let lab = Lab::with(|builder| builder.lease_spans().without_spans());
    let (pool, doorman) = gated_pool(&lab.telemetry);
    drop(pool.acquire().await.unwrap());
    doorman.opens_circuit(None);
    doorman.closes_circuit();
    assert_eq!(lab.spans().len(), 0);
}

#[tokio::test(start_paused = true)]
async fn spans_nest_in_those_of_a_user_of_tracing() {
    use tracing::Instrument as _;
    use tracing_subscriber::layer::SubscriberExt as _;
    let lab = Lab::with(|builder| builder.lease_spans());
    let layer = tracing_opentelemetry::layer().with_tracer(lab.tracers.tracer("caller"));
    let _guard = tracing::subscriber::set_default(tracing_subscriber::registry().with(layer));
    let (pool, _handle) = pool(&lab.telemetry, at_most(1));
    let work = async { drop(pool.acquire().await.unwrap()) };
    work.instrument(tracing::info_span!("request")).await;
    let spans = lab.spans();
    let request = only(&spans, "request");
    let (acquire, lease) = (only(&spans, names::ACQUIRE.name), only(&spans, names::LEASE_SPAN.name));
    assert!(is_child(acquire, request) && is_child(lease, request), "{spans:#?}");
    assert!(is_child(only(&spans, names::CONNECT.name), acquire));
}

#[tokio::test(start_paused = true)]
async fn a_span_has_no_attribute_that_the_table_does_not_name() {
    let lab = Lab::with(|builder| builder.lease_spans().command_text());
    let _pools = super::scenes::everything(&lab.telemetry).await;
    let (pool, doorman) = gated_pool(&lab.telemetry);
    doorman.opens_circuit(Some(SECOND));
    doorman.closes_circuit();
    drop((pool, doorman));
    let all = [attribute::POOL, attribute::GROUP, attribute::HOST, attribute::PORT, attribute::ERROR];
    for span in lab.spans() {
        let row = names::SPANS.iter().find(|row| row.name == span.name).unwrap();
        assert_eq!(row.kind, span.span_kind);
        let on_events = span.events.iter().flat_map(|event| &event.attributes);
        for label in span.attributes.iter().chain(on_events) {
            let key = label.key.as_str();
            assert!(all.contains(&key) || row.attributes.contains(&key), "{key} on {}", row.name);
        }
    }
}
