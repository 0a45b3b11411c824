//! `fake-kingdom serve` as others start, script and kill it (interfaces.md sections 1 to 3).

mod support;

use fake_kingdom::Sandbox;
use fake_kingdom::audit;
use kingdom_proto::v2alpha as pb;
use kingdom_proto::v2alpha::certificates_client::CertificatesClient;
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use support::{Serve, refused};

fn resource(folder: &Path, participant: &str) -> String {
    let sandbox = Sandbox::open(folder).expect("a sandbox");
    sandbox.participant(participant).expect("a participant").resource.clone()
}

/// A leaf with a fresh key, as a client would register it.
fn fresh_der(folder: &Path, n: u64) -> Vec<u8> {
    use rand_core::SeedableRng as _;
    let read =
        |file: &str| std::fs::read(folder.join("participants/edp1").join(file)).expect("a file");
    let key = String::from_utf8(read("edp1_root.key")).expect("text");
    let root = halo_pki::Authority::load(&read("edp1_root.pem"), &key).expect("an authority");
    let now = time::OffsetDateTime::UNIX_EPOCH + time::Duration::days(20_000);
    let spec = halo_pki::LeafSpec::new("process test", halo_pki::Validity::days(now, 365));
    let mut rng = rand_chacha::ChaCha20Rng::seed_from_u64(n);
    root.issue(&spec, &mut rng).expect("a leaf").certificate_der().to_vec()
}

#[test]
fn the_ready_line_stands_in_the_folder_and_is_removed_at_a_clean_stop() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut serve = Serve::sandbox(folder.path(), &["--replicas", "3"]);
    assert_eq!(serve.ready["ready"], true);
    assert_eq!(serve.ready["replicas"].as_array().map(Vec::len), Some(3));
    assert_eq!(serve.ready["pid"], serve.child.id());
    let duchies = serve.ready["duchies"].as_object().expect("an object").clone();
    assert_eq!(duchies.keys().collect::<Vec<_>>(), ["aggregator", "worker1", "worker2"]);
    for address in duchies.values() {
        TcpStream::connect(address.as_str().expect("an address")).expect("it accepts");
    }
    let stored: serde_json::Value =
        serde_json::from_slice(&std::fs::read(folder.path().join("ready.json")).expect("it"))
            .expect("JSON");
    assert_eq!(stored, serve.ready);
    assert_eq!(serve.signal("-TERM").code(), Some(0));
    assert!(!folder.path().join("ready.json").exists());
}

#[test]
fn reopening_keeps_every_file_id_and_port() {
    let folder = tempfile::tempdir().expect("a folder");
    let first = Serve::sandbox(folder.path(), &[]).ready.clone();
    let before = Sandbox::open(folder.path()).expect("it");
    let second = Serve::sandbox(folder.path(), &[]).ready.clone();
    let after = Sandbox::open(folder.path()).expect("it");
    for field in ["public", "system", "operator", "health", "control", "replicas", "duchies"] {
        assert_eq!(first[field], second[field], "{field}");
    }
    assert_eq!(before.participants(), after.participants());
    for (path, content) in before.files() {
        assert_eq!(after.file(path), Some(content), "{path}");
    }
}

