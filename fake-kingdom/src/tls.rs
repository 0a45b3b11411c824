//! The server's TLS (contract 2.1, 2.3, 2.11, 2.15): TLS 1.3 only, no resumption, the fake's clock,
//! and a path check that ties each certificate to its issuer's key identifier.

use crate::cause::Cause;
use crate::seam::clock::Clock;
use halo_pki::TrustEntry;
use rustls::client::danger::HandshakeSignatureValid;
use rustls::crypto::{CryptoProvider, WebPkiSupportedAlgorithms, aws_lc_rs};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, TrustAnchor, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::server::{NoServerSessionStorage, ServerConfig};
use rustls::{
    CertificateError, DigitallySignedStruct, DistinguishedName, OtherError, PeerIncompatible,
    SignatureScheme,
};
use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;
use std::sync::{Arc, Mutex, PoisonError};

/// Whether a client certificate is asked for (interfaces.md section 1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ClientAuth {
    /// Not asked for: server TLS.
    Off,
    /// Asked for; its absence is accepted.
    Optional,
    /// Asked for; its absence fails the handshake. The default.
    #[default]
    Required,
}

/// A client-auth mode that is none of the three.
#[derive(Debug, thiserror::Error)]
#[error("`{0}` is none of `off`, `optional` and `required`")]
pub struct UnknownClientAuth(String);

impl FromStr for ClientAuth {
    type Err = UnknownClientAuth;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "off" => Ok(Self::Off),
            "optional" => Ok(Self::Optional),
            "required" => Ok(Self::Required),
            other => Err(UnknownClientAuth(other.to_owned())),
        }
    }
}

/// A server configuration cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// Certificate and key do not belong together (contract 5.7.3), or one of them is unusable.
    #[error("certificate and key cannot be used together: {0}")]
    Identity(rustls::Error),
    /// An entry of the trust bundle cannot be a trust anchor.
    #[error("entry {entry} of the trust bundle cannot be a trust anchor: {why}")]
    Anchor {
        /// Number of the entry, from 1.
        entry: usize,
        /// Why.
        why: String,
    },
}

/// Makes the configuration of one listener. Connections made with it keep it for good.
///
/// # Errors
/// Certificate and key do not match, or a trust entry is unusable.
pub fn server_config(
    certificate_der: &[u8],
    key_der: &[u8],
    trust: &[TrustEntry],
    client_auth: ClientAuth,
    clock: &Clock,
) -> Result<Arc<ServerConfig>, TlsError> {
    let provider = provider();
    let builder = ServerConfig::builder_with_details(provider.clone(), Arc::new(clock.clone()))
        .with_protocol_versions(&[&rustls::version::TLS13])
        .map_err(TlsError::Identity)?;
    let builder = match client_auth {
        ClientAuth::Off => builder.with_no_client_auth(),
        mode => builder.with_client_cert_verifier(Arc::new(PathVerifier::new(
            trust,
            mode == ClientAuth::Required,
            provider.signature_verification_algorithms,
        )?)),
    };
    let chain = vec![CertificateDer::from(certificate_der.to_vec())];
    let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key_der.to_vec()));
    let mut config = builder.with_single_cert(chain, key).map_err(TlsError::Identity)?;
    config.alpn_protocols = vec![b"h2".to_vec()];
    // Resumption would carry an old certificate past a rotation (rust-notes.md section 1).
    config.send_tls13_tickets = 0;
    config.session_storage = Arc::new(NoServerSessionStorage {});
    Ok(Arc::new(config))
}

/// [`halo_pki::inspect`], which remembers the certificates it read last: a handshake asks twice
/// about the same leaf, and a client comes back with it.
pub(crate) fn inspect(
    der: &[u8],
) -> Result<Arc<halo_pki::CertificateFacts>, halo_pki::InspectError> {
    const REMEMBERED: usize = 256;
    type Facts = BTreeMap<Vec<u8>, Arc<halo_pki::CertificateFacts>>;
    static SEEN: Mutex<Facts> = Mutex::new(Facts::new());
    let seen = || SEEN.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(facts) = seen().get(der) {
        return Ok(facts.clone());
    }
    let facts = Arc::new(halo_pki::inspect(der)?);
    let mut seen = seen();
    if seen.len() >= REMEMBERED {
        seen.clear();
    }
    seen.insert(der.to_vec(), facts.clone());
    Ok(facts)
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(aws_lc_rs::default_provider())
}

