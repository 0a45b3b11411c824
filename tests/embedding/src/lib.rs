//! An example of a foreign crate: see `tests/embed.rs`.
