//! How telemetry is put together.

use std::{fmt, sync::Arc};

use opentelemetry::{
    InstrumentationScope,
    global::{self, BoxedTracer, ObjectSafeTracerProvider},
    metrics::{Meter, MeterProvider},
};
use xec_pool_core::Interest;

use crate::{Telemetry, instruments::Instruments, levels::Levels, telemetry::Shared};

/// The conventions that the names follow.
const SCHEMA: &str = "https://opentelemetry.io/schemas/1.42.0";

/// Puts a [`Telemetry`] together: [`Telemetry::builder`].
#[must_use = "a builder builds nothing until `build`"]
pub struct TelemetryBuilder {
    meter: Option<Meter>,
    tracer: Option<BoxedTracer>,
    settings: Settings,
}

/// What is told, and what is kept back.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Settings {
    pub(crate) spans: bool,
    pub(crate) lease_spans: bool,
    pub(crate) command_spans: bool,
    pub(crate) command_text: bool,
    pub(crate) user_names: bool,
    pub(crate) endpoint_on_levels: bool,
}

impl Settings {
    pub(crate) fn interest(self) -> Interest {
        let mut interest = Interest::EVENTS;
        for (wanted, what) in [
            (self.spans, Interest::SPANS),
            (self.command_spans, Interest::COMMANDS),
            (self.command_text, Interest::COMMAND_TEXT),
        ] {
            if wanted {
                interest = interest | what;
            }
        }
        interest
    }
}

impl TelemetryBuilder {
    pub(crate) fn new() -> Self {
        let settings = Settings {
            spans: true,
            lease_spans: false,
            command_spans: false,
            command_text: false,
            user_names: false,
            endpoint_on_levels: false,
        };
        Self { meter: None, tracer: None, settings }
    }

    /// Where metrics go. Without it: to the global provider, as it is when [`build`](Self::build) is called. One that
    /// is set later hears nothing.
    pub fn meter_provider(mut self, provider: &dyn MeterProvider) -> Self {
        self.meter = Some(provider.meter_with_scope(scope()));
        self
    }

    /// Where spans go. Without it: to the global provider, as it is when [`build`](Self::build) is called. One that is
    /// set later hears nothing.
    pub fn tracer_provider(mut self, provider: &dyn ObjectSafeTracerProvider) -> Self {
        self.tracer = Some(BoxedTracer::new(provider.boxed_tracer(scope())));
        self
    }

    /// No spans of acquires, dials, leases and breakers.
    pub fn without_spans(mut self) -> Self {
        self.settings.spans = false;
        self
    }

    /// A span for each lease as well, as long as a caller holds it.
    pub fn lease_spans(mut self) -> Self {
        self.settings.lease_spans = true;
        self
    }

    /// A span for each command, where the transport runs such.
    pub fn command_spans(mut self) -> Self {
        self.settings.command_spans = true;
        self
    }

    /// A span for each command, with what it says. That may hold secrets of yours; what a command is given in its
    /// environment or on its input is never told.
    pub fn command_text(mut self) -> Self {
        self.settings.command_spans = true;
        self.settings.command_text = true;
        self
    }

    /// Pool names as they are. Without it a pool that goes by `user@host:port` is told as `host:port`, in messages too:
    /// who logs in where is personal data.
    pub fn user_names(mut self) -> Self {
        self.settings.user_names = true;
        self
    }

    /// `server.address` and `server.port` on the levels as well as on the spans; not for a [group](Telemetry::group).
    pub fn endpoint_on_levels(mut self) -> Self {
        self.settings.endpoint_on_levels = true;
        self
    }

    /// Creates the instruments.
    ///
    /// Once for each meter provider: give clones to all pools. What a second one registers stays beside the first
    /// for as long as the provider lives (an OpenTelemetry callback cannot be taken back).
    #[must_use]
    pub fn build(self) -> Telemetry {
        let meter = self.meter.unwrap_or_else(|| global::meter_with_scope(scope()));
        let tracer = self.tracer.unwrap_or_else(|| global::tracer_with_scope(scope()));
        let levels: Arc<Levels> = Arc::default();
        levels.register(&meter);
        Telemetry::new(Shared { instruments: Instruments::new(&meter), levels, tracer, settings: self.settings })
    }
}

fn scope() -> InstrumentationScope {
    InstrumentationScope::builder("xec-pool").with_version(env!("CARGO_PKG_VERSION")).with_schema_url(SCHEMA).build()
}

impl fmt::Debug for TelemetryBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TelemetryBuilder").field("settings", &self.settings).finish_non_exhaustive()
    }
}
