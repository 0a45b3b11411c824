//! Tests of the harness by what its users see: verdicts, ids, records, exit codes.

mod command_line;
mod dead_certificates;
mod deadness;
mod golden;
mod hooks;
mod judgement;
mod negative_twins;
mod records;
mod repairs;
mod reports;
mod scenario_files;
mod support;
