//! What reaches an exporter: metrics and spans of real pools, read back from the SDK.
#![expect(clippy::unwrap_used, reason = "in a test it is a check")]
#![expect(clippy::wildcard_enum_match_arm, reason = "a test that finds what it did not expect should panic")]

mod exported;

mod expressions;
