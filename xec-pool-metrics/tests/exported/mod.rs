//! Every row of `names.rs`, success and each failure, and what must never happen.

// An SDK to look into, a gate to shut, and things that happen.
mod lab;

mod gate;

mod scenes;

// Each instrument, each failure.
mod rows;

// What is read at collection.
mod levels;

// What takes a while.
mod spans;

mod overlap;

mod trees;

// Whatever happens at either end.
mod storm;

mod exporters;

// What is printed, and what asks for it.
mod readme;

mod dashboards;
