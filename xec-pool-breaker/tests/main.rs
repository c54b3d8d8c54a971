//! The breaker as its users have it: through its gate, with real pools, on paused time.

mod breaker;
