//! What is read when somebody collects: connections by state, limits, who waits, breakers.
//!
//! A callback can never be taken back (opentelemetry-rust #2245), so there is one for each instrument and not one for
//! each pool. It goes through the pools that are alive; one that is gone is not reported any more. It runs under a lock
//! of the SDK's: it creates no instrument, waits for nobody but, for a moment, for a pool's lock, under which nobody's
//! code runs, and lets no panic out, which would end all metrics of the provider (opentelemetry-rust #3640).

use std::{
    collections::BTreeMap,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc, Mutex, Weak,
        atomic::{AtomicUsize, Ordering},
    },
};

use opentelemetry::{
    KeyValue,
    metrics::{AsyncInstrument, Meter},
};
use xec_pool_core::{ConnectionState, WeakPool};

use crate::{
    lock,
    names::{self, BREAKER_STATES, attribute},
};

/// The pools that are watched.
#[derive(Default)]
pub(crate) struct Levels {
    pools: Mutex<Vec<Weak<Level>>>,
}

/// One pool, as the callbacks see it.
pub(crate) struct Level {
    pub(crate) pool: WeakPool,
    /// What its points are told apart by.
    pub(crate) labels: Vec<KeyValue>,
    /// Whether it shares them, and is summed up with others.
    pub(crate) group: Option<Arc<str>>,
    /// An index of [`BREAKER_STATES`]; past its end: there is no breaker.
    pub(crate) breaker: AtomicUsize,
}

/// The figures of a pool, or the sums of a group.
#[derive(Default)]
struct Reading {
    labels: Vec<KeyValue>,
    states: [i64; ConnectionState::ALL.len()],
    active: i64,
    max: i64,
    min: i64,
    waiting: i64,
    breakers: Option<[i64; BREAKER_STATES.len()]>,
}

impl Levels {
    pub(crate) fn add(&self, level: &Arc<Level>) {
        let mut pools = lock(&self.pools);
        // Before it would grow: so pools that come and go for ever take no more room than there were at once, twice.
        if pools.len() == pools.capacity() {
            pools.retain(|pool| pool.strong_count() > 0);
        }
        pools.push(Arc::downgrade(level));
    }

    /// Registers the callbacks. Once for each meter.
    pub(crate) fn register(self: &Arc<Self>, meter: &Meter) {
        self.level(meter, &names::CONNECTION_COUNT, |reading, out| {
            for (state, count) in ConnectionState::ALL.iter().zip(reading.states) {
                out.observe(count, &reading.with(attribute::STATE, state.as_str()));
            }
        });
        self.level(meter, &names::CONNECTION_MAX, |reading, out| out.observe(reading.max, &reading.labels));
        self.level(meter, &names::CONNECTION_IDLE_MIN, |reading, out| out.observe(reading.min, &reading.labels));
        self.level(meter, &names::PENDING_REQUESTS, |reading, out| out.observe(reading.waiting, &reading.labels));
        self.level(meter, &names::BREAKER_STATUS, |reading, out| {
            for (state, count) in BREAKER_STATES.iter().zip(reading.breakers.into_iter().flatten()) {
                out.observe(count, &reading.with(attribute::BREAKER_STATE, state));
            }
        });
        let row = &names::UTILIZATION;
        let gauge = meter.f64_observable_gauge(row.name).with_unit(row.unit).with_description(row.about);
        let read = self.callback(|reading, out: &dyn AsyncInstrument<f64>| {
            out.observe(reading.utilization(), &reading.labels);
        });
        gauge.with_callback(read).build();
    }

    fn level(
        self: &Arc<Self>,
        meter: &Meter,
        row: &names::Instrument,
        observe: impl Fn(&Reading, &dyn AsyncInstrument<i64>) + Send + Sync + 'static,
    ) {
        let builder = meter.i64_observable_up_down_counter(row.name).with_unit(row.unit).with_description(row.about);
        builder.with_callback(self.callback(observe)).build();
    }

