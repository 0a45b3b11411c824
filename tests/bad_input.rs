//! Bad input gets a clear error, is named in the server's own events, and loses nothing.

use fake_kingdom::client::{Credentials, channel};
use fake_kingdom::seam::clock::Clock;
use fake_kingdom::seam::entropy::Seed;
use fake_kingdom::seam::transport::Tcp;
use fake_kingdom::tls::ClientAuth;
use fake_kingdom::{Files, Kingdom, Sandbox};
use halo_pki::{AkidChoice, Authority, AuthoritySpec, LeafSpec, Validity};
use kingdom_proto::v2alpha as pb;
use kingdom_proto::v2alpha::certificates_client::CertificatesClient;
use kingdom_proto::v2alpha::data_providers_client::DataProvidersClient;
use serde_json::Value as Json;
use std::sync::Arc;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tonic::{Code, Status};

struct World {
    sandbox: Sandbox,
    kingdom: Kingdom,
}

impl World {
    async fn start() -> Self {
        Self::with_client_auth(ClientAuth::Required).await
    }

    async fn with_client_auth(client_auth: ClientAuth) -> Self {
        let sandbox = Sandbox::for_now(Seed::new(3)).expect("a sandbox");
        let kingdom = Kingdom::builder(Files::Memory(sandbox.memory_files()))
            .provision(sandbox.provision().expect("resources"))
            .client_auth(client_auth)
            .start()
            .await
            .expect("it starts");
        Self { sandbox, kingdom }
    }

    fn resource(&self, participant: &str) -> String {
        self.sandbox.participant(participant).expect("a participant").resource.clone()
    }

    fn authority(&self, participant: &str) -> Authority {
        let file = |name: &str| {
            let path = format!("participants/{participant}/{participant}_{name}");
            self.sandbox.file(&path).expect("a file").to_vec()
        };
        let key = String::from_utf8(file("root.key")).expect("text");
        Authority::load(&file("root.pem"), &key).expect("an authority")
    }

    fn credentials(&self) -> Credentials {
        Credentials::of(&self.sandbox, "edp1").expect("edp1")
    }

    /// A leaf of `issuer` that differs from the recipe by `change`, alone or with a chain.
    fn leaf(&self, issuer: &Authority, change: impl FnOnce(&mut LeafSpec)) -> Credentials {
        let mut spec = LeafSpec::new("bad input TEST ONLY", self.validity());
        change(&mut spec);
        let leaf = issuer.issue(&spec, &mut Seed::new(9).child("leaf")).expect("a leaf");
        Credentials {
            chain: vec![leaf.certificate_der().to_vec()],
            key: leaf.key().pkcs8_der().to_vec(),
            ..self.credentials()
        }
    }

    fn validity(&self) -> Validity {
        let now = Clock::real().now().to_date_time().expect("a date");
        Validity::days(now - time::Duration::days(1), 2)
    }

    /// GetDataProvider of `edp1` with these credentials.
    async fn call(&self, credentials: &Credentials) -> Result<(), Status> {
        let control = self.kingdom.control();
        let address = self.kingdom.public_address();
        let channel =
            channel(Arc::new(Tcp), address, credentials, control.clock()).expect("a channel");
        let name = self.resource("edp1");
        DataProvidersClient::new(channel)
            .get_data_provider(pb::GetDataProviderRequest { name })
            .await
            .map(|_| ())
    }

    fn events(&self, kind: &str) -> Vec<Json> {
        let events = self.kingdom.control().events().after(0, usize::MAX).expect("all are kept");
        let events = events.iter().map(|event| serde_json::to_value(&**event).expect("JSON"));
        events.filter(|event| event["kind"] == kind).collect()
    }

    /// The causes of all refused handshakes, each once. A client may dial again by itself.
    fn refused_handshakes(&self) -> Vec<String> {
        let refused = self.events("handshake").into_iter().filter(|e| e["outcome"] == "refused");
        let mut causes: Vec<String> =
            refused.map(|event| event["cause"].as_str().unwrap_or("none").to_owned()).collect();
        causes.dedup();
        causes
    }

    /// The control: a good client is served as before.
    async fn is_unharmed(&self) {
        self.call(&self.credentials()).await.expect("a good client is served");
    }
}

#[tokio::test]
async fn a_leaf_of_one_trusted_ca_that_names_another_never_becomes_that_principal() {
    let world = World::start().await;
    let victim = world.authority("edp1").subject_key_identifier().to_vec();
    let claimed = AkidChoice::Of(victim.clone());
    let attacker = world.leaf(&world.authority("mc1"), |spec| spec.akid = claimed);
    assert!(world.call(&attacker).await.is_err());
    assert_eq!(world.refused_handshakes(), ["akid_not_of_issuer"]);
    let shown = halo_pki::inspect(&attacker.chain[0]).expect("it parses");
    let handshake = world.events("handshake").pop().expect("an event");
    assert_eq!(handshake["peer"]["serial"], shown.serial, "the event names the certificate");
    let hex: String = victim.iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(handshake["peer"]["akid"], hex);
    assert_eq!(world.events("call"), Vec::<Json>::new());
    world.is_unharmed().await;
}

#[tokio::test]
async fn a_leaf_with_two_authority_key_identifiers_is_refused_at_the_door() {
    let world = World::start().await;
    let own = world.authority("mc1");
    let victim = world.authority("edp1").subject_key_identifier().to_vec();
    let twice = AkidChoice::Twice(own.subject_key_identifier().to_vec(), victim);
    assert!(world.call(&world.leaf(&own, |spec| spec.akid = twice)).await.is_err());
    assert_eq!(world.refused_handshakes(), ["malformed_certificate"]);
    world.is_unharmed().await;
}

