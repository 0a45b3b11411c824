//! Runs a user's own command for a phase: in a process group of its own, with a bound on its time,
//! its output kept.

use crate::error::Problem;
use crate::procedure::hook::OUTPUT_MAX;
use std::collections::BTreeSet;
use std::process::Stdio;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt as _};
use tokio::process::Command;

/// The process groups of the commands that run now: whoever ends the program has to end them too.
static RUNNING: Mutex<BTreeSet<u32>> = Mutex::new(BTreeSet::new());

/// Ends all commands that run now, with what they have started, and says how many there were. What they
/// have done so far stays.
pub fn end_all() -> usize {
    let running = std::mem::take(&mut *RUNNING.lock().unwrap_or_else(PoisonError::into_inner));
    for group in &running {
        let mut kill = std::process::Command::new("bash");
        let _ = kill.args(["-c", &killing(*group)]).stderr(Stdio::null()).status();
    }
    running.len()
}

/// A group among those that run, until it is dropped.
struct Running(Option<u32>);

impl Running {
    fn new(group: Option<u32>) -> Self {
        RUNNING.lock().unwrap_or_else(PoisonError::into_inner).extend(group);
        Self(group)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(group) = self.0 {
            RUNNING.lock().unwrap_or_else(PoisonError::into_inner).remove(&group);
        }
    }
}

fn killing(group: u32) -> String {
    format!("kill -KILL -- -{group}")
}

/// How a command ended.
#[derive(Debug)]
pub struct Ended {
    /// Its exit code; `None` if a signal ended it.
    pub exit_code: Option<i32>,
    /// Whether it was ended because it took too long.
    pub timed_out: bool,
    /// What it wrote, standard output before standard error; nothing is blacked out yet.
    pub output: String,
}

/// Runs `bash -c COMMAND` with these variables beside the inherited ones.
///
/// # Errors
/// bash cannot be started.
pub async fn run(
    command: &str,
    variables: &[(&'static str, String)],
    patience: Duration,
) -> Result<Ended, Problem> {
    let mut bash = Command::new("bash");
    bash.args(["-c", command]).envs(variables.iter().map(|(name, value)| (*name, value.as_str())));
    let collected = collect(bash, patience, OUTPUT_MAX).await.map_err(|error| {
        Problem::environment(format!("bash cannot be run: {error}"), "install bash")
    })?;
    let Collected { exit_code, timed_out, mut out, err } = collected;
    out.extend_from_slice(&err);
    Ok(Ended { exit_code, timed_out, output: String::from_utf8_lossy(&out).into_owned() })
}

/// How a program ended, its two outputs apart.
pub(super) struct Collected {
    pub(super) exit_code: Option<i32>,
    pub(super) timed_out: bool,
    pub(super) out: Vec<u8>,
    pub(super) err: Vec<u8>,
}

/// Runs a program to its end, in a process group of its own, and keeps the first `max` bytes of each
/// output.
///
/// # Errors
/// It cannot be started.
pub(super) async fn collect(
    mut program: Command,
    patience: Duration,
    max: usize,
) -> std::io::Result<Collected> {
    let mut child = program
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0)
        .kill_on_drop(true)
        .spawn()?;
    let group = child.id();
    let _running = Running::new(group);
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
    let work = async {
        tokio::join!(keep(stdout, &mut out, max), keep(stderr, &mut err, max));
        child.wait().await
    };
    let waited = tokio::time::timeout(patience, work).await;
    let timed_out = waited.is_err();
    if timed_out {
        end_group(group).await;
    }
    let exit_code = match waited {
        Ok(status) => status?.code(),
        Err(_) => None,
    };
    Ok(Collected { exit_code, timed_out, out, err })
}

/// Reads to the end and keeps the beginning, so that the command never blocks on a full pipe.
async fn keep(from: Option<impl AsyncRead + Unpin>, kept: &mut Vec<u8>, max: usize) {
    let Some(mut from) = from else { return };
    let mut buffer = vec![0; 8 * 1024];
    while let Ok(read @ 1..) = from.read(&mut buffer).await {
        let room = max.saturating_sub(kept.len());
        kept.extend_from_slice(&buffer[..read.min(room)]);
    }
}

/// Ends the command and what it has started.
async fn end_group(group: Option<u32>) {
    let Some(group) = group else { return };
    let kill = killing(group);
    let _ = Command::new("bash").args(["-c", &kill]).stderr(Stdio::null()).status().await;
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run_now(command: &str, patience_ms: u64) -> Ended {
        let variables = [("HALO_PHASE", "switch".to_owned())];
        let patience = Duration::from_millis(patience_ms);
        tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap()
            .block_on(run(command, &variables, patience))
            .unwrap()
    }

    #[test]
    fn output_exit_code_and_variables_are_those_of_the_command() {
        let ended = run_now("echo err >&2; echo \"phase $HALO_PHASE\"; exit 7", 10_000);
        assert_eq!(ended.output, "phase switch\nerr\n");
        assert_eq!((ended.exit_code, ended.timed_out), (Some(7), false));
    }

    #[test]
    fn a_command_that_takes_too_long_is_ended_with_all_that_it_started() {
        let folder = tempfile::tempdir().unwrap();
        let mark = folder.path().join("mark");
        let command = format!("echo began; (read -t 3; touch {}) <> <(:) & wait", mark.display());
        let ended = run_now(&command, 300);
        assert!(ended.timed_out && ended.output == "began\n", "{ended:?}");
        // Its child waits for three seconds on a pipe: were it alive, the mark would be there then.
        let later = run_now("read -t 4 <> <(:)", 10_000);
        assert!(!later.timed_out && !mark.exists(), "{later:?}");
    }

    #[test]
    fn output_without_end_does_not_block_and_is_kept_up_to_its_bound() {
        let ended = run_now("head -c 300000 /dev/zero | tr '\\0' x", 10_000);
        assert_eq!((ended.exit_code, ended.output.len()), (Some(0), OUTPUT_MAX));
    }
}
