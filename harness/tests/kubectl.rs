//! Kustomization folders: what we make of one beside what `kubectl kustomize` makes of it, and who renders
//! it in which environment. What needs kubectl is shown as ignored without it.

use halo_harness::environment::{kustomize, secrets};
use libtest_mimic::{Arguments, Trial};
use std::ffi::OsStr;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, ExitCode};
use tempfile::TempDir;

const KUSTOMIZATION: &str = "apiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\n\n\
    secretGenerator:\n- name: certs-and-configs\n  files:\n  - kingdom_tls.pem\n  - sub/kingdom_tls.key\n\
    # by another key\n- name: tls\n  type: kubernetes.io/tls\n  files:\n    - tls.crt=kingdom_tls.pem\n    \
    - tls.key=sub/kingdom_tls.key\n";

/// What we render ourselves: the Kingdom's files in one Secret.
const PLAIN: &str = "secretGenerator:\n- name: certs-and-configs\n  files:\n  - all_root_certs.pem\n  \
    - kingdom_root.pem\n  - kingdom_tls.pem\n  - kingdom_tls.key\n  \
    - authority_key_identifier_to_principal_map.textproto\n  - duchy_cert_config.textproto\n  \
    - duchy_id_config.textproto\n";

/// What only kubectl renders: a namespace, a patch, and the configuration in a ConfigMap.
const ONLY_KUBECTL: &str = "namespace: halo\nsecretGenerator:\n- name: certs\n  files:\n  \
    - all_root_certs.pem\n  - kingdom_root.pem\n  - kingdom_tls.pem\n  - kingdom_tls.key\n\
    configMapGenerator:\n- name: config-files\n  files:\n  \
    - authority_key_identifier_to_principal_map.textproto\n  - duchy_cert_config.textproto\n  \
    - duchy_id_config.textproto\npatches:\n- target:\n    kind: Secret\n    name: certs\n  \
    patch: '[{\"op\": \"add\", \"path\": \"/metadata/labels\", \"value\": {\"app\": \"kingdom\"}}]'\n";

fn main() -> ExitCode {
    let missing = Command::new("kubectl").args(["version", "--client"]).output().is_err();
    if missing {
        eprintln!("skipped: no kubectl to compare with");
    }
    let trial = |name: &'static str, run: fn(), needs_kubectl: bool| {
        let run = move || {
            run();
            Ok(())
        };
        Trial::test(name, run).with_ignored_flag(missing && needs_kubectl)
    };
    let trials = vec![
        trial("names_and_files_are_kubectl_s", names_and_files_are_kubectl_s, true),
        trial(
            "a_folder_that_only_kubectl_renders_works_on_loopback",
            a_folder_that_only_kubectl_renders_works_on_loopback,
            true,
        ),
        trial(
            "a_wrong_folder_is_told_in_kubectl_s_words",
            a_wrong_folder_is_told_in_kubectl_s_words,
            true,
        ),
        trial(
            "without_kubectl_such_a_folder_is_refused_and_a_plain_one_works",
            without_kubectl_such_a_folder_is_refused_and_a_plain_one_works,
            false,
        ),
        trial(
            "simulation_asks_no_kubectl_and_loopback_does",
            simulation_asks_no_kubectl_and_loopback_does,
            false,
        ),
    ];
    libtest_mimic::run(&Arguments::from_args(), trials).exit_code()
}

fn names_and_files_are_kubectl_s() {
    // Both sides of one line of base64, and many: kubectl folds what is long, and hashes it so.
    for length in [12, 51, 52, 53, 1200] {
        let certificate = "a line of a certificate\n".repeat(50);
        names_and_files_agree(&certificate[..length]);
    }
}

fn names_and_files_agree(certificate: &str) {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("sub")).unwrap();
    for (name, content) in [
        ("kustomization.yaml", KUSTOMIZATION),
        ("kingdom_tls.pem", certificate),
        ("sub/kingdom_tls.key", "key <&>\n"),
    ] {
        fs::write(folder.path().join(name), content).unwrap();
    }
    let theirs = Command::new("kubectl").arg("kustomize").arg(folder.path()).output().unwrap();
    assert!(theirs.status.success(), "{}", String::from_utf8_lossy(&theirs.stderr));
    let theirs = kustomize::manifests(&String::from_utf8(theirs.stdout).unwrap()).unwrap();
    let ours = secrets::render(folder.path()).unwrap();
    assert_eq!(ours.len(), 2);
    let names = |all: &[secrets::Secret]| -> Vec<_> {
        all.iter().map(|secret| secret.name.clone()).collect()
    };
    assert_eq!(names(&ours), names(&theirs), "{} bytes", certificate.len());
    let files = |all: Vec<secrets::Secret>| all.into_iter().map(|s| s.data).collect::<Vec<_>>();
    assert!(files(ours) == files(theirs), "{} bytes: other files", certificate.len());
}

