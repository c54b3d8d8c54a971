//! The callers who wait: a slab with two lists through it, of turns and of deadlines, so that leaving from the middle
//! costs nothing.
//!
//! Seed: Queue Management.

use std::{cmp::Reverse, collections::BinaryHeap, fmt};

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

/// One who waits, on a cache line of its own: whoever comes and whoever serves are mostly on two threads.
#[derive(Debug)]
#[repr(align(64))]
struct Place {
    serial: u64,
    waiter: Waiter,
    links: [Link; 2],
    /// Whether it is on the list of deadlines.
    in_order: bool,
}

/// Neighbours on a list.
#[derive(Clone, Copy, Debug)]
struct Link {
    before: u32,
    behind: u32,
}

/// The ends of a list.
#[derive(Clone, Copy, Debug)]
struct Ends {
    front: u32,
    back: u32,
}

const NOWHERE: Link = Link { before: NONE, behind: NONE };

/// The lists that a place may be on: whose turn it is; and deadlines that came in order, as nearly all do, because
/// whoever asks later, with the same timeout, must go later.
const TURN: usize = 0;
const DEADLINE: usize = 1;

/// The queue; first what every caller who waits changes.
#[derive(Debug)]
#[repr(C)]
pub(crate) struct Queue {
    /// The vacant places, linked from the one that is vacant longest: it is used first, because whoever had it has
    /// fetched the answer by then.
    vacant: Ends,
    ends: [Ends; 2],
    len: u32,
    counted: u32,
    serials: u64,
    slab: Vec<Place>,
    /// The deadlines that did not come in order, also of callers who are gone.
    out_of_order: BinaryHeap<Reverse<(Moment, Ticket)>>,
}

impl Queue {
    pub(crate) fn new() -> Self {
        let empty = Ends { front: NONE, back: NONE };
        Self {
            slab: Vec::new(),
            vacant: empty,
            ends: [empty; 2],
            len: 0,
            counted: 0,
            serials: 0,
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
        let mut at = self.ends[TURN].front;
        std::iter::from_fn(move || {
            let index = at;
            let place = self.slab.get(index as usize)?;
            at = place.links[TURN].behind;
            Some((Ticket { serial: place.serial, index }, &place.waiter))
        })
    }

    /// Lets a caller in: at the back, or, if it had its turn already, before all that came after it.
    pub(crate) fn enter(&mut self, waiter: Waiter, keeps_turn: bool) -> Ticket {
        self.serials += 1;
        let before = if keeps_turn { self.last_before(waiter.asked_at) } else { self.ends[TURN].back };
        let index = self.occupy(Place { serial: self.serials, waiter, links: [NOWHERE; 2], in_order: false });
        self.link(TURN, index, before);
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
        let index = self.vacant.front;
        let Some(vacant) = self.slab.get_mut(index as usize) else {
            self.slab.push(place);
            return u32::try_from(self.slab.len() - 1).expect("fewer than 2^32 callers wait");
        };
        self.vacant.front = vacant.links[TURN].behind;
        *vacant = place;
        index
    }

    #[inline]
    fn vacate(&mut self, index: u32) {
        self.slab[index as usize].links[TURN].behind = NONE;
        if self.vacant.front == NONE {
            self.vacant.front = index;
        } else {
            self.slab[self.vacant.back as usize].links[TURN].behind = index;
        }
        self.vacant.back = index;
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
        let (asked_at, counted, in_order) = (place.waiter.asked_at, place.waiter.counted, place.in_order);
        self.unlink(TURN, ticket.index);
        if in_order {
            self.unlink(DEADLINE, ticket.index);
        }
        self.vacate(ticket.index);
        self.len -= 1;
        self.counted -= u32::from(counted);
        Some(asked_at)
    }

    /// Whose turn it is.
    pub(crate) fn next(&self, newest_first: bool) -> Option<Ticket> {
        let Ends { front, back } = self.ends[TURN];
        self.ticket(if newest_first { back } else { front })
    }

    fn ticket(&self, index: u32) -> Option<Ticket> {
        self.slab.get(index as usize).map(|place| Ticket { serial: place.serial, index })
    }

    /// Whose turn it is after `others` others. Walks: asked for a dial only.
    pub(crate) fn nth(&self, others: u32, newest_first: bool) -> Option<Ticket> {
        let at = if newest_first { self.len.checked_sub(others + 1)? } else { others };
        self.iter().nth(at as usize).map(|(ticket, _)| ticket)
    }

    /// The earliest deadline of anybody who still waits.
    pub(crate) fn first_deadline(&mut self) -> Option<(Moment, Ticket)> {
        while let Some(&Reverse((_, ticket))) = self.out_of_order.peek() {
            if self.get(ticket).is_some() {
                break;
            }
            self.out_of_order.pop();
        }
        let first = self.ticket(self.ends[DEADLINE].front);
        let first = first.map(|ticket| (self.slab[ticket.index as usize].waiter.deadline, ticket));
        let other = self.out_of_order.peek().map(|&Reverse(entry)| entry);
        first.into_iter().chain(other).min()
    }

    #[inline]
    fn note_deadline(&mut self, deadline: Moment, ticket: Ticket) {
        let last = self.ends[DEADLINE].back;
        if self.slab.get(last as usize).is_none_or(|place| place.waiter.deadline <= deadline) {
            self.slab[ticket.index as usize].in_order = true;
            self.link(DEADLINE, ticket.index, last);
        } else {
            self.note_out_of_order(deadline, ticket);
        }
    }

    #[cold]
    fn note_out_of_order(&mut self, deadline: Moment, ticket: Ticket) {
        // Each entry is looked at once for every time the heap doubles: constant work for each caller.
        if self.out_of_order.len() > 2 * self.len as usize + 64 {
            let slab = &self.slab;
            let waits = |ticket: Ticket| slab.get(ticket.index as usize).is_some_and(|at| at.serial == ticket.serial);
            self.out_of_order.retain(|&Reverse((_, ticket))| waits(ticket));
        }
        self.out_of_order.push(Reverse((deadline, ticket)));
    }

    /// Nobody waits: keeps no room, and goes on counting.
    pub(crate) fn rest(&mut self) {
        *self = Self { serials: self.serials, ..Self::new() };
    }

    /// Puts a place on a list, behind another one: behind none, at the front.
    #[inline]
    fn link(&mut self, list: usize, index: u32, before: u32) {
        let behind = std::mem::replace(self.behind(list, before), index);
        *self.before(list, behind) = index;
        self.slab[index as usize].links[list] = Link { before, behind };
    }

    #[inline]
    fn unlink(&mut self, list: usize, index: u32) {
        let Link { before, behind } = self.slab[index as usize].links[list];
        *self.behind(list, before) = behind;
        *self.before(list, behind) = before;
    }

    fn behind(&mut self, list: usize, index: u32) -> &mut u32 {
        match self.slab.get_mut(index as usize) {
            Some(place) => &mut place.links[list].behind,
            None => &mut self.ends[list].front,
        }
    }

    fn before(&mut self, list: usize, index: u32) -> &mut u32 {
        match self.slab.get_mut(index as usize) {
            Some(place) => &mut place.links[list].before,
            None => &mut self.ends[list].back,
        }
    }
}
