//! What the benches share: a state with many certificates, the fake, and a bare tonic server to
//! hold it against.

#![allow(dead_code, missing_docs, unreachable_pub, reason = "each bench uses a part of it")]

use fake_kingdom::client::{self, Credentials};
use fake_kingdom::core::{Core, Storage};
use fake_kingdom::event::{AlertSettings, EventLog};
use fake_kingdom::model::certificate::{self, NewCertificate, RevocationState};
use fake_kingdom::model::data_provider::DataProvider;
use fake_kingdom::model::{IdSource, Owner, Timestamp};
use fake_kingdom::persist::{Loaded, Persist};
use fake_kingdom::seam::clock::Clock;
use fake_kingdom::seam::entropy::Seed;
use fake_kingdom::seam::transport::Tcp;
use fake_kingdom::settings::Settings;
use fake_kingdom::{Addresses, Kingdom, Sandbox};
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::service::TowerToHyperService;
use kingdom_proto::v2alpha as pb;
use pb::certificates_client::CertificatesClient;
use pb::certificates_server::{Certificates, CertificatesServer};
use rand_chacha::ChaCha20Rng;
use rand_core::RngCore as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, ServerName};
use rustls::server::{NoServerSessionStorage, WebPkiClientVerifier};
use rustls::{RootCertStore, ServerConfig};
use std::path::Path;
use std::sync::{Arc, Mutex};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Runtime;
use tokio_rustls::{TlsAcceptor, TlsConnector};
use tonic::transport::Channel;
use tonic::{Request, Response, Status};
use tower::ServiceExt as _;

/// Bytes of a certificate that is only stored: what a P-256 leaf of the sandbox has, about.
pub const DER_BYTES: usize = 500;
/// The sizes at which reads are timed.
pub const SIZES: [usize; 3] = [1, 1_000, 1_000_000];
/// The parent of all stored certificates.
pub const PARENT: i64 = 404;
const BATCH: usize = 20_000;

/// Seconds that `work` takes.
#[allow(clippy::disallowed_methods, reason = "a bench measures real time")]
pub fn seconds(work: impl FnOnce()) -> f64 {
    let start = std::time::Instant::now();
    work();
    start.elapsed().as_secs_f64()
}

/// A state with certificates of one data provider, and where each of them is in list order.
pub struct Filled {
    pub core: Core,
    pub principal: fake_kingdom::authn::Principal,
    /// Resource names.
    pub names: Vec<String>,
    random: ChaCha20Rng,
}

impl Filled {
    /// `count` certificates on the heap.
    pub fn memory(count: usize) -> Self {
        Self::fill(Storage::Memory(Mutex::new(None)), Loaded::default(), count, true)
    }

    /// The same without a list of their names, whose memory would count.
    pub fn unnamed(count: usize) -> Self {
        Self::fill(Storage::Memory(Mutex::new(None)), Loaded::default(), count, false)
    }

    /// `count` certificates in a data directory that belongs to a sandbox.
    pub fn disk(folder: &Path, sandbox: &Path, count: usize) -> Self {
        let origin = Sandbox::open(sandbox).expect("a sandbox").fingerprint();
        let (persist, loaded) = Persist::open(folder, &origin).expect("a store");
        Self::fill(Storage::Disk(persist), loaded, count, false)
    }

    fn fill(storage: Storage, loaded: Loaded, count: usize, named: bool) -> Self {
        let seed = Seed::new(8);
        let core = Core::new(
            Settings::default(),
            Clock::real(),
            IdSource::new(seed.child("ids")),
            EventLog::new(AlertSettings::default()),
            storage,
            loaded,
        );
        let mut random = seed.child("certificates");
        core.write("operator", |write| {
            write.tables.data_providers.put(DataProvider { id: PARENT, ..DataProvider::default() });
            Ok(())
        })
        .expect("a data provider");
        let names = create(&core, &Owner::DataProvider(PARENT), count, named, &mut random);
        let name = Owner::DataProvider(PARENT).name();
        let principal = fake_kingdom::authn::Principal::parse(&name).expect("a principal");
        Self { core, principal, names, random }
    }

    /// A certificate's name, drawn at random.
    pub fn any_name(&mut self) -> String {
        let drawn = self.random.next_u64() % self.names.len() as u64;
        self.names[usize::try_from(drawn).expect("an index")].clone()
    }

