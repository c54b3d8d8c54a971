//! The only file that names deadpool. It counts: a place is taken from it when a dial is ordered, and given back
//! when that connection is gone. We store: the connections that nobody holds wait here, by slot.
//!
//! Used under the pool's lock. deadpool runs none of our code then but the two methods of [`Places`].

use std::{
    convert::Infallible,
    pin::pin,
    sync::Arc,
    task::{Context, Poll, Waker},
    time::Duration,
};

use deadpool::managed::{Manager, Metrics, Object, Pool, RecycleResult, Timeouts};

use crate::{Cancelled, machine::slot::SlotId};

/// Not a connection: the right to have one.
#[derive(Debug)]
pub(crate) struct Place;

#[derive(Debug)]
pub(crate) struct Places;

impl Manager for Places {
    type Type = Place;
    type Error = Infallible;

    async fn create(&self) -> Result<Place, Infallible> {
        Ok(Place)
    }

    async fn recycle(&self, _: &mut Place, _: &Metrics) -> RecycleResult<Infallible> {
        Ok(())
    }
}

/// Places and idle connections.
#[derive(Debug)]
pub(crate) struct Shelf<C> {
    /// `None` while no place is taken: an idle pool is small.
    places: Option<Pool<Places>>,
    /// The most places there may be, and how many deadpool has been told of.
    most: u32,
    size: u32,
    entries: Vec<Entry<C>>,
}

#[derive(Debug)]
struct Entry<C> {
    place: Option<Object<Places>>,
    connection: Option<Arc<C>>,
    token: Cancelled,
}

impl<C> Shelf<C> {
    pub(crate) fn new(most: u32) -> Self {
        Self { places: None, most, size: 0, entries: Vec::new() }
    }

    /// Allows more places. Fewer are the machine's affair: deadpool's own shrinking leaves permits behind.
    pub(crate) fn grow(&mut self, most: u32) {
        self.most = self.most.max(most);
    }

    /// Takes a place for a connection that is to be dialled. `token` ends it at once.
    pub(crate) fn occupy(&mut self, slot: SlotId, token: Cancelled) {
        let place = self.take_place(slot);
        if place.is_none() {
            bug!("{slot:?} is to be dialled, but deadpool has no place for it");
        }
        let entry = Entry { place, connection: None, token };
        let index = slot.index as usize;
        if index < self.entries.len() {
            self.entries[index] = entry;
        } else {
            // Few, and for long: one at a time, so that ten thousand idle pools stay small.
            self.entries.reserve_exact(1);
            self.entries.push(entry);
        }
    }

    fn take_place(&mut self, slot: SlotId) -> Option<Object<Places>> {
        // deadpool reserves memory for all its places at once: it starts with one and grows with what is dialled.
        let places = self.places.get_or_insert_with(|| {
            self.size = 1;
            Pool::builder(Places).max_size(1).build().expect("no timeout is set, so no runtime is needed")
        });
        let size = slot.index + 1;
        if self.size < size && size <= self.most {
            places.resize(size as usize);
            self.size = size;
        }
        // Ready at the first poll: nobody ever waits for deadpool.
        let at_once = Timeouts { wait: Some(Duration::ZERO), ..Timeouts::default() };
        match pin!(places.timeout_get(&at_once)).poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(place) => place.ok(),
            Poll::Pending => None,
        }
    }

    /// Where no place is taken, keeps no room.
    pub(crate) fn rest(&mut self) {
        if self.entries.iter().all(|entry| entry.place.is_none()) {
            *self = Self::new(self.most);
        }
    }

    /// Gives the place back.
    pub(crate) fn vacate(&mut self, slot: SlotId) {
        if let Some(place) = self.entries[slot.index as usize].place.take() {
            let Place = Object::take(place);
        }
    }

    /// Puts a connection in whoever's place it has.
    pub(crate) fn put(&mut self, slot: SlotId, connection: Arc<C>) {
        self.entries[slot.index as usize].connection = Some(connection);
    }

    /// Takes it into a hand.
    pub(crate) fn take(&mut self, slot: SlotId) -> Option<Arc<C>> {
        self.entries[slot.index as usize].connection.take()
    }

    pub(crate) fn token(&self, slot: SlotId) -> Cancelled {
        self.entries[slot.index as usize].token.clone()
    }

    /// Places taken; connections stored. For the invariant: machine = shelf = those who wait.
    pub(crate) fn counts(&self) -> (usize, usize) {
        let stored = self.entries.iter().filter(|entry| entry.connection.is_some()).count();
        (self.entries.iter().filter(|entry| entry.place.is_some()).count(), stored)
    }
}
