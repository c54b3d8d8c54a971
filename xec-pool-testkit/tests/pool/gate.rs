//! A gate of the test's own: shut, busy, open again.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use xec_pool_core::{AcquireError, Denied, DialRequest, Endpoint, Gate, GateLink, Pass, Pool, PoolEvent, Settlement};
use xec_pool_testkit::mock::{Hook, MockTransport, Step};

use super::{MS, SECOND, at_most};

/// Says what it is told to say, and writes down what it hears.
#[derive(Default)]
struct Doorman {
    links: Mutex<Vec<GateLink>>,
    answer: Mutex<Option<Denied>>,
    asked: Mutex<u32>,
    settled: Arc<Mutex<Vec<&'static str>>>,
}

impl Gate for Doorman {
    fn attach(&self, link: GateLink) {
        self.links.lock().unwrap().push(link);
    }

    fn admit(&self, _: &DialRequest) -> Result<Pass, Denied> {
        *self.asked.lock().unwrap() += 1;
        if let Some(denied) = &*self.answer.lock().unwrap() {
            return Err(denied.clone());
        }
        let settled = Arc::clone(&self.settled);
        Ok(Pass::new(move |settlement| {
            settled.lock().unwrap().push(match settlement {
                Settlement::Success => "success",
                Settlement::Failure(..) => "failure",
                _ => "neutral",
            });
        }))
    }
}

impl Doorman {
    fn says(&self, answer: Option<Denied>) {
        *self.answer.lock().unwrap() = answer;
    }

    fn reopens(&self) {
        self.says(None);
        self.links.lock().unwrap().iter().for_each(GateLink::reopened);
    }
}

fn guarded() -> (Pool<MockTransport>, xec_pool_testkit::mock::MockHandle, Arc<Doorman>) {
    let (transport, handle) = MockTransport::new();
    let doorman = Arc::new(Doorman::default());
    let config = at_most(2).retry_attempts(0).build().expect("valid");
    let pool = Pool::builder(transport).config(config).gate(Arc::clone(&doorman)).build().expect("nothing unclaimed");
    (pool, handle, doorman)
}

#[tokio::test(start_paused = true)]
async fn a_shut_gate_refuses_at_once_and_is_asked_again_in_time() {
    let (pool, handle, doorman) = guarded();
    doorman.says(Some(Denied::shut(Some(5 * SECOND), None)));
    let error = pool.acquire().await.expect_err("shut");
    assert!(
        matches!(error, AcquireError::CircuitOpen { retry_after: Some(after), .. } if after == 5 * SECOND),
        "{error}"
    );
    assert!(pool.acquire().await.is_err());
    assert_eq!((*doorman.asked.lock().unwrap(), handle.calls(Hook::Connect)), (1, 0), "known to be shut: not asked");
    doorman.says(None);
    tokio::time::advance(5 * SECOND).await;
    drop(pool.acquire().await.expect("open again"));
}

#[tokio::test(start_paused = true)]
async fn idle_connections_flow_through_a_shut_gate_and_callers_wait_for_lent_ones() {
    let (pool, _handle, doorman) = guarded();
    let lease = pool.acquire().await.expect("open");
    doorman.says(Some(Denied::shut(None, None)));
    let (waited, ()) = tokio::join!(pool.acquire(), async {
        tokio::time::sleep(10 * MS).await; // sleep is the subject: a return while the gate is shut
        drop(lease);
    });
    drop(waited.expect("the lent one served it"));
    drop(pool.acquire().await.expect("an idle one flows"));
}

#[tokio::test(start_paused = true)]
async fn a_busy_gate_refuses_nobody() {
    let (pool, handle, doorman) = guarded();
    doorman.says(Some(Denied::Busy));
    let (lease, ()) = tokio::join!(pool.acquire(), async {
        tokio::time::sleep(SECOND).await; // sleep is the subject: how long the probe is out
        assert_eq!(handle.calls(Hook::Connect), 0);
        doorman.reopens();
    });
    drop(lease.expect("it waited"));
}

#[tokio::test(start_paused = true)]
async fn every_pass_is_settled_with_what_became_of_the_dial() {
    let (pool, handle, doorman) = guarded();
    handle.script(Hook::Connect, [Step::fail(xec_pool_core::FailureKind::Unreachable), Step::ok(), Step::hang()]);
    drop(pool.acquire().await);
    tokio::time::advance(60 * SECOND).await;
    let lease = pool.acquire().await.expect("the second dial");
    drop(tokio::time::timeout(MS, pool.acquire()).await);
    drop(lease);
    pool.close().await;
    assert_eq!(*doorman.settled.lock().unwrap(), ["failure", "success", "neutral"]);
}

