//! What reaches an exporter: metrics and spans of real pools, read back from the SDK.
#![expect(clippy::unwrap_used, reason = "in a test it is a check")]

mod exported;

mod expressions;
