//! Broken promises of the pool's own: tokio swallows a panic in a task, so that no test would turn red. Here it ends the
//! whole process, whoever catches it.

use std::{io::Write as _, panic::Location, sync::Once};

/// Where the pool's own code is. What panics on purpose is in the testkit and in these tests.
const OURS: &str = "xec-pool-core/src/";

/// The pool asks a runtime for timers; tokio says no by a panic at the place that asked.
const NO_TIMERS: &str = "timers are disabled";

/// From now on the process ends with the first panic of the pool's own code.
pub(super) fn watch() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            let said = panic.to_string();
            if is_ours(panic.location().map_or("", Location::file), &said) {
                let thread = std::thread::current();
                let thread = thread.name().unwrap_or("a thread of a runtime");
                // Not printed: the test harness keeps what is, and would be gone with it.
                let _ = writeln!(std::io::stderr(), "the pool broke a promise of its own, in {thread}: {said}");
                std::process::abort();
            }
            before(panic);
        }));
    });
}

fn is_ours(file: &str, said: &str) -> bool {
    file.contains(OURS) && !said.contains(NO_TIMERS)
}

#[test]
fn a_promise_is_the_pools_own() {
    let workspace = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    assert!(workspace.join(OURS).join("flow/evict.rs").is_file(), "its code has gone elsewhere");
    assert!(is_ours("xec-pool-core/src/flow/evict.rs", "a connection is closed while somebody holds it"));
    assert!(!is_ours(
        "xec-pool-core/src/flow/housekeeper.rs",
        "A Tokio 1.x context was found, but timers are disabled"
    ));
    assert!(!is_ours("xec-pool-testkit/src/mock/mod.rs", "a hook panics because it shall"));
    assert!(!is_ours(file!(), "a test is red"));
}
