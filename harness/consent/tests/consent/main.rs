//! Tests of the crate's public face: known answers, round trips, each cause of failure, and
//! cross-checks with Tink itself where it is installed.

mod envelope;
mod keysets;
mod path;
mod python_tink;
mod signatures;
mod support;
mod vectors;
