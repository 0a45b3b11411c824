//! `api`: certificates, public keys, data providers, and what all commands have in common.

use crate::support::{Ended, World, after, halo, read, words, write};
use halo_consent::SignatureAlgorithm;
use kingdom_proto::v2alpha as pb;
use prost::Message as _;

/// A new certificate of edp1, registered: name, certificate file, key file.
fn registered(world: &World, stem: &str) -> (String, String, String) {
    let (certificate, key) = world.issue("edp1", stem);
    let parent = world.resource("edp1");
    let out = world
        .api(
            "edp1",
            &["certificates", "create", "--parent", &parent, "--certificate", &certificate],
        )
        .good();
    let name = out.strip_prefix("Certificate name: ").expect("the line").trim_end().to_owned();
    assert_eq!(out, format!("Certificate name: {name}\n"));
    (name, certificate, key)
}

#[test]
fn a_root_without_a_command_is_silent_and_good_a_group_without_one_is_not_4_0_2() {
    let dummies = words(
        "api --tls-cert-file x --tls-key-file x --cert-collection-file x --kingdom-public-api-target x",
    );
    let run = |more: &[&str]| {
        let mut all = dummies.clone();
        all.extend(more.iter().map(|word| (*word).to_owned()));
        halo(&all)
    };
    assert_eq!(run(&[]).good(), "");
    for group in ["certificates", "public-keys", "measurement-consumers", "api-keys"] {
        run(&[group]).bad(2, &["Usage"]);
    }
    run(&["measurements", "--api-key", "k"]).bad(2, &["Usage"]);
    run(&["data-providers", "--name", "n"]).bad(2, &["Usage"]);
    halo(&["api"]).bad(2, &["--kingdom-public-api-target"]);
    assert!(halo(&["api", "help"]).good().contains("certificates"));
    assert!(halo(&["api", "certificates", "help"]).good().contains("revoke"));
}

#[test]
fn unknown_options_commands_and_enum_values_are_usage_errors_4_0_3() {
    let world = World::start();
    world.api("edp1", &["certificates", "create", "--nonsense"]).bad(2, &["--nonsense"]);
    world.api("edp1", &["certificates", "create"]).bad(2, &["--parent", "--certificate"]);
    world
        .api("edp1", &["certificates", "revoke", "--revocation-state", "revoked", "n"])
        .bad(2, &["revoked", "REVOKED"]);
    world.api("edp1", &["nonsense"]).bad(2, &["no command `nonsense`", "Usage"]);
    for command in ["accounts", "client-accounts", "model-lines"] {
        world.api("edp1", &[command, "list"]).bad(2, &[command, "not part of this harness"]);
    }
    // Global options come before the command (4.0.1).
    let mut late = vec!["api".to_owned(), "certificates".to_owned()];
    late.extend(world.api_options("edp1").into_iter().skip(1));
    halo(&late).bad(2, &["--tls-cert-file"]);
}

#[test]
fn a_certificate_is_registered_read_listed_held_released_and_revoked() {
    let world = World::start();
    let (name, file, _) = registered(&world, "second");
    assert_eq!(world.stored_der(&name), read(&file));

    let shown = world.api("edp1", &["certificates", "get", &name]).good();
    assert!(shown.starts_with(&format!("name: \"{name}\"\nx509_der: \"0\\202")), "{shown}");
    // The message's text and one more newline (4.0.5).
    assert!(shown.ends_with("\"\n\n"), "{shown}");

    let revoke = |state: &str| {
        world.api("edp1", &["certificates", "revoke", "--revocation-state", state, &name])
    };
    assert!(revoke("HOLD").good().contains("\nrevocation_state: HOLD\n"));
    let released = world.api("edp1", &["certificates", "release-hold", &name]).good();
    assert!(!released.contains("revocation_state"), "{released}");
    assert!(revoke("REVOKED").good().contains("\nrevocation_state: REVOKED\n"));
    revoke("HOLD").bad(1, &["FAILED_PRECONDITION"]);
    revoke("REVOCATION_STATE_UNSPECIFIED").bad(1, &["the Kingdom refused"]);

    let parent = world.resource("edp1");
    let list = |more: &[&str]| {
        let mut all = vec!["certificates", "list", "--parent", &parent];
        all.extend(more);
        world.api("edp1", &all)
    };
    let listed = list(&[]).good();
    assert!(listed.contains(&format!("{name} REVOKED\n")), "{listed}");
    let page = list(&["--page-size", "1"]);
    let token = after(&page.err, "halo-harness: more follow: --page-token ").to_owned();
    let first = page.good();
    let second = list(&["--page-size", "1", "--page-token", &token]).good();
    assert_eq!((first.lines().count(), second.lines().count()), (1, 1));
    assert_ne!(first, second);
}

