//! One connection's place in the pool: its states, and the one table of legal steps between them.
//!
//! Seed: Connection States.

use std::fmt;

use super::moment::Moment;
use crate::{Check, CloseReason, ConnectionId, ConnectionState, LeaseId};

/// A slot in one life. The index is used again, the serial (the connection's number) never is, so a late report
/// about a slot's former life is recognised.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct SlotId {
    pub(crate) index: u32,
    pub(crate) serial: u64,
}

impl SlotId {
    pub(crate) fn connection(self) -> ConnectionId {
        ConnectionId::new(self.serial)
    }
}

impl fmt::Debug for SlotId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SlotId({})", self.serial)
    }
}

/// What the machine knows of one connection.
#[derive(Clone, Debug)]
pub(crate) struct Slot {
    pub(crate) serial: u64,
    /// `None`: the slot is vacant.
    pub(crate) state: Option<ConnectionState>,
    /// Leases out. At most 1 until connections are shared.
    pub(crate) leases: u32,
    /// The latest lease.
    pub(crate) lease: LeaseId,
    /// It must end, for this reason, as soon as it comes home.
    pub(crate) doomed: Option<CloseReason>,
    /// The check that is running.
    pub(crate) check: Option<Check>,
    /// Whether its successor was ordered already, because it was lost while lent.
    pub(crate) replaced: bool,
    /// Past its lifetime, waiting for its successor to connect.
    pub(crate) retiring: bool,
    /// Whether anybody had it yet.
    pub(crate) used: bool,
    /// Whether it was ever open.
    pub(crate) opened: bool,
    /// When its dial began; when it was opened, after that.
    pub(crate) born: Moment,
    pub(crate) lent_at: Moment,
    pub(crate) idle_since: Moment,
    pub(crate) last_ok: Moment,
    pub(crate) expires: Moment,
}

impl Slot {
    pub(crate) fn new(serial: u64, now: Moment) -> Self {
        Self {
            serial,
            state: None,
            leases: 0,
            lease: LeaseId(0),
            doomed: None,
            check: None,
            replaced: false,
            retiring: false,
            used: false,
            opened: false,
            born: now,
            lent_at: now,
            idle_since: now,
            last_ok: now,
            expires: Moment::NEVER,
        }
    }

    pub(crate) fn is(&self, state: ConnectionState) -> bool {
        self.state == Some(state)
    }

    pub(crate) fn is_over_age(&self, now: Moment) -> bool {
        self.expires <= now
    }
}

/// The one table: which state may follow which. `None` is before the first and after the last.
pub(crate) const fn is_legal(from: Option<ConnectionState>, to: Option<ConnectionState>) -> bool {
    use ConnectionState::{Active, Closing, Connecting, Idle, Validating};
    match (from, to) {
        (None, Some(next)) => matches!(next, Connecting),
        // To nothing: the dial failed.
        (Some(Connecting), next) => matches!(next, None | Some(Idle | Active | Closing)),
        (Some(Idle), next) => matches!(next, Some(Active | Validating | Closing)),
        // To nothing: its holder kept it.
        (Some(Active), next) => matches!(next, None | Some(Idle | Validating | Closing)),
        (Some(Validating), next) => matches!(next, Some(Idle | Active | Closing)),
        (Some(Closing), next) => next.is_none(),
        (None, None) => false,
    }
}

/// The table, as people read it.
#[cfg(test)]
pub(crate) fn table() -> String {
    let word = |state: Option<ConnectionState>| state.map_or("(nothing)", ConnectionState::as_str);
    let all: Vec<_> = std::iter::once(None).chain(ConnectionState::ALL.into_iter().map(Some)).collect();
    let mut text = String::new();
    for &from in &all {
        let next: Vec<_> = all.iter().filter(|&&to| is_legal(from, to)).map(|&to| word(to)).collect();
        text.push_str(&format!("{:<10} -> {}\n", word(from), next.join(", ")));
    }
    text
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    #[test]
    fn the_table_of_legal_steps() {
        expect![[r#"
            (nothing)  -> connecting
            connecting -> (nothing), idle, active, closing
            idle       -> active, validating, closing
            active     -> (nothing), idle, validating, closing
            validating -> idle, active, closing
            closing    -> (nothing)
        "#]]
        .assert_eq(&super::table());
    }

    #[test]
    fn the_architecture_page_shows_this_table() {
        let page = include_str!("../../ARCHITECTURE.md");
        assert!(
            page.contains(&super::table()),
            "ARCHITECTURE.md, «Life of a connection», must show:\n{}",
            super::table()
        );
    }
}
