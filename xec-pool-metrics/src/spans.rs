//! What takes a while, as spans of OpenTelemetry's own API.
//!
//! A span ends with what it is of. Contexts of callers are not kept: whoever keeps one keeps the caller's span open.

use std::{
    any::Any,
    collections::HashMap,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use opentelemetry::{
    Context, KeyValue,
    trace::{Span as _, SpanBuilder, SpanContext, Status, TraceContextExt as _},
};
use xec_pool_core::{ConnectionId, Observation, Outcome, Start};

use crate::{
    error,
    identity::Identity,
    lock,
    names::{self, attribute},
    telemetry::Shared,
};

/// What the spans of one pool have in common.
pub(crate) struct Spans {
    pub(crate) shared: Arc<Shared>,
    pub(crate) identity: Identity,
    /// Attributes of every span.
    labels: Vec<KeyValue>,
    /// The spans of leases, for the commands that run meanwhile.
    leases: Mutex<HashMap<ConnectionId, SpanContext>>,
}

impl Spans {
    pub(crate) fn new(shared: Arc<Shared>, identity: Identity, labels: Vec<KeyValue>) -> Self {
        Self { shared, identity, labels, leases: Mutex::default() }
    }

    pub(crate) fn begin(
        self: &Arc<Self>,
        start: &Start<'_>,
        parent: Option<&dyn Observation>,
    ) -> Option<Arc<dyn Observation>> {
        // Another observer's is none of ours.
        let parent = parent.and_then(|parent| parent.as_any().downcast_ref::<Observed>());
        let number = |key, number: u64| KeyValue::new(key, i64::try_from(number).unwrap_or(i64::MAX));
        let connection = |id: &ConnectionId| number(attribute::CONNECTION, id.get());
        let settings = self.shared.settings;
        match start {
            Start::Acquire { caller, .. } => {
                let around = Context::current();
                let asker = settings.lease_spans.then(|| around.span().span_context().clone());
                let begun = self.start(&names::ACQUIRE, Of::Acquire { asker }, &around, [])?;
                let line = KeyValue::new(attribute::LINE, i64::from(caller.line()));
                begun.cx.span().set_attributes([KeyValue::new(attribute::FILE, caller.file()), line]);
                Some(begun)
            }
            Start::Connect { id, attempt, .. } => {
                let around = parent.map(|parent| parent.cx.clone()).unwrap_or_default();
                let attempt = number(attribute::ATTEMPT, (*attempt).into());
                Some(self.start(&names::CONNECT, Of::Connect, &around, [connection(id), attempt])?)
            }
            Start::Lease { id, lease, .. } if settings.lease_spans => {
                let around = parent.map_or_else(Context::current, Observed::around_asker);
                let numbers = [connection(id), number(attribute::LEASE, lease.get())];
                let begun = self.start(&names::LEASE_SPAN, Of::Lease(*id), &around, numbers)?;
                lock(&self.leases).insert(*id, begun.cx.span().span_context().clone());
                Some(begun)
            }
            Start::Command { id, text, .. } => {
                let lease = lock(&self.leases).get(id).cloned();
                let around =
                    lease.map_or_else(Context::current, |lease| Context::new().with_remote_span_context(lease));
                let text = text.map(|text| KeyValue::new(attribute::COMMAND_LINE, text.to_owned()));
                let attributes = [Some(connection(id)), text].into_iter().flatten();
                Some(self.start(&names::COMMAND, Of::Command, &around, attributes)?)
            }
            Start::Lease { .. } | _ => None,
        }
    }

    /// `None`: nobody listens, and nothing may be a child of it.
    fn start(
        self: &Arc<Self>,
        row: &names::Span,
        of: Of,
        around: &Context,
        more: impl IntoIterator<Item = KeyValue>,
    ) -> Option<Arc<Observed>> {
        let span = self.build(row, around, more);
        if !span.span_context().is_valid() {
            return None;
        }
        let cx = around.with_span(span);
        Some(Arc::new(Observed { spans: Arc::clone(self), of, cx, ended: AtomicBool::new(false) }))
    }

    fn build(
        &self,
        row: &names::Span,
        around: &Context,
        more: impl IntoIterator<Item = KeyValue>,
    ) -> impl opentelemetry::trace::Span + Send + Sync + 'static {
        let attributes = self.labels.iter().cloned().chain(more);
        let builder = SpanBuilder::from_name(row.name).with_kind(row.kind.clone()).with_attributes(attributes);
        builder.start_with_context(&self.shared.tracer, around)
    }
}

/// One span under way, in the pool's hands.
struct Observed {
    spans: Arc<Spans>,
    of: Of,
    cx: Context,
    ended: AtomicBool,
}