#[test]
fn a_pem_file_is_sent_as_der_and_only_its_first_certificate_counts_4_1_3_d() {
    let world = World::start();
    let (first, _) = world.issue("edp1", "first");
    let (second, _) = world.issue("edp1", "other");
    let pem = world.path("two.pem");
    write(&pem, halo_pki::bundle_pem(&[read(&first), read(&second)]));
    let parent = world.resource("edp1");
    let out = world
        .api("edp1", &["certificates", "create", "--parent", &parent, "--certificate", &pem])
        .good();
    assert_eq!(world.stored_der(after(&out, "Certificate name: ")), read(&first));
}

#[test]
fn the_json_form_is_the_answer() {
    let world = World::start();
    let name = world.certificate("edp1");
    let out = world.api("edp1", &["--format", "json", "certificates", "get", &name]).good();
    let json: serde_json::Value = serde_json::from_str(&out).expect("JSON");
    assert_eq!(json["name"], name);
    assert!(json["x509Der"].as_str().is_some_and(|der| der.starts_with("MII")), "{json}");
}

#[test]
fn files_that_are_missing_or_wrong_exit_1_and_are_named() {
    let world = World::start();
    let parent = world.resource("edp1");
    let create = |file: &str| {
        world.api("edp1", &["certificates", "create", "--parent", &parent, "--certificate", file])
    };
    create("/does/not/exist").bad(1, &["/does/not/exist"]);
    let broken = world.path("broken.pem");
    write(&broken, "-----BEGIN CERTIFICATE-----\nnonsense!\n-----END CERTIFICATE-----\n");
    create(&broken).bad(1, &["broken.pem", "line 2"]);
    write(&broken, b"\x30\x03\x02\x01\x01");
    create(&broken).bad(1, &["broken.pem", "not an X.509 certificate"]);

    let with = |option: &str, value: &str| {
        let mut all = world.api_options("edp1");
        all.retain(|given| !given.starts_with(option));
        all.push(format!("{option}={value}"));
        all.extend(words("certificates get"));
        all.push(world.certificate("edp1"));
        halo(&all)
    };
    with("--tls-key-file", &world.file("edp2", "tls.key")).bad(1, &["edp2_tls.key", "not the key"]);
    with("--tls-cert-file", "/does/not/exist").bad(1, &["/does/not/exist"]);
    // A leaf is no trust anchor (2.11).
    with("--cert-collection-file", &world.file("edp1", "tls.pem")).bad(1, &["not a root"]);
    // The Kingdom's own root is missing from the trust.
    with("--cert-collection-file", &world.file("edp1", "root.pem"))
        .bad(1, &["no secure connection"]);
    with("--kingdom-public-api-cert-host", "elsewhere.test").bad(1, &["no secure connection"]);
    assert!(with("--kingdom-public-api-cert-host", "kingdom.test").good().contains("name:"));
}

