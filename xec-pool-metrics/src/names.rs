//! The one table of what this crate tells: instruments, spans, attributes. Docs, README and dashboards follow from it.
//!
//! `xec.pool.*` and not `db.client.connection.*`: what is no database does not belong into that namespace. Where there
//! is a convention, its words are kept. Rename with a view of the SDK's for dashboards that know other names.

use opentelemetry::trace::SpanKind;

/// Attribute keys.
pub mod attribute {
    /// The pool, unique among the living ones.
    pub const POOL: &str = "xec.pool.name";
    /// The fleet that the pool belongs to, see [`Telemetry::group`](crate::Telemetry::group).
    pub const GROUP: &str = "xec.pool.group";
    /// The state that connections are in, one of
    /// [`ConnectionState::ALL`](xec_pool_core::ConnectionState::ALL).
    pub const STATE: &str = "xec.pool.connection.state";
    /// Why a connection ended, one of [`CloseReason::ALL`](xec_pool_core::CloseReason::ALL).
    pub const CLOSE_REASON: &str = "xec.pool.connection.close.reason";
    /// The connection's number in its pool.
    pub const CONNECTION: &str = "xec.pool.connection.id";
    /// Whether somebody had the connection before.
    pub const REUSED: &str = "xec.pool.connection.reused";
    /// Seconds from the call to the connection.
    pub const WAITED: &str = "xec.pool.acquire.waited";
    /// 1, and one more for each dial in a row that failed before.
    pub const ATTEMPT: &str = "xec.pool.connect.attempt";
    /// The lease's number in its pool.
    pub const LEASE: &str = "xec.pool.lease.id";
    /// The state of a breaker, one of [`BREAKER_STATES`](super::BREAKER_STATES).
    pub const BREAKER_STATE: &str = "xec.pool.breaker.state";
    /// The state it came from.
    pub const BREAKER_FROM: &str = "xec.pool.breaker.from";
    /// The state it went to.
    pub const BREAKER_TO: &str = "xec.pool.breaker.to";
    /// Seconds until a breaker that opened lets somebody try.
    pub const RETRY_AFTER: &str = "xec.pool.breaker.retry_after";
    /// What went wrong, in one of few words; absent where nothing did. The same on spans and metrics.
    pub const ERROR: &str = "error.type";
    /// The host that a pool dials to.
    pub const HOST: &str = "server.address";
    /// Its port.
    pub const PORT: &str = "server.port";
    /// The file of whoever asked for a connection.
    pub const FILE: &str = "code.file.path";
    /// The line in it.
    pub const LINE: &str = "code.line.number";
    /// A command's exit code.
    pub const EXIT_CODE: &str = "process.exit.code";
    /// The signal that ended a command, without `SIG`.
    pub const SIGNAL: &str = "xec.pool.command.signal";
    /// What a command says; only on request, see
    /// [`TelemetryBuilder::command_text`](crate::TelemetryBuilder::command_text).
    pub const COMMAND_LINE: &str = "process.command_line";
}

use attribute::{
    ATTEMPT, BREAKER_FROM, BREAKER_STATE, BREAKER_TO, CLOSE_REASON, COMMAND_LINE, CONNECTION, ERROR, EXIT_CODE, FILE,
    LEASE, LINE, POOL, RETRY_AFTER, REUSED, SIGNAL, STATE, WAITED,
};

/// One instrument.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Instrument {
    /// Its name.
    pub name: &'static str,
    /// What kind it is.
    pub kind: InstrumentKind,
    /// Its unit, as OpenTelemetry writes it.
    pub unit: &'static str,
    /// The keys of its attributes. For a fleet [`attribute::GROUP`] stands in place of [`attribute::POOL`].
    pub attributes: &'static [&'static str],
    /// The buckets of a histogram: the SDK's own are made for milliseconds.
    pub boundaries: &'static [f64],
    /// What it tells.
    pub about: &'static str,
}

