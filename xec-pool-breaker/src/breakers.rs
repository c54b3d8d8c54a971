//! A breaker for each endpoint, made when its first pool comes.

use std::{
    collections::HashMap,
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use xec_pool_core::{Denied, DialRequest, Endpoint, Gate, GateLink, Pass};

use crate::Breaker;

/// The fewest breakers that are looked through for some that nobody needs.
const SWEEP_AT: usize = 64;

/// A gate for pools of many hosts: a breaker for each endpoint, shared by all pools that dial to it. Clones are the
/// same set.
///
/// A pool whose transport tells no [`Endpoint`] has a breaker of its own: its name stands for the host, with port 0. A
/// breaker that has nothing to remember is forgotten once its last pool is gone and nobody holds it.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
/// use xec_pool_breaker::{Breaker, BreakerConfig, Breakers};
/// use xec_pool_core::{Endpoint, Pool};
/// use xec_pool_testkit::mock::MockTransport;
///
/// let patient = BreakerConfig::builder().open_for(Duration::from_secs(300)).build()?;
/// let breakers = Breakers::new(move |endpoint: &Endpoint| match endpoint.host.as_str() {
///     "backup" => Breaker::new(patient.clone()),
///     _ => Breaker::new(BreakerConfig::default()),
/// });
/// let backup = Endpoint::new("backup", 22);
/// let pool = Pool::builder(MockTransport::new().0.at(backup.clone())).gate(breakers.clone()).build()?;
/// breakers.of(&backup).force_open();
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct Breakers {
    inner: Arc<Inner>,
}

struct Inner {
    make: Box<dyn Fn(&Endpoint) -> Breaker + Send + Sync>,
    kept: Mutex<Kept>,
}

struct Kept {
    by_endpoint: HashMap<Endpoint, Breaker>,
    /// Twice as many as were left the last time: so each new one pays for two looks, however many there are.
    sweep_at: usize,
}

impl Breakers {
    /// `make` is called without any lock, once for each endpoint, or again where two threads come at once.
    pub fn new(make: impl Fn(&Endpoint) -> Breaker + Send + Sync + 'static) -> Self {
        let kept = Kept { by_endpoint: HashMap::new(), sweep_at: SWEEP_AT };
        Self { inner: Arc::new(Inner { make: Box::new(make), kept: Mutex::new(kept) }) }
    }

    /// The breaker of that endpoint; made now if there is none.
    #[must_use]
    pub fn of(&self, endpoint: &Endpoint) -> Breaker {
        if let Some(breaker) = self.inner.lock().by_endpoint.get(endpoint) {
            return breaker.clone();
        }
        let made = (self.inner.make)(endpoint);
        let mut kept = self.inner.lock();
        let forgotten = kept.sweep();
        let breaker = kept.by_endpoint.entry(endpoint.clone()).or_insert(made).clone();
        drop(kept);
        // They hold users' values: not under the lock.
        drop(forgotten);
        breaker
    }

    /// How many there are.
    #[must_use]
    pub fn count(&self) -> usize {
        self.inner.lock().by_endpoint.len()
    }
}

impl Gate for Breakers {
    fn attach(&self, link: GateLink) {
        self.of(&endpoint(link.endpoint(), link.name())).attach(link);
    }

    fn admit(&self, request: &DialRequest) -> Result<Pass, Denied> {
        self.of(&endpoint(request.endpoint.as_ref(), &request.name)).admit(request)
    }
}

/// Where a pool dials to, as far as anybody can say.
fn endpoint(told: Option<&Endpoint>, name: &str) -> Endpoint {
    told.cloned().unwrap_or_else(|| Endpoint::new(name, 0))
}

impl Inner {
    fn lock(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Kept {
    fn sweep(&mut self) -> Vec<Breaker> {
        if self.by_endpoint.len() < self.sweep_at {
            return Vec::new();
        }
        let forgotten = self.by_endpoint.extract_if(|_, breaker| breaker.is_forgettable());
        let forgotten = forgotten.map(|(_, breaker)| breaker).collect();
        self.sweep_at = SWEEP_AT.max(2 * self.by_endpoint.len());
        forgotten
    }
}

impl fmt::Debug for Breakers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Breakers").field("count", &self.count()).finish_non_exhaustive()
    }
}