#[test]
fn a_kingdom_that_is_down_or_does_not_know_the_caller_exits_1() {
    let world = World::start();
    let name = world.certificate("edp1");
    let free = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = free.local_addr().expect("it").to_string();
    drop(free);
    let mut all = world.api_options("edp1");
    all.retain(|given| !given.starts_with("--kingdom-public-api-target"));
    all.push(format!("--kingdom-public-api-target={address}"));
    all.extend(["certificates".to_owned(), "get".to_owned(), name.clone()]);
    halo(&all).bad(1, &["cannot connect", &address]);

    world.api("edp2", &["certificates", "get", &name]).bad(1, &["PERMISSION_DENIED", "whose leaf"]);

    // A stranger: a leaf of an authority that the Kingdom does not trust.
    let strange = world.path("strange");
    halo(&["pki", "init", &strange]).good();
    halo(&["pki", "issue", "--kind", "tls", &strange]).good();
    let mut all = world.api_options("edp1");
    all.retain(|given| !given.starts_with("--tls"));
    all.push(format!("--tls-cert-file={strange}/strange_tls.pem"));
    all.push(format!("--tls-key-file={strange}/strange_tls.key"));
    all.extend(["certificates".to_owned(), "get".to_owned(), name]);
    halo(&all).bad(1, &["refused the client's certificate"]);
}

#[test]
fn text_before_a_pem_key_fails_unless_quirk_pem_key_first_line_is_off() {
    let world = World::start();
    let key = world.path("commented.key");
    let content = String::from_utf8(read(&world.file("edp1", "tls.key"))).expect("text");
    write(&key, format!("# our key\n{content}"));
    let get = |quirk: &[&str]| {
        let mut all = world.api_options("edp1");
        all.retain(|given| !given.starts_with("--tls-key-file"));
        all.push(format!("--tls-key-file={key}"));
        all.extend(quirk.iter().map(|word| (*word).to_owned()));
        all.extend(["certificates".to_owned(), "get".to_owned(), world.certificate("edp1")]);
        halo(&all)
    };
    get(&[]).bad(1, &["commented.key", "line 1"]);
    get(&["--quirk", "pem-key-first-line=faithful"]).bad(1, &["line 1"]);
    assert!(get(&["--quirk", "pem-key-first-line=as-documented"]).good().contains("name:"));
    get(&["--quirk", "pem-key-first-line=maybe"]).bad(2, &["`maybe`"]);
    get(&["--quirk", "reporting-stale-caches=faithful"]).bad(2, &["no quirk of this tool"]);
}

#[test]
fn a_consumers_certificate_needs_the_api_key_before_anything_is_read_4_1_3_a() {
    let world = World::start();
    let consumer = world.resource("mc1");
    let name = world.certificate("mc1");
    let create =
        ["certificates", "create", "--parent", &consumer, "--certificate", "/does/not/exist"];
    world.api("mc1", &create).bad(2, &["--api-key", "Usage"]);
    world
        .api("mc1", &["certificates", "revoke", "--revocation-state", "HOLD", &name])
        .bad(2, &["--api-key"]);
    let key = world.api_key();
    // The key makes the caller the consumer, whoever's leaf it is (2.6).
    let held = world.api(
        "edp1",
        &["certificates", "--api-key", &key, "revoke", "--revocation-state", "HOLD", &name],
    );
    assert!(held.good().contains("revocation_state: HOLD"));
    world
        .api(
            "edp1",
            &[
                "certificates",
                "--api-key",
                "nonsense",
                "revoke",
                "--revocation-state",
                "HOLD",
                &name,
            ],
        )
        .bad(1, &["UNAUTHENTICATED"]);
}

