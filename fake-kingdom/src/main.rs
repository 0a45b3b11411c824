//! `fake-kingdom`: the fake Kingdom as a process of its own. See `fake-kingdom serve --help`.

use clap::Parser as _;
use std::process::ExitCode;

fn main() -> ExitCode {
    fake_kingdom::serve::run(fake_kingdom::serve::Cli::parse())
}
