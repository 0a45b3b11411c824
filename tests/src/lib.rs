//! Tests that need more than one of our crates; see the files beside `Cargo.toml`.
