//! The fault proxy, between a bare client and a bare server.

mod blows;

mod faults;

mod run_time;

mod stage;
