//! The callers who wait: an ordered list in a slab, so that leaving from the middle costs nothing; and their
//! deadlines, cleaned when they are mostly of callers who are gone.
//!
//! Seed: Queue Management.

use std::{
    cmp::Reverse,
    collections::{BinaryHeap, VecDeque},
    fmt,
};

use super::moment::Moment;

const NONE: u32 = u32::MAX;

/// A caller's place in the queue.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Ticket {
    pub(crate) serial: u64,
    pub(crate) index: u32,
}

impl fmt::Debug for Ticket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Ticket({})", self.serial)
    }
}

/// What the machine knows of one who waits.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Waiter {
    pub(crate) asked_at: Moment,
    pub(crate) deadline: Moment,
    /// Whether it counts against `queue_capacity`: no dial or check could be its own when it came.
    pub(crate) counted: bool,
    /// Whether it was admitted before, and got a broken connection.
    pub(crate) again: bool,
    /// The dialling run it came in, and how many dials of that run had failed by then.
    pub(crate) run: u64,
    pub(crate) failures: u32,
}

#[derive(Debug)]
struct Place {
    serial: u64,
    waiter: Waiter,
    before: u32,
    behind: u32,
}

/// The queue.
#[derive(Debug)]
pub(crate) struct Queue {
    slab: Vec<Place>,
    /// The vacant places, linked from the one that is vacant longest: it is used first, because whoever had it has
    /// fetched the answer by then.
    vacant: u32,
    last_vacant: u32,
    front: u32,
    back: u32,
    len: u32,
    counted: u32,
    serials: u64,
    /// Deadlines that came in order, as nearly all do: whoever asks later, with the same timeout, must go later.
    in_order: VecDeque<(Moment, Ticket)>,
    /// All others.
    out_of_order: BinaryHeap<Reverse<(Moment, Ticket)>>,
}

impl Queue {
    pub(crate) fn new() -> Self {
        Self {
            slab: Vec::new(),
            vacant: NONE,
            last_vacant: NONE,
            front: NONE,
            back: NONE,
            len: 0,
            counted: 0,
            serials: 0,
            in_order: VecDeque::new(),
            out_of_order: BinaryHeap::new(),
        }
    }

    pub(crate) fn len(&self) -> u32 {
        self.len
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// How many count against `queue_capacity`.
    pub(crate) fn counted(&self) -> u32 {
        self.counted
    }

    pub(crate) fn get(&self, ticket: Ticket) -> Option<&Waiter> {
        self.slab.get(ticket.index as usize).filter(|place| place.serial == ticket.serial).map(|place| &place.waiter)
    }

    /// Those who wait, from the front.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (Ticket, &Waiter)> {
        let mut at = self.front;
        std::iter::from_fn(move || {
            let index = at;
            let place = self.slab.get(index as usize)?;
            at = place.behind;
            Some((Ticket { serial: place.serial, index }, &place.waiter))
        })
    }

    /// Lets a caller in: at the back, or, if it had its turn already, before all that came after it.
    pub(crate) fn enter(&mut self, waiter: Waiter, keeps_turn: bool) -> Ticket {
        self.serials += 1;
        let before = if keeps_turn { self.last_before(waiter.asked_at) } else { self.back };
        let behind = self.slab.get(before as usize).map_or(self.front, |place| place.behind);
        let place = Place { serial: self.serials, waiter, before, behind };
        let index = self.occupy(place);
        *self.behind_of(before) = index;
        *self.before_of(behind) = index;
        self.len += 1;
        self.counted += u32::from(waiter.counted);
        let ticket = Ticket { serial: self.serials, index };
        if waiter.deadline != Moment::NEVER {
            self.note_deadline(waiter.deadline, ticket);
        }
        ticket
    }

    #[inline]
    fn occupy(&mut self, place: Place) -> u32 {
        let index = self.vacant;
        let Some(vacant) = self.slab.get_mut(index as usize) else {
            self.slab.push(place);
            return u32::try_from(self.slab.len() - 1).expect("fewer than 2^32 callers wait");
        };
        self.vacant = vacant.behind;
        *vacant = place;
        index
    }

    #[inline]
    fn vacate(&mut self, index: u32) {
        self.slab[index as usize].behind = NONE;
        if self.vacant == NONE {
            self.vacant = index;
        } else {
            self.slab[self.last_vacant as usize].behind = index;
        }
        self.last_vacant = index;
    }

