//! The observer that users hold: one for all pools, which answers each with an observer of its own.
//!
//! Seed: Monitoring and Metrics, Pool Metrics.

use std::{
    fmt,
    sync::{Arc, atomic::AtomicUsize},
};

use opentelemetry::{KeyValue, global::BoxedTracer};
use xec_pool_core::{Observer, WeakPool};

use crate::{
    TelemetryBuilder,
    builder::Settings,
    identity::Identity,
    instruments::Instruments,
    levels::{Level, Levels},
    names::{BREAKER_STATES, attribute},
    spans::Spans,
    watch::Watch,
};

/// Turns what happens in pools into OpenTelemetry metrics and spans. Cheap to clone; all clones are the same one.
///
/// Give a clone to each pool, see [`PoolBuilder::observer`](xec_pool_core::PoolBuilder::observer).
#[derive(Clone)]
pub struct Telemetry {
    shared: Arc<Shared>,
    group: Option<Arc<str>>,
}

/// What the pools have in common.
pub(crate) struct Shared {
    pub(crate) instruments: Instruments,
    pub(crate) levels: Arc<Levels>,
    pub(crate) tracer: BoxedTracer,
    pub(crate) settings: Settings,
}

impl Telemetry {
    /// Starts to put one together.
    pub fn builder() -> TelemetryBuilder {
        TelemetryBuilder::new()
    }

    pub(crate) fn new(shared: Shared) -> Self {
        Self { shared: Arc::new(shared), group: None }
    }

    #[cfg(test)]
    pub(crate) fn levels(&self) -> &Arc<Levels> {
        &self.shared.levels
    }

    /// The same, for the pools of a fleet: their metrics carry the group's name in place of their own, and are summed
    /// up. So their number does not matter, where an SDK keeps 2,000 series of an instrument and drops the rest into
    /// one. Spans still name the pool.
    #[must_use]
    pub fn group(&self, name: impl Into<Arc<str>>) -> Self {
        Self { shared: Arc::clone(&self.shared), group: Some(name.into()) }
    }
}

impl Observer for Telemetry {
    fn attach(&self, pool: WeakPool) -> Option<Arc<dyn Observer>> {
        let settings = self.shared.settings;
        let identity = Identity::new(&pool, settings.user_names);
        let name = KeyValue::new(attribute::POOL, identity.name());
        let group = self.group.as_ref().map(|group| KeyValue::new(attribute::GROUP, Arc::clone(group)));
        let endpoint = pool.endpoint().map(|endpoint| {
            let host = KeyValue::new(attribute::HOST, endpoint.host.clone());
            [host, KeyValue::new(attribute::PORT, i64::from(endpoint.port))]
        });
        let label = group.clone().unwrap_or_else(|| name.clone());
        let mut labels = vec![label.clone()];
        if settings.endpoint_on_levels && group.is_none() {
            labels.extend(endpoint.clone().into_iter().flatten());
        }
        let breaker = AtomicUsize::new(if pool.is_gated() { 0 } else { BREAKER_STATES.len() });
        let level = Arc::new(Level { pool, labels, group: self.group.clone(), breaker });
        self.shared.levels.add(&level);
        let on_spans = [Some(name), group].into_iter().chain(endpoint.into_iter().flatten().map(Some)).flatten();
        let spans = Spans::new(Arc::clone(&self.shared), identity, on_spans.collect());
        Some(Arc::new(Watch::new(level, label, spans)))
    }
}

impl fmt::Debug for Telemetry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Telemetry")
            .field("group", &self.group)
            .field("settings", &self.shared.settings)
            .finish_non_exhaustive()
    }
}
