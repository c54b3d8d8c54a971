//! The words of `error.type`: few, and core's own.

use xec_pool_core::FailureKind;

pub(crate) const CANCELLED: &str = "cancelled";
pub(crate) const CIRCUIT_OPEN: &str = "circuit_open";
pub(crate) const EXIT_CODE: &str = "exit_code";
pub(crate) const NO_STATUS: &str = "no_status";
pub(crate) const SIGNAL: &str = "signal";
pub(crate) const TIMED_OUT: &str = "timed_out";
pub(crate) const VALIDATION_FAILED: &str = "validation_failed";

/// Why a caller got nothing. A dial that took too long and a caller whose time was up are not the same, so what a dial
/// ended in has a prefix.
pub(crate) fn of_acquire(error: &'static str, kind: Option<FailureKind>) -> &'static str {
    match kind {
        None => error,
        Some(FailureKind::Unreachable) => "connect_unreachable",
        Some(FailureKind::TimedOut) => "connect_timed_out",
        Some(FailureKind::Throttled) => "connect_throttled",
        Some(FailureKind::Lost) => "connect_lost",
        Some(FailureKind::Credentials) => "connect_credentials",
        Some(FailureKind::Trust) => "connect_trust",
        Some(FailureKind::Config) => "connect_config",
        Some(FailureKind::Other | _) => "connect_other",
    }
}
