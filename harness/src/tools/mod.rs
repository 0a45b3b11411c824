//! Command-line tools that mirror the real ones (contract 4), so that a written procedure is
//! rehearsed by changing one word, and `pki` (interfaces.md section 5).
//!
//! [`api`] is the real `MeasurementSystem`, [`keys`] `EncryptionPublicKeys`, [`provision`]
//! `CreateResource`: same options, positional arguments, files, printed lines and exit codes. What
//! they do differently by choice is a quirk of contract 5.12, see [`default_quirks`].

pub mod api;
mod event_options;
mod files;
pub mod impact;
pub mod keys;
mod measurements;
mod participant;
pub mod pki;
pub mod provision;
mod session;
pub mod text;

use crate::quirk::{Fidelity, PeerQuirk, PeerQuirks, PeerSetting};
use clap::{Args, CommandFactory, ValueEnum};
use std::io;

/// How a tool prints.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// The lines of the real tool.
    #[default]
    Human,
    /// The answer in protobuf's JSON form.
    Json,
}

/// The options that the real tools do not have; they too come before the command.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Options that the real tool does not have")]
pub struct OurOptions {
    /// Switch one oddity of the real tool: NAME=faithful or NAME=as-documented
    #[arg(long = "quirk", value_name = "NAME=BEHAVIOUR")]
    quirks: Vec<PeerSetting>,
    /// How to print
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

impl OurOptions {
    /// The choice for each quirk; `mine` are those that this tool has.
    fn quirks(&self, mine: &[PeerQuirk]) -> Result<PeerQuirks, ToolError> {
        for setting in &self.quirks {
            if !mine.contains(&setting.quirk) {
                let known: Vec<_> = mine.iter().map(|quirk| quirk.name()).collect();
                return Err(ToolError::usage(
                    &[],
                    format!(
                        "`{}` is no quirk of this tool; it has {}",
                        setting.quirk,
                        known.join(", ")
                    ),
                ));
            }
        }
        Ok(default_quirks().with_settings(&self.quirks))
    }
}

/// What the tools do when nothing is switched: as the real ones, except that they record the
/// signature algorithm (contract 3.1.5) and have options to page through lists.
pub fn default_quirks() -> PeerQuirks {
    PeerQuirks::all(Fidelity::Faithful)
        .with(PeerQuirk::CliSendsNoOid, Fidelity::AsDocumented)
        .with(PeerQuirk::CliListsFirstPageOnly, Fidelity::AsDocumented)
}

/// Why a tool did not do what it was asked for.
#[derive(Debug)]
pub enum ToolError {
    /// Options that do not go together: message and usage, exit code 2 (contract 4.0.3).
    Usage {
        /// The command, without the program's name.
        command: Vec<&'static str>,
        /// What is wrong.
        what: String,
    },
    /// Anything that fails while running: exit code 1 (contract 4.0.3).
    Failed(String),
    /// The result cannot be written.
    Output(io::Error),
}

impl ToolError {
    fn usage(command: &[&'static str], what: impl Into<String>) -> Self {
        Self::Usage { command: command.to_vec(), what: what.into() }
    }

    fn failed(what: impl Into<String>) -> Self {
        Self::Failed(what.into())
    }
}

impl From<io::Error> for ToolError {
    fn from(error: io::Error) -> Self {
        Self::Output(error)
    }
}

/// Every quirk that one of the tools has.
pub fn quirks() -> impl Iterator<Item = PeerQuirk> {
    [api::QUIRKS, keys::QUIRKS, provision::QUIRKS].concat().into_iter()
}

/// The usage lines of a command of the program `C`, for the message of a usage error.
pub fn usage_text<C: CommandFactory>(path: &[&str]) -> String {
    let mut root = C::command();
    root.build();
    let mut command = &mut root;
    for name in path {
        if command.find_subcommand(name).is_none() {
            break;
        }
        command = command.find_subcommand_mut(name).unwrap_or_else(|| unreachable!("just found"));
    }
    command.render_usage().to_string()
}

/// Tells the user something that does not change the outcome.
fn warn(what: &str) {
    use io::Write as _;
    let _ = writeln!(io::stderr(), "halo-harness: warning: {what}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn by_default_only_the_oid_and_paging_differ_from_the_real_tools() {
        let different: Vec<_> = PeerQuirk::ALL
            .iter()
            .filter(|&&quirk| !default_quirks().faithful(quirk))
            .map(|quirk| quirk.name())
            .collect();
        assert_eq!(different, ["cli-sends-no-oid", "cli-lists-first-page-only"]);
    }

    #[test]
    fn the_documentation_lists_each_quirk_of_the_tools_with_its_default_and_no_other() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/tools.md");
        let text = std::fs::read_to_string(path).unwrap();
        let ours = [api::QUIRKS, keys::QUIRKS, provision::QUIRKS].concat();
        for &quirk in PeerQuirk::ALL {
            let row = format!("| `{quirk}` | {} |", default_quirks().fidelity(quirk));
            assert_eq!(text.contains(&row), ours.contains(&quirk), "{row}");
        }
    }
}
