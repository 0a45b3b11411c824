//! The commands of `docs/walk-through.md`, run as printed.
//!
//! The two programs are on PATH: `halo-harness` is the built one, `fake-kingdom` is this very
//! program under that name, since cargo builds only this package's programs for its tests.

use clap::Parser as _;
use libtest_mimic::{Arguments, Failed, Trial};
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::{Command, ExitCode, Output, Stdio};

fn main() -> ExitCode {
    let name = std::env::args_os().next().unwrap_or_default();
    if Path::new(&name).file_name().is_some_and(|name| name == "fake-kingdom") {
        return fake_kingdom::serve::run(fake_kingdom::serve::Cli::parse());
    }
    let missing = ["bash", "curl"].into_iter().find(|program| {
        let status = Command::new(program)
            .arg("--version")
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status();
        !status.is_ok_and(|status| status.success())
    });
    if let Some(program) = missing {
        eprintln!("skipped: no {program}");
    }
    let trial = |name: &str, run: fn() -> Result<(), Failed>| {
        Trial::test(name, run).with_ignored_flag(missing.is_some())
    };
    let trials = vec![
        trial("every_command_of_the_walk_through_does_what_it_says", as_printed),
        trial("without_the_revocation_the_walk_through_fails", without_revocation),
        trial("with_the_old_certificate_still_good_its_refusal_is_missed", with_the_old_one_alive),
    ];
    libtest_mimic::run(&Arguments::from_args(), trials).exit_code()
}

fn as_printed() -> Result<(), Failed> {
    let output = run(&commands()?)?;
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    if !output.status.success() {
        return Err(failure("it ends badly", &output));
    }
    for line in [
        "DataProvider name: dataProviders/",
        "Data Provider Resource: dataProviders/",
        "Signature algorithm: ECDSA_WITH_SHA256 (1.2.840.10045.4.3.2)",
        "revocation_state: REVOKED",
        "State: FAILED - CERTIFICATE_REVOKED: ",
        "FAILED_PRECONDITION",
        " 0 findings",
    ] {
        if !said.contains(line) {
            return Err(failure(&format!("`{line}` was not printed"), &output));
        }
    }
    Ok(())
}

/// The negative twin: a certificate that is merely on hold is not what the text promises.
fn without_revocation() -> Result<(), Failed> {
    let script = commands()?;
    let held = script.replace("--revocation-state REVOKED", "--revocation-state HOLD");
    must_fail(&script, &held, "")
}

/// The negative twin of the refusal alone: without any revocation, and nobody looking at its state,
/// the old certificate is taken, and the walk-through says so.
fn with_the_old_one_alive() -> Result<(), Failed> {
    let script = commands()?;
    let lines =
        script.lines().filter(|line| !line.contains("REVOKED") && !line.contains(" revoke "));
    must_fail(&script, &lines.collect::<Vec<_>>().join("\n"), "the revoked certificate still works")
}

fn must_fail(script: &str, changed: &str, message: &str) -> Result<(), Failed> {
    if changed == script {
        return Err("the walk-through has no revocation to take out".into());
    }
    let output = run(changed)?;
    if output.status.success() {
        return Err(failure("it passes all the same", &output));
    }
    if !String::from_utf8_lossy(&output.stderr).contains(message) {
        return Err(failure(&format!("it fails without `{message}`"), &output));
    }
    Ok(())
}

/// All fenced `sh` blocks, in order.
fn commands() -> Result<String, Failed> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/walk-through.md");
    let text = std::fs::read_to_string(path)?;
    let mut script = String::new();
    let mut inside = false;
    for line in text.lines() {
        match line {
            "```sh" => inside = true,
            "```" => inside = false,
            _ if line.starts_with("```") => {
                return Err(format!("a block of another kind: {line}").into());
            }
            line if inside => {
                script.push_str(line);
                script.push('\n');
            }
            _ => {}
        }
    }
    if inside || script.is_empty() {
        return Err("the walk-through's blocks are not as they should be".into());
    }
    Ok(script)
}

fn run(script: &str) -> Result<Output, Failed> {
    let folder = tempfile::tempdir()?;
    let programs = folder.path().join("programs");
    std::fs::create_dir(&programs)?;
    symlink(env!("CARGO_BIN_EXE_halo-harness"), programs.join("halo-harness"))?;
    symlink(std::env::current_exe()?, programs.join("fake-kingdom"))?;
    let mut paths = vec![programs];
    paths.extend(std::env::split_paths(&std::env::var_os("PATH").unwrap_or_default()));
    let work = folder.path().join("work");
    std::fs::create_dir(&work)?;
    let file = folder.path().join("walk-through.sh");
    std::fs::write(&file, script)?;
    Ok(Command::new("bash")
        .args(["-euo", "pipefail"])
        .arg(&file)
        .current_dir(&work)
        .env("PATH", std::env::join_paths(paths)?)
        .stdin(Stdio::null())
        .output()?)
}

fn failure(what: &str, output: &Output) -> Failed {
    format!(
        "{what}: {}\n--- printed\n{}\n--- errors\n{}",
        output.status,
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    )
    .into()
}
