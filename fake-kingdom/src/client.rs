//! A client for those who embed the fake: a tonic channel with one participant's credentials.

use crate::kingdom::Kingdom;
use crate::sandbox::Sandbox;
use crate::seam::clock::Clock;
use crate::seam::transport::Network;
use hyper_util::rt::TokioIo;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use std::io;
use std::sync::Arc;
use tokio_rustls::TlsConnector;
use tonic::transport::{Channel, Endpoint};

/// What a client shows and trusts.
#[derive(Clone)]
pub struct Credentials {
    /// The chain it shows, leaf first; empty for none.
    pub chain: Vec<Vec<u8>>,
    /// The leaf's key, PKCS#8 DER.
    pub key: Vec<u8>,
    /// The roots it trusts, DER.
    pub trust: Vec<Vec<u8>>,
    /// The name it expects in the server's leaf.
    pub server_name: String,
}

/// A client cannot be made of these credentials.
#[derive(Debug, thiserror::Error)]
#[error("these credentials make no client: {0}")]
pub struct CredentialsError(String);

impl Credentials {
    /// The TLS credentials of a sandbox's participant, such as `edp1`; `kingdom` is the operator.
    ///
    /// # Errors
    /// The sandbox has no such participant.
    pub fn of(sandbox: &Sandbox, participant: &str) -> Result<Self, CredentialsError> {
        let folder = match participant {
            "kingdom" => "kingdom".to_owned(),
            name => format!("participants/{name}"),
        };
        let file = |name: &str| {
            let path = format!("{folder}/{name}");
            sandbox
                .file(&path)
                .ok_or_else(|| CredentialsError(format!("the sandbox has no {path}")))
        };
        let wrong = |error: halo_pki::PemError| CredentialsError(error.to_string());
        let key = String::from_utf8_lossy(file(&format!("{participant}_tls.key"))?).into_owned();
        Ok(Self {
            chain: halo_pki::pem_certificates(file(&format!("{participant}_tls.pem"))?)
                .map_err(wrong)?,
            key: halo_pki::pem_private_key(&key).map_err(wrong)?,
            trust: halo_pki::pem_certificates(file("kingdom_root.pem")?).map_err(wrong)?,
            server_name: "localhost".to_owned(),
        })
    }

    /// The TLS configuration: 1.3 only, no resumption, judged by `clock`.
    ///
    /// # Errors
    /// Key and certificate do not match, or a root is unusable.
    pub fn config(&self, clock: &Clock) -> Result<ClientConfig, CredentialsError> {
        let wrong = |error: rustls::Error| CredentialsError(error.to_string());
        let mut roots = RootCertStore::empty();
        for root in &self.trust {
            roots.add(CertificateDer::from(root.as_slice())).map_err(wrong)?;
        }
        let provider = crate::tls::provider(clock);
        let builder = ClientConfig::builder_with_details(provider, Arc::new(clock.clone()))
            .with_protocol_versions(&[&rustls::version::TLS13])
            .map_err(wrong)?
            .with_root_certificates(roots);
        let mut config = if self.chain.is_empty() {
            builder.with_no_client_auth()
        } else {
            let chain = self.chain.iter().cloned().map(CertificateDer::from).collect();
            let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(self.key.clone()));
            builder.with_client_auth_cert(chain, key).map_err(wrong)?
        };
        config.resumption = rustls::client::Resumption::disabled();
        config.alpn_protocols = vec![b"h2".to_vec()];
        Ok(config)
    }
}

/// A channel that dials `address` at its first call.
///
/// # Errors
/// As [`Credentials::config`].
pub fn channel(
    network: Arc<dyn Network>,
    address: &str,
    credentials: &Credentials,
    clock: &Clock,
) -> Result<Channel, CredentialsError> {
    let connector = TlsConnector::from(Arc::new(credentials.config(clock)?));
    let name = ServerName::try_from(credentials.server_name.clone())
        .map_err(|error| CredentialsError(error.to_string()))?;
    let address = address.to_owned();
    let dial = tower::service_fn(move |_| {
        let (network, address) = (network.clone(), address.clone());
        let (connector, name) = (connector.clone(), name.clone());
        async move {
            let (stream, _) = network.connect(&address).await?;
            let tls = connector.connect(name, stream).await?;
            Ok::<_, io::Error>(TokioIo::new(tls))
        }
    });
    let endpoint = Endpoint::from_static("http://kingdom.test")
        .origin(http::Uri::from_static("https://kingdom.test"));
    Ok(endpoint.connect_with_connector_lazy(dial))
}

impl Kingdom {
    /// A channel to the public API with a participant's own credentials.
    ///
    /// # Errors
    /// The sandbox has no such participant.
    pub fn channel(
        &self,
        sandbox: &Sandbox,
        participant: &str,
    ) -> Result<Channel, CredentialsError> {
        let credentials = Credentials::of(sandbox, participant)?;
        let control = self.control();
        channel(control.network(), self.public_address(), &credentials, control.clock())
    }
}