/// Checks a client's path as the real server does (contract 2.15): webpki's checks, plus that an
/// AKID, where present, is there once and names the certificate that issued this one.
struct PathVerifier {
    roots: Vec<Root>,
    mandatory: bool,
    algorithms: WebPkiSupportedAlgorithms,
}

struct Root {
    skid: Vec<u8>,
    anchor: TrustAnchor<'static>,
}

/// The cause in a refusal that webpki has no word for.
#[derive(Debug)]
struct PathError(Cause);

impl fmt::Display for PathError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.meaning())
    }
}

impl std::error::Error for PathError {}

fn refuse(cause: Cause) -> rustls::Error {
    CertificateError::Other(OtherError(Arc::new(PathError(cause)))).into()
}

impl PathVerifier {
    fn new(
        trust: &[TrustEntry],
        mandatory: bool,
        algorithms: WebPkiSupportedAlgorithms,
    ) -> Result<Self, TlsError> {
        let roots = trust
            .iter()
            .enumerate()
            .map(|(index, entry)| {
                let der = CertificateDer::from(entry.der.as_slice());
                let anchor = webpki::anchor_from_trusted_cert(&der).map_err(|error| {
                    TlsError::Anchor { entry: index + 1, why: error.to_string() }
                })?;
                Ok(Root { skid: entry.skid.clone(), anchor: anchor.to_owned() })
            })
            .collect::<Result<_, TlsError>>()?;
        Ok(Self { roots, mandatory, algorithms })
    }

    /// webpki's verdict, with the roots that `wanted` keeps.
    fn path(
        &self,
        leaf: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
        wanted: impl Fn(&Root) -> bool,
    ) -> Result<(), webpki::Error> {
        let mut roots = self.roots.iter().filter(|root| wanted(root));
        let (first, more) = (roots.next(), roots.next());
        if let (Some(only), None) = (first, more) {
            let anchors = std::slice::from_ref(&only.anchor);
            return self.path_to(anchors, leaf, intermediates, now, |_| Ok(()));
        }
        let anchors: Vec<_> =
            self.roots.iter().filter(|root| wanted(root)).map(|root| root.anchor.clone()).collect();
        self.path_to(&anchors, leaf, intermediates, now, |_| Ok(()))
    }

