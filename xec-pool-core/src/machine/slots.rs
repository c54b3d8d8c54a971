//! All slots: a slab, the list of the idle, and how many are in each state. A state changes here and nowhere else.

use super::{
    moment::Moment,
    notes::{Note, Notes},
    slot::{Slot, SlotId, is_legal},
};
use crate::{Check, ConnectionState};

/// The slab of slots.
#[derive(Debug, Default)]
pub(crate) struct Slots {
    slab: Vec<Slot>,
    vacant: Vec<u32>,
    /// Idle slots, the one that came home last at the end.
    pub(crate) idle: Vec<SlotId>,
    counts: [u32; ConnectionState::ALL.len()],
    taken: u32,
    /// Active ones that will be closed when they come home: nobody who waits can hope for them.
    pub(crate) doomed_active: u32,
    /// Running checks that somebody waits for.
    pub(crate) borrow_checks: u32,
    serials: u64,
}

impl Slots {
    /// Slots taken, whatever they do: what `max_connections` bounds.
    pub(crate) fn taken(&self) -> u32 {
        self.taken
    }

    pub(crate) fn count(&self, state: ConnectionState) -> u32 {
        self.counts[state as usize]
    }

    /// The slot, unless that life of it is over.
    pub(crate) fn get(&self, id: SlotId) -> Option<&Slot> {
        self.slab.get(id.index as usize).filter(|slot| slot.serial == id.serial && slot.state.is_some())
    }

    /// The slot, if it is in that state in this life.
    pub(crate) fn in_state(&mut self, id: SlotId, state: ConnectionState) -> Option<&mut Slot> {
        self.slab.get_mut(id.index as usize).filter(|slot| slot.serial == id.serial && slot.is(state))
    }

    /// The slot behind an id that the machine itself holds, to look at.
    pub(crate) fn see(&self, id: SlotId) -> &Slot {
        &self.slab[id.index as usize]
    }

    /// The slot behind an id that the machine itself holds.
    pub(crate) fn at(&mut self, id: SlotId) -> &mut Slot {
        &mut self.slab[id.index as usize]
    }

    pub(crate) fn all(&self) -> impl Iterator<Item = (SlotId, &Slot)> {
        (0..).zip(&self.slab).filter(|(_, slot)| slot.state.is_some()).map(|(index, slot)| {
            let id = SlotId { index, serial: slot.serial };
            (id, slot)
        })
    }

    /// Takes a slot for a new connection.
    pub(crate) fn open(&mut self, now: Moment, notes: &mut Notes) -> SlotId {
        self.serials += 1;
        let slot = Slot::new(self.serials, now);
        let index = if let Some(index) = self.vacant.pop() {
            self.slab[index as usize] = slot;
            index
        } else {
            self.slab.reserve_exact(1);
            self.slab.push(slot);
            u32::try_from(self.slab.len() - 1).expect("max_connections is a u32")
        };
        let id = SlotId { index, serial: self.serials };
        self.step(id, Some(ConnectionState::Connecting), notes);
        id
    }

    /// The only place where a state changes.
    #[inline]
    pub(crate) fn step(&mut self, id: SlotId, to: Option<ConnectionState>, notes: &mut Notes) {
        let slot = &mut self.slab[id.index as usize];
        let from = slot.state;
        if !is_legal(from, to) {
            bug!("{id:?} cannot go from {from:?} to {to:?}");
            return;
        }
        match from {
            Some(from) => self.counts[from as usize] -= 1,
            None => self.taken += 1,
        }
        if from == Some(ConnectionState::Active) && slot.doomed.is_some() {
            self.doomed_active -= 1;
        }
        if slot.check.take() == Some(Check::Borrow) {
            self.borrow_checks -= 1;
        }
        slot.state = to;
        match to {
            Some(to) => self.counts[to as usize] += 1,
            None => {
                self.taken -= 1;
                self.vacant.push(id.index);
            }
        }
        if notes.states {
            notes.push(Note::Stepped { id, from, to });
        }
    }

    /// From one caller to the next it passes through idle: two steps for those who watch, none on the list.
    #[inline]
    pub(crate) fn change_hands(&mut self, id: SlotId, notes: &mut Notes) {
        debug_assert!(self.see(id).is(ConnectionState::Active), "{id:?} changes hands, but is in none");
        if notes.states {
            self.step(id, Some(ConnectionState::Idle), notes);
            self.step(id, Some(ConnectionState::Active), notes);
        }
    }

    /// Starts a check.
    pub(crate) fn check(&mut self, id: SlotId, check: Check, notes: &mut Notes) {
        self.step(id, Some(ConnectionState::Validating), notes);
        self.at(id).check = Some(check);
        if check == Check::Borrow {
            self.borrow_checks += 1;
        }
    }

    /// It must end when it comes home.
    pub(crate) fn doom(&mut self, id: SlotId, reason: crate::CloseReason) {
        let slot = &mut self.slab[id.index as usize];
        if slot.doomed.is_none() {
            slot.doomed = Some(reason);
            if slot.is(ConnectionState::Active) {
                self.doomed_active += 1;
            }
        }
    }

    /// Puts an idle slot where it belongs: by the moment it came home. Nearly always that is the end.
    pub(crate) fn shelve(&mut self, id: SlotId) {
        let since = self.slab[id.index as usize].idle_since;
        let newest = self.idle.last().map(|last| self.slab[last.index as usize].idle_since);
        if newest.is_none_or(|newest| newest <= since) {
            if self.idle.len() == self.idle.capacity() {
                self.idle.reserve_exact(1);
            }
            self.idle.push(id);
            return;
        }
        let at = self.idle.partition_point(|other| self.slab[other.index as usize].idle_since <= since);
        self.idle.insert(at, id);
    }

    /// Where no slot is taken, keeps no room, and goes on counting.
    pub(crate) fn rest(&mut self) {
        if self.taken == 0 {
            *self = Self { serials: self.serials, ..Self::default() };
        }
    }

    /// Takes a slot off the idle list. Walks it: only the rare ways come here.
    pub(crate) fn unshelve(&mut self, id: SlotId) {
        self.idle.retain(|&other| other != id);
    }
}
