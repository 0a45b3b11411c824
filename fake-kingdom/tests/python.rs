//! A stock client in another language, given only the sandbox folder.

mod support;

use libtest_mimic::{Arguments, Failed, Trial};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use support::Serve;

/// A Python that has grpcio and cryptography: the environment of `.ci/run`, else the system's.
fn python() -> Option<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let candidates = [root.join("target/python-client/bin/python"), PathBuf::from("python3")];
    candidates.into_iter().find(|python| {
        Command::new(python)
            .args(["-c", "import grpc, cryptography, google.protobuf"])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status()
            .is_ok_and(|status| status.success())
    })
}

fn main() {
    let python = python();
    if python.is_none() {
        eprintln!(
            "skipped: no Python with grpcio, protobuf and cryptography (tests/python/requirements.txt)"
        );
    }
    let missing = python.is_none();
    let name = "a_grpcio_client_with_descriptors_from_the_contract_sees_what_the_contract_says";
    let trial =
        Trial::test(name, move || walk(&python.unwrap_or_default())).with_ignored_flag(missing);
    libtest_mimic::run(&Arguments::from_args(), vec![trial]).exit();
}

fn walk(python: &Path) -> Result<(), Failed> {
    let folder = tempfile::tempdir()?;
    let serve = Serve::sandbox(folder.path(), &[]);
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let output = Command::new(python)
        .arg(root.join("tests/python/halo_client.py"))
        .arg(root.join("proto/tests/data/halo-wire-contract.json"))
        .arg(folder.path())
        .output()?;
    drop(serve);
    let said = String::from_utf8_lossy(&output.stdout);
    if output.status.success() && said.contains("everything as the contract says") {
        Ok(())
    } else {
        Err(format!("{said}\n{}", String::from_utf8_lossy(&output.stderr)).into())
    }
}