    /// GetCertificate, as the service runs it.
    pub fn get(&self, name: String) -> pb::Certificate {
        let request = pb::GetCertificateRequest { name };
        let caller = Some(&self.principal);
        self.core
            .read(|read| fake_kingdom::public::certificates::get(read, caller, &request))
            .expect("found")
    }

    /// One page of ListCertificates, as the service runs it.
    pub fn list(&self, page_token: String) -> pb::ListCertificatesResponse {
        let request = pb::ListCertificatesRequest {
            parent: self.principal.name().to_owned(),
            page_size: 50,
            page_token,
            ..Default::default()
        };
        let caller = Some(&self.principal);
        self.core
            .read(|read| fake_kingdom::public::certificates::list(read, caller, &request))
            .expect("a page")
    }

    /// Tokens of pages all over the list; the empty one alone if there is one page.
    pub fn page_tokens(&self) -> Vec<String> {
        let mut tokens = vec![String::new()];
        loop {
            let next = self.list(tokens.last().expect("one").clone()).next_page_token;
            if next.is_empty() {
                break;
            }
            tokens.push(next);
        }
        // The last page is not a full one.
        if tokens.len() > 1 {
            tokens.pop();
        }
        // Steps through the list out of order, as independent callers do.
        let step = (tokens.len() * 618 / 1000).max(1);
        let mut order: Vec<_> = (0..tokens.len()).collect();
        order.sort_by_key(|index| (index * step) % tokens.len());
        order.into_iter().map(|index| tokens[index].clone()).collect()
    }
}

/// Creates certificates, many in one transaction; their names, if wanted.
fn create(
    core: &Core,
    owner: &Owner,
    count: usize,
    named: bool,
    random: &mut ChaCha20Rng,
) -> Vec<String> {
    let mut names = Vec::new();
    let mut made = 0;
    while made < count {
        let batch = BATCH.min(count - made);
        made += batch;
        core.write("operator", |write| {
            for _ in 0..batch {
                let row = certificate::create(write, owner.clone(), stored_only(random))
                    .expect("random key identifiers are unique");
                if named {
                    names.push(row.name());
                }
            }
            Ok(())
        })
        .expect("stored");
    }
    names
}

/// A fake with many certificates of the data provider that calls it.
pub struct Stocked {
    runtime: Runtime,
    _kingdom: Kingdom,
    client: CertificatesClient<Channel>,
    parent: String,
    names: Vec<String>,
}

impl Stocked {
    pub fn start(count: usize) -> Self {
        let seed = Seed::new(8);
        let sandbox = Sandbox::for_now(seed).expect("a sandbox");
        let parent = sandbox.participant("edp1").expect("a participant").resource.clone();
        let id = parent.rsplit('/').next().and_then(kingdom_proto::ApiId::decode);
        let owner = Owner::DataProvider(id.expect("an id").value());
        let runtime = runtime("stocked");
        let kingdom = runtime
            .block_on(
                Kingdom::builder(fake_kingdom::Files::Memory(sandbox.memory_files()))
                    .provision(sandbox.provision().expect("resources"))
                    .start(),
            )
            .expect("the fake starts");
        let mut random = seed.child("certificates");
        let names = create(kingdom.control().core(), &owner, count, true, &mut random);
        let channel = runtime.block_on(async { kingdom.channel(&sandbox, "edp1") });
        let client = CertificatesClient::new(channel.expect("a channel"));
        Self { runtime, _kingdom: kingdom, client, parent, names }
    }

    /// Random GetCertificate RPCs, one after the other.
    pub fn gets(&mut self, calls: usize) {
        let step = self.names.len() * 618 / 1000 + 1;
        let names: Vec<_> =
            (0..calls).map(|n| self.names[n * step % self.names.len()].clone()).collect();
        self.runtime.block_on(async {
            for name in names {
                let request = pb::GetCertificateRequest { name };
                self.client.get_certificate(request).await.expect("found");
            }
        });
    }

    /// ListCertificates RPCs, each the page after the one before.
    pub fn lists(&mut self, calls: usize) {
        let mut page_token = String::new();
        self.runtime.block_on(async {
            for _ in 0..calls {
                let parent = self.parent.clone();
                let request = pb::ListCertificatesRequest {
                    parent,
                    page_size: 50,
                    page_token,
                    ..Default::default()
                };
                let page = self.client.list_certificates(request).await.expect("a page");
                page_token = page.into_inner().next_page_token;
            }
        });
    }
}

