//! What happens to servers, ways and pools.

use std::{
    num::NonZeroU32,
    sync::{Arc, atomic::Ordering},
    thread,
    time::Duration,
};

use fastrand::Rng;
use xec_pool_testkit::proxy::{Blow, Direction, Fault};

use crate::{
    Over,
    figures::Figures,
    place::{Place, behaviour},
};

/// Between two faults of one server: at least, and at most.
const CALM: [u64; 2] = [300, 4_000];

/// Hits a server and the way to it, until the time is over; then all is well again.
pub(crate) fn rage(place: &Place, figures: &Figures, over: &Over, mut chance: Rng) {
    while !over.load(Ordering::Acquire) {
        thread::sleep(Duration::from_millis(chance.u64(CALM[0]..CALM[1])));
        let lasts = Duration::from_millis(chance.u64(50..2_500));
        match chance.u32(..8) {
            0 => drop(place.sshd().kill_connections()),
            1 => {
                place.sshd().stop();
                thread::sleep(lasts);
                place.sshd().cont();
            }
            2 => {
                place.sshd().kill();
                thread::sleep(lasts);
                place.sshd().restart().expect("its port is its own");
            }
            3 => drop(place.way.strike(Blow::Reset)),
            4 => drop(place.way.strike(Blow::Close)),
            _ => {
                place.way.set_faults([fault(&mut chance)]);
                thread::sleep(lasts);
                place.way.clear_faults();
            }
        }
        figures.faulted();
    }
}

fn fault(chance: &mut Rng) -> Fault {
    let ms = Duration::from_millis;
    match chance.u32(..8) {
        0 => Fault::Latency { delay: ms(chance.u64(1..50)), jitter: ms(chance.u64(..20)) },
        1 => {
            Fault::Throttle { bytes_per_second: NonZeroU32::new(chance.u32(20_000..500_000)).expect("more than zero") }
        }
        2 => Fault::BlackHole,
        3 => Fault::Freeze(Direction::ToServer),
        4 => Fault::Freeze(Direction::ToClient),
        5 => Fault::StallAfterBanner,
        6 => Fault::StrikeAfter { direction: Direction::ToClient, bytes: chance.u64(..100_000), blow: Blow::Reset },
        _ => Fault::Refuse,
    }
}

/// Changes a pool's limits, and now and then all of its configuration: then it is another pool.
pub(crate) async fn change(place: Arc<Place>, figures: Arc<Figures>, over: Over, mut chance: Rng) {
    while !over.load(Ordering::Acquire) {
        tokio::time::sleep(Duration::from_millis(chance.u64(200..3_000))).await;
        let pool = place.pool();
        match chance.u32(..10) {
            0..4 => {
                let max = chance.u32(1..7);
                pool.set_limits(chance.u32(..=max), max).expect("min is not above max");
            }
            4..7 => {
                pool.suspend();
                tokio::time::sleep(Duration::from_millis(chance.u64(..500))).await;
                pool.resume();
            }
            7..9 => drop(pool.warm(chance.u32(1..5)).await),
            _ => {
                drop(pool);
                let within = Duration::from_millis(chance.u64(..2_000));
                place.renew(within, behaviour(&mut chance)).await;
            }
        }
        figures.changed();
    }
}
