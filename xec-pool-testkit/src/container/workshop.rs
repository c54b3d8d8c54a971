//! Where containers are made and removed: a runtime of our own.
//!
//! testcontainers holds a lock of the whole process while it makes a network, and takes it again to remove one. On a
//! caller's runtime of one thread a drop would wait for a start that this same thread should go on with.

use std::{io, sync::LazyLock, thread};

use testcontainers::{ContainerAsync, GenericImage};
use tokio::runtime::{Builder, Handle, Runtime};

/// One thread is enough; when a drop blocks it, another one takes over, which only this kind does. It is never ended:
/// what is still to be done is done while the process lives.
static RUNTIME: LazyLock<io::Result<Runtime>> =
    LazyLock::new(|| Builder::new_multi_thread().worker_threads(1).thread_name("xec-pool").enable_all().build());

pub(super) fn runtime() -> io::Result<&'static Runtime> {
    RUNTIME.as_ref().map_err(|error| io::Error::new(error.kind(), error.to_string()))
}

/// Blocks until it is gone.
pub(super) fn remove(container: ContainerAsync<GenericImage>) {
    let Ok(ours) = runtime() else { return };
    if Handle::try_current().is_ok_and(|here| here.id() == ours.handle().id()) {
        return drop(container);
    }
    // Not on the caller's thread: testcontainers would use the runtime that it finds there.
    let removing = thread::spawn(move || {
        let _here = ours.enter();
        drop(container);
    });
    let _ = removing.join();
}
