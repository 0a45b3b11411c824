//! `provision`: resources over the operator listener, and a sandbox's new participant.

use crate::support::{World, after, halo, read, write};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

/// A data provider's files, made without the Kingdom: certificate, key, signature.
struct Files {
    folder: tempfile::TempDir,
}

impl Files {
    fn new() -> Self {
        let files = Self { folder: tempfile::tempdir().expect("a folder") };
        let own = files.folder.path().to_str().expect("text");
        halo(&["pki", "init", "--name", "edp9", own]).good();
        halo(&["pki", "issue", "--kind", "cs", own]).good();
        let (private, public) = (files.path("private.tink"), files.path("public.tink"));
        halo(&["keys", "create-keyset", "--out", &private]).good();
        halo(&["keys", "create-public-keyset", "--in", &private, "--out", &public]).good();
        halo(&["keys", "serialize", "--data", &public, "--out", &files.path("key.bin")]).good();
        halo(&[
            "keys",
            "sign",
            "--certificate",
            &files.path("edp9_cs_cert.der"),
            "--signing-key",
            &files.path("edp9_cs_private.der"),
            "--in",
            &files.path("key.bin"),
            "--out",
            &files.path("signature"),
        ])
        .good();
        files
    }

    fn path(&self, name: &str) -> String {
        self.folder.path().join(name).display().to_string()
    }

    fn options(&self, certificate: &str) -> Vec<String> {
        vec![
            "data-provider".to_owned(),
            format!("--certificate-der-file={}", self.path(certificate)),
            format!("--encryption-public-key-file={}", self.path("key.bin")),
            format!("--encryption-public-key-signature-file={}", self.path("signature")),
            "--encryption-public-key-signature-algorithm=ECDSA_WITH_SHA256".to_owned(),
        ]
    }
}

fn provision(world: &World, before: &[&str], options: &[String]) -> crate::support::Ended {
    let mut all = before.to_vec();
    all.extend(options.iter().map(String::as_str));
    world.provision(&all)
}

#[test]
fn a_root_without_a_command_is_silent_and_what_is_missing_is_a_usage_error() {
    let world = World::start();
    assert_eq!(world.provision(&[]).good(), "");
    world.provision(&["data-provider"]).bad(2, &["--certificate-der-file", "--sandbox-dir"]);
    world.provision(&["duchy-certificate", "--cert-file", "x"]).bad(2, &["--duchy-id"]);
    let both = ["duchy-certificate", "--duchy=duchies/a", "--duchy-id=a", "--cert-file=x"];
    world.provision(&both).bad(2, &["--duchy"]);
    world.provision(&["recurring-exchange", "--model-provider", "x"]).bad(2, &["not part of this"]);
    world.provision(&["nonsense"]).bad(2, &["no command `nonsense`"]);
    assert!(halo(&["provision", "help"]).good().contains("data-provider"));
}

#[test]
fn a_data_provider_is_created_with_its_oid_and_its_file_as_it_stands() {
    let (world, files) = (World::start(), Files::new());
    let mut options = files.options("edp9_cs_cert.der");
    options.push("--required-duchies=worker1".to_owned());
    let printed = provision(&world, &[], &options).good();
    let provider = after(&printed, "DataProvider name: ").to_owned();
    let certificate = after(&printed, "Certificate name: ").to_owned();
    assert_eq!(
        printed,
        format!("DataProvider name: {provider}\nCertificate name: {certificate}\n")
    );
    assert!(certificate.starts_with(&format!("{provider}/certificates/")));
    assert_eq!(world.stored_der(&certificate), read(&files.path("edp9_cs_cert.der")));
    // A consumer may read any provider.
    let key = world.api_key();
    let shown = world.api("mc1", &["data-providers", "--name", &provider, "get"]).good();
    assert!(shown.contains("signature_algorithm_oid: \"1.2.840.10045.4.3.2\""), "{shown}");
    assert!(shown.contains("required_duchies: \"duchies/worker1\""), "{shown}");
    assert!(!key.is_empty());
}

#[test]
fn a_pem_certificate_is_stored_as_pem_unless_the_quirk_is_off() {
    let (world, files) = (World::start(), Files::new());
    let der = read(&files.path("edp9_cs_cert.der"));
    let pem = halo_pki::certificate_pem(&der);
    write(&files.path("cert.pem"), &pem);
    let off = ["--quirk", "create-resource-stores-file-verbatim=as-documented"];
    let as_documented = provision(&world, &off, &files.options("cert.pem")).good();
    assert_eq!(world.stored_der(after(&as_documented, "Certificate name: ")), der);
    let quirk = ["--quirk", "create-resource-stores-file-verbatim=faithful"];
    for on in [["--format", "human"], quirk] {
        let world = World::start();
        let faithful = provision(&world, &on, &files.options("cert.pem")).good();
        assert_eq!(world.stored_der(after(&faithful, "Certificate name: ")), pem.as_bytes());
    }
}

