//! What the connections of a proxy share.

use std::{
    io,
    net::SocketAddr,
    sync::{Mutex, PoisonError},
};

use tokio::sync::watch;

use super::{Fault, books::Books, door::Door, fault::Weather};

pub(super) struct Line {
    pub(super) door: Door,
    pub(super) books: Books,
    weather: watch::Sender<Weather>,
    server: Mutex<SocketAddr>,
}

impl Line {
    pub(super) fn open(server: SocketAddr) -> io::Result<Self> {
        Ok(Self {
            door: Door::open()?,
            books: Books::default(),
            weather: watch::Sender::new(Weather::default()),
            server: Mutex::new(server),
        })
    }

    pub(super) fn set_faults(&self, faults: impl IntoIterator<Item = Fault>) {
        let weather = Weather::of(faults);
        // The door first: who is woken by the weather finds it as it shall be.
        self.door.set_open(!weather.refuse);
        self.weather.send_replace(weather);
    }

    pub(super) fn weather(&self) -> watch::Receiver<Weather> {
        self.weather.subscribe()
    }

    pub(super) fn forward_to(&self, server: SocketAddr) {
        *self.server.lock().unwrap_or_else(PoisonError::into_inner) = server;
    }

    pub(super) fn server(&self) -> SocketAddr {
        *self.server.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