/// An update of edp1's public key with its certificate and key: how it ended, and what is stored.
fn update(world: &World, before: &[&str], more: &[&str], algorithm: &str) -> (Ended, String) {
    let public_key = world.serialized_key("edp1");
    let signature = world.path("signature");
    let printed = halo(&[
        "keys",
        "sign",
        "--certificate",
        &world.file("edp1", "cs_cert.der"),
        "--signing-key",
        &world.file("edp1", "cs_private.der"),
        "--signature-algorithm",
        algorithm,
        "--in",
        &public_key,
        "--out",
        &signature,
    ])
    .good();
    assert!(printed.contains(algorithm));
    let certificate = world.certificate("edp1");
    let name = format!("{}/publicKey", world.resource("edp1"));
    let mut all = before.to_vec();
    all.extend(["public-keys", "update", "--public-key", &public_key]);
    all.extend(["--public-key-signature", &signature, "--certificate", &certificate]);
    all.extend(more);
    all.push(&name);
    let ended = world.api("edp1", &all);
    let shown = world.api("edp1", &["data-providers", "--name", &world.resource("edp1"), "get"]);
    (ended, shown.good())
}

#[test]
fn an_update_records_the_algorithm_that_the_signature_has() {
    let world = World::start();
    for algorithm in ["ECDSA_WITH_SHA256", "ECDSA_WITH_SHA384", "ECDSA_WITH_SHA512"] {
        let (ended, provider) = update(&world, &[], &[], algorithm);
        assert_eq!(ended.err, "");
        let oid = SignatureAlgorithm::from_tool_name(algorithm).expect("a name").oid();
        let line = format!("  signature_algorithm_oid: \"{oid}\"\n");
        let printed = ended.good();
        assert!(printed.contains(&line), "{printed}");
        assert!(printed.contains(
            "type_url: \"type.googleapis.com/wfa.measurement.api.v2alpha.EncryptionPublicKey\""
        ));
        assert!(provider.contains(&line), "{provider}");
    }
}

#[test]
fn an_algorithm_that_is_given_is_recorded_as_given() {
    let world = World::start();
    let given = ["--signature-algorithm", "ECDSA_WITH_SHA512"];
    let (ended, _) = update(&world, &[], &given, "ECDSA_WITH_SHA256");
    assert!(ended.good().contains("1.2.840.10045.4.3.4"));
    let (ended, _) = update(&world, &[], &["--signature-algorithm", "SHA512"], "ECDSA_WITH_SHA256");
    ended.bad(2, &["no such algorithm"]);
}

#[test]
fn quirk_cli_sends_no_oid_leaves_it_out_and_warns() {
    let world = World::start();
    let quirk = ["--quirk", "cli-sends-no-oid=faithful"];
    let (ended, provider) = update(&world, &quirk, &[], "ECDSA_WITH_SHA256");
    assert!(ended.err.contains("no signature algorithm is recorded"), "{}", ended.err);
    assert!(!ended.good().contains("oid"));
    assert!(!provider.contains("oid"), "{provider}");
    let quirk = ["--quirk", "cli-sends-no-oid=as-documented"];
    let (ended, provider) = update(&world, &quirk, &[], "ECDSA_WITH_SHA256");
    assert_eq!(ended.err, "");
    assert!(provider.contains("signature_algorithm_oid"));
}

#[test]
fn a_signature_that_does_not_verify_is_sent_with_a_warning_as_the_kingdom_takes_it_1_2_3() {
    let world = World::start();
    let public_key = world.serialized_key("edp1");
    let signature = world.path("wrong");
    write(&signature, b"nonsense");
    let name = format!("{}/publicKey", world.resource("edp1"));
    let update = |certificate: &str| {
        let all = ["public-keys", "update", "--public-key", &public_key, "--public-key-signature"];
        let mut all = all.to_vec();
        all.extend([signature.as_str(), "--certificate", certificate, &name]);
        world.api("edp1", &all)
    };
    let ended = update(&world.certificate("edp1"));
    assert!(ended.err.contains("does not verify"), "{}", ended.err);
    assert!(ended.good().contains("1.2.840.10045.4.3.2"));
    // A certificate that is not there is the update's own error, as with the real tool.
    let missing = format!("{}/certificates/AAAAAAAAAZQ", world.resource("edp1"));
    update(&missing).bad(1, &["FAILED_PRECONDITION", "CERTIFICATE_NOT_FOUND"]);
}

