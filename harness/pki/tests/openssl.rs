//! Cross-checks with the `openssl` command. Without it they are shown as ignored.

use std::path::Path;
use std::process::{Command, ExitCode, Output};

use halo_pki::{
    Authority, AuthoritySpec, Crl, CrlSpec, LeafSpec, RevokedSerial, Validity, inspect,
};
use libtest_mimic::{Arguments, Trial};
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng as _;
use time::OffsetDateTime;
use time::macros::datetime;

const NOW: OffsetDateTime = datetime!(2026-11-21 12:00:00 UTC);

fn main() -> ExitCode {
    let missing = Command::new("openssl").arg("version").output().is_err();
    if missing {
        eprintln!("skipped: no openssl command");
    }
    let tests: [(&str, fn()); 2] = [
        (
            "openssl_verifies_a_leaf_and_computes_the_same_key_identifier",
            openssl_verifies_a_leaf_and_computes_the_same_key_identifier,
        ),
        (
            "openssl_finds_a_serial_in_a_revocation_list",
            openssl_finds_a_serial_in_a_revocation_list,
        ),
    ];
    let trials = tests.into_iter().map(|(name, test)| {
        let run = move || {
            test();
            Ok(())
        };
        Trial::test(name, run).with_ignored_flag(missing)
    });
    libtest_mimic::run(&Arguments::from_args(), trials.collect()).exit_code()
}

/// Runs openssl in `folder`.
fn openssl(folder: &Path, arguments: &[&str]) -> Output {
    Command::new("openssl").args(arguments).current_dir(folder).output().unwrap()
}

fn rng(seed: u64) -> ChaCha20Rng {
    ChaCha20Rng::seed_from_u64(seed)
}

fn authority() -> Authority {
    let spec = AuthoritySpec {
        organization: "Test".to_owned(),
        common_name: "a CA".to_owned(),
        dns_name: "ca.a.example".to_owned(),
        validity: Validity::days(NOW, 3650),
    };
    Authority::create(&spec, &mut rng(1)).unwrap()
}

fn text(output: &Output) -> String {
    String::from_utf8_lossy(&[&output.stdout[..], &output.stderr].concat()).into_owned()
}

fn openssl_verifies_a_leaf_and_computes_the_same_key_identifier() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let root = authority();
    let leaf = LeafSpec::new("leaf", Validity::days(NOW, 365));
    let leaf = root.issue(&leaf, &mut rng(2)).unwrap();
    std::fs::write(at("root.pem"), root.certificate_pem()).unwrap();
    std::fs::write(at("leaf.pem"), leaf.certificate_pem()).unwrap();
    std::fs::write(at("leaf.key"), leaf.key().pkcs8_pem()).unwrap();
    let now = NOW.unix_timestamp().to_string();
    let verify = ["verify", "-attime", &now, "-CAfile", "root.pem", "leaf.pem"];
    let output = openssl(folder.path(), &verify);
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
    let output = openssl(folder.path(), &make);
    assert!(output.status.success(), "{}", text(&output));
    let own = inspect(&std::fs::read(at("own.der")).unwrap()).unwrap();
    assert_eq!(own.skid, Some(leaf.key().subject_key_identifier()));
    assert_eq!(own.public_key_info, leaf.key().public_key_info_der());
}

fn openssl_finds_a_serial_in_a_revocation_list() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let root = authority();
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
    let output = openssl(folder.path(), &verify);
    assert!(text(&output).contains("certificate revoked"), "{}", text(&output));
}