#[test]
fn wrong_files_exit_1_and_create_nothing() {
    let (world, files) = (World::start(), Files::new());
    let audit = world.kingdom.control().audit_head();
    provision(&world, &[], &files.options("missing")).bad(1, &["missing"]);
    provision(&world, &[], &files.options("key.bin")).bad(1, &["key.bin", "X.509"]);
    write(&files.path("key.bin"), b"\xff\xff\xff");
    // Exit 1 here, 2 in `api` (4.0.4).
    provision(&world, &[], &files.options("edp9_cs_cert.der"))
        .bad(1, &["key.bin", "EncryptionPublicKey"]);
    let mut options = files.options("edp9_cs_cert.der");
    options[4] = "--encryption-public-key-signature-algorithm=ecdsa".to_owned();
    provision(&world, &[], &options).bad(2, &["no such algorithm"]);
    assert_eq!(world.kingdom.control().audit_head(), audit);
}

#[test]
fn a_model_provider_and_a_duchy_certificate_are_created() {
    let world = World::start();
    let printed = world.provision(&["model-provider"]).good();
    assert!(printed.starts_with("Model Provider Name: modelProviders/"), "{printed}");

    let (der, _) = world.issue("worker1", "second");
    let pem = world.path("duchy.pem");
    write(&pem, halo_pki::certificate_pem(&read(&der)));
    // Always stored as DER (4.3.9).
    let printed =
        world.provision(&["duchy-certificate", "--duchy-id=worker1", "--cert-file", &pem]).good();
    let name = after(&printed, "Certificate name: ");
    assert!(name.starts_with("duchies/worker1/certificates/"));
    assert_eq!(world.stored_der(name), read(&der));
    let (other, _) = world.issue("worker1", "third");
    let named = ["duchy-certificate", "--duchy", "duchies/worker1", "--certificate-file", &other];
    assert!(world.provision(&named).good().contains("duchies/worker1/certificates/"));
    world
        .provision(&["duchy-certificate", "--duchy=worker1", "--cert-file", &other])
        .bad(2, &["duchies/ID"]);
    world
        .provision(&["duchy-certificate", "--duchy-id=nobody", "--cert-file", &other])
        .bad(1, &["DUCHY_NOT_FOUND"]);
}

#[test]
fn accounts_and_creation_tokens_are_a_clear_error_of_the_fake() {
    let world = World::start();
    for command in ["account", "mc-creation-token"] {
        world.provision(&[command]).bad(1, &["UNIMPLEMENTED", "accounts"]);
    }
}

fn new_participant(world: &World, name: &str) -> String {
    let folder = world.folder.path().to_str().expect("text");
    let options = ["data-provider", "--sandbox-dir", folder, "--participant-name", name];
    world.provision(&options).good()
}

#[test]
fn a_new_participant_has_its_folder_and_is_known_after_a_restart_of_the_replicas() {
    let world = World::start();
    let printed = new_participant(&world, "edp3");
    let provider = after(&printed, "DataProvider name: ");
    let own = world.own("edp3");
    let identity: serde_json::Value =
        serde_json::from_slice(&std::fs::read(own.join("identity.json")).expect("it"))
            .expect("JSON");
    assert_eq!(identity["resource"], provider);
    assert_eq!(identity["certificate"], after(&printed, "Certificate name: "));
    assert_eq!(identity["public_key"], format!("{provider}/publicKey"));
    assert_eq!(identity["kind"], "data_provider");
    let env = std::fs::read_to_string(own.join("client.env")).expect("it");
    let port = world.kingdom.public_address().rsplit(':').next().expect("a port");
    assert!(env.contains(&format!("HALO_TARGET='localhost:{port}'")), "{env}");
    for file in ["root.key", "tls.key", "cs_private.der", "enc_private.tink"] {
        let path = world.file("edp3", file);
        let mode = std::fs::metadata(&path).expect("a file").permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{path}");
    }
    let facts = halo_pki::inspect(&read(&world.file("edp3", "cs_cert.der"))).expect("it parses");
    assert!(facts.subject.contains("TEST ONLY"), "{}", facts.subject);

    // The running replicas do not know the new root yet (5.4).
    let get = || world.api("edp3", &["data-providers", "--name", provider, "get"]);
    get().bad(1, &["no answer"]);
    world.restart_replicas();
    assert!(get().good().starts_with(&format!("Data Provider Resource: {provider}\n")));
    // The others are served as before, and trust what the new one signs.
    let edp1 = world.resource("edp1");
    world.api("edp1", &["data-providers", "--name", &edp1, "get"]).good();
    let root = halo_pki::pem_certificates(&read(&world.file("edp3", "root.pem"))).expect("it");
    let trusted = read(&world.own("mc1").join("trusted_certs.pem").display().to_string());
    assert!(halo_pki::pem_certificates(&trusted).expect("it").contains(&root[0]));
    // Each Duchy's own files know it as well, or it would be cut off there (5.10).
    for duchy in ["aggregator", "worker1", "worker2"] {
        let bundle = read(&world.own(duchy).join("all_root_certs.pem").display().to_string());
        assert!(halo_pki::pem_certificates(&bundle).expect("it").contains(&root[0]), "{duchy}");
        let map = world.own(duchy).join("authority_key_identifier_to_principal_map.textproto");
        let map = std::fs::read_to_string(map).expect("a map");
        assert!(map.contains(provider), "{duchy}: {map}");
    }
    // The folder is still a sandbox, and in order.
    fake_kingdom::Sandbox::open(world.folder.path()).expect("it opens");
    halo(&["pki", "check", world.folder.path().to_str().expect("text")]).good();
}

