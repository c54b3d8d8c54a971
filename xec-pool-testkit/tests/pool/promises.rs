//! Broken promises of the pool's own: tokio swallows a panic in a task, so it is written down where it happens, and
//! whoever looks at a pool's end finds it.

use std::{
    panic::PanicHookInfo,
    sync::{Mutex, Once, PoisonError},
};

/// Where the pool's own code is. What panics on purpose is in the testkit and in these tests.
const OURS: &str = "xec-pool-core/src/";

/// The pool asks a runtime for timers; tokio says no by a panic at the place that asked.
const NO_TIMERS: &str = "timers are disabled";

static BROKEN: Mutex<Vec<String>> = Mutex::new(Vec::new());

/// From now on every panic of the pool's own code is written down, whoever catches it. Of the whole process: where
/// all tests run in one, any of them may be the one that finds it; what it finds says whose it was.
pub(super) fn watch() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            if is_ours(panic) {
                let thread = std::thread::current();
                let found = format!("in {}: {panic}", thread.name().unwrap_or("a thread of a runtime"));
                BROKEN.lock().unwrap_or_else(PoisonError::into_inner).push(found);
            }
            before(panic);
        }));
    });
}

fn is_ours(panic: &PanicHookInfo<'_>) -> bool {
    let asks_for_timers = panic.to_string().contains(NO_TIMERS);
    panic.location().is_some_and(|place| place.file().contains(OURS)) && !asks_for_timers
}

/// # Panics
///
/// If the pool has broken a promise since [`watch`], in whatever task or thread.
#[track_caller]
pub(super) fn assert_none_broken() {
    let broken = BROKEN.lock().unwrap_or_else(PoisonError::into_inner).clone();
    assert!(broken.is_empty(), "promises were broken:\n{}", broken.join("\n"));
}
