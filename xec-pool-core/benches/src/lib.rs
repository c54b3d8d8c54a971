//! How subjects are measured beside each other: interleaved in rounds of one run, medians, ratios of each round.
//!
//! Two subjects measured minutes apart differ by what the machine did meanwhile. Here each round measures every
//! subject once, in an order that rotates, and a ratio is the median of the rounds' own ratios.
//!
//! Reading order: [`Bench`] runs cases, `figures` turns samples into rows, `table` shows them, `instructions` asks
//! valgrind.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a bench speaks to the terminal")]
#![expect(
    missing_debug_implementations,
    clippy::exhaustive_structs,
    clippy::exhaustive_enums,
    reason = "unpublished: the bench programs of this workspace are its only users"
)]

mod bench;

mod figures;

mod table;

mod instructions;

pub use crate::{
    bench::{Bench, Case, Subject},
    figures::{Figure, Goal, percentile},
    instructions::Probe,
};

/// What our own subject is called in every bench.
pub const OURS: &str = "xec-pool";
