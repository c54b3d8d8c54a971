//! What is read at collection: levels are those of `stats()`, pools that are gone are gone, and nothing grows.

use std::{
    collections::BTreeSet,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use opentelemetry::{
    InstrumentationScope,
    metrics::{
        AsyncInstrumentBuilder, InstrumentProvider, Meter, MeterProvider, ObservableGauge, ObservableUpDownCounter,
    },
};
use opentelemetry_sdk::trace::SpanData;
use xec_pool_core::{Endpoint, Pool, PoolConfig};
use xec_pool_metrics::{
    Telemetry,
    names::{self, InstrumentKind, attribute},
};
use xec_pool_testkit::{
    MockHandle, MockTransport,
    mock::{Hook, Step},
};

use super::{
    lab::{Lab, Series, point_count, series, shape},
    scenes::{self, SECOND, at_most, pool},
};

fn states(lab: &Lab) -> [f64; 5] {
    let counts = lab.series(&names::CONNECTION_COUNT);
    ["connecting", "idle", "active", "validating", "closing"]
        .map(|state| counts[&format!("xec.pool.connection.state={state}")])
}

/// Polls what was spawned until it waits.
async fn settle() {
    for _ in 0..20 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test(start_paused = true)]
async fn every_state_and_whoever_waits_is_told_as_it_is() {
    let lab = Lab::new();
    let (pool, handle) = pool(&lab.telemetry, at_most(4).min_connections(1).validate_bypass(Duration::ZERO));
    settle().await;
    assert_eq!(states(&lab), [0.0, 1.0, 0.0, 0.0, 0.0], "min_connections");
    let (one, two) = (pool.acquire().await.unwrap(), pool.acquire().await.unwrap());
    drop(pool.acquire().await.unwrap());
    handle.always(Hook::Validate, Step::hang());
    handle.always(Hook::Close, Step::hang());
    handle.always(Hook::Connect, Step::hang());
    one.discard("as the test says");
    // So that the idle one is no longer taken for proven.
    tokio::time::advance(SECOND).await;
    let waiting =
        [pool.clone(), pool.clone(), pool.clone()].map(|pool| tokio::spawn(async move { pool.acquire().await }));
    settle().await;
    assert_eq!(states(&lab), [1.0, 0.0, 1.0, 1.0, 1.0], "{}", pool.stats());
    assert_eq!(lab.series(&names::PENDING_REQUESTS), series([("", 3.0)]));
    assert_eq!(lab.series(&names::CONNECTION_MAX), series([("", 4.0)]));
    assert_eq!(lab.series(&names::CONNECTION_IDLE_MIN), series([("", 1.0)]));
    assert_eq!(lab.series(&names::UTILIZATION), series([("", 0.25)]));
    waiting.iter().for_each(tokio::task::JoinHandle::abort);
    drop(two);
}

fn names_told(lab: &Lab, row: &names::Instrument) -> BTreeSet<String> {
    lab.values(row, attribute::POOL)
}

#[tokio::test(start_paused = true)]
async fn a_pool_that_is_gone_is_told_no_more() {
    let lab = Lab::new();
    let build = |name: &str| Pool::builder(MockTransport::new().0).name(name).observer(lab.telemetry.clone()).build();
    let (one, two) = (build("one").unwrap(), build("two").unwrap());
    drop(one.acquire().await.unwrap());
    assert_eq!(names_told(&lab, &names::CONNECTION_MAX), ["one", "two"].map(str::to_owned).into());
    one.close().await;
    drop(one);
    settle().await;
    assert_eq!(names_told(&lab, &names::CONNECTION_MAX), ["two".to_owned()].into());
    drop(two);
    settle().await;
    assert!(lab.series(&names::CONNECTION_MAX).is_empty());
    assert_eq!(names_told(&lab, &names::LIFETIME), ["one".to_owned()].into(), "what happened has happened");
}

fn at(host: &str, name: Option<&str>, telemetry: &Telemetry) -> (Pool<MockTransport>, MockHandle) {
    let (transport, handle) = MockTransport::new();
    let mut transport = transport.at(Endpoint::new(host, 22));
    if let Some(name) = name {
        transport = transport.named(name);
    }
    (Pool::builder(transport).observer(telemetry.clone()).build().unwrap(), handle)
}

#[tokio::test(start_paused = true)]
async fn two_pools_never_have_one_name_and_users_are_not_told() {
    let lab = Lab::new();
    let told = |telemetry: &Telemetry| {
        let users = ["ada@web1:22", "ada@web1:22", "eve@web1:22"];
        let _pools = users.map(|name| at("web1", Some(name), telemetry));
        names_told(&lab, &names::CONNECTION_MAX)
    };
    assert_eq!(told(&lab.telemetry), ["web1:22", "web1:22#2", "web1:22#3"].map(str::to_owned).into());
    let open = Telemetry::builder().meter_provider(&lab.meters).user_names().build();
    assert_eq!(told(&open), ["ada@web1:22", "ada@web1:22#2", "eve@web1:22"].map(str::to_owned).into());
}

#[tokio::test(start_paused = true)]
async fn two_telemetries_on_one_provider_do_not_overwrite_each_other() {
    let lab = Lab::new();
    let other = Telemetry::builder().meter_provider(&lab.meters).endpoint_on_levels().build();
    let _pools = [at("web1", None, &lab.telemetry), at("web2", None, &other)];
    let expected: Series = series([("", 10.0), ("server.address=web2 server.port=22", 10.0)]);
    assert_eq!(lab.series(&names::CONNECTION_MAX), expected);
}

#[tokio::test(start_paused = true)]
async fn without_providers_it_is_the_global_ones_of_that_moment() {
    let early = Telemetry::builder().build();
    let lab = Lab::new();
    opentelemetry::global::set_meter_provider(lab.meters.clone());
    opentelemetry::global::set_tracer_provider(lab.tracers.clone());
    let pools = [at("early", None, &early), at("late", None, &Telemetry::builder().endpoint_on_levels().build())];
    for (pool, _) in &pools {
        drop(pool.acquire().await.unwrap());
    }
    let hosts = lab.values(&names::CONNECTION_MAX, attribute::HOST);
    assert_eq!(hosts, ["late".to_owned()].into(), "what was set later hears nothing, as everywhere in OpenTelemetry");
    let hosts = |span: &SpanData| span.attributes.iter().any(|label| label.value.as_str() == "late");
    assert_eq!(lab.spans().iter().filter(|span| hosts(span)).count(), 2, "a wait and a dial");
}

/// The bound of the SDK: more series than that of one instrument fall into one, which says so.
const MOST_SERIES: usize = 2_000;

async fn use_once(pools: &[(Pool<MockTransport>, MockHandle)]) {
    for (pool, handle) in pools {
        handle.script(Hook::Connect, [Step::fail(xec_pool_core::FailureKind::Credentials)]);
        assert!(pool.acquire().await.is_err());
        drop(pool.acquire().await.unwrap());
    }
}

#[tokio::test(start_paused = true)]
async fn a_fleet_of_five_thousand_pools_is_told_as_one() {
    let lab = Lab::new();
    let (web, db) = (lab.telemetry.group("web"), lab.telemetry.group("db"));
    let pools: Vec<_> = (0..5_000).map(|number| at("h", None, if number % 5 == 0 { &db } else { &web })).collect();
    use_once(&pools).await;
    let per_group = |db: f64, web: f64| series([("xec.pool.group=db", db), ("xec.pool.group=web", web)]);
    assert_eq!(lab.series(&names::CONNECTION_MAX), per_group(10_000.0, 40_000.0));
    assert_eq!(lab.series(&names::USE_TIME), per_group(1_000.0, 4_000.0));
    assert_eq!(lab.series(&names::UTILIZATION), per_group(0.0, 0.0));
    assert_eq!(lab.series(&names::CONNECTION_COUNT)["xec.pool.connection.state=idle xec.pool.group=web"], 4_000.0);
    lab.collect(|all| {
        for metric in all {
            let points = point_count(metric);
            assert!(points <= 20, "{} has {points} points", metric.name());
        }
    });
    drop(pools);
    settle().await;
}

#[tokio::test(start_paused = true)]
async fn without_a_group_so_many_pools_are_too_many_for_an_sdk() {
    let lab = Lab::new();
    let pools: Vec<_> = (0..MOST_SERIES + 10).map(|_| at("h", None, &lab.telemetry)).collect();
    use_once(&pools).await;
    assert!(lab.series(&names::USE_TIME).contains_key("otel.metric.overflow=true"), "so `group` is worth having");
}

/// Counts the callbacks it is given.
#[derive(Clone, Default)]
struct Counting(Arc<AtomicUsize>);

impl InstrumentProvider for Counting {
    fn i64_observable_up_down_counter(
        &self,
        builder: AsyncInstrumentBuilder<'_, ObservableUpDownCounter<i64>, i64>,
    ) -> ObservableUpDownCounter<i64> {
        self.0.fetch_add(builder.callbacks.len(), Ordering::Relaxed);
        ObservableUpDownCounter::new()
    }

    fn f64_observable_gauge(
        &self,
        builder: AsyncInstrumentBuilder<'_, ObservableGauge<f64>, f64>,
    ) -> ObservableGauge<f64> {
        self.0.fetch_add(builder.callbacks.len(), Ordering::Relaxed);
        ObservableGauge::new()
    }
}

impl MeterProvider for Counting {
    fn meter_with_scope(&self, scope: InstrumentationScope) -> Meter {
        assert_eq!((scope.name(), scope.version()), ("xec-pool", Some(env!("CARGO_PKG_VERSION"))));
        Meter::new(Arc::new(self.clone()))
    }
}

#[tokio::test(start_paused = true)]
async fn callbacks_are_registered_once_however_many_pools_there_are() {
    let counting = Counting::default();
    let telemetry = Telemetry::builder().meter_provider(&counting).build();
    let _pools: Vec<_> = (0..100).map(|_| pool(&telemetry.group("many"), at_most(1))).collect();
    assert_eq!(counting.0.load(Ordering::Relaxed), 6, "one for each level, for they can never be taken back");
}

#[tokio::test(start_paused = true)]
async fn whoever_collects_may_be_asked_for_instruments_meanwhile() {
    // A callback that created an instrument, or waited for whoever does, would never come back.
    let lab = Lab::new();
    let (_pool, _handle) = pool(&lab.telemetry, PoolConfig::builder());
    let meters = lab.meters.clone();
    let busy = std::thread::spawn(move || {
        for _ in 0..200 {
            let telemetry = Telemetry::builder().meter_provider(&meters).build();
            let _pool = Pool::builder(MockTransport::new().0).observer(telemetry).build().unwrap();
            meters.meter("other").u64_counter("other").build().add(1, &[]);
        }
    });
    while !busy.is_finished() {
        lab.collect(|all| assert!(!all.is_empty()));
    }
    busy.join().unwrap();
}

#[tokio::test(start_paused = true)]
async fn what_is_told_has_the_name_the_unit_and_the_attributes_of_the_table_and_nothing_else() {
    let lab = Lab::new();
    let _pools = scenes::everything(&lab.telemetry).await;
    lab.collect(|all| {
        let told: BTreeSet<_> = all.iter().map(|metric| metric.name()).collect();
        assert_eq!(told, names::INSTRUMENTS.iter().map(|row| row.name).collect());
        for metric in all {
            let row = names::INSTRUMENTS.iter().find(|row| row.name == metric.name()).unwrap();
            assert_eq!((metric.unit(), metric.description()), (row.unit, row.about));
            let (kind, bounds, keys) = shape(metric);
            assert_eq!((kind, &bounds[..]), (row.kind, row.boundaries), "{}", row.name);
            assert_eq!(keys, row.attributes.iter().map(|key| (*key).to_owned()).collect(), "{}", row.name);
        }
    });
    assert!(names::INSTRUMENTS.iter().all(|row| row.kind != InstrumentKind::Histogram || !row.boundaries.is_empty()));
}
