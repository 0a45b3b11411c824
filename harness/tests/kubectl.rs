//! What we make of a Kustomization folder, beside what `kubectl kustomize` makes of it. Without kubectl
//! the comparison is shown as ignored.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use halo_harness::environment::secrets::render;
use libtest_mimic::{Arguments, Trial};
use std::fs;
use std::process::{Command, ExitCode};

const KUSTOMIZATION: &str = "apiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\n\n\
    secretGenerator:\n- name: certs-and-configs\n  files:\n  - kingdom_tls.pem\n  - sub/kingdom_tls.key\n\
    # by another key\n- name: tls\n  type: kubernetes.io/tls\n  files:\n    - tls.crt=kingdom_tls.pem\n    \
    - tls.key=sub/kingdom_tls.key\n";

fn main() -> ExitCode {
    let missing = Command::new("kubectl").args(["version", "--client"]).output().is_err();
    if missing {
        eprintln!("skipped: no kubectl to compare with");
    }
    let run = || {
        names_and_files_are_kubectl_s();
        Ok(())
    };
    let trial = Trial::test("names_and_files_are_kubectl_s", run).with_ignored_flag(missing);
    libtest_mimic::run(&Arguments::from_args(), vec![trial]).exit_code()
}

fn names_and_files_are_kubectl_s() {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("sub")).unwrap();
    for (name, content) in [
        ("kustomization.yaml", KUSTOMIZATION),
        ("kingdom_tls.pem", "certificate\n"),
        ("sub/kingdom_tls.key", "key <&>\n"),
    ] {
        fs::write(folder.path().join(name), content).unwrap();
    }
    let theirs = Command::new("kubectl").arg("kustomize").arg(folder.path()).output().unwrap();
    assert!(theirs.status.success(), "{}", String::from_utf8_lossy(&theirs.stderr));
    let theirs = String::from_utf8(theirs.stdout).unwrap();
    let ours = render(folder.path()).unwrap();
    assert_eq!(ours.len(), 2);
    for secret in ours {
        assert!(theirs.contains(&format!("  name: {}\n", secret.name)), "{theirs}");
        for (key, content) in secret.data {
            let content = STANDARD.encode(content);
            assert!(theirs.contains(&format!("  {key}: {content}\n")), "{theirs}");
        }
    }
}