#[tokio::test]
async fn no_certificate_an_unknown_ca_and_an_expired_leaf_are_refused_by_name() {
    for (expected, credentials) in [
        ("no_client_certificate", {
            |world: &World| Credentials { chain: Vec::new(), ..world.credentials() }
        } as fn(&World) -> Credentials),
        ("unknown_issuer", |world| {
            let spec = AuthoritySpec {
                organization: "nobody".to_owned(),
                common_name: "nobody".to_owned(),
                dns_name: "nobody.test".to_owned(),
                validity: world.validity(),
            };
            let stranger = Authority::create(&spec, &mut Seed::new(5).child("ca")).expect("it");
            world.leaf(&stranger, |_| {})
        }),
        ("expired", |world| {
            let past = world.validity().not_before - time::Duration::days(9);
            world.leaf(&world.authority("edp1"), |spec| spec.validity = Validity::days(past, 1))
        }),
        ("not_yet_valid", |world| {
            let later = world.validity().not_before + time::Duration::days(9);
            world.leaf(&world.authority("edp1"), |spec| spec.validity = Validity::days(later, 1))
        }),
    ] {
        let world = World::start().await;
        assert!(world.call(&credentials(&world)).await.is_err(), "{expected}");
        assert_eq!(world.refused_handshakes(), [expected]);
        world.is_unharmed().await;
    }
}

#[tokio::test]
async fn a_leaf_without_akid_and_a_leaf_with_an_intermediate_have_no_identity() {
    let world = World::start().await;
    let root = world.authority("edp1");
    let without = world.leaf(&root, |spec| spec.akid = AkidChoice::Absent);
    let spec = AuthoritySpec {
        organization: "edp1".to_owned(),
        common_name: "edp1 intermediate".to_owned(),
        dns_name: "ca.edp1.test".to_owned(),
        validity: world.validity(),
    };
    let intermediate = root.intermediate(&spec, &mut Seed::new(6).child("ca")).expect("it");
    let mut chained = world.leaf(&intermediate, |_| {});
    chained.chain.push(intermediate.certificate_der().to_vec());
    for (credentials, cause) in [(without, "akid_missing"), (chained, "chain_not_single")] {
        let status = world.call(&credentials).await.expect_err(cause);
        assert_eq!(status.code(), Code::Unauthenticated);
        let call = world.events("call").pop().expect("an event");
        assert_eq!(call["cause"], cause);
        assert_eq!(call["principal"], Json::Null);
    }
    world.is_unharmed().await;
}

#[tokio::test]
async fn plaintext_and_tls_1_2_are_refused_by_name() {
    let world = World::start().await;
    let mut stream =
        tokio::net::TcpStream::connect(world.kingdom.public_address()).await.expect("it");
    stream.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await.expect("written");
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer).await;
    assert_eq!(world.refused_handshakes(), ["plaintext"]);

    let config = rustls::ClientConfig::builder_with_provider(Arc::new(
        rustls::crypto::aws_lc_rs::default_provider(),
    ))
    .with_protocol_versions(&[&rustls::version::TLS12])
    .expect("TLS 1.2")
    .with_root_certificates(rustls::RootCertStore::empty())
    .with_no_client_auth();
    let stream = tokio::net::TcpStream::connect(world.kingdom.public_address()).await.expect("it");
    let connector = tokio_rustls::TlsConnector::from(Arc::new(config));
    let name = "localhost".try_into().expect("a name");
    assert!(connector.connect(name, stream).await.is_err());
    assert_eq!(world.refused_handshakes(), ["plaintext", "tls_version"]);
    world.is_unharmed().await;
}

#[tokio::test]
async fn an_optional_certificate_that_is_absent_is_unknown_and_not_unauthenticated() {
    let world = World::with_client_auth(ClientAuth::Optional).await;
    let nobody = Credentials { chain: Vec::new(), ..world.credentials() };
    let status = world.call(&nobody).await.expect_err("no identity");
    assert_eq!((status.code(), status.message()), (Code::Unknown, ""));
    world.is_unharmed().await;
}

#[tokio::test]
async fn bytes_that_are_no_certificate_are_invalid_and_too_large_a_message_is_exhausted() {
    let world = World::start().await;
    let channel = world.kingdom.channel(&world.sandbox, "edp1").expect("a channel");
    let mut client = CertificatesClient::new(channel);
    let good = world.credentials().chain.remove(0);
    let no_skid =
        world.leaf(&world.authority("edp1"), |spec| spec.skid = halo_pki::SkidChoice::Absent);
    let twice = world.leaf(&world.authority("edp1"), |spec| {
        spec.akid = AkidChoice::Twice(vec![1; 20], vec![2; 20]);
    });
    for (x509_der, code) in [
        (Vec::new(), Code::InvalidArgument),
        (good[..good.len() - 1].to_vec(), Code::InvalidArgument),
        (vec![0x30; 1024 * 1024], Code::InvalidArgument),
        (no_skid.chain[0].clone(), Code::InvalidArgument),
        (twice.chain[0].clone(), Code::InvalidArgument),
        (vec![0; 4 * 1024 * 1024 + 1], Code::ResourceExhausted),
    ] {
        let size = x509_der.len();
        let certificate = Some(pb::Certificate { x509_der, ..Default::default() });
        let request = pb::CreateCertificateRequest { parent: world.resource("edp1"), certificate };
        let status = client.create_certificate(request).await.expect_err("refused");
        assert_eq!(status.code(), code, "{size} bytes: {status:?}");
    }
    let parent = world.resource("edp1");
    let listed =
        client.list_certificates(pb::ListCertificatesRequest { parent, ..Default::default() });
    assert_eq!(
        listed.await.expect("served").into_inner().certificates.len(),
        2,
        "nothing was stored"
    );
}