#[tokio::test(start_paused = true)]
async fn a_gate_speaks_through_the_pool_and_keeps_nothing_alive() {
    let (pool, _handle, doorman) = guarded();
    let mut events = pool.subscribe();
    let link = doorman.links.lock().unwrap()[0].clone();
    link.emit(PoolEvent::circuit_opened(Some(SECOND), None));
    assert_eq!(events.try_next().and_then(|event| event.seed_name()), Some("circuit:open"));
    drop(pool);
    // The stream ends with the pool itself, when the last task has let go of it.
    while events.next().await.is_some() {}
    assert!(link.is_gone());
    link.reopened();
}

#[tokio::test]
async fn a_gate_learns_whom_it_guards_and_where_that_dials_to() {
    let (transport, _handle) = MockTransport::new();
    let (doorman, endpoint) = (Arc::new(Doorman::default()), Endpoint::new("web1", 22));
    let builder = Pool::builder(transport.at(endpoint.clone())).name("web").gate(Arc::clone(&doorman));
    let pool = builder.build().expect("nothing unclaimed");
    let link = doorman.links.lock().unwrap()[0].clone();
    assert_eq!((link.pool(), link.name(), link.endpoint()), (pool.id(), pool.name(), Some(&endpoint)));
}

#[tokio::test(start_paused = true)]
async fn a_gate_that_is_to_be_asked_again_at_once_is_not_asked_for_ever_on_one_stack() {
    let (pool, _handle, doorman) = guarded();
    doorman.says(Some(Denied::shut(Some(Duration::ZERO), None)));
    let error = pool.acquire().await.expect_err("shut");
    assert!(matches!(error, AcquireError::CircuitOpen { .. }), "{error}");
    assert_eq!(*doorman.asked.lock().unwrap(), 1);
    doorman.says(None);
    tokio::time::advance(MS).await;
    drop(pool.acquire().await.expect("open again"));
}

#[tokio::test(start_paused = true)]
async fn a_gate_that_shuts_unasked_fails_those_at_once_whom_nothing_can_serve() {
    let (transport, handle) = MockTransport::new();
    let doorman = Arc::new(Doorman::default());
    let config = at_most(1).retry_delay(8 * SECOND).build().expect("valid");
    let pool = Pool::builder(transport).config(config).gate(Arc::clone(&doorman)).build().expect("nothing unclaimed");
    handle.script(Hook::Connect, [Step::fail(xec_pool_core::FailureKind::Unreachable)]);
    let (begin, mut events) = (tokio::time::Instant::now(), pool.subscribe());
    let (refused, ()) = tokio::join!(pool.acquire(), async {
        while !matches!(events.next().await, Some(PoolEvent::RetryScheduled { .. })) {}
        doorman.links.lock().unwrap()[0].shut(Some(30 * SECOND), Some(Arc::new(std::io::Error::other("why"))));
    });
    let error = refused.expect_err("it sat out a back-off, and the gate shut");
    let AcquireError::CircuitOpen { retry_after: Some(after), cause: Some(cause), .. } = &error else {
        panic!("{error}")
    };
    assert_eq!((*after, cause.to_string(), begin.elapsed()), (30 * SECOND, "why".to_owned(), Duration::ZERO));
    assert_eq!(*doorman.asked.lock().unwrap(), 1, "it need not be asked again to be known as shut");
}

/// Reopens while it is being asked, and answers as before: as a gate may of which several pools ask at once.
#[derive(Default)]
struct Hasty {
    link: Mutex<Option<GateLink>>,
    asked: Mutex<u32>,
}

impl Gate for Hasty {
    fn attach(&self, link: GateLink) {
        *self.link.lock().unwrap() = Some(link);
    }

    fn admit(&self, _: &DialRequest) -> Result<Pass, Denied> {
        let asked = {
            let mut asked = self.asked.lock().unwrap();
            *asked += 1;
            *asked
        };
        let link = self.link.lock().unwrap().clone().expect("attached before it is asked");
        link.reopened();
        match asked {
            1 => Err(Denied::Busy),
            2 => Err(Denied::shut(None, None)),
            _ => Ok(Pass::free()),
        }
    }
}

#[tokio::test(start_paused = true)]
async fn what_a_gate_says_while_it_is_asked_is_newer_than_its_answer() {
    let (transport, _handle) = MockTransport::new();
    let pool = Pool::builder(transport).gate(Hasty::default()).build().expect("nothing unclaimed");
    let begin = tokio::time::Instant::now();
    drop(pool.acquire().await.expect("neither answer counts any more"));
    assert!(begin.elapsed() < 10 * MS, "{:?}", begin.elapsed());
}