#[test]
fn a_duchys_server_is_stopped_started_and_shown_by_the_control_listener() {
    let folder = tempfile::tempdir().expect("a folder");
    let serve = Serve::sandbox(folder.path(), &["--shutdown-grace-period-seconds", "0.2"]);
    let address = serve.ready["duchies"]["worker1"].as_str().expect("an address").to_owned();
    let state = |serve: &Serve| {
        let (_, state) = serve.control("GET", "/v1/state", "");
        let state: serde_json::Value = serde_json::from_str(&state).expect("JSON");
        state["duchies"][1]["state"].as_str().expect("a state").to_owned()
    };
    assert_eq!(serve.control("POST", "/v1/duchies/worker1/stop", "").0, 200);
    assert_eq!(state(&serve), "stopped");
    assert!(TcpStream::connect(&address).is_err());
    assert_eq!(serve.control("POST", "/v1/duchies/worker1/start", "").0, 200);
    assert_eq!(state(&serve), "running");
    assert!(TcpStream::connect(&address).is_ok());
    assert_eq!(serve.control("GET", "/v1/duchies/worker1/fulfilments", ""), (200, "[]".to_owned()));
    assert_eq!(serve.control("POST", "/v1/duchies/nobody/stop", "").0, 404);
    assert_eq!(serve.control("POST", "/v1/duchies/worker1/dance", "").0, 404);
    // A bundle that it does not start with keeps it stopped, and says whose file it is.
    let bundle = folder.path().join("participants/worker1/all_root_certs.pem");
    std::fs::write(bundle, "-----BEGIN CERTIFICATE-----\nx\n").expect("written");
    let (status, body) = serve.control("POST", "/v1/duchies/worker1/restart", "");
    assert_eq!(status, 409, "{body}");
    assert!(body.contains("worker1") && body.contains("all_root_certs.pem"), "{body}");
    assert_eq!(state(&serve), "stopped");
}

#[test]
fn a_port_in_use_is_an_error_that_names_the_flag() {
    let folder = tempfile::tempdir().expect("a folder");
    let taken = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = taken.local_addr().expect("it").port().to_string();
    let path = folder.path().to_str().expect("text");
    for flag in ["--port", "--system-port", "--operator-port", "--health-port", "--control-port"] {
        let (code, error) = refused(&["serve", "--sandbox", path, flag, &port]);
        assert_eq!(code, Some(2), "{error}");
        assert!(error.contains(&format!(" {flag} ")), "{flag}: {error}");
        assert!(error.contains(&port), "{error}");
    }
}

#[test]
fn a_bind_beyond_loopback_needs_allow_remote() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().to_str().expect("text");
    let (code, error) = refused(&["serve", "--sandbox", path, "--bind", "0.0.0.0"]);
    assert_eq!(code, Some(2));
    assert!(error.contains("--allow-remote"), "{error}");
}

#[test]
fn a_data_dir_that_was_begun_with_another_sandbox_is_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = |name: &str| folder.path().join(name).to_str().expect("text").to_owned();
    drop(Serve::sandbox(&folder.path().join("one"), &["--data-dir", &path("data")]));
    let (code, error) = refused(&["serve", "--sandbox", &path("two"), "--data-dir", &path("data")]);
    assert_eq!(code, Some(2));
    assert!(error.contains("another sandbox") && error.contains(&path("data")), "{error}");
    drop(Serve::sandbox(&folder.path().join("one"), &["--data-dir", &path("data")]));
}

#[test]
fn a_data_dir_whose_store_was_cut_is_refused_by_name_and_left_as_it_is() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = |name: &str| folder.path().join(name).to_str().expect("text").to_owned();
    drop(Serve::sandbox(&folder.path().join("one"), &["--data-dir", &path("data")]));
    let store = folder.path().join("data/kingdom.redb");
    let whole = std::fs::read(&store).expect("a store");
    for length in [10, 5_000, whole.len() / 2] {
        std::fs::write(&store, &whole[..length]).expect("written");
        let (code, error) =
            refused(&["serve", "--sandbox", &path("one"), "--data-dir", &path("data")]);
        assert_eq!(code, Some(2), "{length}: {error}");
        let last = error.lines().last().unwrap_or_default();
        assert!(last.contains("kingdom.redb") && last.contains(&path("data")), "{length}: {error}");
        assert_eq!(std::fs::read(&store).expect("still there").len(), length);
    }
    std::fs::write(&store, &whole).expect("written");
    drop(Serve::sandbox(&folder.path().join("one"), &["--data-dir", &path("data")]));
}

#[test]
fn a_sandbox_whose_leaves_do_not_reach_the_start_time_is_refused_by_name() {
    let folder = tempfile::tempdir().expect("a folder");
    drop(Serve::sandbox(folder.path(), &[]));
    let path = folder.path().to_str().expect("text");
    let (code, error) =
        refused(&["serve", "--sandbox", path, "--start-time", "2099-01-01T00:00:00Z"]);
    assert_eq!(code, Some(2));
    assert!(error.contains("_tls.pem") && error.contains("--start-time"), "{error}");
}