/// What a span is of.
enum Of {
    Acquire {
        /// Who asked, where a lease must know it.
        asker: Option<SpanContext>,
    },
    Connect,
    Lease(ConnectionId),
    Command,
}

impl Observed {
    /// A lease is no part of the wait for it, but of what its caller does.
    fn around_asker(&self) -> Context {
        match &self.of {
            Of::Acquire { asker: Some(asker) } if asker.is_valid() => {
                Context::new().with_remote_span_context(asker.clone())
            }
            Of::Acquire { .. } | Of::Connect | Of::Lease(_) | Of::Command => Context::new(),
        }
    }

    fn tell(&self, outcome: &Outcome<'_>) {
        let span = self.cx.span();
        match outcome {
            Outcome::Acquired { id, waited, reused, .. } => span.set_attributes([
                KeyValue::new(attribute::CONNECTION, i64::try_from(id.get()).unwrap_or(i64::MAX)),
                KeyValue::new(attribute::REUSED, *reused),
                KeyValue::new(attribute::WAITED, waited.as_secs_f64()),
            ]),
            Outcome::Exited { code: Some(code), .. } => {
                span.set_attribute(KeyValue::new(attribute::EXIT_CODE, i64::from(*code)));
                if *code != 0 {
                    self.fail(error::EXIT_CODE, "");
                }
            }
            Outcome::Exited { signal: Some(signal), .. } => {
                span.set_attribute(KeyValue::new(attribute::SIGNAL, (*signal).to_owned()));
                self.fail(error::SIGNAL, "");
            }
            Outcome::Exited { .. } => self.fail(error::NO_STATUS, ""),
            Outcome::Failed { error, kind, message, .. } => {
                let error = match self.of {
                    Of::Acquire { .. } => error::of_acquire(error, *kind),
                    Of::Connect | Of::Lease(_) | Of::Command => error,
                };
                self.fail(error, message);
            }
            Outcome::Connected | Outcome::Released | _ => {}
        }
    }

    fn fail(&self, error: &'static str, message: &str) {
        let span = self.cx.span();
        span.set_attribute(KeyValue::new(attribute::ERROR, error));
        span.set_status(Status::error(self.spans.identity.redact(message).into_owned()));
    }

    /// Runs a user's code: exporters and processors.
    fn finish(&self, tell: impl FnOnce(&Self)) {
        if self.ended.swap(true, Ordering::Relaxed) {
            return;
        }
        if let Of::Lease(id) = self.of {
            // The connection may be lent again before it is told that this lease ended: what stands there is the
            // next one's then.
            let own = self.cx.span().span_context().span_id();
            let mut leases = lock(&self.spans.leases);
            if leases.get(&id).is_some_and(|span| span.span_id() == own) {
                leases.remove(&id);
            }
        }
        if self.cx.span().is_recording() {
            tell(self);
        }
        self.cx.span().end();
    }
}

impl Observation for Observed {
    fn phase(&self, name: &'static str) {
        self.cx.span().add_event(name, Vec::new());
    }

    fn end(&self, outcome: &Outcome<'_>) {
        self.finish(|this| this.tell(outcome));
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

impl Drop for Observed {
    fn drop(&mut self) {
        // Whoever drops it may be unwinding already, and is not to blame for what an exporter does.
        let _ = catch_unwind(AssertUnwindSafe(|| self.finish(|this| this.fail(error::CANCELLED, ""))));
    }
}

/// A breaker's span, from its opening to its closing.
pub(crate) struct Outage(Context);

impl Outage {
    pub(crate) fn begin(spans: &Spans) -> Self {
        let around = Context::new();
        let span = spans.build(&names::BREAKER, &around, []);
        Self(around.with_span(span))
    }

    pub(crate) fn went(
        &self,
        from: &'static str,
        to: &'static str,
        retry_after: Option<Duration>,
        cause: Option<&str>,
    ) {
        let from = KeyValue::new(attribute::BREAKER_FROM, from);
        let after = retry_after.map(|after| KeyValue::new(attribute::RETRY_AFTER, after.as_secs_f64()));
        let span = self.0.span();
        span.add_event(to, [Some(from), after].into_iter().flatten().collect());
        if let Some(cause) = cause {
            span.set_attribute(KeyValue::new(attribute::ERROR, error::CIRCUIT_OPEN));
            span.set_status(Status::error(cause.to_owned()));
        }
    }
}

impl Drop for Outage {
    fn drop(&mut self) {
        let _ = catch_unwind(AssertUnwindSafe(|| self.0.span().end()));
    }
}