    /// The issuer's SKID at each step of a path that webpki accepts.
    fn issuers(
        &self,
        leaf: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<Vec<Vec<u8>>, webpki::Error> {
        let anchors: Vec<_> = self.roots.iter().map(|root| root.anchor.clone()).collect();
        self.path_to(&anchors, leaf, intermediates, now, |path| self.skids(path))
    }

    fn path_to<T>(
        &self,
        anchors: &[TrustAnchor<'static>],
        leaf: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
        then: impl FnOnce(&webpki::VerifiedPath<'_>) -> Result<T, webpki::Error>,
    ) -> Result<T, webpki::Error> {
        let leaf = webpki::EndEntityCert::try_from(leaf)?;
        let usage = webpki::KeyUsage::client_auth();
        let algorithms = self.algorithms.all;
        let path =
            leaf.verify_for_usage(algorithms, anchors, intermediates, now, usage, None, None)?;
        then(&path)
    }

    fn skids(&self, path: &webpki::VerifiedPath<'_>) -> Result<Vec<Vec<u8>>, webpki::Error> {
        let mut issuers = Vec::new();
        for certificate in path.intermediate_certificates() {
            let facts = halo_pki::inspect(&certificate.der()).map_err(|_| webpki::Error::BadDer)?;
            issuers.push(facts.skid.unwrap_or_default());
        }
        let anchor = path.anchor();
        let root = self.roots.iter().find(|root| {
            root.anchor.subject == anchor.subject
                && root.anchor.subject_public_key_info == anchor.subject_public_key_info
        });
        issuers.push(root.map(|root| root.skid.clone()).unwrap_or_default());
        Ok(issuers)
    }

    fn verify(
        &self,
        leaf: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<(), rustls::Error> {
        let facts = inspect(leaf).map_err(|_| refuse(Cause::MalformedCertificate))?;
        if facts.akids.len() > 1 {
            return Err(refuse(Cause::AkidNotOfIssuer));
        }
        if !facts.duplicate_extensions.is_empty() {
            return Err(refuse(Cause::MalformedCertificate));
        }
        let akid = facts.akid().map(<[u8]>::to_vec);

        // The candidate root by AKID first: the usual leaf costs one signature check.
        if let Some(akid) = &akid
            && intermediates.is_empty()
        {
            let named = |root: &Root| root.skid == *akid;
            return match self.path(leaf, intermediates, now, named) {
                Ok(_) => Ok(()),
                // Only a refusal pays for naming its cause.
                Err(error) => match self.path(leaf, intermediates, now, |root| !named(root)) {
                    Ok(_) => Err(refuse(Cause::AkidNotOfIssuer)),
                    Err(other) => Err(certificate_error(if self.roots.iter().any(named) {
                        error
                    } else {
                        other
                    })),
                },
            };
        }

        let issuers = self.issuers(leaf, intermediates, now).map_err(certificate_error)?;
        // In a chain the rule holds at each step against the issuer in that path (2.15).
        let mut akid = akid;
        for (step, issuer) in issuers.iter().enumerate() {
            if akid.as_ref().is_some_and(|akid| akid != issuer) {
                return Err(refuse(Cause::AkidNotOfIssuer));
            }
            if step + 1 < issuers.len() {
                let above = intermediates
                    .iter()
                    .filter_map(|der| halo_pki::inspect(der).ok())
                    .find(|facts| facts.skid.as_deref() == Some(issuer));
                akid = above.and_then(|facts| facts.akid().map(<[u8]>::to_vec));
            }
        }
        Ok(())
    }
}

impl fmt::Debug for PathVerifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PathVerifier").field("roots", &self.roots.len()).finish_non_exhaustive()
    }
}

impl ClientCertVerifier for PathVerifier {
    fn client_auth_mandatory(&self) -> bool {
        self.mandatory
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, rustls::Error> {
        self.verify(end_entity, intermediates, now).map(|()| ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        rustls::crypto::verify_tls12_signature(message, cert, dss, &self.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        rustls::crypto::verify_tls13_signature(message, cert, dss, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}

/// webpki's word for it as rustls's, so that the client gets the right alert.
fn certificate_error(error: webpki::Error) -> rustls::Error {
    use webpki::Error as E;
    match error {
        E::UnknownIssuer | E::EmptyEkuExtension => CertificateError::UnknownIssuer.into(),
        E::CertExpired { .. } => CertificateError::Expired.into(),
        E::CertNotValidYet { .. } => CertificateError::NotValidYet.into(),
        E::InvalidSignatureForPublicKey => CertificateError::BadSignature.into(),
        E::UnsupportedSignatureAlgorithmContext(_)
        | E::UnsupportedSignatureAlgorithmForPublicKeyContext(_) => {
            refuse(Cause::UnsupportedAlgorithm)
        }
        E::RequiredEkuNotFoundContext(_)
        | E::CaUsedAsEndEntity
        | E::EndEntityUsedAsCa
        | E::PathLenConstraintViolated
        | E::NameConstraintViolation => refuse(Cause::NotForClientAuthentication),
        _ => refuse(Cause::MalformedCertificate),
    }
}

/// The stable cause of a failed handshake, as the server saw it.
pub fn cause_of(error: &std::io::Error) -> Cause {
    let Some(error) = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>())
    else {
        return Cause::HandshakeFailed;
    };
    match error {
        rustls::Error::NoCertificatesPresented => Cause::NoClientCertificate,
        rustls::Error::InvalidCertificate(error) => match error {
            CertificateError::UnknownIssuer => Cause::UnknownIssuer,
            CertificateError::Expired | CertificateError::ExpiredContext { .. } => Cause::Expired,
            CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
                Cause::NotYetValid
            }
            CertificateError::BadSignature => Cause::BadSignature,
            CertificateError::BadEncoding => Cause::MalformedCertificate,
            CertificateError::Other(OtherError(inner)) => {
                inner.downcast_ref::<PathError>().map_or(Cause::MalformedCertificate, |e| e.0)
            }
            _ => Cause::MalformedCertificate,
        },
        rustls::Error::PeerIncompatible(
            PeerIncompatible::Tls13RequiredForQuic
            | PeerIncompatible::Tls12NotOffered
            | PeerIncompatible::Tls12NotOfferedOrEnabled
            | PeerIncompatible::SupportedVersionsExtensionRequired,
        ) => Cause::TlsVersion,
        rustls::Error::PeerIncompatible(_) => Cause::TlsVersion,
        rustls::Error::InvalidMessage(_) => Cause::Plaintext,
        _ => Cause::HandshakeFailed,
    }
}
