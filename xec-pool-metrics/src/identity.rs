//! What a pool is called in telemetry: unique, and without who logs in there.

use std::{
    borrow::Cow,
    collections::HashSet,
    sync::{Arc, LazyLock, Mutex},
};

use xec_pool_core::WeakPool;

use crate::lock;

static TAKEN: LazyLock<Mutex<HashSet<Arc<str>>>> = LazyLock::new(Mutex::default);

/// A name that no other pool in telemetry has: two under one name would overwrite each other. Free again when dropped.
pub(crate) struct Identity {
    name: Arc<str>,
    /// `@host:port`: what stands before it is a user. `None`: users are no secret, or nobody knows the endpoint.
    behind_users: Option<String>,
}

impl Identity {
    pub(crate) fn new(pool: &WeakPool, user_names: bool) -> Self {
        let endpoint = pool.endpoint().filter(|_| !user_names);
        let behind_users = endpoint.map(|endpoint| format!("@{endpoint}"));
        let name = claim(&without_users(pool.name(), behind_users.as_deref()));
        Self { name, behind_users }
    }

    pub(crate) fn name(&self) -> Arc<str> {
        Arc::clone(&self.name)
    }

    /// A text as it may be told.
    pub(crate) fn redact<'a>(&self, text: &'a str) -> Cow<'a, str> {
        without_users(text, self.behind_users.as_deref())
    }
}

impl Drop for Identity {
    fn drop(&mut self) {
        lock(&TAKEN).remove(&self.name);
    }
}

/// The wish, or the wish with `#2`, `#3`, … behind it.
fn claim(wish: &str) -> Arc<str> {
    let mut taken = lock(&TAKEN);
    let mut name: Arc<str> = wish.into();
    for number in 2_u64.. {
        if taken.insert(Arc::clone(&name)) {
            break;
        }
        name = format!("{wish}#{number}").into();
    }
    name
}

/// `user@host:port` becomes `host:port`, wherever it stands.
fn without_users<'a>(text: &'a str, behind_users: Option<&str>) -> Cow<'a, str> {
    let Some(behind) = behind_users.filter(|behind| text.contains(behind)) else { return text.into() };
    let mut parts = text.split(behind).peekable();
    let mut told = String::with_capacity(text.len());
    while let Some(part) = parts.next() {
        if parts.peek().is_none() {
            told.push_str(part);
            break;
        }
        let user_at = part.rfind(char::is_whitespace).map_or(0, |space| space + 1);
        told.push_str(&part[..user_at]);
        told.push_str(&behind[1..]);
    }
    told.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_logs_in_is_not_told_and_all_else_is() {
        let told = |text| without_users(text, Some("@web1:22")).into_owned();
        assert_eq!(told("ada@web1:22"), "web1:22");
        assert_eq!(told("ada@web1:22#2"), "web1:22#2");
        assert_eq!(told("pool ada@web1:22: cannot log in to ada@web1:22"), "pool web1:22: cannot log in to web1:22");
        assert_eq!(told("mail ada@example.com"), "mail ada@example.com");
        assert_eq!(without_users("ada@web1:22", None), "ada@web1:22");
    }
}
