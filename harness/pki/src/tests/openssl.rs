//! Cross-checks with the `openssl` command, where there is one.

use std::path::Path;
use std::process::{Command, Output};

use super::{NOW, authority, rng};
use crate::{Crl, CrlSpec, LeafSpec, RevokedSerial, Validity, inspect};

/// Runs openssl in `folder`; `None`, after saying so, when there is no such command.
#[allow(clippy::print_stdout)]
fn openssl(folder: &Path, arguments: &[&str]) -> Option<Output> {
    match Command::new("openssl").args(arguments).current_dir(folder).output() {
        Ok(output) => Some(output),
        Err(error) => {
            println!("skipped: no openssl command ({error})");
            None
        }
    }
}

fn text(output: &Output) -> String {
    String::from_utf8_lossy(&[&output.stdout[..], &output.stderr].concat()).into_owned()
}

#[test]
fn openssl_verifies_a_leaf_and_computes_the_same_key_identifier() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let root = authority("a", 1);
    let leaf = LeafSpec::new("leaf", Validity::days(NOW, 365));
    let leaf = root.issue(&leaf, &mut rng(2)).unwrap();
    std::fs::write(at("root.pem"), root.certificate_pem()).unwrap();
    std::fs::write(at("leaf.pem"), leaf.certificate_pem()).unwrap();
    std::fs::write(at("leaf.key"), leaf.key().pkcs8_pem()).unwrap();
    let now = NOW.unix_timestamp().to_string();
    let verify = ["verify", "-attime", &now, "-CAfile", "root.pem", "leaf.pem"];
    let Some(output) = openssl(folder.path(), &verify) else { return };
    assert!(output.status.success(), "{}", text(&output));
    let subject = "/O=Halo Conformance/CN=leaf";
    let make = [
        "req",
        "-x509",
        "-key",
        "leaf.key",
        "-subj",
        subject,
        "-outform",
        "DER",
        "-out",
        "own.der",
        "-addext",
        "subjectKeyIdentifier=hash",
    ];
    let output = openssl(folder.path(), &make).unwrap();
    assert!(output.status.success(), "{}", text(&output));
    let own = inspect(&std::fs::read(at("own.der")).unwrap()).unwrap();
    assert_eq!(own.skid, Some(leaf.key().subject_key_identifier()));
    assert_eq!(own.public_key_info, leaf.key().public_key_info_der());
}

#[test]
fn openssl_finds_a_serial_in_a_revocation_list() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let root = authority("a", 1);
    let spec = LeafSpec {
        serial: Some(vec![0x12, 0x34]),
        ..LeafSpec::new("leaf", Validity::days(NOW, 365))
    };
    let leaf = root.issue(&spec, &mut rng(2)).unwrap();
    let crl = CrlSpec {
        this_update: NOW,
        next_update: NOW + time::Duration::days(7),
        number: 1,
        revoked: vec![RevokedSerial { serial: vec![0x12, 0x34], revoked_at: NOW, reason: None }],
    };
    std::fs::write(at("root.pem"), root.certificate_pem()).unwrap();
    std::fs::write(at("leaf.pem"), leaf.certificate_pem()).unwrap();
    std::fs::write(at("crl.pem"), Crl::issue(&root, &crl).unwrap().pem()).unwrap();
    let now = NOW.unix_timestamp().to_string();
    let verify = [
        "verify",
        "-attime",
        &now,
        "-crl_check",
        "-CRLfile",
        "crl.pem",
        "-CAfile",
        "root.pem",
        "leaf.pem",
    ];
    let Some(output) = openssl(folder.path(), &verify) else { return };
    assert!(text(&output).contains("certificate revoked"), "{}", text(&output));
}
