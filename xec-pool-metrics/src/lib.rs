//! Turns what happens in pools into OpenTelemetry metrics and spans.
//!
#![doc = include_str!("../README.md")]
#![cfg_attr(docsrs, feature(doc_cfg))]

// What users hold.
mod telemetry;

mod builder;

// What is told, by which names.
pub mod names;

mod error;

mod identity;

// From what happens to what is told.
mod watch;

mod instruments;

mod levels;

mod spans;

use std::sync::{Mutex, MutexGuard, PoisonError};

pub use crate::{builder::TelemetryBuilder, telemetry::Telemetry};

/// A panic of an exporter's leaves nothing half done.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