fn a_folder_that_only_kubectl_renders_works_on_loopback() {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let (code, said) = run(ONLY_KUBECTL, "loopback", &path);
    assert_eq!(code, Some(0), "{said}");
    // Of a Secret that does not change its name, the same scenario says so, by its true name.
    let unchanging = format!("{ONLY_KUBECTL}generatorOptions:\n  disableNameSuffixHash: true\n");
    let (code, said) = run(&unchanging, "loopback", &path);
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("replica 0: certs, config-files, as before"), "{said}");
}

fn a_wrong_folder_is_told_in_kubectl_s_words() {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let wrong = format!("{PLAIN}resources:\n- not_there.yaml\n");
    let (code, said) = run(&wrong, "loopback", &path);
    assert_eq!(code, Some(3), "{said}");
    assert!(said.contains("scenario author: kubectl kustomize refuses the folder"), "{said}");
    assert!(said.contains("not_there.yaml"), "{said}");
}

fn without_kubectl_such_a_folder_is_refused_and_a_plain_one_works() {
    let nothing = tempfile::tempdir().unwrap();
    let (code, said) = run(ONLY_KUBECTL, "loopback", nothing.path().as_os_str());
    assert_eq!(code, Some(3), "{said}");
    assert!(said.contains("kustomization.yaml:1: `namespace: halo` is not understood"), "{said}");
    assert!(said.contains("install kubectl"), "{said}");
    let (code, said) = run(PLAIN, "loopback", nothing.path().as_os_str());
    assert_eq!(code, Some(0), "{said}");
}

fn simulation_asks_no_kubectl_and_loopback_does() {
    let refusing = tempfile::tempdir().unwrap();
    let kubectl = refusing.path().join("kubectl");
    fs::write(&kubectl, "#!/bin/sh\necho asked >&2\nexit 1\n").unwrap();
    fs::set_permissions(&kubectl, fs::Permissions::from_mode(0o755)).unwrap();
    let path = refusing.path().as_os_str();
    let (code, said) = run(PLAIN, "simulated", path);
    assert_eq!(code, Some(0), "{said}");
    let (code, said) = run(PLAIN, "loopback", path);
    assert_eq!(code, Some(3), "{said}");
    assert!(said.contains("refuses the folder (exit code 1): asked"), "{said}");
}

/// A rotation of the Kingdom's certificate by such a folder: the exit code, and what was said.
fn run(kustomization: &str, environment: &str, path: &OsStr) -> (Option<i32>, String) {
    let folder = folder_with(kustomization);
    let feature = folder.path().join("delivery.feature");
    let output = Command::new(env!("CARGO_BIN_EXE_halo-harness"))
        .args(["run", "--twins", "none", "--env", environment, "--features"])
        .arg(&feature)
        .env("PATH", path)
        .output()
        .unwrap();
    let said = [output.stdout, output.stderr].concat();
    (output.status.code(), String::from_utf8_lossy(&said).into_owned())
}

fn folder_with(kustomization: &str) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let secrets = folder.path().join("secrets");
    fs::create_dir(&secrets).unwrap();
    fs::write(secrets.join("kustomization.yaml"), kustomization).unwrap();
    fs::write(folder.path().join("delivery.feature"), feature(&secrets)).unwrap();
    folder
}

fn feature(secrets: &Path) -> String {
    let steps = [
        &format!(
            "Given the Kingdom's Secret is made by the Kustomization folder \"{}\"",
            secrets.display()
        ),
        "And a stopping replica waits 300 ms",
        "And probes call the Kingdom as edp1",
        "When the probes go on for 200 ms",
        "And the Kingdom gets a new certificate",
        "And all 2 replicas are restarted",
        "And the probes go on for 400 ms",
        "And the probes stop",
        "Then nobody noticed",
        "And every replica answers with the Kingdom's new certificate",
        "And the replicas mount a Secret of another name",
    ];
    format!("Feature: f\n  Scenario: s\n    {}\n", steps.join("\n    "))
}
