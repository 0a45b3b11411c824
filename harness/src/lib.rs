//! Runs Gherkin scenarios against a Kingdom and judges what was observed.
//!
//! One way only: a [`scenario`] is read from its `.feature`, its steps are matched by [`steps`],
//! act on the [`world`], which reaches a Kingdom through an [`environment`] and speaks to it with a
//! [`client`]. Everything that happens becomes an [`observation`]; [`verdict`] judges the
//! observations alone, and [`report`] shows the judgements. [`run`] drives scenarios side by side,
//! [`cli`] is the command line.
//!
//! *Steps* hold no rules: a `Then` asks [`verdict::check`]. *Verdict* and *report* do no I/O.
//! Only [`environment`] knows where anything runs.

pub mod cli;
pub mod client;
pub mod coverage;
pub mod deviations;
pub mod environment;
pub mod error;
pub mod impact;
mod nearest;
pub mod observation;
pub mod participant;
pub mod probe;
pub mod procedure;
pub mod quirk;
pub mod report;
pub mod run;
pub mod scenario;
pub mod steps;
pub mod tools;
pub mod twins;
pub mod verdict;
pub mod world;