#[test]
fn without_a_sandbox_each_missing_file_is_named() {
    let (code, error) = refused(&["serve", "--tls-cert-file", "x.pem"]);
    assert_eq!(code, Some(2));
    assert!(error.contains("--tls-key-file"), "{error}");
}

/// Starts with the real servers' flags over a sandbox's files, one of them replaced.
fn with_real_flags(folder: &Path, spoil: Option<(&str, &[u8])>) -> Vec<String> {
    let kingdom = folder.join("kingdom");
    let mut arguments = vec!["serve".to_owned(), "--format".to_owned(), "json".to_owned()];
    for (flag, file) in [
        ("--tls-cert-file", "kingdom_tls.pem"),
        ("--tls-key-file", "kingdom_tls.key"),
        ("--cert-collection-file", "all_root_certs.pem"),
        ("--operator-cert-collection-file", "kingdom_root.pem"),
        (
            "--authority-key-identifier-to-principal-map-file",
            "authority_key_identifier_to_principal_map.textproto",
        ),
        ("--duchy-info-config", "duchy_cert_config.textproto"),
        ("--duchy-id-config", "duchy_id_config.textproto"),
    ] {
        let mut path = kingdom.join(file);
        if let Some((spoiled, content)) = spoil
            && spoiled == flag
        {
            path = folder.join("spoiled");
            std::fs::write(&path, content).expect("written");
        }
        arguments.push(format!("{flag}={}", path.display()));
    }
    arguments
}

fn sandbox_folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    drop(Serve::sandbox(folder.path(), &[]));
    folder
}

#[test]
fn the_real_servers_flags_and_files_start_it_without_resources() {
    let folder = sandbox_folder();
    let arguments = with_real_flags(folder.path(), None);
    let serve = Serve::start(&arguments.iter().map(String::as_str).collect::<Vec<_>>());
    assert_eq!(serve.ready["sandbox"], serde_json::Value::Null);
    let (status, state) = serve.control("GET", "/v1/state", "");
    let state: serde_json::Value = serde_json::from_str(&state).expect("JSON");
    assert_eq!((status, state["certificates"].as_array().map(Vec::len)), (200, Some(0)));
}

#[test]
fn a_file_the_real_server_would_not_start_with_is_named_with_place_and_reason() {
    let folder = sandbox_folder();
    let read = |path: &str| std::fs::read(folder.path().join(path)).expect("a file");
    let roots = String::from_utf8(read("kingdom/all_root_certs.pem")).expect("text");
    let leaf = String::from_utf8(read("participants/edp1/edp1_tls.pem")).expect("text");
    let der = halo_pki::pem_certificates(leaf.as_bytes()).expect("PEM").remove(0);
    let glued = roots.replacen("-----END CERTIFICATE-----\n", "-----END CERTIFICATE-----", 1);
    let key = String::from_utf8(read("kingdom/kingdom_tls.key")).expect("text");
    let cases: Vec<(&str, Vec<u8>, &[&str])> = vec![
        (
            "--authority-key-identifier-to-principal-map-file",
            b"entries {\n  authority_key: \"a\"\n}".to_vec(),
            &["spoiled:2:3", "authority_key"],
        ),
        ("--duchy-info-config", b"# nothing\n".to_vec(), &["2.10"]),
        ("--duchy-id-config", b"duchies { external_duchy_id: 7 }".to_vec(), &["spoiled:1:30"]),
        ("--cert-collection-file", format!("{roots}{leaf}").into_bytes(), &["entry 9", "edp1"]),
        ("--cert-collection-file", glued.into_bytes(), &["line"]),
        ("--operator-cert-collection-file", b"garbage".to_vec(), &["no "]),
        ("--tls-cert-file", leaf.into_bytes(), &["--tls-key-file", "not the key of", "spoiled"]),
        (
            "--tls-key-file",
            read("participants/edp1/edp1_tls.key"),
            &["spoiled: not the key of --tls-cert-file", "kingdom_tls.pem", "one leaf"],
        ),
        ("--tls-cert-file", der, &["spoiled: DER where PEM", "openssl x509 -inform DER"]),
        ("--tls-key-file", format!("EC stuff\n{key}").into_bytes(), &["BEGIN PRIVATE KEY", "1"]),
    ];
    for (flag, content, expected) in cases {
        let arguments = with_real_flags(folder.path(), Some((flag, &content)));
        let (code, error) = refused(&arguments.iter().map(String::as_str).collect::<Vec<_>>());
        assert_eq!(code, Some(2), "{flag}: {error}");
        for text in expected.iter().chain([&flag]) {
            assert!(error.contains(text), "{flag}: `{text}` is not in: {error}");
        }
    }
}

