//! Leases of one connection whose spans overlap: a connection is lent again before its last lease has ended for those
//! who watch.

use std::{
    any::Any,
    sync::{Arc, Mutex},
};

use async_trait::async_trait;
use opentelemetry_sdk::trace::SpanData;
use xec_pool_core::{
    Check, CloseReason, Commands, ConnectContext, FailureKind, Interest, Observation, Observer, Outcome, Pool, Start,
    Transport, WeakPool,
};
use xec_pool_metrics::{Telemetry, names};

use super::lab::Lab;

/// What it connects to is the way to say that a command begins.
struct Spoken;

#[async_trait]
impl Transport for Spoken {
    type Connection = Commands;
    type Error = std::io::Error;

    async fn connect(&self, context: ConnectContext) -> Result<Commands, Self::Error> {
        Ok(context.commands().clone())
    }

    async fn validate(&self, _: &Commands, _: Check) -> Result<(), Self::Error> {
        Ok(())
    }

    async fn close(&self, _: Commands, _: CloseReason) {}

    fn is_broken(&self, _: &Commands) -> bool {
        false
    }

    fn classify(&self, _: &Self::Error) -> FailureKind {
        FailureKind::Other
    }
}

/// The ends of leases that nobody has been told of yet.
type Unsaid = Arc<Mutex<Vec<Arc<dyn Observation>>>>;

/// Passes everything on, but the ends of leases only when the test says so.
struct Slow {
    to: Arc<dyn Observer>,
    unsaid: Unsaid,
}

/// The same before it knows its pool.
struct Slowly(Telemetry, Unsaid);

impl Observer for Slowly {
    fn attach(&self, pool: WeakPool) -> Option<Arc<dyn Observer>> {
        let to = self.0.attach(pool)?;
        Some(Arc::new(Slow { to, unsaid: Arc::clone(&self.1) }))
    }
}

impl Observer for Slow {
    fn interest(&self) -> Interest {
        self.to.interest()
    }

    fn begin(&self, start: &Start<'_>, parent: Option<&dyn Observation>) -> Option<Arc<dyn Observation>> {
        let begun = self.to.begin(start, parent)?;
        if matches!(start, Start::Lease { .. }) {
            return Some(Arc::new(EndsLater { begun, unsaid: Arc::clone(&self.unsaid) }));
        }
        Some(begun)
    }
}

struct EndsLater {
    begun: Arc<dyn Observation>,
    unsaid: Unsaid,
}

impl Observation for EndsLater {
    fn end(&self, _: &Outcome<'_>) {
        self.unsaid.lock().unwrap().push(Arc::clone(&self.begun));
    }

    fn as_any(&self) -> &dyn Any {
        self.begun.as_any()
    }
}

fn named<'a>(spans: &'a [SpanData], row: &names::Span) -> Vec<&'a SpanData> {
    spans.iter().filter(|span| span.name == row.name).collect()
}

#[tokio::test]
async fn a_lease_that_ends_when_the_next_has_begun_takes_nothing_from_it() {
    let lab = Lab::with(|builder| builder.lease_spans().command_spans());
    let unsaid = Unsaid::default();
    let pool = Pool::builder(Spoken).observer(Slowly(lab.telemetry.clone(), Arc::clone(&unsaid))).build().unwrap();
    drop(pool.acquire().await.unwrap());
    let second = pool.acquire().await.unwrap();
    let late = unsaid.lock().unwrap().pop().expect("the first lease is back");
    late.end(&Outcome::Released);
    second.begin("true").end(&Outcome::exited(Some(0), None));
    drop(second);
    let last = unsaid.lock().unwrap().pop().expect("and so is the second");
    last.end(&Outcome::Released);
    let spans = lab.spans();
    let (leases, commands) = (named(&spans, &names::LEASE_SPAN), named(&spans, &names::COMMAND));
    let ([first, second], [command]) = (&leases[..], &commands[..]) else { panic!("{spans:#?}") };
    assert_ne!(command.parent_span_id, first.span_context.span_id());
    assert_eq!(command.parent_span_id, second.span_context.span_id(), "{spans:#?}");
}