#[test]
fn a_file_that_is_no_encryption_public_key_is_a_usage_error_4_0_4() {
    let world = World::start();
    let wrong = world.path("wrong");
    write(&wrong, b"\xff\xff\xff");
    let name = format!("{}/publicKey", world.resource("edp1"));
    let all = ["public-keys", "update", "--public-key", &wrong, "--public-key-signature", &wrong];
    let mut all = all.to_vec();
    let certificate = world.certificate("edp1");
    all.extend(["--certificate", &certificate, &name]);
    world.api("edp1", &all).bad(2, &["EncryptionPublicKey", "Usage"]);
    // A file that is not there is no usage error (4.0.3).
    all[3] = "/does/not/exist";
    world.api("edp1", &all).bad(1, &["/does/not/exist"]);
}

#[test]
fn a_consumers_key_is_updated_without_api_key_unless_the_quirk_is_off() {
    let world = World::start();
    let public_key = world.serialized_key("mc1");
    let signature = world.path("signature");
    halo(&[
        "keys",
        "sign",
        "--certificate",
        &world.file("mc1", "cs_cert.der"),
        "--signing-key",
        &world.file("mc1", "cs_private.der"),
        "-i",
        &public_key,
        "-o",
        &signature,
    ])
    .good();
    let (certificate, key) = (world.certificate("mc1"), world.api_key());
    let name = format!("{}/publicKey", world.resource("mc1"));
    let update = |quirk: &[&str], key: &[&str]| {
        let mut all = quirk.to_vec();
        all.push("public-keys");
        all.extend(key);
        all.extend(["update", "--public-key", &public_key, "--public-key-signature", &signature]);
        all.extend(["--certificate", &certificate, &name]);
        world.api("mc1", &all)
    };
    assert!(update(&[], &[]).good().contains(&name));
    let on = ["--quirk", "cli-public-key-api-key-unchecked=faithful"];
    assert!(update(&on, &[]).good().contains(&name));
    let off = ["--quirk", "cli-public-key-api-key-unchecked=as-documented"];
    update(&off, &[]).bad(2, &["--api-key"]);
    assert!(update(&off, &["--api-key", &key]).good().contains(&name));
}

#[test]
fn a_data_provider_is_shown_and_its_duchies_and_capabilities_replaced() {
    let world = World::start();
    let name = world.resource("edp1");
    let call = |more: &[&str]| {
        let mut all = vec!["data-providers", "--name", &name];
        all.extend(more);
        world.api("edp1", &all)
    };
    let shown = call(&["get"]).good();
    assert!(shown.starts_with(&format!("Data Provider Resource: {name}\nname: \"{name}\"\n")));

    let replaced = call(&[
        "replace-required-duchies",
        "--required-duchies=duchies/worker1",
        "--required-duchies=duchies/worker2",
    ]);
    assert_eq!(
        replaced.good(),
        format!(
            "Data Provider {name} duchy list replaced with [duchies/worker1, duchies/worker2]\n"
        )
    );

    assert_eq!(
        call(&["update-capabilities", "--hmss-supported", "true"]).good(),
        "honest_majority_share_shuffle_supported: true\n\n"
    );
    // Read, then replace: what is not given stays.
    assert_eq!(
        call(&["update-capabilities", "--trus-tee-supported=true"]).good(),
        "honest_majority_share_shuffle_supported: true\ntrus_tee_supported: true\n\n"
    );
    call(&["update-capabilities", "--hmss-supported=maybe"]).bad(2, &["maybe"]);
}