fn stored_only(random: &mut ChaCha20Rng) -> NewCertificate {
    let mut x509_der = vec![0; DER_BYTES];
    random.fill_bytes(&mut x509_der);
    let mut subject_key_identifier = vec![0; 20];
    random.fill_bytes(&mut subject_key_identifier);
    let from = i64::from(random.next_u32());
    NewCertificate {
        x509_der,
        subject_key_identifier,
        not_valid_before: Timestamp::from_seconds(from),
        not_valid_after: Timestamp::from_seconds(from + 31_536_000),
        revocation_state: RevocationState::Unspecified,
    }
}

/// The fake and a bare server, each in a runtime of its own, and a client.
pub struct Pair {
    client: Runtime,
    /// Kept to the end: dropping it stops the server.
    _kingdom: Kingdom,
    _servers: [Runtime; 2],
    pub fake: Target,
    pub bare: Target,
}

/// One server as a client sees it.
#[derive(Clone)]
pub struct Target {
    address: String,
    credentials: Credentials,
    certificate: String,
}

fn runtime(name: &str) -> Runtime {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .thread_name(name)
        .enable_all()
        .build()
        .expect("a runtime")
}

impl Pair {
    /// Starts both over one sandbox; both answer the data provider's own certificate.
    pub fn start() -> Self {
        let sandbox = Sandbox::for_now(Seed::new(8)).expect("a sandbox");
        let credentials = Credentials::of(&sandbox, "edp1").expect("a participant");
        let participant = sandbox.participant("edp1").expect("a participant");
        let certificate = participant.certificate.clone().expect("a certificate");

        let fakes = runtime("fake");
        let kingdom = fakes
            .block_on(
                Kingdom::builder(fake_kingdom::Files::Memory(sandbox.memory_files()))
                    .provision(sandbox.provision().expect("resources"))
                    .addresses(Addresses::default())
                    .start(),
            )
            .expect("the fake starts");
        let client = runtime("client");
        let target = |address: String| Target {
            address,
            credentials: credentials.clone(),
            certificate: certificate.clone(),
        };
        let fake = target(kingdom.public_address().to_owned());
        let payload = client.block_on(async {
            let mut client = CertificatesClient::new(fake.channel());
            client.get_certificate(fake.request()).await.expect("an answer").into_inner()
        });

        let bares = runtime("bare");
        let bare = target(bares.block_on(bare(&sandbox, payload)));
        Self { client, _kingdom: kingdom, _servers: [fakes, bares], fake, bare }
    }

    /// Runs a client's work.
    pub fn run<T>(&self, work: impl Future<Output = T>) -> T {
        self.client.block_on(work)
    }
}

impl Target {
    fn channel(&self) -> Channel {
        client::channel(Arc::new(Tcp), &self.address, &self.credentials, &Clock::real())
            .expect("a channel")
    }

    fn request(&self) -> pb::GetCertificateRequest {
        pb::GetCertificateRequest { name: self.certificate.clone() }
    }

    /// Open connections, each proved by a call.
    pub async fn connections(&self, count: usize) -> Vec<CertificatesClient<Channel>> {
        let mut clients = Vec::new();
        for _ in 0..count {
            let mut client = CertificatesClient::new(self.channel());
            client.get_certificate(self.request()).await.expect("an answer");
            clients.push(client);
        }
        clients
    }

    /// `calls` GetCertificate RPCs over each connection, `in_flight` at once on each.
    pub async fn unary(
        &self,
        connections: &[CertificatesClient<Channel>],
        in_flight: usize,
        calls: usize,
    ) {
        let mut tasks = Vec::new();
        for client in connections {
            for _ in 0..in_flight {
                let (mut client, request) = (client.clone(), self.request());
                tasks.push(tokio::spawn(async move {
                    for _ in 0..calls / in_flight {
                        client.get_certificate(request.clone()).await.expect("an answer");
                    }
                }));
            }
        }
        for task in tasks {
            task.await.expect("no panic");
        }
    }

    /// `count` full mTLS handshakes, `in_flight` at once, each to the server's first HTTP/2 frame:
    /// only then has the server judged the client.
    pub async fn handshakes(&self, in_flight: usize, count: usize) {
        let config = Arc::new(self.credentials.config(&Clock::real()).expect("usable"));
        let mut tasks = Vec::new();
        for _ in 0..in_flight {
            let (target, connector) = (self.clone(), TlsConnector::from(config.clone()));
            tasks.push(tokio::spawn(async move {
                for _ in 0..count / in_flight {
                    target.handshake(&connector).await;
                }
            }));
        }
        for task in tasks {
            task.await.expect("no panic");
        }
    }