#[test]
fn a_bundle_without_a_final_newline_is_not_spoiled_5_3_1() {
    let world = World::start();
    let bundle = world.path("kingdom/all_root_certs.pem");
    let content = read(&bundle);
    write(&bundle, content.trim_ascii_end());
    new_participant(&world, "edp3");
    assert_eq!(halo_pki::pem_certificates(&read(&bundle)).expect("it parses").len(), 9);
}

#[test]
fn a_participant_with_its_own_authority_brings_its_root_and_keeps_its_keys() {
    let (world, files) = (World::start(), Files::new());
    let folder = world.folder.path().to_str().expect("text").to_owned();
    let mut options = files.options("edp9_cs_cert.der");
    options.extend(["--sandbox-dir".to_owned(), folder]);
    options.extend(["--participant-name".to_owned(), "edp9".to_owned()]);
    provision(&world, &[], &options).bad(2, &["--root-cert-file"]);
    options.push(format!("--root-cert-file={}", files.path("edp9_root.pem")));
    let printed = provision(&world, &[], &options).good();
    let own = world.own("edp9");
    assert!(!own.join("edp9_root.key").exists() && !own.join("edp9_cs_private.der").exists());
    halo(&["pki", "issue", "--kind", "tls", files.folder.path().to_str().expect("text")]).good();
    for file in ["edp9_tls.pem", "edp9_tls.key"] {
        std::fs::copy(files.path(file), own.join(file)).expect("copied");
    }
    world.restart_replicas();
    let provider = after(&printed, "DataProvider name: ");
    world.api("edp9", &["data-providers", "--name", provider, "get"]).good();
    // One authority is one principal (2.8).
    options[6] = world.folder.path().to_str().expect("text").to_owned();
    options[8] = "edp10".to_owned();
    provision(&world, &[], &options).bad(1, &["stands for a principal already"]);
    assert!(!world.own("edp10").exists());
}

#[test]
fn a_refused_creation_leaves_no_folder_and_no_trust_behind() {
    let world = World::start();
    let folder = world.folder.path().to_str().expect("text");
    let before = read(&world.path("kingdom/all_root_certs.pem"));
    let options = ["data-provider", "--sandbox-dir", folder, "--participant-name", "edp3"];
    let mut unknown = options.to_vec();
    unknown.push("--required-duchies=nobody");
    world.provision(&unknown).bad(1, &["the Kingdom refused"]);
    assert!(!world.own("edp3").exists());
    assert_eq!(read(&world.path("kingdom/all_root_certs.pem")), before);
    // A name that is taken, and one that would leave the folder.
    let mut taken = options.to_vec();
    taken[4] = "edp1";
    world.provision(&taken).bad(1, &["is there already"]);
    assert!(Path::new(&world.file("edp1", "tls.pem")).exists());
    taken[4] = "../edp1";
    world.provision(&taken).bad(2, &["--participant-name"]);
    taken[2] = "/does/not/exist";
    taken[4] = "edp3";
    world.provision(&taken).bad(1, &["is /does/not/exist a sandbox?"]);
    world.provision(&["data-provider", "--sandbox-dir", folder]).bad(2, &["--participant-name"]);
}

#[test]
fn when_no_answer_comes_the_keys_stay_since_the_resource_may_exist() {
    let world = World::start();
    let rule = r#"{"target":{"method":"/wfa.measurement.internal.kingdom.DataProviders/CreateDataProvider"},"action":{"cut":"after"},"count":1}"#;
    let rule = serde_json::from_str(rule).expect("a rule");
    let id = world.kingdom.control().add_fault(rule);
    let folder = world.folder.path().to_str().expect("text");
    let options = ["data-provider", "--sandbox-dir", folder, "--participant-name", "edp3"];
    world.provision(&options).bad(1, &["no answer", "is unknown", "edp3"]);
    assert_eq!(world.kingdom.control().list_faults()[0].fired, 1, "rule {id}");
    assert!(Path::new(&world.file("edp3", "cs_private.der")).exists());
    assert!(!world.own("edp3").join("identity.json").exists());
}
