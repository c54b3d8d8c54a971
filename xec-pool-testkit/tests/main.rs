//! The testkit tested: who tests with it must be able to trust it.

mod mock;

mod recorder;

mod conformance;

mod pool;
