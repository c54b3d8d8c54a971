//! The embedded server, seen by a raw russh client.

mod client;

mod commands;

mod faults;

mod limits;

mod login;
