//! A stock client in another language, given only the sandbox folder.

mod support;

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

#[test]
fn a_grpcio_client_with_descriptors_from_the_contract_sees_what_the_contract_says() {
    let Some(python) = python() else {
        println!(
            "skipped: no Python with grpcio, protobuf and cryptography (tests/python/requirements.txt)"
        );
        return;
    };
    let folder = tempfile::tempdir().expect("a folder");
    let serve = Serve::sandbox(folder.path(), &[]);
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let output = Command::new(python)
        .arg(root.join("tests/python/halo_client.py"))
        .arg(root.join("proto/tests/data/halo-wire-contract.json"))
        .arg(folder.path())
        .output()
        .expect("Python runs");
    drop(serve);
    assert!(
        output.status.success(),
        "{}\n{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    assert!(String::from_utf8_lossy(&output.stdout).contains("everything as the contract says"));
}