/// The kinds of instruments in use here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum InstrumentKind {
    /// Something is counted as it happens.
    Counter,
    /// Durations, as they happen.
    Histogram,
    /// A level, read when somebody collects.
    UpDownCounter,
    /// A ratio, read when somebody collects.
    Gauge,
}

impl InstrumentKind {
    /// OpenTelemetry's name for it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Counter => "Counter",
            Self::Histogram => "Histogram",
            Self::UpDownCounter => "ObservableUpDownCounter",
            Self::Gauge => "ObservableGauge",
        }
    }
}

const fn level(
    name: &'static str,
    unit: &'static str,
    attributes: &'static [&'static str],
    about: &'static str,
) -> Instrument {
    Instrument { name, kind: InstrumentKind::UpDownCounter, unit, attributes, boundaries: &[], about }
}

const fn counter(
    name: &'static str,
    unit: &'static str,
    attributes: &'static [&'static str],
    about: &'static str,
) -> Instrument {
    Instrument { name, kind: InstrumentKind::Counter, unit, attributes, boundaries: &[], about }
}

const fn seconds(
    name: &'static str,
    attributes: &'static [&'static str],
    boundaries: &'static [f64],
    about: &'static str,
) -> Instrument {
    Instrument { name, kind: InstrumentKind::Histogram, unit: "s", attributes, boundaries, about }
}

const WAITS: &[f64] = &[0.0005, 0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 10.0, 30.0];
const DIALS: &[f64] = &[0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0];
const USES: &[f64] = &[0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 10.0, 30.0, 60.0, 300.0, 900.0, 3600.0];

/// Connections by state.
pub const CONNECTION_COUNT: Instrument =
    level("xec.pool.connection.count", "{connection}", &[POOL, STATE], "connections that are in the state");
/// The maximum.
pub const CONNECTION_MAX: Instrument =
    level("xec.pool.connection.max", "{connection}", &[POOL], "connections there may be");
/// The minimum.
pub const CONNECTION_IDLE_MIN: Instrument =
    level("xec.pool.connection.idle.min", "{connection}", &[POOL], "connections that are kept open");
/// Who waits.
pub const PENDING_REQUESTS: Instrument =
    level("xec.pool.connection.pending_requests", "{request}", &[POOL], "callers that wait for a connection");
/// Active over maximum. The unit makes it `_ratio` for Prometheus, which it is.
pub const UTILIZATION: Instrument = Instrument {
    name: "xec.pool.connection.utilization",
    kind: InstrumentKind::Gauge,
    unit: "1",
    attributes: &[POOL],
    boundaries: &[],
    about: "active connections over the maximum, 0 to 1",
};
/// Dials.
pub const CREATE_TIME: Instrument =
    seconds("xec.pool.connection.create_time", &[POOL, ERROR], DIALS, "how long dials took");
/// Waits.
pub const WAIT_TIME: Instrument = seconds(
    "xec.pool.connection.wait_time",
    &[POOL, ERROR],
    WAITS,
    "how long callers waited for a connection, or for their refusal",
);
/// Leases.
pub const USE_TIME: Instrument =
    seconds("xec.pool.connection.use_time", &[POOL], USES, "how long connections were lent");
/// Lives.
pub const LIFETIME: Instrument =
    seconds("xec.pool.connection.lifetime", &[POOL, CLOSE_REASON], USES, "how old connections were when they ended");
/// Deadlines reached.
pub const TIMEOUTS: Instrument =
    counter("xec.pool.connection.timeouts", "{timeout}", &[POOL], "callers that reached their deadline");
/// Checks.
pub const VALIDATIONS: Instrument =
    counter("xec.pool.connection.validations", "{validation}", &[POOL, ERROR], "checks of connections");
/// Back-offs.
pub const RETRIES: Instrument =
    counter("xec.pool.connection.retries", "{retry}", &[POOL, ERROR], "dials put off because one had failed");
