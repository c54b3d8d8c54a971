//! How a pool is put together.

use std::{
    fmt,
    pin::Pin,
    sync::{
        Arc, Weak,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use crate::{
    Cause, ConfigError, Gate, GateLink, Observer, Pool, PoolConfig, PoolEvent, PoolId, Stats, Transport, WeakPool,
    clock::Clock,
    flow::caught,
    gate::GateFarEnd,
    ledger::{Ledger, Times},
    machine::{Machine, facts::Fact},
    name::Name,
    observe::WeakFarEnd,
};

/// A boxed future, as [`PoolBuilder::validator`] takes it.
pub type BoxFuture<'a, V> = Pin<Box<dyn Future<Output = V> + Send + 'a>>;

/// A user's own check.
pub(crate) type Validator<T> =
    Arc<dyn for<'a> Fn(&'a <T as Transport>::Connection) -> BoxFuture<'a, bool> + Send + Sync>;

static POOLS: AtomicU64 = AtomicU64::new(1);

/// Puts a [`Pool`] together.
#[must_use = "a builder builds nothing until `build`"]
pub struct PoolBuilder<T: Transport> {
    transport: T,
    config: PoolConfig,
    name: Option<String>,
    gate: Option<Arc<dyn Gate>>,
    observer: Option<Arc<dyn Observer>>,
    validator: Option<Validator<T>>,
}

impl<T: Transport> PoolBuilder<T> {
    pub(crate) fn new(transport: T) -> Self {
        Self { transport, config: PoolConfig::default(), name: None, gate: None, observer: None, validator: None }
    }

    /// How it behaves. Without it: the defaults of [`PoolConfig`].
    pub fn config(mut self, config: PoolConfig) -> Self {
        self.config = config;
        self
    }

    /// Its name in events and errors. Without it: [`Transport::name`], else `pool-N`. Another living pool of the
    /// same name makes it `name#2`.
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = Some(name.into());
        self
    }

    /// Who may forbid dialling. Share an `Arc` among pools of one host. The last one given counts.
    pub fn gate(mut self, gate: impl Gate) -> Self {
        self.gate = Some(Arc::new(gate));
        self
    }

    /// Who watches. The last one given counts; [`Pool::subscribe`] is for more.
    pub fn observer(mut self, observer: impl Observer) -> Self {
        self.observer = Some(Arc::new(observer));
        self
    }

    /// A check in place of [`Transport::validate`]: `true`, the connection may be used. Bounded by
    /// `validate_timeout`; a panic is `false`.
    ///
    /// Seed: Health Checks, custom validation function.
    pub fn validator<F>(mut self, validator: F) -> Self
    where
        F: for<'a> Fn(&'a T::Connection) -> BoxFuture<'a, bool> + Send + Sync + 'static,
    {
        self.validator = Some(Arc::new(validator));
        self
    }

    /// Builds the pool. Needs no async runtime; inside one it starts to dial `min_connections` at once, else with
    /// the first call that is inside one.
    ///
    /// # Errors
    ///
    /// [`ConfigError::Unclaimed`]: the configuration has a section that nobody has taken.
    pub fn build(self) -> Result<Pool<T>, ConfigError> {
        if let Some(section) = self.config.unclaimed() {
            return Err(ConfigError::Unclaimed { section });
        }
        let id = PoolId::new(POOLS.fetch_add(1, Ordering::Relaxed));
        let wish = self.name.or_else(|| caught(|| self.transport.name()).flatten());
        let name = Name::claim(&wish.unwrap_or_else(|| format!("pool-{id}")));
        let endpoint = caught(|| self.transport.endpoint()).flatten();
        let clock = Clock::new();
        let machine = Machine::new(self.config.limits(), clock.now());
        let (times, warnings) = (times(&self.config), self.config.warnings());
        let gated = self.gate.is_some();
        let ledger = Arc::new_cyclic(|weak: &Weak<Ledger<T>>| {
            let far_end = Arc::new(FarEnd(weak.clone()));
            let pool = WeakPool { id, name: name.shared(), endpoint: endpoint.clone(), gated, far_end };
            let observer = self.observer.map(|observer| watcher(observer, pool));
            let identity = (id, name, endpoint);
            Ledger::new(self.transport, self.gate, observer, self.validator, times, identity, clock, machine)
        });
        introduce(&ledger);
        ledger.warn(warnings);
        ledger.begin_work();
        Ok(Pool::new(ledger))
    }
}

/// Who hears what happens in this pool.
fn watcher(observer: Arc<dyn Observer>, pool: WeakPool) -> Arc<dyn Observer> {
    let own = caught(|| observer.attach(pool)).flatten();
    own.unwrap_or(observer)
}

/// Tells the gate whom it serves.
fn introduce<T: Transport>(ledger: &Arc<Ledger<T>>) {
    let weak = Arc::downgrade(ledger);
    if let Some(gate) = &ledger.gate {
        let (name, endpoint) = (ledger.name.shared(), ledger.endpoint.clone());
        let link = GateLink::new(ledger.id, name, endpoint, Arc::new(FarEnd(weak)));
        caught(|| gate.attach(link));
    }
}

fn times(config: &PoolConfig) -> Times {
    Times {
        connect: config.connect_timeout,
        close: config.close_timeout,
        validate: config.validate_timeout,
        lifetime: config.max_lifetime,
        lifetime_jitter: config.lifetime_jitter,
        retry_delay: config.retry_delay,
        retry_max_delay: config.retry_max_delay,
    }
}

/// The weak way back to a pool, for gates and watchers.
struct FarEnd<T: Transport>(Weak<Ledger<T>>);

impl<T: Transport> GateFarEnd for FarEnd<T> {
    fn emit(&self, event: PoolEvent) {
        // It stays out here, so that it is not dropped under the lock where nobody listens.
        let mut event = Some(event);
        if let Some(ledger) = self.0.upgrade() {
            ledger.act(|state, _| state.event(|| event.take().expect("asked for once")));
        }
    }

    fn shut(&self, retry_after: Option<Duration>, cause: Option<Cause>) {
        let Some(ledger) = self.0.upgrade() else { return };
        // Causes are users' values: what is replaced is dropped after the lock.
        let _old = ledger.act(|state, now| {
            let old = std::mem::replace(&mut state.gate_cause, cause);
            state.machine.take(Fact::Shut { retry_after: retry_after.into() }, now);
            old
        });
    }

    fn reopened(&self) {
        if let Some(ledger) = self.0.upgrade() {
            ledger.act(|state, now| state.machine.take(Fact::Reopened, now));
        }
    }

    fn is_gone(&self) -> bool {
        self.0.strong_count() == 0
    }
}

impl<T: Transport> WeakFarEnd for FarEnd<T> {
    fn stats(&self) -> Option<Stats> {
        self.0.upgrade().map(|ledger| ledger.lock().stats())
    }
}

impl<T: Transport> fmt::Debug for PoolBuilder<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PoolBuilder").field("config", &self.config).field("name", &self.name).finish_non_exhaustive()
    }
}
