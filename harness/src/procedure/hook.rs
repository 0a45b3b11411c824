//! A user's own command that does a phase (interfaces.md section 4, `--hook`). Pure; it is run by the
//! environment, and what may be shown of its output is in [`redaction`](super::redaction).

use super::Phase;
use std::str::FromStr;

/// The most of a command's output that is kept, in bytes.
pub const OUTPUT_MAX: usize = 64 * 1024;

/// `PHASE=COMMAND` of the command line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hook {
    /// The phase that it does.
    pub phase: Phase,
    /// What `bash -c` is given.
    pub command: String,
}

impl FromStr for Hook {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (phase, command) = text
            .split_once('=')
            .ok_or_else(|| "write PHASE=COMMAND, such as `switch=./my-switch.sh`".to_owned())?;
        let phase = phase.parse().map_err(|error: super::UnknownPhase| error.to_string())?;
        if command.trim().is_empty() {
            return Err("the command is empty; write PHASE=COMMAND".to_owned());
        }
        Ok(Self { phase, command: command.to_owned() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hook_is_a_phase_and_a_command_that_may_hold_any_sign() {
        let hook: Hook = "switch=FOO=1 ./x.sh".parse().unwrap();
        assert_eq!((hook.phase, hook.command.as_str()), (Phase::Switch, "FOO=1 ./x.sh"));
        for bad in ["switch", "swich=./x.sh", "switch= ", "=./x.sh"] {
            assert!(bad.parse::<Hook>().is_err(), "{bad}");
        }
    }
}
