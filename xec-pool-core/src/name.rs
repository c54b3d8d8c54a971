//! A pool's name: unique among the living pools of this process, because telemetry tells pools apart by it.

use std::{
    collections::HashSet,
    ops::Deref,
    sync::{Arc, LazyLock, Mutex, PoisonError},
};

static TAKEN: LazyLock<Mutex<HashSet<Arc<str>>>> = LazyLock::new(Mutex::default);

/// A name that no other living pool has. Free again when it is dropped.
#[derive(Debug)]
pub(crate) struct Name(Arc<str>);

impl Name {
    /// The wish, or the wish with `#2`, `#3`, … behind it.
    pub(crate) fn claim(wish: &str) -> Self {
        let mut taken = TAKEN.lock().unwrap_or_else(PoisonError::into_inner);
        let mut name: Arc<str> = wish.into();
        for number in 2_u64.. {
            if taken.insert(Arc::clone(&name)) {
                break;
            }
            name = format!("{wish}#{number}").into();
        }
        Self(name)
    }

    pub(crate) fn shared(&self) -> Arc<str> {
        Arc::clone(&self.0)
    }
}

impl Deref for Name {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

impl Drop for Name {
    fn drop(&mut self) {
        TAKEN.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.0);
    }
}
