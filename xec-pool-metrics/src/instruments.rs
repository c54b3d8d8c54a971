//! What is counted and timed as it happens. Levels are read when somebody collects: `levels.rs`.

use opentelemetry::metrics::{Counter, Histogram, Meter};

use crate::names::{self, Instrument};

/// One of each for all pools of a [`Telemetry`](crate::Telemetry).
pub(crate) struct Instruments {
    pub(crate) create_time: Histogram<f64>,
    pub(crate) wait_time: Histogram<f64>,
    pub(crate) use_time: Histogram<f64>,
    pub(crate) lifetime: Histogram<f64>,
    pub(crate) timeouts: Counter<u64>,
    pub(crate) validations: Counter<u64>,
    pub(crate) retries: Counter<u64>,
    pub(crate) transitions: Counter<u64>,
    pub(crate) rejections: Counter<u64>,
    pub(crate) missed: Counter<u64>,
}

impl Instruments {
    pub(crate) fn new(meter: &Meter) -> Self {
        Self {
            create_time: histogram(meter, &names::CREATE_TIME),
            wait_time: histogram(meter, &names::WAIT_TIME),
            use_time: histogram(meter, &names::USE_TIME),
            lifetime: histogram(meter, &names::LIFETIME),
            timeouts: counter(meter, &names::TIMEOUTS),
            validations: counter(meter, &names::VALIDATIONS),
            retries: counter(meter, &names::RETRIES),
            transitions: counter(meter, &names::BREAKER_TRANSITIONS),
            rejections: counter(meter, &names::BREAKER_REJECTIONS),
            missed: counter(meter, &names::MISSED),
        }
    }
}

fn histogram(meter: &Meter, row: &Instrument) -> Histogram<f64> {
    let builder = meter.f64_histogram(row.name).with_unit(row.unit).with_description(row.about);
    builder.with_boundaries(row.boundaries.to_vec()).build()
}

fn counter(meter: &Meter, row: &Instrument) -> Counter<u64> {
    meter.u64_counter(row.name).with_unit(row.unit).with_description(row.about).build()
}