#[test]
fn what_needs_an_account_is_called_and_the_kingdoms_error_printed() {
    let world = World::start();
    let consumer = world.resource("mc1");
    let keys = ["api-keys", "--id-token", "t", "create", "--measurement-consumer", &consumer];
    let mut keys = keys.to_vec();
    keys.extend(["--nickname", "n"]);
    world.api("mc1", &keys).bad(1, &["the Kingdom refused", "UNIMPLEMENTED"]);
    // `--id-token` belongs to the group (4.1.2).
    let late = ["api-keys", "create", "--id-token", "t"];
    world.api("mc1", &late).bad(2, &["--id-token"]);
    // Without it, it is asked for: here there is nobody to answer.
    let mut asked = keys.clone();
    asked.drain(1..3);
    world.api("mc1", &asked).bad(1, &["ID Token: ", "--id-token"]);

    let public_key = world.serialized_key("mc1");
    let certificate = world.file("mc1", "cs_cert.der");
    let create = ["measurement-consumers", "create", "--creation-token", "t", "--certificate"];
    let mut create = create.to_vec();
    create.extend([certificate.as_str(), "--public-key", &public_key]);
    create.extend(["--public-key-signature", &public_key, "--id-token", "a.b.c"]);
    world.api("mc1", &create).bad(1, &["does not verify", "the Kingdom refused"]);
    let wrong = world.path("wrong");
    write(&wrong, b"\xff\xff\xff");
    create[7] = &wrong;
    world.api("mc1", &create).bad(2, &["EncryptionPublicKey"]);
}

#[test]
fn the_update_sends_the_key_as_message_and_as_data_3_1_3() {
    let world = World::start();
    let (ended, _) = update(&world, &["--format", "json"], &[], "ECDSA_WITH_SHA256");
    let json: serde_json::Value = serde_json::from_str(&ended.good()).expect("JSON");
    let signed = &json["publicKey"];
    assert_eq!(signed["data"], signed["message"]["value"]);
    let key = read(&world.path("edp1_key.bin"));
    assert!(pb::EncryptionPublicKey::decode(key.as_slice()).is_ok());
}

/// A client leaf that has expired: its date, and the alert with which the Kingdom refused it.
#[test]
fn an_expired_client_leaf_is_told_with_its_date_and_the_alert() {
    let world = World::start();
    let file = |name: &str| std::fs::read(world.own("edp1").join(name)).expect("a file");
    let key = String::from_utf8(file("edp1_root.key")).expect("text");
    let authority = halo_pki::Authority::load(&file("edp1_root.pem"), &key).expect("edp1's");
    let day = |text: &str| {
        let format = &time::format_description::well_known::Rfc3339;
        time::OffsetDateTime::parse(text, format).expect("a time")
    };
    let validity = halo_pki::Validity {
        not_before: day("2020-01-01T00:00:00Z"),
        not_after: day("2020-02-01T00:00:00Z"),
    };
    let mut rng = fake_kingdom::seam::entropy::Seed::new(1).child("expired");
    let leaf = authority.issue(&halo_pki::LeafSpec::new("old", validity), &mut rng).expect("made");
    write(&world.file("edp1", "tls.pem"), halo_pki::certificate_pem(leaf.certificate_der()));
    write(&world.file("edp1", "tls.key"), leaf.key().pkcs8_pem());
    let name = format!("--name={}", world.resource("edp1"));
    let texts = ["edp1_tls.pem expired at 2020-02-01T00:00:00", "the TLS alert Certificate"];
    world.api("edp1", &["data-providers", &name, "get"]).bad(1, &texts);
}

/// The TLS options take PEM only (4.0.6): the same leaf in DER is told as such, before anything is
/// dialled.
#[test]
fn a_der_leaf_for_tls_is_told_as_der() {
    let world = World::start();
    let pem = world.file("edp1", "tls.pem");
    let der = halo_pki::pem_certificates(&read(&pem)).expect("PEM").remove(0);
    write(&pem, der);
    let name = format!("--name={}", world.resource("edp1"));
    let texts = ["edp1_tls.pem: DER where PEM text is wanted", "openssl x509 -inform DER"];
    world.api("edp1", &["data-providers", &name, "get"]).bad(1, &texts);
}
