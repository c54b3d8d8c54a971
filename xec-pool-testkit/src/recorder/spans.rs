//! What takes a while: acquires, dials and leases, each under its parent.

use std::{
    any::Any,
    fmt::Write as _,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use xec_pool_core::{Observation, Outcome, Start};

/// All of them, by the order in which they began.
#[derive(Default)]
pub(super) struct Spans(Vec<Entry>);

struct Entry {
    parent: Option<usize>,
    what: String,
    /// Phases, then the end.
    said: Vec<String>,
}

/// One that is under way, in the pool's hands.
pub(super) struct Span {
    spans: Arc<Mutex<Spans>>,
    index: usize,
    ended: AtomicBool,
}

impl Spans {
    pub(super) fn tree(&self) -> String {
        let mut text = String::new();
        self.write(None, 0, &mut text);
        text
    }

    fn write(&self, parent: Option<usize>, depth: usize, text: &mut String) {
        for (index, entry) in self.0.iter().enumerate().filter(|(_, entry)| entry.parent == parent) {
            let said = if entry.said.is_empty() { "…".into() } else { entry.said.join(", ") };
            // Writing to a string cannot fail.
            let _ = writeln!(text, "{:indent$}{}: {said}", "", entry.what, indent = depth * 2);
            self.write(Some(index), depth + 1, text);
        }
    }
}

impl Span {
    pub(super) fn begin(
        spans: &Arc<Mutex<Spans>>,
        start: &Start<'_>,
        parent: Option<&dyn Observation>,
    ) -> Arc<dyn Observation> {
        // Another observer's, or another recorder's, is none of ours.
        let parent = parent.and_then(|parent| parent.as_any().downcast_ref::<Self>());
        let parent = parent.filter(|parent| Arc::ptr_eq(&parent.spans, spans)).map(|parent| parent.index);
        let mut all = lock(spans);
        let index = all.0.len();
        all.0.push(Entry { parent, what: what(start), said: Vec::new() });
        drop(all);
        Arc::new(Self { spans: Arc::clone(spans), index, ended: AtomicBool::new(false) })
    }

    fn say(&self, word: String) {
        lock(&self.spans).0[self.index].said.push(word);
    }
}

impl Observation for Span {
    fn phase(&self, name: &'static str) {
        self.say(name.into());
    }

    fn end(&self, outcome: &Outcome<'_>) {
        let again = self.ended.swap(true, Ordering::SeqCst);
        self.say(if again { format!("ENDED AGAIN: {}", ending(outcome)) } else { ending(outcome) });
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

impl Drop for Span {
    fn drop(&mut self) {
        if !self.ended.load(Ordering::SeqCst) {
            self.say("cancelled".into());
        }
    }
}

fn lock(spans: &Mutex<Spans>) -> MutexGuard<'_, Spans> {
    spans.lock().unwrap_or_else(PoisonError::into_inner)
}

fn what(start: &Start<'_>) -> String {
    match start {
        Start::Acquire { .. } => "acquire".into(),
        Start::Connect { id, attempt: 1, .. } => format!("connect {id}"),
        Start::Connect { id, attempt, .. } => format!("connect {id} (attempt {attempt})"),
        Start::Lease { lease, .. } => format!("lease {lease}"),
        Start::Command { id, .. } => format!("command on connection {id}"),
        _ => "something new".into(),
    }
}

fn ending(outcome: &Outcome<'_>) -> String {
    match outcome {
        Outcome::Acquired { id, reused: true, .. } => format!("acquired connection {id} again"),
        Outcome::Acquired { id, .. } => format!("acquired connection {id}"),
        Outcome::Connected => "connected".into(),
        Outcome::Released => "released".into(),
        Outcome::Exited { code: Some(code), .. } => format!("exited with {code}"),
        Outcome::Exited { signal: Some(signal), .. } => format!("ended by {signal}"),
        Outcome::Exited { .. } => "ended without a status".into(),
        Outcome::Failed { error, .. } => format!("failed ({error})"),
        _ => "ended in a new way".into(),
    }
}