    /// The last of those who came no later than `asked_at`.
    fn last_before(&self, asked_at: Moment) -> u32 {
        self.iter()
            .take_while(|(_, waiter)| waiter.asked_at <= asked_at)
            .last()
            .map_or(NONE, |(ticket, _)| ticket.index)
    }

    /// Lets out whose turn it is, and says when it asked.
    #[inline]
    pub(crate) fn take_next(&mut self, newest_first: bool) -> Option<(Ticket, Moment)> {
        let ticket = self.next(newest_first)?;
        self.leave(ticket).map(|asked_at| (ticket, asked_at))
    }

    /// Lets a caller out, wherever it stands, and says when it asked. `None`: it is out already.
    #[inline]
    pub(crate) fn leave(&mut self, ticket: Ticket) -> Option<Moment> {
        let place = self.slab.get_mut(ticket.index as usize).filter(|place| place.serial == ticket.serial)?;
        place.serial = 0;
        let (asked_at, counted) = (place.waiter.asked_at, place.waiter.counted);
        let (before, behind) = (place.before, place.behind);
        *self.behind_of(before) = behind;
        *self.before_of(behind) = before;
        self.vacate(ticket.index);
        // Whoever leaves came first, nearly always, and has the first deadline.
        if self.in_order.front().is_some_and(|&(_, first)| first == ticket) {
            self.in_order.pop_front();
        }
        self.len -= 1;
        self.counted -= u32::from(counted);
        Some(asked_at)
    }

    /// Whose turn it is.
    pub(crate) fn next(&self, newest_first: bool) -> Option<Ticket> {
        let index = if newest_first { self.back } else { self.front };
        self.slab.get(index as usize).map(|place| Ticket { serial: place.serial, index })
    }

    /// Whose turn it is after `others` others. Walks: asked for a dial only.
    pub(crate) fn nth(&self, others: u32, newest_first: bool) -> Option<Ticket> {
        let at = if newest_first { self.len.checked_sub(others + 1)? } else { others };
        self.iter().nth(at as usize).map(|(ticket, _)| ticket)
    }

    /// The earliest deadline of anybody who still waits.
    pub(crate) fn first_deadline(&mut self) -> Option<(Moment, Ticket)> {
        self.forget_the_gone();
        while let Some(&Reverse((_, ticket))) = self.out_of_order.peek() {
            if self.get(ticket).is_some() {
                break;
            }
            self.out_of_order.pop();
        }
        let (first, other) = (self.in_order.front(), self.out_of_order.peek().map(|Reverse(entry)| entry));
        first.into_iter().chain(other).min().copied()
    }

    /// Of the deadlines in order, drops those at the front whose callers are gone.
    fn forget_the_gone(&mut self) {
        while let Some(&(_, ticket)) = self.in_order.front() {
            if self.get(ticket).is_some() {
                return;
            }
            self.in_order.pop_front();
        }
    }

    #[inline]
    fn note_deadline(&mut self, deadline: Moment, ticket: Ticket) {
        // Each entry is looked at once for every time the lists double: constant work for each caller.
        if self.in_order.len() + self.out_of_order.len() > 2 * self.len as usize + 64 {
            self.forget_all_gone();
        }
        if self.in_order.back().is_none_or(|&(last, _)| last <= deadline) {
            self.in_order.push_back((deadline, ticket));
        } else {
            self.out_of_order.push(Reverse((deadline, ticket)));
        }
    }

    #[cold]
    fn forget_all_gone(&mut self) {
        let slab = &self.slab;
        let waits = |ticket: Ticket| slab.get(ticket.index as usize).is_some_and(|at| at.serial == ticket.serial);
        self.in_order.retain(|&(_, ticket)| waits(ticket));
        self.out_of_order.retain(|&Reverse((_, ticket))| waits(ticket));
    }

    /// Nobody waits: keeps no room, and goes on counting.
    pub(crate) fn rest(&mut self) {
        *self = Self { serials: self.serials, ..Self::new() };
    }

    fn behind_of(&mut self, index: u32) -> &mut u32 {
        match self.slab.get_mut(index as usize) {
            Some(place) => &mut place.behind,
            None => &mut self.front,
        }
    }

    fn before_of(&mut self, index: u32) -> &mut u32 {
        match self.slab.get_mut(index as usize) {
            Some(place) => &mut place.before,
            None => &mut self.back,
        }
    }
}
