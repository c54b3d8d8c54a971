//! What needs nothing but Rust: everything against an SSH server inside this process.
#![expect(clippy::unwrap_used, reason = "in a test it is a check")]

mod wire;
