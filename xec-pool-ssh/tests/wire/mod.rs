//! Real SSH on real TCP, every bad day on command.

mod support;

// Getting a connection, or a good reason why not.
mod connect;

// Whom it believes.
mod trust;

// And who ends it: the transport, which can tell what took so long.
mod limits;

// Commands that come to an end.
mod commands;

// Connections that do not.
mod lost;

// Callers that do not stay.
mod cancel;

// What a pool asks of a transport.
mod checks;

// What every pool asks of every transport.
mod conformance;

// And all of it together.
mod pool;

// Also where the runtime goes.
mod runtime;

// Who watches.
mod watched;
