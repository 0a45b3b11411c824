//! The client's TLS: whatever a scenario wants to present, judged by the scenario's clock.

use super::link::Link;
use super::wire::TransportError;
use fake_kingdom::cause::Cause;
use fake_kingdom::seam::clock::Clock;
use fake_kingdom::seam::transport::BoxStream;
use rustls::client::{ResolvesClientCert, Resumption};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, ServerName};
use rustls::sign::CertifiedKey;
use rustls::{ClientConfig, RootCertStore, SignatureScheme};
use std::fmt;
use std::sync::Arc;
use tokio_rustls::TlsConnector;

/// A certificate, what is sent after it, and its key. `Debug` never shows the key.
#[derive(Clone, PartialEq, Eq)]
pub struct Credential {
    /// DER, the leaf first.
    pub chain: Vec<Vec<u8>>,
    /// PKCS#8 DER.
    pub key: Vec<u8>,
}

impl fmt::Debug for Credential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credential").field("chain_length", &self.chain.len()).finish()
    }
}

/// How a connection is secured.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Security {
    /// TLS 1.3, as the contract demands.
    #[default]
    Tls13,
    /// TLS 1.2 and nothing newer.
    Tls12Only,
    /// None.
    Plaintext,
}

/// What a client presents and accepts.
#[derive(Clone, Debug)]
pub struct TlsOptions {
    /// What it presents; `None` = no certificate.
    pub credential: Option<Credential>,
    /// Version.
    pub security: Security,
    /// The roots it trusts, DER.
    pub roots: Vec<Vec<u8>>,
    /// The name it asks for.
    pub server_name: String,
    /// Its clock.
    pub clock: Clock,
    /// Its network, if it is anything but perfect.
    pub link: Option<Link>,
}

impl TlsOptions {
    /// Subject key identifiers of the roots it trusts, lower-case hex; those that have one.
    pub fn root_skids(&self) -> impl Iterator<Item = String> {
        let skid =
            |der: &Vec<u8>| fake_kingdom::tls::facts(der).ok()?.skid.as_ref().map(hex::encode);
        self.roots.iter().filter_map(skid)
    }
}

/// Who answered a handshake, and how.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Answering {
    /// Serial number of the server's leaf, lower-case hex.
    pub serial: String,
    /// Its subject key identifier, lower-case hex; empty if it has none.
    pub skid: String,
    /// Such as `TLSv1_3`.
    pub tls_version: String,
}

impl TlsOptions {
    /// Secures a stream; `None` for plaintext, where nobody shows who he is.
    pub(super) async fn secure(
        &self,
        stream: BoxStream,
    ) -> Result<(BoxStream, Option<Answering>), TransportError> {
        if self.security == Security::Plaintext {
            return Ok((stream, None));
        }
        let config = self.config().map_err(TransportError::Credential)?;
        self.secure_with(Arc::new(config), stream).await
    }

    /// [`Self::secure`] with the configuration that [`Self::config`] made before.
    pub(super) async fn secure_with(
        &self,
        config: Arc<ClientConfig>,
        stream: BoxStream,
    ) -> Result<(BoxStream, Option<Answering>), TransportError> {
        let name = ServerName::try_from(self.server_name.clone())
            .map_err(|error| TransportError::Credential(error.to_string()))?;
        let stream = TlsConnector::from(config)
            .connect(name, stream)
            .await
            .map_err(|error| refused(&error))?;
        let answering = answering(stream.get_ref().1);
        Ok((Box::new(stream), Some(answering)))
    }

    /// The TLS alert with which a server refuses this client, read from a connection of its own on which
    /// nothing is sent; `None` if it sends data instead, or no alert. With TLS 1.3 a refusal comes behind
    /// the handshake, where a call that is being written often hides it.
    pub async fn refusal_alert(&self, stream: BoxStream) -> Option<String> {
        use tokio::io::AsyncReadExt as _;
        let (mut stream, _) = self.secure(stream).await.ok()?;
        let error = stream.read_u8().await.err()?;
        match error.get_ref()?.downcast_ref::<rustls::Error>()? {
            rustls::Error::AlertReceived(alert) => Some(format!("{alert:?}")),
            _ => None,
        }
    }

    /// What rustls makes of it.
    ///
    /// # Errors
    /// The key or a root is unusable.
    pub fn config(&self) -> Result<ClientConfig, String> {
        let provider = fake_kingdom::tls::provider(&self.clock);
        let versions: &[&rustls::SupportedProtocolVersion] = match self.security {
            Security::Tls12Only => &[&rustls::version::TLS12],
            Security::Tls13 | Security::Plaintext => &[&rustls::version::TLS13],
        };
        let text = |error: rustls::Error| error.to_string();
        let mut roots = RootCertStore::empty();
        for root in &self.roots {
            roots.add(CertificateDer::from(root.clone())).map_err(text)?;
        }
        let key_provider = provider.key_provider;
        let builder = ClientConfig::builder_with_details(provider, Arc::new(self.clock.clone()))
            .with_protocol_versions(versions)
            .map_err(text)?
            .with_root_certificates(roots);
        let mut config = match &self.credential {
            None => builder.with_no_client_auth(),
            Some(credential) => {
                let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(credential.key.clone()));
                let key = key_provider.load_private_key(key).map_err(text)?;
                let chain = credential.chain.iter().cloned().map(CertificateDer::from).collect();
                // Whatever it is: hostile credentials are presented as they are.
                let presented = Presented(Arc::new(CertifiedKey::new(chain, key)));
                builder.with_client_cert_resolver(Arc::new(presented))
            }
        };
        config.alpn_protocols = vec![b"h2".to_vec()];
        // Resumption would carry an old certificate past a rotation (rust-notes.md section 1).
        config.resumption = Resumption::disabled();
        Ok(config)
    }
}

fn answering(connection: &rustls::ClientConnection) -> Answering {
    let leaf = connection.peer_certificates().and_then(|chain| chain.first());
    let facts = leaf.and_then(|leaf| fake_kingdom::tls::facts(leaf).ok());
    let version = connection.protocol_version();
    Answering {
        serial: facts.as_ref().map(|facts| facts.serial.clone()).unwrap_or_default(),
        skid: facts.and_then(|facts| facts.skid.as_ref().map(hex::encode)).unwrap_or_default(),
        tls_version: version.map(|version| format!("{version:?}")).unwrap_or_default(),
    }
}

/// A handshake that failed on this side: the server's leaf was refused, or something else.
fn refused(error: &std::io::Error) -> TransportError {
    use rustls::CertificateError as E;
    let why = error.to_string();
    let inner = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>());
    let Some(rustls::Error::InvalidCertificate(inner)) = inner else {
        return TransportError::Handshake(why);
    };
    let cause = match inner {
        E::Expired | E::ExpiredContext { .. } => Cause::Expired,
        E::NotValidYet | E::NotValidYetContext { .. } => Cause::NotYetValid,
        E::UnknownIssuer => Cause::UnknownIssuer,
        E::NotValidForName | E::NotValidForNameContext { .. } => Cause::ServerNameMismatch,
        _ => Cause::WrongServerCertificate,
    };
    TransportError::ServerCertificate { cause, why }
}

#[derive(Debug)]
struct Presented(Arc<CertifiedKey>);

impl ResolvesClientCert for Presented {
    fn resolve(&self, _: &[&[u8]], _: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        Some(self.0.clone())
    }

    fn has_certs(&self) -> bool {
        true
    }
}
