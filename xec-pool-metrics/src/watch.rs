//! One pool, watched: its events become measurements here, its waits become spans in `spans.rs`.

use std::{
    sync::{Arc, Mutex, atomic::Ordering},
    time::Duration,
};

use opentelemetry::KeyValue;
use xec_pool_core::{Cause, FailureKind, Interest, Observation, Observer, PoolEvent, Start};

use crate::{
    error,
    instruments::Instruments,
    levels::Level,
    lock,
    names::{BREAKER_STATES, attribute},
    spans::{Outage, Spans},
};

/// Indices of [`BREAKER_STATES`].
const CLOSED: usize = 0;
const OPEN: usize = 1;
const HALF_OPEN: usize = 2;
const FORCED_OPEN: usize = 3;

/// The observer of one pool.
pub(crate) struct Watch {
    level: Arc<Level>,
    /// What its measurements are told apart by. Made once: most need nothing else.
    label: KeyValue,
    spans: Arc<Spans>,
    /// The breaker's span while that is not closed.
    outage: Mutex<Option<Outage>>,
}

impl Watch {
    pub(crate) fn new(level: Arc<Level>, label: KeyValue, spans: Spans) -> Self {
        Self { level, label, spans: Arc::new(spans), outage: Mutex::default() }
    }

    fn instruments(&self) -> &Instruments {
        &self.spans.shared.instruments
    }

    fn labels(&self) -> &[KeyValue] {
        std::slice::from_ref(&self.label)
    }

    fn with(&self, key: &'static str, value: &'static str) -> [KeyValue; 2] {
        [self.label.clone(), KeyValue::new(key, value)]
    }

    fn refused(&self, error: &'static str, kind: Option<FailureKind>, waited: Duration) {
        let instruments = self.instruments();
        let labels = self.with(attribute::ERROR, error::of_acquire(error, kind));
        instruments.wait_time.record(waited.as_secs_f64(), &labels);
        match error {
            error::TIMED_OUT => instruments.timeouts.add(1, self.labels()),
            error::CIRCUIT_OPEN => instruments.rejections.add(1, self.labels()),
            _ => {}
        }
    }

    fn breaker(&self, to: usize, retry_after: Option<Duration>, cause: Option<&Cause>) {
        let from = self.level.breaker.swap(to, Ordering::Relaxed);
        if from == to {
            return;
        }
        let from = BREAKER_STATES.get(from).unwrap_or(&BREAKER_STATES[CLOSED]);
        let labels = [
            self.label.clone(),
            KeyValue::new(attribute::BREAKER_FROM, *from),
            KeyValue::new(attribute::BREAKER_TO, BREAKER_STATES[to]),
        ];
        self.instruments().transitions.add(1, &labels);
        if self.spans.shared.settings.spans {
            // Events of one pool come one at a time, so nobody misses it meanwhile.
            let under_way = lock(&self.outage).take();
            let outage = under_way.unwrap_or_else(|| Outage::begin(&self.spans));
            let cause = cause.map(|cause| cause.to_string());
            let cause = cause.as_deref().map(|cause| self.spans.identity.redact(cause));
            outage.went(from, BREAKER_STATES[to], retry_after, cause.as_deref());
            if to != CLOSED {
                *lock(&self.outage) = Some(outage);
            }
        }
    }
}

impl Observer for Watch {
    fn interest(&self) -> Interest {
        self.spans.shared.settings.interest()
    }

    fn on_event(&self, event: &PoolEvent) {
        let instruments = self.instruments();
        match event {
            PoolEvent::Acquired { waited, .. } => instruments.wait_time.record(waited.as_secs_f64(), self.labels()),
            PoolEvent::Released { used, .. } => instruments.use_time.record(used.as_secs_f64(), self.labels()),
            PoolEvent::AcquireFailed { error, kind, waited, .. } => self.refused(error, *kind, *waited),
            PoolEvent::Created { took, .. } => instruments.create_time.record(took.as_secs_f64(), self.labels()),
            PoolEvent::ConnectFailed { kind, took, .. } => {
                instruments.create_time.record(took.as_secs_f64(), &self.with(attribute::ERROR, kind.as_str()));
            }
            PoolEvent::Destroyed { reason, age, .. } => {
                instruments.lifetime.record(age.as_secs_f64(), &self.with(attribute::CLOSE_REASON, reason.as_str()));
            }
            PoolEvent::Validated { passed: true, .. } => instruments.validations.add(1, self.labels()),
            PoolEvent::Validated { .. } => {
                instruments.validations.add(1, &self.with(attribute::ERROR, error::VALIDATION_FAILED));
            }
            PoolEvent::RetryScheduled { kind, .. } => {
                instruments.retries.add(1, &self.with(attribute::ERROR, kind.as_str()));
            }
            PoolEvent::CircuitOpened { retry_after, cause, .. } => {
                let to = if retry_after.is_some() { OPEN } else { FORCED_OPEN };
                self.breaker(to, *retry_after, cause.as_ref());
            }
            PoolEvent::CircuitHalfOpened => self.breaker(HALF_OPEN, None, None),
            PoolEvent::CircuitClosed => self.breaker(CLOSED, None, None),
            PoolEvent::Missed { count, .. } => instruments.missed.add(*count, self.labels()),
            PoolEvent::StateChanged { .. }
            | PoolEvent::QueueFull { .. }
            | PoolEvent::Metrics { .. }
            | PoolEvent::BackgroundError { .. }
            | PoolEvent::Warning { .. }
            | _ => {}
        }
    }

    fn begin(&self, start: &Start<'_>, parent: Option<&dyn Observation>) -> Option<Arc<dyn Observation>> {
        self.spans.begin(start, parent)
    }
}
