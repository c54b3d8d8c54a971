//! Nothing: a package needs a library, and what is measured here is in `benches/`.
