//! The promises. Checked after every fact in debug builds, and by the property test.

use super::{Machine, slot::Slot};
use crate::{Check, ConnectionState, Phase};

/// A promise, with its name.
type Promise = (&'static str, fn(&Machine) -> bool);

/// All of them.
pub(crate) const ALL: &[Promise] = &[
    ("never_over_max", never_over_max),
    ("the_queue_is_bounded", the_queue_is_bounded),
    ("nobody_waits_in_vain", nobody_waits_in_vain),
    ("nobody_waits_for_a_dial_that_could_start", nobody_waits_for_a_dial_that_could_start),
    ("nobody_waits_at_a_shut_gate", nobody_waits_at_a_shut_gate),
    ("the_minimum_is_kept", the_minimum_is_kept),
    ("the_shelf_holds_the_idle_and_only_them", the_shelf_holds_the_idle_and_only_them),
    ("fifo_is_exact", fifo_is_exact),
    ("draining_keeps_nothing", draining_keeps_nothing),
    ("counters_add_up", counters_add_up),
];

/// Panics, in debug builds, if a promise is broken.
pub(crate) fn check(machine: &mut Machine) {
    if cfg!(debug_assertions) {
        // What was too many may only become fewer.
        machine.most_allowed = machine.limits.max.max(machine.slots.taken().min(machine.most_allowed));
        if let Some((broken, _)) = ALL.iter().find(|(_, holds)| !holds(machine)) {
            panic!("broken promise: {broken}\n{machine:#?}");
        }
    }
}

/// Every slot counts, from `Connect` to `Closed`. After the maximum was lowered nothing is added until it fits.
fn never_over_max(machine: &Machine) -> bool {
    machine.slots.taken() <= machine.most_allowed
}

fn the_queue_is_bounded(machine: &Machine) -> bool {
    // Those who had a supply of their own when they came were never more than there was supply.
    let own = machine.queue.iter().filter(|(_, waiter)| !waiter.counted && !waiter.again).count();
    machine.queue.counted() <= machine.limits.queue_capacity && own <= machine.most_ever as usize
}

/// Nobody who could use it waits while a connection is idle.
fn nobody_waits_in_vain(machine: &Machine) -> bool {
    let promised = machine.slots.borrow_checks + machine.dials_owed;
    machine.slots.idle.is_empty()
        || machine.suspended
        || machine.phase != Phase::Open
        || machine.queue.len() <= promised && machine.dials_owed <= machine.slots.count(ConnectionState::Connecting)
}

/// Where callers wait, a place is free and nothing holds dials back, a dial is on its way for them.
fn nobody_waits_for_a_dial_that_could_start(machine: &Machine) -> bool {
    let connecting = machine.slots.count(ConnectionState::Connecting);
    let could_start = machine.dials_for_callers() > 0
        && machine.free_places() > 0
        && machine.dialling.may_start(connecting, false, machine.now);
    machine.suspended || machine.phase != Phase::Open || !could_start
}

/// Where the gate is shut and there is nothing that could serve them, callers have been told.
fn nobody_waits_at_a_shut_gate(machine: &Machine) -> bool {
    let shut_out = machine.supply() == 0 && machine.dialling.shut_until(machine.now).is_some();
    machine.suspended || machine.phase != Phase::Open || machine.queue.is_empty() || !shut_out
}

/// As many as there shall be at least are open or on their way; else a dial for them must rest, and its time is known.
fn the_minimum_is_kept(machine: &Machine) -> bool {
    let connecting = machine.slots.count(ConnectionState::Connecting);
    let kept = machine.open() + connecting - machine.retiring >= machine.limits.min;
    if kept || machine.suspended || machine.phase != Phase::Open || machine.free_places() == 0 {
        return true;
    }
    let background = machine.dials_for_callers() == 0 && !machine.is_warming();
    let rests = !machine.dialling.may_start(connecting, background, machine.now);
    // Past its alarm the housekeeper is about to look.
    machine.alarm < machine.now || rests && machine.alarm <= machine.dialling.next_try(background, machine.now)
}

fn the_shelf_holds_the_idle_and_only_them(machine: &Machine) -> bool {
    let idle = machine.slots.all().filter(|(_, slot)| slot.is(ConnectionState::Idle)).count();
    idle == machine.slots.idle.len()
        && machine.slots.idle.iter().all(|&id| machine.is_in(id, ConnectionState::Idle))
        && machine.slots.idle.is_sorted_by_key(|&id| machine.slots.get(id).map(|slot| slot.idle_since))
}

/// Those who came first stand first; who asks again keeps its turn.
fn fifo_is_exact(machine: &Machine) -> bool {
    machine.limits.newest_first || machine.queue.iter().map(|(_, waiter)| waiter.asked_at).is_sorted()
}

fn draining_keeps_nothing(machine: &Machine) -> bool {
    machine.phase == Phase::Open || (machine.slots.idle.is_empty() && machine.queue.is_empty())
}

fn counters_add_up(machine: &Machine) -> bool {
    let slots = &machine.slots;
    let recount = |holds: &dyn Fn(&Slot) -> bool| slots.all().filter(|(_, slot)| holds(slot)).count() as u32;
    let by_state = ConnectionState::ALL.iter().all(|&state| slots.count(state) == recount(&|slot| slot.is(state)));
    let open = u64::from(recount(&|slot| slot.opened));
    let leases: u32 = slots.all().map(|(_, slot)| slot.leases).sum();
    by_state
        && slots.taken() == slots.all().count() as u32
        && slots.borrow_checks == recount(&|slot| slot.check == Some(Check::Borrow))
        && slots.doomed_active == recount(&|slot| slot.is(ConnectionState::Active) && slot.doomed.is_some())
        && machine.retiring == recount(&|slot| slot.retiring)
        && leases == slots.count(ConnectionState::Active)
        && machine.tally.created - machine.tally.destroyed.total() == open
        && machine.tally.acquired - machine.tally.released == u64::from(leases)
        && machine.queue.iter().count() == machine.queue.len() as usize
        && machine.queue.iter().filter(|(_, waiter)| waiter.counted).count() == machine.queue.counted() as usize
}