    fn callback<V>(
        self: &Arc<Self>,
        observe: impl Fn(&Reading, &dyn AsyncInstrument<V>) + Send + Sync + 'static,
    ) -> impl Fn(&dyn AsyncInstrument<V>) + Send + Sync + 'static {
        let levels = Arc::downgrade(self);
        move |out| {
            let read = || {
                if let Some(levels) = levels.upgrade() {
                    levels.read().iter().for_each(|reading| observe(reading, out));
                }
            };
            let _ = catch_unwind(AssertUnwindSafe(read));
        }
    }

    fn read(&self) -> Vec<Reading> {
        let alive: Vec<Arc<Level>> = {
            let pools = lock(&self.pools);
            pools.iter().filter_map(Weak::upgrade).collect()
        };
        let mut readings = Vec::new();
        let mut groups: BTreeMap<&str, Reading> = BTreeMap::new();
        for level in &alive {
            let Some(reading) = Reading::of(level) else { continue };
            match &level.group {
                None => readings.push(reading),
                Some(group) => groups.entry(group).or_default().add(reading),
            }
        }
        readings.extend(groups.into_values());
        readings
    }
}

impl Reading {
    /// `None`: the pool is gone.
    fn of(level: &Level) -> Option<Self> {
        let stats = level.pool.stats()?;
        let states = [stats.connecting, stats.idle, stats.active, stats.validating, stats.closing].map(i64::from);
        let state = level.breaker.load(Ordering::Relaxed);
        let breakers =
            BREAKER_STATES.get(state).map(|current| BREAKER_STATES.map(|state| i64::from(state == *current)));
        Some(Self {
            labels: level.labels.clone(),
            states,
            active: stats.active.into(),
            max: stats.max.into(),
            min: stats.min.into(),
            waiting: stats.waiting.into(),
            breakers,
        })
    }

    fn add(&mut self, other: Self) {
        self.labels = other.labels;
        self.states.iter_mut().zip(other.states).for_each(|(sum, count)| *sum += count);
        self.active += other.active;
        self.max += other.max;
        self.min += other.min;
        self.waiting += other.waiting;
        if let Some(more) = other.breakers {
            let sums = self.breakers.get_or_insert_default();
            sums.iter_mut().zip(more).for_each(|(sum, count)| *sum += count);
        }
    }

    fn with(&self, key: &'static str, value: &'static str) -> Vec<KeyValue> {
        self.labels.iter().cloned().chain([KeyValue::new(key, value)]).collect()
    }

    fn utilization(&self) -> f64 {
        // Nobody has so many connections that a float could not count them.
        if self.max == 0 { 0.0 } else { self.active as f64 / self.max as f64 }
    }
}

#[cfg(test)]
mod tests {
    use opentelemetry::metrics::MeterProvider as _;
    use opentelemetry_sdk::metrics::{InMemoryMetricExporter, PeriodicReader, SdkMeterProvider};
    use xec_pool_core::Pool;
    use xec_pool_testkit::MockTransport;

    use super::*;
    use crate::Telemetry;

    #[test]
    fn pools_that_come_and_go_leave_nothing_behind() {
        let telemetry = Telemetry::builder().build();
        let build = || Pool::builder(MockTransport::new().0).observer(telemetry.clone()).build();
        let _kept = [(); 3].map(|()| build().expect("the defaults are valid"));
        for _ in 0..1_000 {
            drop(build());
            let kept = lock(&telemetry.levels().pools).len();
            assert!(kept <= 8, "{kept} for 4 that were there at once");
        }
    }

    #[test]
    fn a_callback_that_panics_ends_nothing() {
        let exporter = InMemoryMetricExporter::default();
        let reader = PeriodicReader::builder(exporter.clone()).build();
        let meters = SdkMeterProvider::builder().with_reader(reader).build();
        let telemetry = Telemetry::builder().meter_provider(&meters).build();
        let levels = telemetry.levels();
        levels.level(&meters.meter("faulty"), &names::CONNECTION_MAX, |_, _| panic!("as planned"));
        let _pool = Pool::builder(MockTransport::new().0).observer(telemetry).build().expect("the defaults are valid");
        for _ in 0..3 {
            exporter.reset();
            meters.force_flush().expect("without `catch_unwind` the first one fails, and all that follow");
            let collected = exporter.get_finished_metrics().expect("not shut down");
            assert!(collected.iter().flat_map(|all| all.scope_metrics()).count() > 0);
        }
    }
}
