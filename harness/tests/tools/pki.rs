//! `pki`: authorities, leaves, and what is wrong with those in a folder.

use crate::support::{Ended, halo, read, write};
use std::os::unix::fs::PermissionsExt as _;

struct Folder(tempfile::TempDir);

impl Folder {
    /// A folder with an authority, a TLS leaf and a consent signalling pair.
    fn new() -> Self {
        let folder = Self(tempfile::tempdir().expect("a folder"));
        let own = folder.own();
        halo(&["pki", "init", "--name", "x", &own]).good();
        halo(&["pki", "issue", "--kind", "tls", "--dns", "x.example", &own]).good();
        halo(&["pki", "issue", "--kind", "cs", "--days", "30", &own]).good();
        folder
    }

    fn own(&self) -> String {
        self.0.path().display().to_string()
    }

    fn path(&self, name: &str) -> String {
        self.0.path().join(name).display().to_string()
    }

    fn check(&self, more: &[&str]) -> Ended {
        let own = self.own();
        let mut all = vec!["pki", "check"];
        all.extend(more);
        all.push(&own);
        halo(&all)
    }

    /// Exit 1, one finding, with these texts.
    #[track_caller]
    fn finds(&self, more: &[&str], texts: &[&str]) {
        let ended = self.check(more);
        assert_eq!(ended.code, Some(1), "{ended:?}");
        assert!(ended.out.ends_with(" 1 findings\n"), "{}", ended.out);
        for text in texts {
            assert!(ended.out.contains(text), "`{text}` is not in: {}", ended.out);
        }
    }
}

#[test]
fn what_is_issued_follows_the_recipe_is_marked_and_in_order() {
    let folder = Folder::new();
    assert_eq!(folder.check(&[]).good(), "3 certificates, 3 keys, 0 findings\n");
    let roots = halo_pki::pem_certificates(&read(&folder.path("x_root.pem"))).expect("a root");
    let root = halo_pki::inspect(&roots[0]).expect("it parses");
    assert!(root.is_ca && root.subject.contains("TEST ONLY"), "{}", root.subject);
    let leaf = halo_pki::inspect(&read(&folder.path("x_cs_cert.der"))).expect("it parses");
    assert_eq!(leaf.akid(), root.skid.as_deref());
    assert_eq!((leaf.not_after - leaf.not_before).whole_days(), 31);
    for key in ["x_root.key", "x_tls.key", "x_cs_private.der"] {
        let mode = std::fs::metadata(folder.path(key)).expect("a key").permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{key}");
    }
}

#[test]
fn nothing_is_overwritten_and_names_stay_in_the_folder() {
    let folder = Folder::new();
    let own = folder.own();
    let before = read(&folder.path("x_tls.pem"));
    halo(&["pki", "init", "--name", "x", &own]).bad(1, &["x_root.pem", "is there already"]);
    halo(&["pki", "issue", "--kind", "tls", &own]).bad(1, &["x_tls.pem", "is there already"]);
    assert_eq!(read(&folder.path("x_tls.pem")), before);
    halo(&["pki", "issue", "--kind", "tls", "--as", "../y", &own]).bad(2, &["`../y`"]);
    halo(&["pki", "issue", "--kind", "web", &own]).bad(2, &["web"]);
    halo(&["pki", "init", "--name", "y", &own]).good();
    halo(&["pki", "issue", "--kind", "tls", "--as", "z", &own]).bad(2, &["x, y", "--name"]);
    halo(&["pki", "issue", "--name", "y", "--kind", "tls", &own]).good();
}

#[test]
fn inspect_shows_identifiers_validity_and_key_type_of_every_certificate_and_no_key() {
    let folder = Folder::new();
    let shown = halo(&["pki", "inspect", &folder.own()]).good();
    let facts = halo_pki::inspect(&read(&folder.path("x_cs_cert.der"))).expect("it parses");
    let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    for text in [
        format!("SKID     {}", hex(facts.skid.as_deref().expect("it"))),
        format!("AKID     {}", hex(facts.akid().expect("it"))),
        "EC P-256, leaf".to_owned(),
        "EC P-256, authority".to_owned(),
        "localhost, x.test, x.example".to_owned(),
    ] {
        assert!(shown.contains(&text), "`{text}` is not in: {shown}");
    }
    assert!(!shown.contains("NOT VALID") && !shown.contains("PRIVATE"));
    let late = ["pki", "inspect", "--at", "2199-01-01T00:00:00Z", &folder.own()].map(String::from);
    assert_eq!(halo(&late).good().matches("NOT VALID").count(), 3);
    let json = halo(&["pki", "inspect", "--format", "json", &folder.own()]).good();
    let json: serde_json::Value = serde_json::from_str(&json).expect("JSON");
    assert_eq!(json["certificates"].as_array().map(Vec::len), Some(3));
    assert_eq!(json["certificates"][0]["key"], "EC P-256");
}

