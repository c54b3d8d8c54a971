//! Every state of a pool × every fault of its server, on OpenSSH in containers: what callers see and how soon, what is
//! left afterwards, how long it takes to work again.

// The rows and the columns.
pub(crate) mod words;

// A server, a way to it, a pool.
pub(crate) mod place;

// Into the state and out of it.
mod work;

// The faults.
mod blow;

// One of them that has to be seen.
mod slow;

// What callers see and should see.
mod seen;

// What is left.
pub(crate) mod whole;

// All of it, in order.
pub(crate) mod cell;