/// Breakers by state. Not in unit `1`: that would make it a `_ratio` for Prometheus.
pub const BREAKER_STATUS: Instrument = level(
    "xec.pool.breaker.status",
    "{breaker}",
    &[POOL, BREAKER_STATE],
    "1 for the state that the pool's breaker is in, 0 for the others",
);
/// Changes of a breaker's state.
pub const BREAKER_TRANSITIONS: Instrument = counter(
    "xec.pool.breaker.transitions",
    "{transition}",
    &[POOL, BREAKER_FROM, BREAKER_TO],
    "changes of a breaker's state",
);
/// Callers that an open breaker turned away.
pub const BREAKER_REJECTIONS: Instrument =
    counter("xec.pool.breaker.rejections", "{request}", &[POOL], "callers refused because a breaker was open");
/// What is missing in all of the above but the levels.
pub const MISSED: Instrument =
    counter("xec.pool.events.missed", "{event}", &[POOL], "events that came too fast to be counted above");

/// All of them.
pub const INSTRUMENTS: [Instrument; 16] = [
    CONNECTION_COUNT,
    CONNECTION_MAX,
    CONNECTION_IDLE_MIN,
    PENDING_REQUESTS,
    UTILIZATION,
    CREATE_TIME,
    WAIT_TIME,
    USE_TIME,
    LIFETIME,
    TIMEOUTS,
    VALIDATIONS,
    RETRIES,
    BREAKER_STATUS,
    BREAKER_TRANSITIONS,
    BREAKER_REJECTIONS,
    MISSED,
];

/// What a breaker can be in. `forced_open`: open without a date, until somebody reopens it.
pub const BREAKER_STATES: [&str; 4] = ["closed", "open", "half_open", "forced_open"];

/// One kind of span.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Span {
    /// Its name.
    pub name: &'static str,
    /// Its kind.
    pub kind: SpanKind,
    /// The keys of its attributes, beside the pool, the group, the endpoint and, where it failed, the error.
    pub attributes: &'static [&'static str],
    /// Whether it must be asked for.
    pub opt_in: bool,
    /// What it is, and its parent.
    pub about: &'static str,
}

/// A caller's wait.
pub const ACQUIRE: Span = Span {
    name: "xec.pool.acquire",
    kind: SpanKind::Internal,
    attributes: &[CONNECTION, REUSED, WAITED, FILE, LINE],
    opt_in: false,
    about: "from the call to the connection; child of the caller's span",
};
/// A dial.
pub const CONNECT: Span = Span {
    name: "xec.pool.connect",
    kind: SpanKind::Client,
    attributes: &[CONNECTION, ATTEMPT],
    opt_in: false,
    about: "a dial, its phases as events; child of the acquire that waits for it, else a root",
};
/// A lease.
pub const LEASE_SPAN: Span = Span {
    name: "xec.pool.lease",
    kind: SpanKind::Internal,
    attributes: &[CONNECTION, LEASE],
    opt_in: true,
    about: "from the connection to its return; child of the caller's span",
};
/// A command.
pub const COMMAND: Span = Span {
    name: "xec.pool.command",
    kind: SpanKind::Client,
    attributes: &[CONNECTION, EXIT_CODE, SIGNAL, COMMAND_LINE],
    opt_in: true,
    about: "a command on a connection; child of the lease's span, else of the caller's",
};
/// A breaker that is not closed.
pub const BREAKER: Span = Span {
    name: "xec.pool.breaker",
    kind: SpanKind::Internal,
    attributes: &[BREAKER_FROM, RETRY_AFTER],
    opt_in: false,
    about: "from a breaker's opening to its closing, transitions as events; a root",
};

/// All of them.
pub const SPANS: [Span; 5] = [ACQUIRE, CONNECT, LEASE_SPAN, COMMAND, BREAKER];
