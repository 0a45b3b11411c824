//! Tests of the crate's public face: known answers, round trips, each cause of failure. The
//! cross-checks with Tink itself are a program of their own, `python_tink`.

mod envelope;
mod keysets;
mod path;
mod signatures;
mod support;
mod vectors;