    async fn handshake(&self, connector: &TlsConnector) {
        let stream = TcpStream::connect(&self.address).await.expect("it accepts");
        stream.set_nodelay(true).expect("a socket");
        let name = ServerName::try_from("localhost").expect("a name");
        let mut tls = connector.connect(name, stream).await.expect("a handshake");
        let preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";
        tls.write_all(preface).await.expect("written");
        tls.flush().await.expect("written");
        let mut frame = [0; 9];
        tls.read_exact(&mut frame).await.expect("the server's settings");
    }
}

/// The bare server: tonic over tokio-rustls and nothing else (rust-notes.md section 1).
async fn bare(sandbox: &Sandbox, payload: pb::Certificate) -> String {
    let file = |path: &str| sandbox.file(path).expect("a file of the sandbox");
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut roots = RootCertStore::empty();
    for root in halo_pki::pem_certificates(file("kingdom/all_root_certs.pem")).expect("roots") {
        roots.add(CertificateDer::from(root)).expect("a root");
    }
    let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider.clone())
        .clear_root_hint_subjects()
        .build()
        .expect("a verifier");
    let chain = halo_pki::pem_certificates(file("kingdom/kingdom_tls.pem")).expect("a leaf");
    let key = String::from_utf8_lossy(file("kingdom/kingdom_tls.key")).into_owned();
    let key = halo_pki::pem_private_key(&key).expect("a key");
    let mut config = ServerConfig::builder_with_details(provider, Arc::new(Clock::real()))
        .with_protocol_versions(&[&rustls::version::TLS13])
        .expect("TLS 1.3")
        .with_client_cert_verifier(verifier)
        .with_single_cert(
            chain.into_iter().map(CertificateDer::from).collect(),
            PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key)),
        )
        .expect("an identity");
    config.alpn_protocols = vec![b"h2".to_vec()];
    config.send_tls13_tickets = 0;
    config.session_storage = Arc::new(NoServerSessionStorage {});

    let acceptor = TlsAcceptor::from(Arc::new(config));
    let routes = tonic::service::Routes::new(CertificatesServer::new(Bare(payload)));
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address").to_string();
    tokio::spawn(async move {
        loop {
            let Ok((stream, _)) = listener.accept().await else { continue };
            let (acceptor, routes) = (acceptor.clone(), routes.clone());
            tokio::spawn(async move {
                stream.set_nodelay(true).expect("a socket");
                let Ok(tls) = acceptor.accept(stream).await else { return };
                let service =
                    tower::service_fn(move |request: http::Request<hyper::body::Incoming>| {
                        routes.clone().oneshot(request.map(tonic::body::Body::new))
                    });
                let mut http = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
                http.auto_date_header(false);
                let _ = http
                    .serve_connection(TokioIo::new(tls), TowerToHyperService::new(service))
                    .await;
            });
        }
    });
    address
}

struct Bare(pb::Certificate);

#[tonic::async_trait]
impl Certificates for Bare {
    async fn get_certificate(
        &self,
        _: Request<pb::GetCertificateRequest>,
    ) -> Result<Response<pb::Certificate>, Status> {
        Ok(Response::new(self.0.clone()))
    }

    async fn list_certificates(
        &self,
        _: Request<pb::ListCertificatesRequest>,
    ) -> Result<Response<pb::ListCertificatesResponse>, Status> {
        Err(Status::unimplemented("not measured"))
    }

    async fn create_certificate(
        &self,
        _: Request<pb::CreateCertificateRequest>,
    ) -> Result<Response<pb::Certificate>, Status> {
        Err(Status::unimplemented("not measured"))
    }

    async fn revoke_certificate(
        &self,
        _: Request<pb::RevokeCertificateRequest>,
    ) -> Result<Response<pb::Certificate>, Status> {
        Err(Status::unimplemented("not measured"))
    }

    async fn release_certificate_hold(
        &self,
        _: Request<pb::ReleaseCertificateHoldRequest>,
    ) -> Result<Response<pb::Certificate>, Status> {
        Err(Status::unimplemented("not measured"))
    }
}