#[test]
fn what_expires_within_the_days_is_found_and_what_lasts_longer_is_not() {
    let folder = Folder::new();
    folder.check(&["--fail-within", "29"]).good();
    folder.finds(&["--fail-within", "31"], &["x_cs_cert.der", "expires_soon", "within 31 days"]);
    let ended = folder.check(&["--at", "2199-01-01T00:00:00Z"]);
    assert_eq!((ended.code, ended.out.matches(": expired: ").count()), (Some(1), 3));
    let ended = folder.check(&["--at", "2001-01-01T00:00:00Z"]);
    assert_eq!((ended.code, ended.out.matches(": not_yet_valid: ").count()), (Some(1), 3));
}

#[test]
fn a_key_of_another_leaf_a_damaged_file_and_a_commented_key_are_found() {
    let folder = Folder::new();
    let own = folder.own();
    halo(&["pki", "issue", "--kind", "tls", "--as", "other", &own]).good();
    folder.check(&[]).good();
    std::fs::copy(folder.path("other.key"), folder.path("x_tls.key")).expect("copied");
    folder.finds(&[], &["x_tls.pem", "key_mismatch"]);

    let folder = Folder::new();
    let der = read(&folder.path("x_cs_cert.der"));
    write(&folder.path("x_cs_cert.der"), &der[..der.len() - 1]);
    folder.finds(&[], &["x_cs_cert.der", "malformed_certificate", "cut short"]);

    let folder = Folder::new();
    let key = String::from_utf8(read(&folder.path("x_tls.key"))).expect("text");
    write(&folder.path("x_tls.key"), format!("# ours\n{key}"));
    folder.finds(&[], &["x_tls.key", "malformed_key", "line 1"]);
}

#[test]
fn a_leaf_in_a_bundle_and_a_missing_newline_between_entries_are_found() {
    let folder = Folder::new();
    let pem = |name: &str| String::from_utf8(read(&folder.path(name))).expect("text");
    let (root, leaf) = (pem("x_root.pem"), pem("x_tls.pem"));
    let bundle = folder.path("all_root_certs.pem");
    write(&bundle, format!("{root}{leaf}"));
    folder.finds(&[], &["all_root_certs.pem", "not_a_root", "entry 2", "2.11"]);
    write(&bundle, format!("{}{root}", root.trim_end()));
    folder.finds(&[], &["all_root_certs.pem", "missing_newline", "5.3.1"]);
    // No newline at the very end is harmless until the next file is joined.
    write(&bundle, root.trim_end());
    assert!(folder.check(&[]).good().contains("note: no newline at the end"));
    // A leaf with its issuer beside a key is a chain that nobody sends.
    write(&bundle, &root);
    write(&folder.path("x_tls.pem"), format!("{leaf}{root}"));
    folder.finds(&[], &["x_tls.pem", "chain", "only the first"]);
    let json = folder.check(&["--format", "json"]);
    let json: serde_json::Value = serde_json::from_str(&json.out).expect("JSON");
    assert_eq!(json["findings"][0]["rule"], "chain");
}

#[test]
fn a_folder_with_nothing_to_check_proves_nothing() {
    let folder = Folder(tempfile::tempdir().expect("a folder"));
    write(&folder.path("notes.txt"), "nothing");
    let ended = folder.check(&[]);
    assert_eq!(ended.code, Some(3), "{ended:?}");
    assert!(ended.err.contains("nothing was looked at"), "{}", ended.err);
    halo(&["pki", "check", "/does/not/exist"]).bad(1, &["/does/not/exist"]);
    halo(&["pki", "check"]).bad(2, &["DIR"]);
}
