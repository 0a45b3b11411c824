//! The record of a run, and what is made from it. Pure: no file, no terminal.

pub mod junit;
pub mod record;
pub mod summary;
