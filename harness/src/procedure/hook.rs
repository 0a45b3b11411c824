//! A user's own command that does a phase (interfaces.md section 4, `--hook`). Pure: what it is told
//! and what may be shown of its output; it is run by the environment.

use super::Phase;
use std::str::FromStr;

/// What stands in the place of a secret.
const BLACKED_OUT: &str = "[secret]";
/// A line of a key file that is shorter than this is not secret alone.
const SECRET_LINE_MIN: usize = 24;
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

/// The lines of a private key's PEM that give it away, and its base64 on one line.
pub fn secrets_of_pem(pem: &str) -> Vec<String> {
    let body: Vec<_> = pem.lines().map(str::trim).filter(|line| !line.starts_with('-')).collect();
    let mut secrets: Vec<_> = body
        .iter()
        .filter(|line| line.len() >= SECRET_LINE_MIN)
        .map(|&line| line.to_owned())
        .collect();
    secrets.push(body.concat());
    secrets.retain(|secret| !secret.is_empty());
    secrets
}

/// Text without these secrets and without any private key's PEM block, whole or broken off.
pub fn redact(text: &str, secrets: &[String]) -> String {
    let mut clean = String::with_capacity(text.len());
    let mut in_key = false;
    for line in text.split_inclusive('\n') {
        let begins = line.contains("-----BEGIN") && line.contains("PRIVATE KEY-----");
        if begins && !in_key {
            in_key = true;
            clean.push_str(BLACKED_OUT);
            clean.push('\n');
        }
        if !in_key {
            clean.push_str(line);
        }
        in_key &= !line.contains("-----END");
    }
    // The longest first: one may stand within another.
    let mut longest: Vec<_> = secrets.iter().filter(|secret| !secret.is_empty()).collect();
    longest.sort_by_key(|secret| std::cmp::Reverse(secret.len()));
    for secret in longest {
        clean = clean.replace(secret.as_str(), BLACKED_OUT);
    }
    clean
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

    #[test]
    fn no_private_key_and_no_known_secret_is_left_in_output() {
        let key = "-----BEGIN PRIVATE KEY-----\nAAAABBBBCCCCDDDDEEEEFFFFGGGG\nHHHH\n-----END PRIVATE KEY-----\n";
        let mut secrets = secrets_of_pem(key);
        secrets.push("api-key".to_owned());
        let clean = redact(&format!("before\n{key}after api-key\n"), &secrets);
        assert_eq!(clean, "before\n[secret]\nafter [secret]\n");
        let broken_off = redact("-----BEGIN EC PRIVATE KEY-----\nAAAA\nBBBB", &[]);
        assert_eq!(broken_off, "[secret]\n");
        let bare =
            redact("AAAABBBBCCCCDDDDEEEEFFFFGGGG and AAAABBBBCCCCDDDDEEEEFFFFGGGGHHHH", &secrets);
        assert_eq!(bare, "[secret] and [secret]");
        assert_eq!(
            redact("-----BEGIN CERTIFICATE-----\nAAAA\n", &secrets),
            "-----BEGIN CERTIFICATE-----\nAAAA\n"
        );
    }
}
