//! The record of a run, and what is made from it. Pure: no file, no terminal.

pub mod cucumber;
pub mod evidence;
pub mod html;
pub mod incident;
pub mod junit;
pub mod record;
pub mod repro;
pub mod steps;
pub mod summary;
pub mod timeline;
