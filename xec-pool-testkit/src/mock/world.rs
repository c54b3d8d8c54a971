//! What happened to a mock transport, and what is to happen.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::sync::{Notify, Semaphore};
use xec_pool_core::{BoxFuture, Cancelled, Check, CloseReason, ConnectContext, LostSignal};

use super::{
    MockError,
    step::{End, Hook, Step},
};

/// One call of a hook, or the end of a connection.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Call {
    /// A dial.
    Connect {
        /// The connection's number in its pool.
        id: u64,
        /// As in [`ConnectContext::attempt`].
        attempt: u32,
    },
    /// A check.
    Validate {
        /// The connection's number in its pool.
        id: u64,
        /// Which check.
        check: Check,
    },
    /// An end in good order.
    Close {
        /// The connection's number in its pool.
        id: u64,
        /// Why.
        reason: CloseReason,
    },
    /// A look. Counted, but not in the log: there are too many.
    IsBroken {
        /// The connection's number in its pool.
        id: u64,
    },
    /// A connection was dropped.
    Dropped {
        /// The connection's number in its pool.
        id: u64,
    },
}

/// A hook's script.
#[derive(Default)]
struct Script {
    steps: VecDeque<Step>,
    /// When they are used up.
    after: Option<Step>,
    calls: usize,
}

/// One connection, from its opening on; kept after its end, for the reckoning.
pub(super) struct Life {
    pub(super) id: u64,
    pub(super) lost: LostSignal,
    pub(super) cancel: Cancelled,
    pub(super) broken: bool,
    pub(super) closed: u32,
    pub(super) gone: bool,
}

#[derive(Default)]
pub(super) struct Books {
    scripts: [Script; Hook::COUNT],
    pub(super) log: Vec<Call>,
    /// By the order of opening.
    pub(super) lives: BTreeMap<u64, Life>,
    pub(super) live: usize,
    pub(super) most_live: usize,
    pub(super) dialling: usize,
    pub(super) most_dialling: usize,
}

impl Books {
    fn script(&mut self, hook: Hook) -> &mut Script {
        &mut self.scripts[hook as usize]
    }

    /// The ends to come of those that are well, by their tokens.
    pub(super) fn ends(&self) -> Vec<BoxFuture<'static, ()>> {
        let well = self.lives.values().filter(|life| !life.gone && !life.broken && !life.cancel.is_cancelled());
        well.map(|life| Box::pin(life.cancel.wait()) as BoxFuture<'static, ()>).collect()
    }

    pub(super) fn calls(&self, hook: Hook) -> usize {
        self.scripts[hook as usize].calls
    }

    pub(super) fn push(&mut self, hook: Hook, steps: impl IntoIterator<Item = Step>) {
        self.script(hook).steps.extend(steps);
    }

    pub(super) fn clear(&mut self, hook: Hook) {
        self.script(hook).steps.clear();
    }

    pub(super) fn always(&mut self, hook: Hook, step: Step) {
        self.script(hook).after = Some(step);
    }
}

/// Shared by a transport, its handle and its connections.
pub(super) struct World {
    books: Mutex<Books>,
    /// Something is new in the books.
    pub(super) changed: Notify,
    /// Leave for gated steps, one for each hook.
    pub(super) leave: [Semaphore; Hook::COUNT],
}

impl Default for World {
    fn default() -> Self {
        let leave = std::array::from_fn(|_| Semaphore::new(0));
        Self { books: Mutex::default(), changed: Notify::new(), leave }
    }
}

impl World {
    pub(super) fn books(&self) -> MutexGuard<'_, Books> {
        self.books.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn change<R>(&self, change: impl FnOnce(&mut Books) -> R) -> R {
        let result = change(&mut self.books());
        self.changed.notify_waiters();
        result
    }

    /// A hook is called: writes it down, and says what it is to do.
    pub(super) fn called(&self, hook: Hook, call: Call) -> Step {
        self.change(|books| {
            if hook != Hook::IsBroken {
                books.log.push(call);
            }
            let script = books.script(hook);
            script.calls += 1;
            script.steps.pop_front().or_else(|| script.after.clone()).unwrap_or(const { Step::ok() })
        })
    }

    pub(super) async fn carry_out(&self, hook: Hook, step: &Step) -> Result<(), MockError> {
        if step.is_gated() {
            let leave = self.leave[hook as usize].acquire().await;
            // One leave lets one through.
            leave.expect("the gate is never closed").forget();
        }
        if !step.delay().is_zero() {
            tokio::time::sleep(step.delay()).await;
        }
        match step.end() {
            End::Ok => Ok(()),
            End::Fail(kind) => Err(MockError { kind }),
            End::Hang => std::future::pending().await,
            End::Panic => panic!("panics as the script says"),
        }
    }

    /// Counts a dial while it lasts.
    pub(super) fn dialling(self: &Arc<Self>) -> Dialling {
        self.change(|books| {
            books.dialling += 1;
            books.most_dialling = books.most_dialling.max(books.dialling);
        });
        Dialling(Arc::clone(self))
    }

    pub(super) fn opened(&self, cx: &ConnectContext) -> u64 {
        self.change(|books| {
            let serial = books.lives.len() as u64;
            let (lost, cancel) = (cx.lost_signal().clone(), cx.cancelled().clone());
            let life = Life { id: cx.id().get(), lost, cancel, broken: false, closed: 0, gone: false };
            books.lives.insert(serial, life);
            books.live += 1;
            books.most_live = books.most_live.max(books.live);
            serial
        })
    }

    pub(super) fn closing(&self, serial: u64) {
        self.change(|books| {
            if let Some(life) = books.lives.get_mut(&serial) {
                life.closed += 1;
            }
        });
    }

    pub(super) fn dropped(&self, serial: u64) {
        self.change(|books| {
            if let Some(life) = books.lives.get_mut(&serial) {
                life.gone = true;
                let id = life.id;
                books.live -= 1;
                books.log.push(Call::Dropped { id });
            }
        });
    }

    /// A broken one, or one that was told to end.
    pub(super) fn is_dead(&self, serial: u64) -> bool {
        self.books().lives.get(&serial).is_none_or(|life| life.broken || life.cancel.is_cancelled())
    }

    /// `false` if it was gone already.
    pub(super) fn break_serial(&self, serial: u64) -> bool {
        self.change(|books| {
            let living = books.lives.get_mut(&serial).filter(|life| !life.gone);
            living.map(|life| life.broken = true).is_some()
        })
    }
}

/// A dial under way.
pub(super) struct Dialling(Arc<World>);

impl Drop for Dialling {
    fn drop(&mut self) {
        self.0.change(|books| books.dialling -= 1);
    }
}