#[test]
fn the_control_listener_answers_bad_input_with_a_reason() {
    let folder = tempfile::tempdir().expect("a folder");
    let serve = Serve::sandbox(folder.path(), &[]);
    for (method, path, body, status, text) in [
        ("POST", "/v1/clock", "{\"advance_seconds\":-1}", 400, "set back"),
        ("POST", "/v1/clock", "{\"set\":\"yesterday\"}", 400, "RFC 3339"),
        ("POST", "/v1/clock", "nonsense", 400, "expected"),
        ("POST", "/v1/clock", "{\"advance_seconds\":1e18}", 400, "year 9999"),
        ("GET", "/v1/events?after=18446744073709551615", "", 200, ""),
        ("POST", "/v1/faults", "{\"action\":{\"status\":\"FINE\"}}", 400, "FINE"),
        ("DELETE", "/v1/faults/7", "", 404, "no fault rule 7"),
        ("POST", "/v1/replicas/9/restart", "", 404, "no replica 9"),
        ("POST", "/v1/replicas/0/explode", "", 404, "explode"),
        ("GET", "/v1/nothing", "", 404, "no such path"),
        ("GET", "/v1/events?after=x", "", 400, "after"),
    ] {
        let (actual, answer) = serve.control(method, path, body);
        assert_eq!(actual, status, "{method} {path}: {answer}");
        assert!(answer.contains(text), "{method} {path}: {answer}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn kill_9_in_the_middle_of_writes_loses_nothing_acknowledged() {
    let folder = tempfile::tempdir().expect("a folder");
    let data = folder.path().join("data");
    let data = data.to_str().expect("text").to_owned();
    let sandbox = folder.path().join("sandbox");
    let flags = ["--data-dir", &data];
    let mut serve = Serve::sandbox(&sandbox, &flags);
    let parent = resource(&sandbox, "edp1");
    let stop = Arc::new(AtomicBool::new(false));
    let mut writers = Vec::new();
    for writer in 0..4_u64 {
        let channel = serve.channel(&sandbox, "edp1");
        let (parent, sandbox, stop) = (parent.clone(), sandbox.clone(), stop.clone());
        writers.push(tokio::spawn(async move {
            let mut client = CertificatesClient::new(channel);
            let mut acknowledged = Vec::new();
            for n in 0.. {
                if stop.load(Ordering::SeqCst) {
                    break;
                }
                let x509_der = fresh_der(&sandbox, writer * 1_000_000 + n);
                let certificate = Some(pb::Certificate { x509_der, ..Default::default() });
                let request = pb::CreateCertificateRequest { parent: parent.clone(), certificate };
                match client.create_certificate(request).await {
                    Ok(created) => acknowledged.push(created.into_inner()),
                    Err(_) => break,
                }
            }
            acknowledged
        }));
    }
    // Kill once there is something to lose: wait on the state, not on a clock.
    let enough = |serve: &Serve| {
        let (_, state) = serve.control("GET", "/v1/state", "");
        let state: serde_json::Value = serde_json::from_str(&state).expect("JSON");
        state["certificates"].as_array().is_some_and(|rows| rows.len() > 40)
    };
    for _ in 0..1_000 {
        if enough(&serve) {
            break;
        }
        tokio::task::yield_now().await;
    }
    let status = serve.signal("-KILL");
    assert!(!status.success());
    stop.store(true, Ordering::SeqCst);
    let mut acknowledged = Vec::new();
    for writer in writers {
        acknowledged.extend(writer.await.expect("a writer"));
    }
    assert!(acknowledged.len() > 30, "only {} writes were acknowledged", acknowledged.len());

    let serve = Serve::sandbox(&sandbox, &flags);
    let mut client = CertificatesClient::new(serve.channel(&sandbox, "edp1"));
    for expected in &acknowledged {
        let request = pb::GetCertificateRequest { name: expected.name.clone() };
        let found = client.get_certificate(request).await.expect("it is still there").into_inner();
        assert_eq!(&found, expected);
    }

    let (_, trail) = serve.control("GET", "/v1/audit", "");
    let head = audit::verify(trail.lines(), None).expect("the trail verifies");
    let (_, state) = serve.control("GET", "/v1/state", "");
    let state: serde_json::Value = serde_json::from_str(&state).expect("JSON");
    assert_eq!(state["audit_head"]["count"], head.count);
    assert_eq!(state["audit_head"]["hash"], head.hash);
    for expected in &acknowledged {
        assert!(trail.contains(&expected.name), "{} is not in the trail", expected.name);
    }
}

#[tokio::test]
async fn without_a_data_dir_a_restart_brings_the_sandbox_back_and_drops_the_rest() {
    let folder = tempfile::tempdir().expect("a folder");
    let parent = {
        let serve = Serve::sandbox(folder.path(), &[]);
        let parent = resource(folder.path(), "edp1");
        let mut client = CertificatesClient::new(serve.channel(folder.path(), "edp1"));
        let x509_der = fresh_der(folder.path(), 1);
        let certificate = Some(pb::Certificate { x509_der, ..Default::default() });
        let request = pb::CreateCertificateRequest { parent: parent.clone(), certificate };
        client.create_certificate(request).await.expect("created");
        parent
    };
    let serve = Serve::sandbox(folder.path(), &[]);
    let mut client = CertificatesClient::new(serve.channel(folder.path(), "edp1"));
    let request = pb::ListCertificatesRequest { parent: parent.clone(), ..Default::default() };
    let listed = client.list_certificates(request).await.expect("listed").into_inner();
    let own: Vec<_> = listed.certificates.iter().filter(|c| c.name.starts_with(&parent)).collect();
    let sandbox = Sandbox::open(folder.path()).expect("it");
    let expected = sandbox.participant("edp1").and_then(|p| p.certificate.clone());
    assert_eq!(own.len(), 1);
    assert_eq!(Some(&own[0].name), expected.as_ref());
}

#[tokio::test]
async fn two_replicas_serve_one_state_and_a_restarted_one_reads_its_files_again() {
    let folder = tempfile::tempdir().expect("a folder");
    let serve = Serve::sandbox(folder.path(), &["--shutdown-grace-period-seconds", "0.2"]);
    let parent = resource(folder.path(), "edp1");
    let x509_der = fresh_der(folder.path(), 5);
    let certificate = Some(pb::Certificate { x509_der, ..Default::default() });
    let request = pb::CreateCertificateRequest { parent, certificate };
    let created = CertificatesClient::new(serve.channel(folder.path(), "edp1"))
        .create_certificate(request)
        .await
        .expect("created")
        .into_inner();
    let get = pb::GetCertificateRequest { name: created.name.clone() };
    // Each new channel is the next replica's turn.
    for _ in 0..2 {
        let mut client = CertificatesClient::new(serve.channel(folder.path(), "edp1"));
        assert_eq!(client.get_certificate(get.clone()).await.expect("found").into_inner(), created);
    }
    let map = folder.path().join("kingdom/authority_key_identifier_to_principal_map.textproto");
    std::fs::write(&map, "# nobody\n").expect("written");
    let (status, _) = serve.control("POST", "/v1/replicas/1/restart", "");
    assert_eq!(status, 200);
    let mut codes = Vec::new();
    for _ in 0..2 {
        let mut client = CertificatesClient::new(serve.channel(folder.path(), "edp1"));
        codes.push(
            client.get_certificate(get.clone()).await.map(|_| ()).map_err(|status| status.code()),
        );
    }
    codes.sort_by_key(|outcome| outcome.is_ok());
    assert_eq!(codes, [Err(tonic::Code::Unauthenticated), Ok(())]);
}
